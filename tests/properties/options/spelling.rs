//! The ways to write a command line, all of which are understood alike.

use std::ffi::{CStr, CString};
use std::time::Duration;

use rawdaemon::args::{Action, Invocation, Verbosity, assignments};
use rawdaemon::{Limit, Readiness, ThinCStr};

use super::{c_string, list, prints};

/// The ways to write an option.
#[derive(Clone, Copy, Debug)]
pub enum Style {
    /// `--name=VALUE`
    Long,
    /// `--name VALUE`
    LongApart,
    /// `-x VALUE`
    ShortApart,
    /// `-xyzVALUE`
    Grouped,
}

pub const STYLES: [Style; 4] = [
    Style::Long,
    Style::LongApart,
    Style::ShortApart,
    Style::Grouped,
];

/// An option as it is to be written.
struct Written {
    /// Zero if it has none.
    letter: u8,
    name: &'static str,
    value: Option<Vec<u8>>,
}

/// Whatever way the options are written, they are understood as what they are.
pub fn check_spellings(
    invocation: &Invocation<'_>,
    set: &[&CStr],
    command: &[CString],
    styles: &[Style],
) {
    let options = written(invocation, set);
    for style in styles {
        let mut words = spelled(&options, *style);
        if !prints(invocation.action) {
            words.push(c"--".into());
            words.extend_from_slice(command);
        }
        let arguments = list(&words);
        let again = match Invocation::parse(&arguments) {
            Ok(again) => again,
            Err(error) => panic!("{style:?} {words:?}: {error:?}"),
        };
        let expected = Invocation {
            command: again.command,
            ..*invocation
        };
        assert_eq!(again, expected, "{style:?} {words:?}");
        if !prints(invocation.action) {
            assert_eq!(&words[again.command..], command, "{style:?} {words:?}");
        }
        let set_again: Vec<&CStr> = assignments(&arguments).map(ThinCStr::to_c_str).collect();
        assert_eq!(set_again, set, "{style:?} {words:?}");
    }
}

/// The options of a command line. A new field is missed here by the compiler.
fn written(invocation: &Invocation<'_>, set: &[&CStr]) -> Vec<Written> {
    let Invocation {
        action,
        append,
        words:
            [
                stdin,
                stdout,
                stderr,
                pidfile,
                lock,
                chroot,
                chdir,
                user,
                group,
                argv0,
            ],
        umask,
        timeout,
        niceness,
        oom_score_adj,
        limits,
        keep,
        kept,
        readiness,
        foreground,
        no_new_privs,
        clear_env,
        verbosity,
        signal,
        kill_after,
        retry,
        stages,
        start_or_ok,
        process_group,
        trust_pidfile,
        strict,
        command: _,
    } = *invocation;
    let path = |path: Option<ThinCStr<'_>>| path.map(|path| path.to_c_str().to_bytes().to_vec());
    let mask = umask.map(|mask| format!("{mask:o}").into_bytes());
    let seconds = |time: Duration| format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
    let time = |time: Option<Duration>| time.map(|time| seconds(time).into_bytes());
    let stages: Vec<_> = retry[..stages]
        .iter()
        .map(|stage| format!("{}/{}", stage.signal, seconds(stage.wait)))
        .collect();
    let schedule = (!stages.is_empty()).then(|| stages.join("/").into_bytes());
    let text = |number: i32| number.to_string().into_bytes();
    let how = match readiness {
        Readiness::Executed => None,
        Readiness::Descriptor(fd) => Some(format!("fd:{fd}").into_bytes()),
        Readiness::NotifyAt(path) => Some([b"notify:", path.to_c_str().to_bytes()].concat()),
        _ => Some(b"notify".to_vec()),
    };
    let flags = [
        (b'a', "append", append),
        (b'f', "foreground", foreground),
        (b'v', "verbose", verbosity == Verbosity::Verbose),
        (b'q', "quiet", verbosity == Verbosity::Quiet),
        (0, "no-new-privs", no_new_privs),
        (0, "clear-env", clear_env),
        (0, "start-or-ok", start_or_ok),
        (0, "process-group", process_group),
        (0, "trust-pidfile", trust_pidfile),
        (0, "strict", strict),
        (0, "restart", action == Action::Restart),
        (b'K', "stop", action == Action::Stop),
        (b'T', "status", action == Action::Status),
    ];
    let values = [
        (b'c', "chdir", path(chdir)),
        (b'i', "stdin", path(stdin)),
        (b'o', "stdout", path(stdout)),
        (b'e', "stderr", path(stderr)),
        (b'p', "pidfile", path(pidfile)),
        (b'l', "lock", path(lock)),
        (b'r', "chroot", path(chroot)),
        (b'u', "user", path(user)),
        (b'g', "group", path(group)),
        (0, "argv0", path(argv0)),
        (b'n', "nice", niceness.map(text)),
        (0, "oom-score-adj", oom_score_adj.map(text)),
        (b'm', "umask", mask),
        (b't', "timeout", time(timeout)),
        (0, "kill-after", time(kill_after)),
        (0, "retry", schedule),
        (b's', "signal", signal.map(|signal| text(signal.into()))),
        (b'R', "ready", how),
    ];
    let keep = keep[..kept]
        .iter()
        .map(|fd| (0, "keep-fd", Some(text(*fd))));
    let names = [
        "nofile", "core", "as", "data", "stack", "memlock", "nproc", "fsize", "cpu",
    ];
    let limits = names.iter().zip(limits).map(|(name, limit)| {
        let limit = limit.map(|limit| format!("{name}={}", amounts(limit)).into_bytes());
        (0, "rlimit", limit)
    });
    let set = set
        .iter()
        .map(|assignment| (b'E', "env", Some(assignment.to_bytes().to_vec())));
    // These two end the list.
    let actions = [
        (b'h', "help", action == Action::Help),
        (b'V', "version", action == Action::Version),
    ];
    let flag = |(letter, name, is_given): (u8, _, bool)| {
        is_given.then_some(Written {
            letter,
            name,
            value: None,
        })
    };
    let valued = |(letter, name, value): (u8, _, Option<Vec<u8>>)| {
        value.is_some().then_some(Written {
            letter,
            name,
            value,
        })
    };
    let flags = flags.into_iter().filter_map(flag);
    let values = values
        .into_iter()
        .chain(keep)
        .chain(limits)
        .chain(set)
        .filter_map(valued);
    let actions = actions.into_iter().filter_map(flag);
    flags.chain(values).chain(actions).collect()
}

/// A limit as it may be written.
fn amounts(limit: Limit) -> String {
    let amount = |amount: u64| match amount {
        Limit::UNLIMITED => "unlimited".to_owned(),
        number => number.to_string(),
    };
    if limit.soft == limit.hard {
        amount(limit.soft)
    } else {
        [amount(limit.soft), amount(limit.hard)].join(":")
    }
}

fn spelled(options: &[Written], style: Style) -> Vec<CString> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut group = Vec::new();
    for option in options {
        let long = ["--", option.name].concat().into_bytes();
        let short = vec![b'-', option.letter];
        let style = match (style, option.letter) {
            (Style::ShortApart | Style::Grouped, 0) => Style::LongApart,
            _ => style,
        };
        match (style, &option.value) {
            (Style::Long, Some(value)) => words.push([&long, &b"="[..], value].concat()),
            (Style::LongApart, Some(value)) => words.extend([long, value.clone()]),
            (Style::Long | Style::LongApart, None) => words.push(long),
            (Style::ShortApart, Some(value)) => words.extend([short, value.clone()]),
            (Style::ShortApart, None) => words.push(short),
            (Style::Grouped, Some(value)) => {
                group.push(option.letter);
                words.push([b"-", group.as_slice(), value].concat());
                group.clear();
            }
            (Style::Grouped, None) => group.push(option.letter),
        }
    }
    if !group.is_empty() {
        words.push([b"-", group.as_slice()].concat());
    }
    words.iter().map(|word| c_string(word)).collect()
}
