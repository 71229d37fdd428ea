//! A supervisor that is killed: its daemon runs on and is found, or ends with it.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::support::control::{Kernel, NOT_RUNNING, ask, ask_on, kernels, says};
use crate::support::states::{In, STATES, bring};
use crate::support::supervised::{Supervised, assert_no_file, named, pids, respawn};
use crate::support::{
    DEADLINE, Daemon, Place, eventually, example, has, has_test_programs, is_root, is_root_for,
    wait_for, watch, without_proc,
};
use rustix::process::Signal;

/// Runs a start on a kernel. It must be refused, since this daemon runs.
#[track_caller]
fn is_refused(place: &Place, kernel: Kernel, daemon: &Daemon) {
    for options in [&["-p", "pid"][..], &["-f", "-p", "pid"]] {
        let mut start = place.rawdaemon(options);
        start.arg("true");
        kernel.1(&mut start);
        let output = place.run(&mut start);
        assert_eq!(output.code(), 12, "{}: {output:?}", kernel.0);
        let line = format!("rawdaemon: already running as pid {}\n", daemon.pid);
        assert_eq!(output.stderr, line, "{}", kernel.0);
    }
    daemon.assert_alive();
}

/// Stops a daemon without a supervisor on a kernel. Nothing is left.
#[track_caller]
fn is_stopped(place: &Place, kernel: Kernel, daemon: Daemon) {
    let output = ask_on(place, kernel, &["-v", "--stop", "--retry=TERM/1/KILL/20"]);
    assert_eq!(output.code(), 0, "{}: {output:?}", kernel.0);
    let begin = format!("rawdaemon: stopped pid {} with SIG", daemon.pid);
    assert!(
        output.stderr.starts_with(&begin),
        "{}: {output:?}",
        kernel.0
    );
    daemon.ended();
    drop(daemon);
    eventually("no process is left", || place.processes().is_empty());
    assert_no_file(place);
}

#[test]
fn the_daemon_runs_on_and_is_found_in_each_state() {
    for kernel in kernels() {
        for state in STATES {
            if state == In::Delay {
                continue;
            }
            let place = Place::new();
            let supervised = bring(&place, state, &[]);
            let pid = supervised.daemon();
            supervised.kill();
            // It is a child of the test now.
            let daemon = Daemon::new(pid);
            let status = ask_on(&place, kernel, &["--status"]);
            says(&status, 0, &format!("{pid}\n"), "");
            let status = ask_on(&place, kernel, &["-v", "--status"]);
            let lost = status.stderr.contains("its supervisor is lost");
            assert!(lost, "{} {state:?}: {status:?}", kernel.0);
            is_refused(&place, kernel, &daemon);
            is_stopped(&place, kernel, daemon);
        }
    }
}

#[test]
fn a_supervisor_that_is_killed_in_the_delay_leaves_no_obstacle() {
    for kernel in kernels() {
        let place = Place::new();
        let supervised = bring(&place, In::Delay, &[]);
        supervised.kill();
        place.assert_no_process();
        assert_eq!(place.read("pid"), "");
        assert_eq!(ask_on(&place, kernel, &["--status"]).code(), 1);
        let mut start = respawn(&place, &[], &["sleep", "1000"]);
        kernel.1(&mut start);
        let next = Supervised::start_by(&place, &mut start);
        assert_eq!(ask_on(&place, kernel, &["--status"]).code(), 0);
        says(&ask_on(&place, kernel, &["--stop"]), 0, "", "");
        next.ends_cleanly();
        drop(next);
        let supervised = bring(&place, In::Delay, &[]);
        supervised.kill();
        says(&ask_on(&place, kernel, &["--stop"]), 0, "", NOT_RUNNING);
        assert!(!place.path("pid.supervisor").exists());
    }
}

/// Closes all descriptors but the standard streams.
const CLOSES: &str = "for n in {3..255}; do eval \"exec $n>&-\"; done; exec sleep 1000";

fn start_closing(place: &Place) -> (Supervised<'_>, rustix::process::Pid) {
    let supervised = Supervised::start(place, &[], &["bash", "-c", CLOSES]);
    let daemon = supervised.daemon();
    let name = format!("/proc/{daemon}/comm");
    eventually("it has closed all", || {
        fs::read_to_string(&name).is_ok_and(|name| name == "sleep\n")
    });
    (supervised, daemon)
}

#[test]
fn a_daemon_that_closes_all_descriptors_is_safe_with_its_supervisor() {
    if !has("bash") {
        return;
    }
    for kernel in kernels() {
        let place = Place::new();
        let (supervised, daemon) = start_closing(&place);
        says(
            &ask_on(&place, kernel, &["--status"]),
            0,
            &format!("{daemon}\n"),
            "",
        );
        let mut start = place.rawdaemon(["-p", "pid", "true"]);
        kernel.1(&mut start);
        let line = format!("rawdaemon: already running as pid {daemon}\n");
        says(&place.run(&mut start), 12, "", &line);
        says(&ask_on(&place, kernel, &["--stop"]), 0, "", "");
        supervised.ends_cleanly();
    }
}

#[test]
fn a_daemon_that_closes_all_descriptors_is_found_without_its_supervisor() {
    if !has("bash") {
        return;
    }
    for kernel in kernels() {
        if kernel.0 == "without /proc" {
            // Nothing is left that shows it.
            continue;
        }
        let place = Place::new();
        let (supervised, pid) = start_closing(&place);
        supervised.kill();
        let daemon = Daemon::new(pid);
        says(
            &ask_on(&place, kernel, &["--status"]),
            0,
            &format!("{pid}\n"),
            "",
        );
        is_refused(&place, kernel, &daemon);
        is_stopped(&place, kernel, daemon);
    }
}

#[test]
fn without_proc_a_daemon_keeps_other_starts_away_when_its_supervisor_is_killed() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut start = respawn(&place, &[], &["sleep", "1000"]);
    without_proc(&mut start);
    let supervised = Supervised::start_by(&place, &mut start);
    let pid = supervised.daemon();
    supervised.kill();
    let daemon = Daemon::new(pid);
    for kernel in kernels() {
        is_refused(&place, kernel, &daemon);
        says(
            &ask_on(&place, kernel, &["--status"]),
            0,
            &format!("{pid}\n"),
            "",
        );
    }
    is_stopped(&place, ("without /proc", without_proc), daemon);
}

#[test]
fn an_adopted_daemon_is_started_again_and_stopped() {
    let place = Place::new();
    let options = ["--respawn-delay=0.01"];
    let lost = Supervised::start(&place, &options, &["sleep", "1000"]);
    let daemon = lost.daemon();
    let supervised = lost.replace(&options, &["sleep", "1000"]);
    let adopted = Daemon::new(daemon);
    adopted.assert_alive();
    assert_eq!(supervised.daemon(), daemon);
    let line = format!("rawdaemon: already running as pid {daemon}\n");
    for options in [&["-p", "pid"][..], &["--respawn", "-p", "pid"]] {
        says(
            &place.run(place.rawdaemon(options).arg("true")),
            12,
            "",
            &line,
        );
    }
    let status = ask(&place, &["-v", "--status"]);
    assert!(!status.stderr.contains("lost"), "{status:?}");
    adopted.kill();
    let next = supervised.next(daemon);
    supervised.says(0, "restarts: 1");
    assert_eq!(supervised.daemon(), next);
    says(&ask(&place, &["--stop"]), 0, "", "");
    supervised.ends_cleanly();
    // Once more, and the adopted one is stopped.
    let lost = Supervised::start(&place, &options, &["sleep", "1000"]);
    let daemon = lost.daemon();
    let supervised = lost.replace(&options, &["sleep", "1000"]);
    let adopted = Daemon::new(daemon);
    says(&ask(&place, &["--stop"]), 0, "", "");
    adopted.ended();
    supervised.ends_cleanly();
}

#[test]
fn the_children_of_an_adopted_daemon_end_although_nobody_reaps_it() {
    for is_stop in [false, true] {
        let place = Place::new();
        let folder = place.path("");
        let options = ["--respawn-delay=0.01", "-c", folder.to_str().unwrap()];
        let command = ["sh", "-c", "sleep 1000 & echo $! >child; exec sleep 1000"];
        let lost = Supervised::start(&place, &options, &command);
        let daemon = lost.daemon();
        let child = watch(pids(&place, "child", 1)[0]);
        let supervised = lost.replace(&options, &command);
        let begin = Instant::now();
        // The test is the parent of both now, and reaps none of them.
        if is_stop {
            says(&ask(&place, &["--stop"]), 0, "", "");
            supervised.ended();
        } else {
            supervised.kill_daemon();
            supervised.next(daemon);
        }
        assert!(wait_for(&child, Duration::ZERO), "{is_stop}");
        // It takes no zombie for a process that ignores SIGTERM, and waits for that.
        let time = begin.elapsed();
        assert!(time < Duration::from_secs(5), "{is_stop}: {time:?}");
    }
}

#[test]
fn the_folder_of_the_notification_socket_is_removed() {
    if !has_test_programs() {
        return;
    }
    let program = example("notifier");
    let place = Place::new();
    let start = || {
        let command = [program.to_str().unwrap(), "say READY=1"];
        let supervised = Supervised::start(&place, &["-R", "notify"], &command);
        supervised.says(0, "restarts: 0");
        let state = place.read("pid.supervisor");
        let folder = PathBuf::from(state.lines().nth(2).unwrap());
        (supervised, folder)
    };
    // By the supervisor that adopts the daemon, by that of the next daemon, and by the stop of a daemon that has none.
    for (starts, is_killed) in [(true, false), (true, true), (false, false)] {
        let (lost, folder) = start();
        let daemon = lost.daemon();
        if folder.as_os_str().is_empty() {
            // No folder can be made here: the socket has an abstract name.
            continue;
        }
        assert!(folder.is_dir(), "{}", folder.display());
        lost.kill();
        std::mem::forget(lost);
        let daemon = Daemon::new(daemon);
        if is_killed {
            daemon.signal(Signal::KILL);
            daemon.ended();
            // Another process has the pid of the supervisor now.
            let state = place.read("pid.supervisor");
            let (_, rest) = state.split_once('\n').unwrap();
            let state = format!("{}\n{rest}", std::process::id());
            fs::write(place.path("pid.supervisor"), state).unwrap();
        }
        let next = starts.then(start);
        if let Some((next, _)) = &next {
            assert_eq!(next.daemon() == daemon.pid, !is_killed);
            assert!(!folder.exists(), "{is_killed}");
        }
        says(&ask(&place, &["--stop"]), 0, "", "");
        assert!(!folder.exists());
        daemon.ended();
        drop(next);
    }
}

#[test]
fn an_orphan_may_be_killed() {
    let mut users = vec![None];
    if is_root_for("another user") {
        users.push(Some("65534:65534"));
    }
    for user in users {
        for state in [In::Run, In::Restart] {
            let place = Place::new();
            let mut options = vec!["--respawn-orphan=kill"];
            if let Some(user) = user {
                use std::os::unix::fs::PermissionsExt;
                // Its daemon writes there.
                let mode = fs::Permissions::from_mode(0o777);
                fs::set_permissions(place.path(""), mode).unwrap();
                options.extend(["-u", user]);
            }
            let supervised = bring(&place, state, &options);
            let daemon = watch(supervised.daemon());
            supervised.kill();
            assert!(wait_for(&daemon, DEADLINE), "{user:?} {state:?}");
            eventually("the children have ended", || place.processes().is_empty());
            // Another start is possible.
            let output = place.run(&mut place.rawdaemon(["-v", "-p", "pid", "sleep", "1000"]));
            assert_eq!(output.code(), 0, "{user:?} {state:?}: {output:?}");
            says(&ask(&place, &["--stop"]), 0, "", "");
            crate::support::supervised::end_processes(&place);
        }
    }
}

#[test]
fn the_end_of_the_launcher_kills_no_daemon() {
    let place = Place::new();
    let options = ["--respawn-orphan=kill", "--respawn-delay=0.01"];
    let supervised = Supervised::start(&place, &options, &["sleep", "1000"]);
    // The launcher has ended: that must not be the parent whose death counts.
    let daemon = supervised.daemon();
    let watched = watch(daemon);
    supervised.signal(Signal::HUP);
    let next = supervised.next(daemon);
    assert!(wait_for(&watched, DEADLINE));
    assert_eq!(named(&place), Some(next));
    supervised.says(0, "last ended: killed by signal 1 (SIGHUP)");
}
