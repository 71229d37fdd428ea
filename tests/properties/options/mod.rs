//! Properties of every command line, and of the environment that its `--env` options set.

mod effects;
mod spelling;

use std::ffi::{CStr, CString};

use crate::args::{Invocation, Name, Options, UsageError, assignments};
use rawdaemon::internal::set_variable;
use rawdaemon::{Signal, ThinCStr};

use effects::check_effects;
use spelling::{Given, check_spellings};

/// Checks one command line. Each argument ends in a zero byte, which is optional after the last.
pub fn check(data: &[u8]) {
    let words = data.split_inclusive(|byte| *byte == 0);
    let words: Vec<CString> = words
        .map(|word| word.strip_suffix(&[0]).unwrap_or(word))
        .map(c_string)
        .collect();
    let arguments = list(&words);
    let set: Vec<&CStr> = assignments(&arguments).map(ThinCStr::to_c_str).collect();
    match Invocation::parse(&arguments) {
        Ok(invocation) => {
            check_values(invocation.clone());
            let given = given(&words);
            if !prints(&invocation) {
                let signal = given.iter().rfind(|other| other.name == Name::Signal);
                check_signal(&invocation, signal.map(|given| &*given.value));
                check_environment(&set, &words);
                let command = &words[invocation.command..];
                check_spellings(&invocation, &given, command);
            }
            check_effects(&given, &words);
        }
        Err(error) => check_error(&error, &words),
    }
}

fn prints(invocation: &Invocation<'_>) -> bool {
    invocation.has(Name::Help) || invocation.has(Name::Version)
}

fn c_string(bytes: &[u8]) -> CString {
    CString::new(bytes).expect("no zero byte inside")
}

fn list(words: &[CString]) -> Vec<Option<ThinCStr<'_>>> {
    let words = words.iter().map(|word| Some(word.as_c_str().into()));
    words.chain([None]).collect()
}

/// The options of a command line that parses without an error, up to `--help` or `--version`.
fn given(words: &[CString]) -> Vec<Given> {
    let arguments = list(words);
    let options = Options::new(&arguments).map_while(Result::ok);
    options
        .map(|(name, value)| Given {
            name,
            value: value.to_bytes().to_vec(),
        })
        .collect()
}

/// The description of an error is one line, unless an argument contains a line break.
fn check_error(error: &UsageError<'_>, words: &[CString]) {
    let mut text = Vec::new();
    error.describe(&mut |piece| text.extend_from_slice(piece));
    assert!(!text.is_empty());
    assert!(!text.contains(&0));
    let has_line_break = |bytes: &[u8]| bytes.contains(&b'\n');
    assert!(!has_line_break(&text) || words.iter().any(|word| has_line_break(word.as_bytes())));
}

/// The last `--signal` counts. 0 is no signal.
fn check_signal(invocation: &Invocation<'_>, value: Option<&[u8]>) {
    assert_eq!(value.is_some(), invocation.has(Name::Signal));
    let expected = match value {
        None | Some(b"0") => None,
        Some(value) => Some(Signal::parse(value).unwrap()),
    };
    assert_eq!(invocation.signal, expected);
}

/// The values of a parsed command line are in their ranges.
fn check_values(mut invocation: Invocation<'_>) {
    let Invocation {
        argv0, keep, kept, ..
    } = invocation;
    assert!(!invocation.schedule().stages().is_empty());
    let actions = [
        Name::Status,
        Name::List,
        Name::Stop,
        Name::Restart,
        Name::Signal,
    ];
    let given = actions.iter().filter(|name| invocation.has(**name));
    // The first signal of a stop may be given.
    let is_one_action = match given.clone().count() {
        0 | 1 => true,
        2 => {
            invocation.has(Name::Signal)
                && !invocation.has(Name::Status)
                && !invocation.has(Name::List)
        }
        _ => false,
    };
    let needs_pidfile = given.count() > 0 && !invocation.has(Name::List);
    let is_complete = is_one_action && (invocation.pidfile().is_some() || !needs_pidfile);
    assert!(is_complete || prints(&invocation));
    let words = [argv0, invocation.pidfile()];
    assert!(words.iter().flatten().all(|word| word.first_byte() != 0));
    assert!(keep[..kept].iter().all(|fd| *fd > 2));
    invocation.complete();
}

/// `--env` sets each variable to the last value given, and leaves other variables unchanged.
fn check_environment(set: &[&CStr], words: &[CString]) {
    // Without its last byte, an argument is often the same variable with another value.
    let inherited: Vec<CString> = words
        .iter()
        .map(|word| c_string(word.as_bytes().split_last().map_or(b"", |(_, rest)| rest)))
        .collect();
    let mut variables = list(&inherited);
    variables.extend(set.iter().map(|_| None));
    for assignment in set {
        set_variable(&mut variables, (*assignment).into());
    }
    assert_eq!(variables.last(), Some(&None));

    let found = variables.iter().map_while(|variable| *variable);
    let found: Vec<&CStr> = found.map(ThinCStr::to_c_str).collect();
    for assignment in set {
        let name = name(assignment);
        assert!(name.is_some());
        let same = |other: &&CStr| self::name(other) == name;
        let last = set.iter().copied().rfind(same);
        let mut all = found.iter().copied().filter(same).peekable();
        assert!(all.peek().is_some());
        assert!(all.all(|other| Some(other) == last));
    }
    let is_other = |variable: &&CStr| set.iter().all(|other| name(other) != name(variable));
    let others = inherited.iter().map(CString::as_c_str).filter(is_other);
    assert!(others.eq(found.iter().copied().filter(is_other)));

    // An empty slice must not cause a panic.
    for assignment in set {
        set_variable(&mut variables[..0], (*assignment).into());
    }
}

/// The name of a variable. `None` if the string has none.
fn name(variable: &CStr) -> Option<&[u8]> {
    let bytes = variable.to_bytes();
    let name = bytes.split(|byte| *byte == b'=').next()?;
    (name.len() < bytes.len() && !name.is_empty()).then_some(name)
}
