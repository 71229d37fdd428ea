//! Signals to the supervisor of a daemon, in each of its states.

use std::fs;
use std::time::Duration;

use crate::support::control::{ask, says};
use crate::support::states::{In, STATES, bring, expect_daemon};
use crate::support::supervised::{Supervised, respawn, supervisors};
use crate::support::{DEADLINE, Place, eventually, wait_for, watch};
use rustix::process::Signal;

#[test]
fn a_supervisor_that_is_asked_to_end_stops_its_daemon_and_leaves_nothing() {
    for state in STATES {
        for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
            let place = Place::new();
            let supervised = bring(&place, state, &[]);
            let daemon = expect_daemon(&place, state).map(watch);
            supervised.signal(signal);
            if let Some(daemon) = &daemon {
                assert!(wait_for(daemon, DEADLINE), "{state:?} {signal:?}");
            }
            supervised.ends_cleanly();
            // Not killed, where it ends by itself.
            let starts = place
                .read("log")
                .lines()
                .filter(|line| *line == "up")
                .count();
            let expected = if state == In::Restart { 2 } else { 1 };
            assert_eq!(starts, expected, "{state:?} {signal:?}");
        }
    }
}

#[test]
fn a_supervisor_that_is_asked_to_finish_starts_no_daemon() {
    for state in STATES {
        let place = Place::new();
        let supervised = bring(&place, state, &[]);
        let daemon = expect_daemon(&place, state);
        supervised.signal(Signal::USR2);
        match (state, daemon) {
            (In::Run, Some(daemon)) => {
                // The order of the two signals is kept: the first has been handled, too.
                supervised.signal(Signal::HUP);
                eventually("the daemon has it", || place.read("log") == "up\nHUP\n");
                says(&ask(&place, &["--status"]), 0, &format!("{daemon}\n"), "");
                assert!(!supervised.has_ended());
                rustix::process::kill_process(daemon, Signal::KILL).unwrap();
            }
            // It goes on, too, ready or not.
            (In::Restart, Some(daemon)) => {
                assert!(!wait_for(&watch(daemon), Duration::from_millis(100)));
                rustix::process::kill_process(daemon, Signal::KILL).unwrap();
            }
            (_, Some(daemon)) => assert!(wait_for(&watch(daemon), DEADLINE), "{state:?}"),
            (_, None) => {}
        }
        supervised.ends_cleanly();
    }
}

#[test]
fn a_hangup_reaches_the_daemon_and_never_ends_the_supervisor() {
    for state in STATES {
        let place = Place::new();
        let supervised = bring(&place, state, &[]);
        let daemon = expect_daemon(&place, state);
        for signal in [Signal::HUP, Signal::USR1] {
            supervised.signal(signal);
        }
        let log = || place.read("log");
        match state {
            In::Run | In::Stop => eventually("the daemon has it", || log() == "up\nHUP\n"),
            In::Delay => {
                supervised.says(2, "next start in");
                assert_eq!(log(), "up\n");
            }
            In::Restart => {
                // At the latest when it is ready.
                assert_eq!(expect_daemon(&place, state), daemon);
                rustix::process::kill_process(daemon.unwrap(), Signal::HUP).unwrap();
                eventually("the daemon has its own", || log().ends_with("HUP\n"));
            }
        }
        assert!(!supervised.has_ended(), "{state:?}");
        supervised.signal(Signal::TERM);
        supervised.ends_cleanly();
    }
}

#[test]
fn a_signal_during_the_first_start_is_not_lost() {
    for signal in [Signal::TERM, Signal::INT, Signal::USR2] {
        let place = Place::new();
        let mut start = respawn(&place, &["-R", "fd:3", "-t", "60"], &["sleep", "1000"]);
        let mut launcher = start.stderr(std::process::Stdio::null()).spawn().unwrap();
        eventually("the daemon runs", || {
            crate::support::supervised::named(&place).is_some_and(|pid| {
                let name = fs::read_to_string(format!("/proc/{pid}/comm"));
                name.is_ok_and(|name| name == "sleep\n")
            })
        });
        let daemon = crate::support::supervised::named(&place).unwrap();
        let supervisor = rustix::process::getsid(Some(daemon)).unwrap();
        let end = watch(daemon);
        rustix::process::kill_process(supervisor, signal).unwrap();
        let ended = wait_for(&end, Duration::from_secs(10));
        if !ended {
            rustix::process::kill_process(daemon, Signal::KILL).unwrap();
        }
        let code = launcher.wait().unwrap().code();
        assert!(ended, "{signal:?}");
        assert!(code.is_some_and(|code| code != 0), "{signal:?}: {code:?}");
        eventually("no process is left", || place.processes().is_empty());
        crate::support::supervised::assert_no_file(&place);
    }
}

#[test]
fn a_launcher_that_is_killed_takes_its_start_with_it() {
    for signal in [Signal::TERM, Signal::KILL] {
        let place = Place::new();
        let mut start = respawn(&place, &["-R", "fd:3", "-t", "60"], &["sleep", "1000"]);
        let mut launcher = start.stderr(std::process::Stdio::null()).spawn().unwrap();
        eventually("the daemon runs", || {
            crate::support::supervised::named(&place).is_some()
        });
        let pid = rustix::process::Pid::from_child(&launcher);
        rustix::process::kill_process(pid, signal).unwrap();
        launcher.wait().unwrap();
        eventually("no process is left", || {
            for pid in supervisors(&place) {
                let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG);
            }
            place.processes().is_empty()
        });
        crate::support::supervised::assert_no_file(&place);
    }
}

#[test]
fn a_daemon_that_sends_messages_forever_can_be_stopped() {
    if !crate::support::has_test_programs() {
        return;
    }
    for message in ["EXTEND_TIMEOUT_USEC=1", "WATCHDOG=1", "STATUS=busy"] {
        let place = Place::new();
        let program = crate::support::example("notifier");
        let program = program.display();
        // Several, so that a message always waits.
        let script = format!(
            "trap '' TERM; for n in 1 2 3 4 5 6; do {program} 'forever {message}' & done; exec {program} 'say READY=1'"
        );
        let options = [
            "-R",
            "notify",
            "--watchdog",
            "60",
            "--respawn-delay=0.01",
            "--kill-after=0.2",
        ];
        let supervised = Supervised::start(&place, &options, &["sh", "-c", &script]);
        // Its death is noticed, too, and a SIGTERM that it ignores is followed by a SIGKILL.
        let daemon = supervised.kill_daemon();
        supervised.next(daemon);
        supervised.says(0, "restarts: 1");
        supervised.signal(Signal::TERM);
        supervised.ends_cleanly();
    }
}

#[test]
fn other_signals_do_nothing_to_a_supervisor() {
    let place = Place::new();
    let supervised = bring(&place, In::Run, &[]);
    let daemon = supervised.daemon();
    for signal in [
        Signal::PIPE,
        Signal::ALARM,
        Signal::CHILD,
        Signal::TSTP,
        Signal::CONT,
    ] {
        supervised.signal(signal);
    }
    supervised.signal(Signal::HUP);
    eventually("it handles them", || place.read("log") == "up\nHUP\n");
    assert_eq!(supervised.daemon(), daemon);
    supervised.signal(Signal::TERM);
    supervised.ends_cleanly();
}
