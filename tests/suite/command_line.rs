//! The command line: every way to write an option, and every error.

use std::ffi::CStr;
use std::time::Duration;

use rawdaemon::internal::{LogOptions, LogTarget, LogTime, set_variable, settings};
use rawdaemon::{DaemonizeOptions, Resource, Stdio, ThinCStr};

use crate::args::{Invocation, Name, Verbosity, assignments};

fn list<'a>(arguments: &[&'a CStr]) -> Vec<Option<ThinCStr<'a>>> {
    arguments
        .iter()
        .map(|argument| Some((*argument).into()))
        .chain([None])
        .collect()
}

fn error(arguments: &[&CStr]) -> String {
    let mut text = Vec::new();
    Invocation::parse(&list(arguments))
        .unwrap_err()
        .describe(&mut |piece| text.extend_from_slice(piece));
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn every_way_to_write_an_option() {
    let ways: [&[&CStr]; 6] = [
        &[c"-a", c"-v", c"-o", c"out", c"web"],
        &[c"-av", c"-oout", c"web"],
        &[c"-avo", c"out", c"web"],
        &[c"-avoout", c"web"],
        &[c"--append", c"--verbose", c"--stdout=out", c"web"],
        &[c"--append", c"--verbose", c"--stdout", c"out", c"web"],
    ];
    for way in ways {
        let list = list(way);
        let invocation = Invocation::parse(&list).unwrap();
        assert_eq!(invocation.command, way.len() - 1);
        let mut expected = Invocation {
            start: settings(DaemonizeOptions::new().stdout(Stdio::file(c"out"))),
            verbosity: Verbosity::Verbose,
            command: invocation.command,
            ..Invocation::default()
        };
        expected.log.target = LogTarget::File(c"out".into());
        expected.paths[1] = Some(c"out".into());
        expected.add_flag(Name::Append);
        assert_eq!(format!("{invocation:?}"), format!("{expected:?}"));
    }
}

#[test]
fn parsing_stops_at_the_command() {
    let list_ = list(&[c"-a", c"web", c"-v", c"--nonsense"]);
    let invocation = Invocation::parse(&list_).unwrap();
    assert_eq!(
        (invocation.command, invocation.verbosity),
        (1, Verbosity::Normal)
    );
    let list_ = list(&[c"-a", c"--", c"-v", c"--"]);
    let invocation = Invocation::parse(&list_).unwrap();
    assert_eq!(
        (invocation.command, invocation.verbosity),
        (2, Verbosity::Normal)
    );
    let list_ = list(&[c"-E", c"A=1", c"--", c"web", c"-E", c"B=2"]);
    assert_eq!(assignments(&list_).collect::<Vec<_>>(), [c"A=1".into()]);
    let list_ = list(&[c"-"]);
    assert_eq!(Invocation::parse(&list_).unwrap().command, 0);
}

#[test]
fn a_value_may_look_like_anything() {
    let list_ = list(&[c"-o", c"--", c"-e", c"-v", c"--pidfile=a=b", c"web"]);
    let invocation = Invocation::parse(&list_).unwrap();
    let expected = DaemonizeOptions::new()
        .stdout(Stdio::file(c"--"))
        .stderr(Stdio::file(c"-v"))
        .pidfile(c"a=b");
    let expected = settings(expected);
    assert_eq!(format!("{:?}", invocation.start), format!("{expected:?}"));
}

#[test]
fn errors_name_the_option() {
    assert_eq!(error(&[]), "no command given");
    assert_eq!(error(&[c"--"]), "no command given");
    assert_eq!(error(&[c"-v"]), "no command given");
    assert_eq!(
        error(&[c"--nonsense=1", c"web"]),
        "unknown option --nonsense=1"
    );
    assert_eq!(error(&[c"-vx", c"web"]), "unknown option -x");
    assert_eq!(error(&[c"-v\xff", c"web"]), "unknown option -\u{fffd}");
    assert_eq!(error(&[c"--app", c"web"]), "unknown option --app");
    assert_eq!(
        error(&[c"--append=1", c"web"]),
        "option --append takes no value"
    );
    assert_eq!(error(&[c"-o"]), "option --stdout needs a file");
    assert_eq!(error(&[c"--chdir"]), "option --chdir needs a directory");
    assert_eq!(
        error(&[c"--pidfile=", c"web"]),
        "option --pidfile needs a file, which '' is not"
    );
    assert_eq!(
        error(&[c"-m", c"8", c"web"]),
        "option --umask needs an octal mask from 0 to 777, which '8' is not"
    );
    for mask in [c"", c"1000", c"-1", c"+7", c"0o7", c"77777777777777"] {
        assert!(
            error(&[c"-m", mask, c"web"]).starts_with("option --umask needs an octal mask"),
            "{mask:?}"
        );
    }
    assert_eq!(
        error(&[c"-t", c"soon", c"web"]),
        "option --timeout needs a number of seconds, which 'soon' is not"
    );
    assert_eq!(
        error(&[c"-E", c"=1", c"web"]),
        "option --env needs NAME=VALUE, which '=1' is not"
    );
    assert_eq!(
        error(&[c"-E", c"A", c"web"]),
        "option --env needs NAME=VALUE, which 'A' is not"
    );
}

#[test]
fn values_have_limits() {
    let bad: [(&CStr, &[&CStr]); 10] = [
        (
            c"--rlimit",
            &[
                c"core",
                c"core=",
                c"core=2:1",
                c"core=unlimited:1",
                c"core=K",
                c"core=1KK",
                c"core=1T",
                c"core=2K:1K",
                c"core=18014398509481984K",
                c"cores=1",
            ],
        ),
        (
            c"--ready",
            &[
                c"",
                c"fd",
                c"fd:2",
                c"fd:x",
                c"notify:",
                c"notify:socket",
                c"exec:",
            ],
        ),
        (c"--keep-fd", &[c"2", c"-1", c"2147483648"]),
        (c"--nice", &[c"-21", c"20"]),
        (c"--oom-score-adj", &[c"-1001", c"1001"]),
        (
            c"--retry",
            &[
                c"",
                c"TERM",
                c"TERM/",
                c"TERM/1/KILL",
                c"0/1",
                c"--TERM/1",
                c"forever",
                c"TERM/1/forever",
                c"TERM/1/forever/KILL/0",
                c"forever/TERM/1/forever/KILL/1",
            ],
        ),
        (
            c"--log-size",
            &[
                c"",
                c"0",
                c"4095",
                c"3K",
                c"-4096",
                c"64k",
                c"1T",
                c"unlimited",
                c"18014398509481984K",
            ],
        ),
        (c"--log-keep", &[c"", c"-1", c"1000", c"4294967296"]),
        (c"--log-time", &[c"", c"UTC", c"local"]),
        (
            c"--log",
            &[
                c"",
                c"file",
                c"kmsg:daemon",
                c"syslog:",
                c"syslog:-",
                c"syslog:nobody",
                c"syslog:LOCAL0",
            ],
        ),
    ];
    for (option, values) in bad {
        for value in values {
            let says = error(&[option, value, c"web"]);
            let need = format!("option {} needs ", option.to_str().unwrap());
            assert!(says.starts_with(&need), "{option:?} {value:?}: {says}");
        }
    }
    for (option, value) in [
        (c"--rlimit", c"core=1:1"),
        (c"--rlimit", c"core=1:unlimited"),
        (c"--rlimit", c"core=1K:18014398509481983K"),
        (c"--ready", c"fd:3"),
        (c"--ready", c"notify:/socket"),
        (c"--keep-fd", c"3"),
        (c"--nice", c"-20"),
        (c"--oom-score-adj", c"1000"),
        (c"--retry", c"TERM/1/KILL/0"),
        (c"--retry", c"forever/TERM/0/KILL/1"),
    ] {
        let list = list(&[option, value, c"web"]);
        assert!(Invocation::parse(&list).is_ok(), "{option:?} {value:?}");
    }
}

#[test]
fn the_log_is_the_standard_output_or_another() {
    let log = |options: &[&'static CStr]| {
        let list = list(&[options, &[c"web"]].concat()).leak();
        Invocation::parse(list).unwrap().log
    };
    let target = |options: &[&'static CStr]| log(options).target;
    let file = LogTarget::File(c"out".into());
    assert_eq!(log(&[]), LogOptions::default());
    assert_eq!(target(&[c"-o", c"out"]), file);
    assert_eq!(target(&[c"-o", c"out", c"-o", c"inherit"]), LogTarget::Off);
    assert_eq!(target(&[c"-o", c"/dev/null"]), LogTarget::Off);
    assert_eq!(target(&[c"-o", c"/dev/null", c"-o", c"out"]), file);
    assert_eq!(target(&[c"-e", c"out"]), LogTarget::Off);
    let supervised = |options: &[&'static CStr]| target(&[&[c"--respawn"], options].concat());
    assert_eq!(supervised(&[c"--log", c"kmsg"]), LogTarget::Kmsg);
    for options in [
        [c"--respawn", c"--log", c"kmsg", c"-o", c"out"],
        [c"--respawn", c"-o", c"out", c"--log", c"kmsg"],
    ] {
        let text = "these exclude each other: --stdout --log";
        assert_eq!(error(&[&options[..], &[c"web"]].concat()), text);
    }
    for (facility, number) in [
        (c"syslog", 3),
        (c"syslog:kern", 0),
        (c"syslog:authpriv", 10),
        (c"syslog:ftp", 11),
        (c"syslog:local0", 16),
        (c"syslog:local7", 23),
    ] {
        assert_eq!(supervised(&[c"--log", facility]), LogTarget::Syslog(number));
    }
    let options = log(&[
        c"--respawn",
        c"-o",
        c"out",
        c"--log-size",
        c"1M",
        c"--log-keep=0",
        c"--log-time",
        c"boot",
    ]);
    let expected = LogOptions {
        target: file,
        size: 1 << 20,
        keep: 0,
        time: LogTime::Boot,
        name: b"",
    };
    assert_eq!(options, expected);
    assert!(expected.needs_process() && !log(&[c"-o", c"out"]).needs_process());
}

/// Signal 0 only checks: a stop by it would send something else.
#[test]
fn signal_0_stops_nothing() {
    let parse = |options: &[&'static CStr]| {
        let list = list(options);
        let invocation = Invocation::parse(&list).map_err(|_| ())?;
        Ok::<_, ()>((invocation.has(Name::Signal), invocation.signal))
    };
    assert_eq!(parse(&[c"-s", c"0", c"-p", c"pid"]), Ok((true, None)));
    for other in [c"--stop", c"--restart", c"--status"] {
        assert_eq!(parse(&[other, c"-s", c"0", c"-p", c"pid", c"web"]), Err(()));
        assert_eq!(parse(&[c"-s", c"0", other, c"-p", c"pid", c"web"]), Err(()));
    }
}

#[test]
fn help_and_version_need_no_command() {
    let asks_for = |arguments: &[&CStr], name| {
        let list = list(arguments);
        Invocation::parse(&list).unwrap().has(name)
    };
    assert!(asks_for(&[c"-h"], Name::Help));
    assert!(asks_for(&[c"-vV", c"--nonsense"], Name::Version));
    assert!(!asks_for(&[c"web", c"--help"], Name::Help));
}

#[test]
fn actions_exclude_each_other() {
    for (options, says) in [
        (&[c"--status", c"--restart"][..], "--restart --status"),
        (&[c"--stop", c"--status"], "--stop --status"),
        (&[c"-K", c"--restart", c"-s", c"HUP"], "--restart --stop"),
        (&[c"-T", c"-s", c"HUP"], "--signal --status"),
        (&[c"-s", c"HUP", c"-T"], "--signal --status"),
        (&[c"-KT", c"--restart"], "--restart --stop --status"),
        (&[c"-TL"], "--status --list"),
    ] {
        let options = [options, &[c"-p", c"pid", c"web"]].concat();
        let expected = format!("these exclude each other: {says}");
        assert_eq!(error(&options), expected);
    }
    for options in [
        &[c"--stop", c"-s", c"HUP"][..],
        &[c"-s", c"HUP", c"--restart"],
        &[c"--status", c"-T"],
        &[c"--status", c"--start-or-ok", c"--foreground"],
    ] {
        let list = list(&[options, &[c"-p", c"pid", c"web"]].concat());
        assert!(Invocation::parse(&list).is_ok(), "{options:?}");
    }
}

#[test]
fn actions_need_the_file_of_the_daemon() {
    for options in [
        &[c"--stop", c"web"][..],
        &[c"-l", c"lock", c"--restart", c"web"],
    ] {
        assert_eq!(error(options), "no pidfile given");
    }
    assert_eq!(error(&[c"--start-or-ok", c"web"]), "no pidfile given");
    assert_eq!(error(&[c"--list"]), "no pidfile given");
    assert!(Invocation::parse(&list(&[c"--list", c"web.pid"])).is_ok());
    let with_lock = list(&[c"--start-or-ok", c"-l", c"lock", c"web"]);
    assert!(Invocation::parse(&with_lock).is_ok());
}

#[test]
fn a_bad_limit_is_answered_with_the_names_of_the_limits() {
    for limit in [c"foo=3", c"NOFILE=100", c"nofile=5:3", c"core=infinity"] {
        let says = error(&[c"--rlimit", limit, c"web"]);
        let (needs, value) = says.split_once(", which '").unwrap();
        assert_eq!(value, format!("{}' is not", limit.to_str().unwrap()));
        assert!(needs.contains("SOFT not above HARD"), "{says}");
        let (_, names) = needs.split_once("NAME one of ").unwrap();
        let names: Vec<_> = names.split(' ').collect();
        assert_eq!(names.len(), Resource::ALL.len());
        assert!(names.contains(&"nofile") && names.contains(&"core"));
    }
}

#[test]
fn seconds_may_have_a_fraction() {
    let parsed = |text: &CStr| {
        Invocation::parse(&list(&[c"-t", text, c"web"]))
            .ok()?
            .start
            .timeout
    };
    for (text, time) in [
        (c"0", Duration::ZERO),
        (c"1", Duration::from_secs(1)),
        (c"0.25", Duration::from_millis(250)),
        (c".5", Duration::from_millis(500)),
        (c"2.", Duration::from_secs(2)),
        (c"0.0000000019", Duration::from_nanos(1)),
        (c"18446744073709551615", Duration::from_secs(u64::MAX)),
    ] {
        assert_eq!(parsed(text), Some(time), "{text:?}");
    }
    for text in [
        c"",
        c".",
        c"-1",
        c"1e3",
        c"1,5",
        c"1.2.3",
        c" 1",
        c"18446744073709551616",
        c"inf",
    ] {
        assert_eq!(parsed(text), None, "{text:?}");
    }
}

#[test]
fn a_stop_has_the_stages_of_its_options() {
    let stages = |options: &[&CStr]| {
        let list = list(&[options, &[c"-p", c"pid", c"web"]].concat());
        let invocation = Invocation::parse(&list).unwrap();
        let schedule = invocation.schedule();
        let stages = schedule.stages().iter();
        stages
            .map(|stage| (stage.signal.number(), stage.wait))
            .collect::<Vec<_>>()
    };
    let seconds = Duration::from_secs;
    let cases: [(&[&CStr], u8, Duration); 7] = [
        (&[c"--stop"], 15, seconds(10)),
        (&[c"--stop", c"-s", c"HUP", c"-t", c"3"], 1, seconds(3)),
        (
            &[c"--stop", c"-t", c"3", c"--kill-after", c"2"],
            15,
            seconds(2),
        ),
        (&[c"--stop", c"-t", c"0"], 15, Duration::MAX),
        (&[c"--restart", c"--kill-after=0"], 15, Duration::MAX),
        // The timeout is that of the start.
        (&[c"--restart", c"-t", c"3"], 15, seconds(10)),
        (
            &[c"--restart", c"--kill-after=2", c"-t", c"3"],
            15,
            seconds(2),
        ),
    ];
    for (options, signal, wait) in cases {
        let expected = [(signal, wait), (9, seconds(60))];
        assert_eq!(stages(options), expected, "{options:?}");
    }
    let once = [(15, seconds(5)), (9, seconds(5))];
    assert_eq!(stages(&[c"--stop", c"--retry", c"5"]), once);
    let dpkg = [c"--stop", c"--retry", c"-TERM/5/-9/5"];
    assert_eq!(stages(&dpkg), once);
    // Only a number of seconds leaves the first signal open, wherever that stands.
    for options in [
        [c"--stop", c"--retry=5", c"--signal=INT"],
        [c"--signal=INT", c"--stop", c"--retry=5"],
    ] {
        assert_eq!(stages(&options), [(2, seconds(5)), (9, seconds(5))]);
    }
    let ignored = [c"--stop", c"--retry", c"TERM/5/KILL/5", c"--signal=INT"];
    assert_eq!(stages(&ignored), once);
    let forever = [c"--stop", c"--retry", c"-TERM/5/forever/KILL/5"];
    assert_eq!(stages(&forever), once);
    let twice = [c"--stop", c"--retry", c"INT/1/KILL/2/KILL/3", c"--retry=5"];
    assert_eq!(stages(&twice), once, "the last one wins");
}

#[test]
fn assignments_replace_or_follow_inherited_variables() {
    let mut environment = list(&[c"PATH=/bin", c"HOME=/first", c"odd", c"HOME=/second"]);
    environment.extend([None; 2]);
    for assignment in [c"HOME=/home", c"NEW=1", c"HOMES=x", c"NEW=2"] {
        set_variable(&mut environment, assignment.into());
    }
    let set: Vec<_> = environment
        .iter()
        .map_while(|variable| *variable)
        .map(ThinCStr::to_c_str)
        .collect();
    assert_eq!(
        set,
        [
            c"PATH=/bin",
            c"HOME=/home",
            c"odd",
            c"HOME=/home",
            c"NEW=2",
            c"HOMES=x"
        ]
    );
    assert!(environment.last().unwrap().is_none());
}
