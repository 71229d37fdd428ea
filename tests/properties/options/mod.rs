//! What holds for every command line, and for the environment that it makes.

mod spelling;

use std::ffi::{CStr, CString};
use std::time::Duration;

use rawdaemon::args::{Action, Invocation, UsageError, Verbosity, assignments};
use rawdaemon::environment::set_variable;
use rawdaemon::{Limit, Readiness, Stage, ThinCStr};

use spelling::{STYLES, check_spellings};

/// Checks one command line. Each argument ends at a zero byte, which the last one may lack.
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
            check_values(&invocation);
            if prints(invocation.action) {
                // What comes after --help or --version is not understood.
                check_spellings(&invocation, &[], &[], &STYLES);
            } else {
                check_environment(&set, &words);
                let command = &words[invocation.command..];
                check_spellings(&invocation, &set, command, &STYLES);
                check_opposite(&invocation, &set, command);
            }
        }
        Err(error) => check_told(&error, &words),
    }
}

fn prints(action: Action) -> bool {
    matches!(action, Action::Help | Action::Version)
}

fn c_string(bytes: &[u8]) -> CString {
    CString::new(bytes).expect("no zero byte inside")
}

fn list(words: &[CString]) -> Vec<Option<ThinCStr<'_>>> {
    let words = words.iter().map(|word| Some(word.as_c_str().into()));
    words.chain([None]).collect()
}

/// An error is told in one line, unless an argument that stands in it has more.
fn check_told(error: &UsageError<'_>, words: &[CString]) {
    let mut told = Vec::new();
    error.tell(&mut |piece| told.extend_from_slice(piece));
    assert!(!told.is_empty());
    assert!(!told.contains(&0));
    let has_line_break = |bytes: &[u8]| bytes.contains(&b'\n');
    assert!(!has_line_break(&told) || words.iter().any(|word| has_line_break(word.as_bytes())));
}

/// What was understood is something that can be done.
fn check_values(invocation: &Invocation<'_>) {
    let Invocation {
        words,
        umask,
        niceness,
        oom_score_adj,
        limits,
        keep,
        kept,
        readiness,
        action,
        signal,
        ref retry,
        stages,
        ..
    } = *invocation;
    let is_signal = |signal: u8| (1..=64).contains(&signal);
    assert!(signal.is_none_or(is_signal));
    assert!(signal.is_some() || action != Action::Signal);
    let (given, rest) = retry.split_at(stages);
    assert!(given.iter().all(|stage| is_signal(stage.signal)));
    assert!(rest.iter().all(|stage| *stage == Stage::default()));
    let mut default = [Stage::default(); 2];
    let stages = invocation.stages(&mut default);
    assert!(stages.iter().all(|stage| is_signal(stage.signal)) && !stages.is_empty());
    let needs_pidfile = !prints(action) && action != Action::Start;
    assert!(invocation.pidfile().is_some() || !needs_pidfile);
    match readiness {
        Readiness::Descriptor(fd) => assert!(fd > 2),
        Readiness::NotifyAt(path) => assert!(path.to_c_str().to_bytes().starts_with(b"/")),
        _ => {}
    }
    assert!(
        words
            .into_iter()
            .flatten()
            .all(|path| !path.to_c_str().is_empty())
    );
    assert!(umask.is_none_or(|mask| mask <= 0o777));
    assert!(niceness.is_none_or(|niceness| (-20..20).contains(&niceness)));
    assert!(oom_score_adj.is_none_or(|adjustment| (-1000..=1000).contains(&adjustment)));
    assert!(
        limits
            .iter()
            .flatten()
            .all(|limit| limit.soft <= limit.hard)
    );
    assert!(keep[..kept].iter().all(|fd| *fd > 2));
    let _ = invocation.options();
}

/// The opposite of a command line, with all that it leaves out and nothing of the rest, is a command
/// line too. This finds what the parser overlooks, since that is not in what it has understood.
fn check_opposite(invocation: &Invocation<'_>, set: &[&CStr], command: &[CString]) {
    let path = command
        .iter()
        .map(CString::as_c_str)
        .find(|word| !word.is_empty())
        .unwrap_or(c"/");
    let other = |place: Option<ThinCStr<'_>>| place.is_none().then_some(path.into());
    let bytes = path.to_bytes();
    let number = bytes.iter().fold(bytes.len() as u64, |sum, byte| {
        sum.wrapping_mul(257).wrapping_add(u64::from(*byte))
    });
    let time = Duration::new(number, (number % 1_000_000_000) as u32);
    let kept = if invocation.kept == 0 {
        number as usize % 17
    } else {
        0
    };
    let actions = [
        Action::Start,
        Action::Restart,
        Action::Stop,
        Action::Status,
        Action::Signal,
    ];
    let action = match invocation.pidfile() {
        None => actions[number as usize % actions.len()],
        Some(_) => Action::Start,
    };
    let any_signal = (number % 64) as u8 + 1;
    let stages = if invocation.stages == 0 {
        number as usize % (invocation.retry.len() + 1)
    } else {
        0
    };
    let nothing = [CString::from(c"x")];
    let command = if command.is_empty() {
        &nothing
    } else {
        command
    };
    let opposite = Invocation {
        action,
        signal: match action {
            Action::Start => None,
            Action::Signal => Some(any_signal),
            _ => invocation.signal.is_none().then_some(any_signal),
        },
        kill_after: invocation.kill_after.is_none().then_some(time),
        retry: std::array::from_fn(|index| match index {
            index if index < stages => Stage {
                signal: (any_signal + index as u8) % 64 + 1,
                wait: time,
            },
            _ => Stage::default(),
        }),
        stages,
        start_or_ok: !invocation.start_or_ok,
        process_group: !invocation.process_group,
        trust_pidfile: !invocation.trust_pidfile,
        strict: !invocation.strict,
        append: !invocation.append,
        words: invocation.words.map(other),
        niceness: invocation.niceness.is_none().then_some(number as i32 % 20),
        oom_score_adj: invocation
            .oom_score_adj
            .is_none()
            .then_some(number as i32 % 1001),
        limits: invocation.limits.map(|limit| {
            let hard = if number % 2 == 0 {
                Limit::UNLIMITED
            } else {
                number
            };
            let soft = number / 3;
            limit.is_none().then_some(Limit { soft, hard })
        }),
        keep: std::array::from_fn(|index| {
            if index < kept {
                number as i32 & i32::MAX | 4
            } else {
                0
            }
        }),
        kept,
        readiness: match invocation.readiness {
            Readiness::Executed => Readiness::Descriptor(number as i32 & i32::MAX | 4),
            _ => Readiness::Executed,
        },
        foreground: !invocation.foreground,
        no_new_privs: !invocation.no_new_privs,
        clear_env: !invocation.clear_env,
        umask: invocation.umask.is_none().then_some(number as u32 % 0o1000),
        timeout: invocation.timeout.is_none().then_some(time),
        verbosity: match invocation.verbosity {
            Verbosity::Quiet => Verbosity::Normal,
            Verbosity::Normal => Verbosity::Verbose,
            Verbosity::Verbose => Verbosity::Quiet,
        },
        command: 0,
    };
    let made_up = c_string(&[b"NAME=", bytes].concat());
    let made_up = [made_up.as_c_str()];
    let set = if set.is_empty() { &made_up[..] } else { &[] };
    // One way of writing is enough here, for it is long.
    let style = [STYLES[number as usize % STYLES.len()]];
    check_spellings(&opposite, set, command, &style);
    let action = if invocation.append {
        Action::Help
    } else {
        Action::Version
    };
    check_spellings(&Invocation { action, ..opposite }, &[], &[], &style);
}

/// What `-E` sets is in the environment and counts, and all else is there as it was.
fn check_environment(set: &[&CStr], words: &[CString]) {
    // An argument less its last byte is often a variable that is set to something else.
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
    let is_left = |variable: &&CStr| set.iter().all(|other| name(other) != name(variable));
    let left = inherited.iter().map(CString::as_c_str).filter(is_left);
    assert!(left.eq(found.iter().copied().filter(is_left)));

    // No room at all is no reason to panic.
    for assignment in set {
        set_variable(&mut variables[..0], (*assignment).into());
    }
}

/// The name of a variable; `None` for a string of the environment that is none.
fn name(variable: &CStr) -> Option<&[u8]> {
    let bytes = variable.to_bytes();
    let name = bytes.split(|byte| *byte == b'=').next()?;
    (name.len() < bytes.len() && !name.is_empty()).then_some(name)
}
