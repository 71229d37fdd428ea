//! `--stop`, `--restart` and `--signal` of a supervised daemon, in each state of its supervisor and at the worst moments.

use std::fs;
use std::time::Duration;

use crate::support::control::{NOT_RUNNING, ask, ask_on, kernels, says};
use crate::support::states::{In, STATES, bring, expect_daemon};
use crate::support::supervised::{Supervised, assert_no_file, end_processes, named, respawn};
use crate::support::{DEADLINE, Place, eventually, wait_for, watch};
use rustix::process::Signal;

#[test]
fn a_stop_ends_daemon_and_supervisor_in_each_state() {
    for kernel in kernels() {
        for state in STATES {
            let place = Place::new();
            let supervised = bring(&place, state, &[]);
            let daemon = expect_daemon(&place, state);
            let output = ask_on(&place, kernel, &["-v", "--stop", "--kill-after=2"]);
            assert_eq!(output.code(), 0, "{} {state:?}: {output:?}", kernel.0);
            // In the other states, the supervisor may have stopped it first.
            if let (Some(daemon), In::Run) = (daemon, state) {
                let line = format!("rawdaemon: stopped pid {daemon} with SIGTERM\n");
                assert_eq!(output.stderr, line, "{} {state:?}", kernel.0);
            }
            assert!(supervised.has_ended(), "{} {state:?}", kernel.0);
            supervised.ends_cleanly();
            says(&ask_on(&place, kernel, &["--status"]), 3, "", NOT_RUNNING);
        }
    }
}

#[test]
fn a_restart_replaces_daemon_and_supervisor_in_each_state() {
    for state in STATES {
        let place = Place::new();
        let supervised = bring(&place, state, &[]);
        let restart = ["--restart", "--kill-after=2"];
        let output = place.run(&mut respawn(&place, &restart, &["sleep", "1000"]));
        assert_eq!(output.code(), 0, "{state:?}: {output:?}");
        assert!(supervised.has_ended(), "{state:?}");
        supervised.ended();
        let next = Supervised::find(&place);
        assert_eq!(next.daemon(), output.pid());
        next.says(0, "; restarts: 0; supervisor");
        assert_eq!(place.processes().len(), 2, "{state:?}");
        says(&ask(&place, &["--stop"]), 0, "", "");
        next.ends_cleanly();
    }
}

#[test]
fn a_restart_without_a_supervisor_replaces_one_with_it() {
    let place = Place::new();
    let supervised = Supervised::start(&place, &[], &["sleep", "1000"]);
    let daemon = place.start(["--restart", "-p", "pid", "sleep", "1000"]);
    supervised.ended();
    assert_eq!(place.processes(), [daemon.pid]);
    assert!(!place.path("pid.supervisor").exists());
    let mut restart = respawn(&place, &["--restart"], &["sleep", "1000"]);
    let supervised = Supervised::start_by(&place, &mut restart);
    daemon.ended();
    drop(daemon);
    says(&ask(&place, &["--stop"]), 0, "", "");
    supervised.ends_cleanly();
}

#[test]
fn a_second_start_is_refused_in_each_state() {
    for state in STATES {
        let place = Place::new();
        let supervised = bring(&place, state, &[]);
        let pid = expect_daemon(&place, state).unwrap_or(supervised.pid);
        let line = format!("rawdaemon: already running as pid {pid}\n");
        for options in [
            &["-p", "pid"][..],
            &["--respawn", "-p", "pid"],
            &["-f", "-p", "pid"],
        ] {
            let mut start = place.rawdaemon(options);
            says(&place.run(start.arg("true")), 12, "", &line);
        }
        let mut start = place.rawdaemon(["--start-or-ok", "-p", "pid", "true"]);
        says(&place.run(&mut start), 0, "", "");
        assert_eq!(expect_daemon(&place, state).unwrap_or(supervised.pid), pid);
        assert!(!supervised.has_ended(), "{state:?}");
    }
}

#[test]
fn the_state_is_told_in_each_state() {
    for kernel in kernels() {
        for state in STATES {
            let place = Place::new();
            let supervised = bring(&place, state, &[]);
            let status = ask_on(&place, kernel, &["--status"]);
            match expect_daemon(&place, state) {
                Some(daemon) => says(&status, 0, &format!("{daemon}\n"), ""),
                None => {
                    assert_eq!(
                        (status.code(), status.stdout.as_str()),
                        (2, ""),
                        "{}",
                        kernel.0
                    );
                    let supervisor = format!("; supervisor {}\n", supervised.pid);
                    assert!(
                        status.stderr.ends_with(&supervisor),
                        "{}: {status:?}",
                        kernel.0
                    );
                }
            }
        }
    }
}

#[test]
fn signals_of_the_command_reach_the_daemon() {
    for kernel in kernels() {
        let place = Place::new();
        let supervised = bring(&place, In::Run, &[]);
        says(&ask_on(&place, kernel, &["--signal", "HUP"]), 0, "", "");
        says(&ask_on(&place, kernel, &["--signal", "USR2"]), 0, "", "");
        eventually("they have arrived", || {
            place
                .read("log")
                .lines()
                .filter(|line| *line != "up")
                .count()
                == 2
        });
        drop(supervised);
        let place = Place::new();
        let supervised = bring(&place, In::Delay, &[]);
        let output = ask_on(&place, kernel, &["--signal", "HUP", "--strict"]);
        says(&output, 7, "", NOT_RUNNING);
        assert!(!supervised.has_ended());
    }
}

#[test]
fn a_stubborn_daemon_is_killed_by_the_schedule_of_the_stop() {
    for kernel in kernels() {
        let place = Place::new();
        let supervised = bring(&place, In::Run, &["--kill-after=600"]);
        fs::write(place.path("stubborn"), "").unwrap();
        let daemon = watch(supervised.daemon());
        let schedule = "--retry=TERM/0.3/KILL/20";
        let output = ask_on(&place, kernel, &["--stop", schedule]);
        says(&output, 0, "", "");
        assert!(output.took >= Duration::from_millis(300), "{output:?}");
        assert!(wait_for(&daemon, DEADLINE));
        supervised.ends_cleanly();
    }
}

#[test]
fn a_stubborn_daemon_is_killed_by_the_schedule_of_its_start() {
    for (option, signal) in [
        ("--kill-after=0.3", ""),
        ("--retry=HUP/0.3/KILL/20", "HUP\n"),
        ("--retry=HUP/0.1/forever/USR2/0.1/KILL/0.1", "HUP\nUSR2\n"),
    ] {
        let place = Place::new();
        let supervised = bring(&place, In::Run, &[option]);
        fs::write(place.path("stubborn"), "").unwrap();
        let began = std::time::Instant::now();
        supervised.signal(Signal::TERM);
        supervised.ends_cleanly();
        let least = if signal.len() > 4 { 200 } else { 300 };
        assert!(began.elapsed() >= Duration::from_millis(least), "{option}");
        assert_eq!(place.read("log"), format!("up\n{signal}"), "{option}");
    }
}

#[test]
fn a_stop_that_fails_leaves_daemon_and_supervisor() {
    let place = Place::new();
    let supervised = bring(&place, In::Run, &[]);
    fs::write(place.path("stubborn"), "").unwrap();
    let daemon = supervised.daemon();
    let output = ask(&place, &["--stop", "--retry=TERM/0.2"]);
    let line = format!("rawdaemon: has not ended in time, and still runs as pid {daemon}\n");
    says(&output, 1, "", &line);
    assert!(!supervised.has_ended());
    says(&ask(&place, &["--status"]), 0, &format!("{daemon}\n"), "");
    says(&ask(&place, &["--stop", "--retry=KILL/20"]), 0, "", "");
    supervised.ends_cleanly();
}

#[test]
fn stops_at_once_all_succeed() {
    for state in STATES {
        let place = Place::new();
        let supervised = bring(&place, state, &[]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let output = ask(&place, &["--stop", "--kill-after=3"]);
                    assert_eq!(output.code(), 0, "{state:?}: {output:?}");
                });
            }
        });
        supervised.ends_cleanly();
    }
}

/// Stops a daemon that is just being started again. The number of tries may be given in the environment.
#[test]
fn a_stop_beside_a_restart_leaves_nothing() {
    let tries = std::env::var("RAWDAEMON_TEST_RACES");
    let tries: u32 = tries.map_or(50, |text| text.parse().unwrap());
    let options = ["--respawn-delay=0.004", "--respawn-max=0"];
    for attempt in 0..tries {
        let place = Place::new();
        let supervised = Supervised::start(&place, &options, &["sleep", "1000"]);
        supervised.kill_daemon();
        // From before the delay to after the exec.
        std::thread::sleep(Duration::from_micros(u64::from(attempt % 50) * 150));
        let output = ask(&place, &["-v", "--stop"]);
        assert_eq!(output.code(), 0, "{attempt}: {output:?}");
        assert!(supervised.has_ended(), "{attempt}: {output:?}");
        supervised.ends_cleanly();
    }
}

/// The same with daemons that end at once.
#[test]
fn a_stop_of_a_daemon_that_ends_all_the_time_leaves_nothing() {
    let tries = std::env::var("RAWDAEMON_TEST_RACES");
    let tries: u32 = tries.map_or(50, |text| text.parse().unwrap());
    let options = ["--respawn-delay=0.001:0.002", "--respawn-max=0"];
    for attempt in 0..tries {
        let place = Place::new();
        let supervised = Supervised::start(&place, &options, &["false"]);
        std::thread::sleep(Duration::from_micros(u64::from(attempt % 50) * 100));
        let output = ask(&place, &["-v", "--stop"]);
        assert_eq!(output.code(), 0, "{attempt}: {output:?}");
        assert!(supervised.has_ended(), "{attempt}: {output:?}");
        supervised.ends_cleanly();
    }
}

#[test]
fn a_stop_of_one_that_is_just_being_started_leaves_nothing() {
    for attempt in 0..50 {
        let place = Place::new();
        let mut start = respawn(&place, &[], &["sleep", "1000"]);
        let mut launcher = start.stderr(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(attempt * 60));
        let output = ask(&place, &["--stop", "-q"]);
        assert_eq!(output.code(), 0, "{attempt}: {output:?}");
        let code = launcher.wait().unwrap().code();
        // The stop came before the lock, or after it.
        if code == Some(0) && named(&place).is_some() {
            says(&ask(&place, &["--stop"]), 0, "", "");
        }
        for pid in crate::support::supervised::supervisors(&place) {
            assert!(wait_for(&watch(pid), DEADLINE), "{attempt}: {code:?}");
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
        }
        end_processes(&place);
        assert_no_file(&place);
    }
}

#[test]
fn of_starts_at_once_exactly_one_wins() {
    for round in 0..10 {
        let place = Place::new();
        let outputs: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..6)
                .map(|number| {
                    let place = &place;
                    scope.spawn(move || {
                        let mut start = match number % 2 == round % 2 {
                            true => respawn(place, &[], &["sleep", "1000"]),
                            false => place.rawdaemon(["-v", "-p", "pid", "sleep", "1000"]),
                        };
                        place.run(&mut start)
                    })
                })
                .collect();
            starts.into_iter().map(|it| it.join().unwrap()).collect()
        });
        let (winners, losers): (Vec<_>, Vec<_>) =
            outputs.iter().partition(|output| output.code() == 0);
        let [winner] = winners[..] else {
            panic!("{round}: {outputs:?}");
        };
        for loser in losers {
            assert_eq!(loser.code(), 12, "{loser:?}");
        }
        assert_eq!(named(&place), Some(winner.pid()));
        let sleeping = || {
            let is_asleep = |pid: &rustix::process::Pid| {
                let name = fs::read_to_string(format!("/proc/{pid}/comm"));
                name.is_ok_and(|name| name == "sleep\n")
            };
            place
                .processes()
                .iter()
                .filter(|pid| is_asleep(pid))
                .count()
        };
        assert_eq!(sleeping(), 1, "{outputs:?}");
        says(&ask(&place, &["--stop"]), 0, "", "");
        end_processes(&place);
        assert_no_file(&place);
    }
}
