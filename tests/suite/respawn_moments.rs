//! A supervised daemon at difficult moments: during its first start, while its children end, or when a process is
//! stopped; and with options that a restart must take anew.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::control::{NOT_RUNNING, ask, says};
use crate::support::supervised::{
    Supervised, assert_no_file, end_processes, named, respawn, supervisors,
};
use crate::support::{DEADLINE, Place, eventually, is_root, pid_in, status_line, wait_for, watch};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

const SHORT: &str = "--respawn-delay=0.01";

/// Starts a launcher whose daemon does not get ready. Returns it with the daemon.
fn start_unready(place: &Place, options: &[&str]) -> (Child, Pid) {
    let options = [&["-R", "fd:3", "-t", "60"], options].concat();
    let mut start = respawn(place, &options, &["sleep", "1000"]);
    let launcher = start.stderr(Stdio::null()).spawn().unwrap();
    eventually("the daemon runs", || {
        named(place).is_some_and(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm"));
            name.is_ok_and(|name| name == "sleep\n")
        })
    });
    (launcher, named(place).unwrap())
}

/// Reaps supervisors that have lost their launcher, until no process is left.
#[track_caller]
fn nothing_is_left(place: &Place) {
    eventually("no process is left", || {
        for pid in supervisors(place) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
        place.processes().is_empty()
    });
    assert_no_file(place);
}

#[test]
fn a_first_start_that_waits_can_be_stopped() {
    for options in [&["--stop"][..], &["--stop", "--process-group"]] {
        let place = Place::new();
        let (mut launcher, daemon) = start_unready(&place, &[]);
        let daemon = watch(daemon);
        says(&ask(&place, options), 0, "", "");
        assert!(wait_for(&daemon, Duration::ZERO));
        assert_eq!(launcher.wait().unwrap().code(), Some(5));
        nothing_is_left(&place);
    }
}

#[test]
fn a_first_start_that_waits_is_found_and_refuses_others() {
    let place = Place::new();
    let (mut launcher, daemon) = start_unready(&place, &[]);
    says(&ask(&place, &["--status"]), 0, &format!("{daemon}\n"), "");
    let line = format!("rawdaemon: already running as pid {daemon}\n");
    for options in [&["-p", "pid"][..], &["--respawn", "-p", "pid"]] {
        let mut start = place.rawdaemon(options);
        says(&place.run(start.arg("true")), 12, "", &line);
    }
    // With --start-or-ok, it waits for the outcome, and then it is its turn.
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            let mut start = respawn(&place, &["--start-or-ok"], &["sleep", "1000"]);
            place.run(&mut start)
        });
        std::thread::sleep(Duration::from_millis(200));
        assert!(!second.is_finished());
        kill_process(daemon, Signal::KILL).unwrap();
        assert_eq!(launcher.wait().unwrap().code(), Some(5));
        let output = second.join().unwrap();
        assert_eq!(output.code(), 0, "{output:?}");
        assert_eq!(pid_in(&place.path("pid")), output.pid());
    });
    let supervised = Supervised::find(&place);
    says(&ask(&place, &["--stop"]), 0, "", "");
    supervised.ends_cleanly();
}

#[test]
fn a_first_start_that_waits_is_replaced_by_a_restart() {
    let place = Place::new();
    let (mut launcher, daemon) = start_unready(&place, &[]);
    let mut restart = respawn(&place, &["--restart"], &["sleep", "1000"]);
    let output = place.run(&mut restart);
    assert_eq!(output.code(), 0, "{output:?}");
    assert_ne!(output.pid(), daemon);
    assert_eq!(launcher.wait().unwrap().code(), Some(5));
    let supervised = Supervised::find(&place);
    says(&ask(&place, &["--stop"]), 0, "", "");
    supervised.ends_cleanly();
}

#[test]
fn a_supervisor_that_is_killed_during_its_first_start_leaves_a_daemon_that_is_found() {
    for (orphan, lives) in [("run", true), ("kill", false)] {
        let place = Place::new();
        let option = format!("--respawn-orphan={orphan}");
        let (mut launcher, daemon) = start_unready(&place, &[&option]);
        let watched = watch(daemon);
        let supervisor = rustix::process::getsid(Some(daemon)).unwrap();
        kill_process(supervisor, Signal::KILL).unwrap();
        let code = launcher.wait().unwrap().code();
        assert!(code.is_some_and(|code| code != 0), "{orphan}: {code:?}");
        if lives {
            says(&ask(&place, &["--status"]), 0, &format!("{daemon}\n"), "");
            let mut start = place.rawdaemon(["-p", "pid", "true"]);
            let line = format!("rawdaemon: already running as pid {daemon}\n");
            says(&place.run(&mut start), 12, "", &line);
            says(&ask(&place, &["--stop"]), 0, "", "");
        }
        assert!(wait_for(&watched, DEADLINE), "{orphan}");
        end_processes(&place);
        let next = place.start(["-p", "pid", "sleep", "1000"]);
        next.assert_alive();
    }
}

/// A daemon whose child ignores SIGTERM. It runs when there is a file `child`.
fn with_stubborn_child(place: &Place) -> Supervised<'_> {
    let folder = place.path("");
    let script = "sh -c 'trap \"\" TERM; echo >child; while :; do sleep 0.05; done' & \
                  exec sleep 1000";
    let options = ["-c", folder.to_str().unwrap(), SHORT];
    let supervised = Supervised::start(place, &options, &["sh", "-c", script]);
    eventually("the child runs", || place.path("child").exists());
    supervised
}

#[test]
fn requests_while_children_end_are_obeyed() {
    for action in ["TERM", "USR2", "--stop", "--restart"] {
        let place = Place::new();
        let supervised = with_stubborn_child(&place);
        let daemon = supervised.kill_daemon();
        eventually("it has ended", || {
            !fs::exists(format!("/proc/{daemon}")).unwrap()
        });
        let began = Instant::now();
        match action {
            "TERM" => supervised.signal(Signal::TERM),
            "USR2" => supervised.signal(Signal::USR2),
            "--stop" => assert_eq!(ask(&place, &["--stop"]).code(), 0),
            _ => {
                let mut restart = place.rawdaemon(["-v", "--restart", "-p", "pid"]);
                let output = place.run(restart.args(["sleep", "1000"]));
                assert_eq!(output.code(), 0, "{output:?}");
                assert_eq!(pid_in(&place.path("pid")), output.pid());
                supervised.ended();
                assert_eq!(place.processes(), [output.pid()]);
                continue;
            }
        }
        supervised.ends_cleanly();
        assert!(began.elapsed() < Duration::from_secs(15), "{action}");
    }
}

#[test]
fn processes_that_are_stopped_can_be_ended() {
    for (stops_daemon, stops_supervisor) in [(true, false), (false, true), (true, true)] {
        let place = Place::new();
        let supervised = Supervised::start(&place, &[], &["sleep", "1000"]);
        if stops_supervisor {
            supervised.signal(Signal::STOP);
        }
        if stops_daemon {
            kill_process(supervised.daemon(), Signal::STOP).unwrap();
        }
        says(&ask(&place, &["--stop"]), 0, "", "");
        supervised.ends_cleanly();
    }
    let place = Place::new();
    let supervised = Supervised::start(&place, &[SHORT], &["sleep", "1000"]);
    let daemon = supervised.daemon();
    kill_process(daemon, Signal::STOP).unwrap();
    // It is stopped, and has not ended.
    says(&ask(&place, &["--status"]), 0, &format!("{daemon}\n"), "");
    supervised.signal(Signal::TERM);
    supervised.ends_cleanly();
}

#[test]
fn the_user_and_the_root_directory_are_taken_anew() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    fs::create_dir_all(place.path("root/deep")).unwrap();
    fs::copy(
        crate::support::tested_command(),
        place.path("root/rawdaemon"),
    )
    .unwrap();
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(place.path("root/rawdaemon"), executable).unwrap();
    let options = [
        "-u",
        "65534:65534",
        "--rlimit=nofile=77",
        "--mkdir",
        "made/here",
        SHORT,
    ];
    let supervised = Supervised::start(&place, &options, &["sleep", "1000"]);
    let mut daemon = supervised.daemon();
    for _ in 0..3 {
        assert_eq!(status_line(daemon, "Uid"), ["65534"; 4]);
        assert_eq!(status_line(daemon, "CapEff"), ["0000000000000000"]);
        let limits = fs::read_to_string(format!("/proc/{daemon}/limits")).unwrap();
        let files = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        assert!(files.unwrap().contains(" 77 "), "{limits}");
        assert!(place.path("made/here").is_dir());
        supervised.kill_daemon();
        daemon = supervised.next(daemon);
    }
    assert_eq!(status_line(supervised.pid, "Uid"), ["0"; 4]);
    says(&ask(&place, &["--stop"]), 0, "", "");
    supervised.ends_cleanly();
    drop(supervised);
    // Each run writes a line.
    let options = [
        "-r",
        "root",
        "-c",
        "deep",
        SHORT,
        "-o",
        "out",
        "--respawn=always",
    ];
    let supervised = Supervised::start(&place, &options, &["/rawdaemon", "-V"]);
    eventually("it has run three times", || {
        place.read("out").matches("rawdaemon ").count() >= 3
    });
    says(&ask(&place, &["--stop"]), 0, "", "");
    supervised.ends_cleanly();
}

#[test]
fn a_pidfile_that_is_removed_does_not_end_the_supervision() {
    let place = Place::new();
    let supervised = Supervised::start(&place, &[SHORT], &["sleep", "1000"]);
    let daemon = supervised.daemon();
    fs::remove_file(place.path("pid")).unwrap();
    kill_process(daemon, Signal::KILL).unwrap();
    let children = format!("/proc/{0}/task/{0}/children", supervised.pid);
    eventually("there is another", || {
        let children = fs::read_to_string(&children).unwrap();
        children.trim().parse() != Ok(daemon.as_raw_pid()) && !children.is_empty()
    });
    says(&ask(&place, &["--stop"]), 0, "", NOT_RUNNING);
    assert!(!supervised.has_ended());
    supervised.signal(Signal::TERM);
    supervised.ended();
    place.assert_no_process();
}

#[test]
fn the_state_file_of_another_user_is_not_believed() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let supervised = Supervised::start(&place, &[], &["sleep", "1000"]);
    std::os::unix::fs::chown(place.path("pid.supervisor"), Some(65534), None).unwrap();
    let status = ask(&place, &["-v", "--status"]);
    assert_eq!(status.code(), 0);
    assert!(!status.stderr.contains("restarts"), "{status:?}");
    says(&ask(&place, &["--stop"]), 0, "", "");
    supervised.ends_cleanly();
    // A link is not followed, and what it names stays as it is.
    fs::write(place.path("victim"), "text\n").unwrap();
    std::os::unix::fs::symlink(place.path("victim"), place.path("pid.supervisor")).unwrap();
    let supervised = Supervised::start(&place, &[], &["sleep", "1000"]);
    assert_eq!(place.read("victim"), "text\n");
    assert_eq!(ask(&place, &["--status"]).code(), 0);
    says(&ask(&place, &["--stop"]), 0, "", "");
    supervised.ended();
    assert_eq!(place.read("victim"), "text\n");
}
