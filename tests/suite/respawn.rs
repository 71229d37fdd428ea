//! `--respawn`: when a daemon is started again, and when not.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::control::{ask, says};
use crate::support::supervised::{Supervised, assert_no_file, family, named, respawn};
use crate::support::{Daemon, Place, State, eventually};
use rustix::process::Signal;

/// Delays that a test can wait for.
const SHORT: &str = "--respawn-delay=0.01:0.02";

/// The times at which a script has written them to `log`, one a line, in seconds.
fn times(place: &Place) -> Vec<f64> {
    let text = fs::read_to_string(place.path("log")).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// Appends the time since boot to `log`.
const TELL_TIME: &str = "read now rest </proc/uptime; echo $now >>log";

#[test]
fn a_killed_daemon_is_started_again_and_again() {
    let place = Place::new();
    let options = [SHORT, "--respawn-max=0"];
    let supervised = Supervised::start(&place, &options, &["sleep", "1000"]);
    supervised.says(0, "; restarts: 0");
    let mut daemon = supervised.daemon();
    for restarts in 1..=20 {
        assert_eq!(supervised.kill_daemon(), daemon);
        let next = supervised.next(daemon);
        let text = format!(
            "; restarts: {restarts}, last ended: killed by signal 9 (SIGKILL); supervisor {}\n",
            supervised.pid
        );
        let status = supervised.says(0, &text);
        assert_eq!(status.stdout, format!("{next}\n"));
        says(&ask(&place, &["--status"]), 0, &format!("{next}\n"), "");
        let parent = supervised.pid.as_raw_pid();
        assert_eq!(family(next), (parent, next.as_raw_pid(), parent));
        for options in [
            &["-p", "pid", "true"][..],
            &["--respawn", "-p", "pid", "true"],
        ] {
            let second = place.run(&mut place.rawdaemon(options));
            says(
                &second,
                12,
                "",
                &format!("rawdaemon: already running as pid {next}\n"),
            );
        }
        daemon = next;
    }
    says(
        &ask(&place, &["-v", "--stop"]),
        0,
        "",
        &format!("rawdaemon: stopped pid {daemon} with SIGTERM\n"),
    );
    supervised.ends_cleanly();
}

#[test]
fn every_daemon_of_a_supervisor_is_in_the_same_state() {
    let place = Place::new();
    let folder = place.path("");
    let options = [
        "-c",
        folder.to_str().unwrap(),
        "-m",
        "027",
        "-n",
        "3",
        SHORT,
    ];
    let supervised = Supervised::start(&place, &options, &["sleep", "1000"]);
    let state = |pid| {
        // The program may still be loading its libraries.
        eventually("it sleeps", || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            stat.contains("(sleep) S") && !State::of(pid).descriptors.contains_key(&3)
        });
        let mut state = State::of(pid);
        state.group -= pid.as_raw_pid();
        state
    };
    let daemon = supervised.daemon();
    let first = state(daemon);
    assert_eq!((first.umask.as_str(), first.group), ("27", 0));
    assert_eq!((first.blocked.as_str(), first.ignored.as_str()), ("", ""));
    let niceness = |pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ")
            .unwrap()
            .1
            .split(' ')
            .nth(16)
            .unwrap()
            .to_owned()
    };
    assert_eq!(niceness(daemon), "3");
    supervised.kill_daemon();
    let next = supervised.next(daemon);
    assert_eq!(state(next), first);
    assert_eq!(niceness(next), "3");
    assert_eq!(niceness(supervised.pid), "0");
}

#[test]
fn a_success_ends_the_supervision_and_a_failure_does_not() {
    for option in ["--respawn", "--respawn=failure"] {
        let place = Place::new();
        let folder = place.path("");
        let script = format!(
            "cd {}; echo run >>log; [ -e go ]; exit $?",
            folder.display()
        );
        let mut command = place.rawdaemon([option, SHORT, "--respawn-max=0", "-p", "pid"]);
        let supervised = Supervised::start_by(&place, command.args(["sh", "-c", &script]));
        eventually("it has run three times", || {
            fs::read_to_string(place.path("log")).is_ok_and(|log| log.lines().count() >= 3)
        });
        supervised.says(2, "last ended: exited with status 1");
        fs::write(place.path("go"), "").unwrap();
        supervised.ended();
        let runs = place.read("log");
        place.assert_no_process();
        assert_no_file(&place);
        assert_eq!(place.read("log"), runs);
    }
}

#[test]
fn always_restarts_after_a_success_too() {
    let place = Place::new();
    let script = format!("cd {}; echo run >>log; exit 0", place.path("").display());
    let mut command = place.rawdaemon(["--respawn=always", SHORT, "--respawn-max=1", "-p", "pid"]);
    let supervised = Supervised::start_by(&place, command.args(["sh", "-c", &script]));
    // A success is none of the failures that are counted.
    eventually("it has run ten times", || {
        fs::read_to_string(place.path("log")).is_ok_and(|log| log.lines().count() >= 10)
    });
    supervised.says(2, "last ended: exited with status 0");
    says(&ask(&place, &["--stop"]), 0, "", "");
    supervised.ends_cleanly();
}

#[test]
fn a_limit_of_restarts_ends_the_supervision() {
    for (max, runs) in [("1", 2), ("2", 3)] {
        for option in ["--respawn", "--respawn=always"] {
            let place = Place::new();
            let script = format!("cd {}; echo run >>log; exit 3", place.path("").display());
            let options = [
                option,
                SHORT,
                "--respawn-max",
                max,
                "-p",
                "pid",
                "-o",
                "out",
                "-e",
                "out",
            ];
            let mut command = place.rawdaemon(options);
            let supervised = Supervised::start_by(&place, command.args(["sh", "-c", &script]));
            supervised.ended();
            assert_eq!(place.read("log").lines().count(), runs);
            place.assert_no_process();
            // The reason is kept.
            assert_eq!(place.read("pid"), "");
            let reason = format!("gave up; restarts: {max}, last ended: exited with status 3");
            assert!(
                place
                    .read("out")
                    .ends_with(&format!("rawdaemon: {reason}\n"))
            );
            let status = ask(&place, &["--status"]);
            let line = format!("rawdaemon: dead, but its pidfile exists; {reason}\n");
            says(&status, 1, "", &line);
            says(&ask(&place, &["--stop"]), 0, "", "rawdaemon: not running\n");
            assert!(!place.path("pid.supervisor").exists());
        }
    }
}

#[test]
fn after_it_gave_up_there_can_be_another_start() {
    let place = Place::new();
    let failing = ["sh", "-c", "exit 3"];
    let supervised = Supervised::start(&place, &[SHORT, "--respawn-max=1"], &failing);
    supervised.ended();
    let supervised = Supervised::start(&place, &[], &["sleep", "1000"]);
    supervised.says(0, "; restarts: 0; supervisor");
    says(&ask(&place, &["--stop"]), 0, "", "");
    supervised.ends_cleanly();
    drop(supervised);
    // A daemon without a supervisor has nothing of the last one.
    let supervised = Supervised::start(&place, &[SHORT, "--respawn-max=1"], &failing);
    supervised.ended();
    let daemon = place.start(["-p", "pid", "sleep", "1000"]);
    let status = ask(&place, &["-v", "--status"]);
    assert_eq!(status.stdout, format!("{}\n", daemon.pid));
    assert!(!status.stderr.contains("gave up"), "{status:?}");
    says(&ask(&place, &["--stop"]), 0, "", "");
    daemon.ended();
    assert_no_file(&place);
}

#[test]
fn the_delay_doubles_up_to_the_longest() {
    let place = Place::new();
    let folder = place.path("");
    let folder = folder.to_str().unwrap();
    let script = format!("cd {folder}; {TELL_TIME}; exit 1");
    let options = ["--respawn-delay=0.2:0.7", "--respawn-max=4"];
    let supervised = Supervised::start(&place, &options, &["sh", "-c", &script]);
    supervised.ended();
    let times = times(&place);
    assert_eq!(times.len(), 5);
    let delays: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The clock counts hundredths.
    for (delay, least) in delays.iter().zip([0.2, 0.4, 0.7, 0.7]) {
        assert!(*delay >= least - 0.02, "{delays:?}");
    }
}

#[test]
fn a_good_run_resets_the_delay_and_the_count() {
    let place = Place::new();
    let options = [
        "--respawn-delay=0.05:10",
        "--respawn-max=2",
        "--respawn-good=0.5",
    ];
    let supervised = Supervised::start(&place, &options, &["sleep", "1000"]);
    let mut daemon = supervised.daemon();
    // More restarts than the limit.
    for restarts in 1..=4 {
        std::thread::sleep(Duration::from_millis(700));
        supervised.kill_daemon();
        daemon = supervised.next(daemon);
        supervised.says(0, &format!("restarts: {restarts}"));
    }
    // Without good runs.
    let began = Instant::now();
    while !supervised.has_ended() && began.elapsed() < Duration::from_secs(20) {
        if let Some(pid) = named(&place) {
            let _ = Daemon::open(pid).map(|it| {
                it.signal(Signal::KILL);
                std::mem::forget(it);
            });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    supervised.ended();
    let status = ask(&place, &["--status"]);
    assert!(status.stderr.contains("gave up"), "{status:?}");
}

#[test]
fn a_command_that_vanishes_is_tried_again_until_it_is_back() {
    let place = Place::new();
    let sleep = place.executable("/bin/sleep".as_ref(), "web");
    let path = sleep.to_str().unwrap();
    let options = ["--respawn-delay=0.01:0.05", "--respawn-max=0"];
    let supervised = Supervised::start(&place, &options, &[path, "1000"]);
    let daemon = supervised.daemon();
    fs::rename(&sleep, place.path("away")).unwrap();
    supervised.kill_daemon();
    supervised.says(
        2,
        &format!("last ended: cannot find the command {path}: No such file or directory"),
    );
    assert_eq!(place.read("pid"), "");
    fs::rename(place.path("away"), &sleep).unwrap();
    supervised.next(daemon);
    supervised.says(0, "last ended: cannot find the command");
    says(&ask(&place, &["--stop"]), 0, "", "");
    supervised.ends_cleanly();
}

#[test]
fn a_command_that_does_not_come_back_is_given_up() {
    let place = Place::new();
    let sleep = place.executable("/bin/sleep".as_ref(), "web");
    let path = sleep.to_str().unwrap();
    let supervised = Supervised::start(&place, &[SHORT, "--respawn-max=3"], &[path, "1000"]);
    fs::remove_file(&sleep).unwrap();
    supervised.kill_daemon();
    supervised.ended();
    let status = ask(&place, &["--status"]);
    assert_eq!(status.code(), 1);
    let text = format!("gave up; restarts: 3, last ended: cannot find the command {path}: ");
    assert!(status.stderr.contains(&text), "{status:?}");
}

#[test]
fn invalid_values_are_refused() {
    let place = Place::new();
    for (option, needs) in [
        ("--respawn=sometimes", "respawn needs failure or always"),
        ("--respawn-delay=0", "respawn-delay needs MIN or MIN:MAX"),
        ("--respawn-delay=2:1", "respawn-delay needs MIN or MIN:MAX"),
        ("--respawn-delay=1:", "respawn-delay needs MIN or MIN:MAX"),
        ("--respawn-max=-1", "respawn-max needs a number"),
        ("--respawn-max=4294967296", "respawn-max needs a number"),
        (
            "--respawn-good=soon",
            "respawn-good needs a number of seconds",
        ),
        ("--respawn-orphan=stop", "respawn-orphan needs run or kill"),
        ("--watchdog=-1", "watchdog needs SECONDS"),
    ] {
        let output = place.run(&mut place.rawdaemon(["--respawn", option, "-p", "pid", "true"]));
        assert_eq!(output.code(), 64, "{option}: {output:?}");
        assert!(output.stderr.contains(needs), "{option}: {output:?}");
    }
    let output = place.run(&mut respawn(&place, &["-f"], &["true"]));
    assert_eq!(output.code(), 64, "{output:?}");
    place.assert_no_process();
    assert_no_file(&place);
}
