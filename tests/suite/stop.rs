//! `--stop`, `--signal`, and `--restart`: the signals that the daemon gets, and what it leaves.

use std::ffi::CString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::Duration;

use crate::support::control::{
    Kernel, NOT_RUNNING, ask, ask_on, kernels, says, start_script, start_unlocked,
};
use crate::support::{
    DEADLINE, Daemon, Place, State, eventually, has, is_root, is_root_for, pid_in, skip,
    strace_rawdaemon, tested_command, wait_for, watch, without_proc,
};
use rawdaemon::{ErrorKind, Owner, Pidfile, Signal, Stage};

/// A daemon that logs its signals.
const LOGS: &str = "for s in HUP INT TERM; do trap \"echo $s >>log\" $s; done; echo up >>log; \
                    while :; do sleep 0.01; done";

#[test]
fn a_daemon_that_is_stopped_leaves_nothing() {
    for kernel in kernels() {
        let place = Place::new();
        let daemon = place.start(["-p", "pid", "sleep", "1000"]);
        says(&ask_on(&place, kernel, &["-qT"]), 0, "", "");
        let output = ask_on(&place, kernel, &["-vK"]);
        says(
            &output,
            0,
            "",
            &format!("rawdaemon: stopped pid {} with SIGTERM\n", daemon.pid),
        );
        daemon.ended();
        assert!(!place.path("pid").exists(), "{}", kernel.0);
        says(&ask_on(&place, kernel, &["--status"]), 3, "", NOT_RUNNING);
    }
}

#[test]
fn when_nothing_runs_there_is_nothing_to_do() {
    for kernel in kernels() {
        let place = Place::new();
        says(&ask_on(&place, kernel, &["-T"]), 3, "", NOT_RUNNING);
        says(&ask_on(&place, kernel, &["-qT"]), 3, "", "");
        for action in [&["--stop"][..], &["--signal", "HUP"]] {
            let with = |option| [action, &[option]].concat();
            says(&ask_on(&place, kernel, action), 0, "", NOT_RUNNING);
            says(
                &ask_on(&place, kernel, &with("--strict")),
                7,
                "",
                NOT_RUNNING,
            );
            says(&ask_on(&place, kernel, &with("-q")), 0, "", "");
        }
        assert!(!place.path("pid").exists());
    }
}

#[test]
fn a_pidfile_that_cannot_be_removed_is_emptied() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let daemon = place.start(["-p", "pid", "sleep", "1000"]);
    let refuse = ["-qq", "-o", "trace", "--inject=unlinkat:error=EACCES"];
    let mut command = place.program(Path::new("strace"), refuse);
    command.args([tested_command(), "--stop", "-p", "pid"]);
    let why = "rawdaemon: cannot remove the pidfile pid: Permission denied (EACCES)\n";
    says(&place.run(&mut command), 0, "", why);
    daemon.ended();
    assert_eq!(place.read("pid"), "");
}

#[test]
fn signals_arrive_by_name_and_number() {
    for kernel in kernels() {
        let place = Place::new();
        let daemon = start_script(&place, LOGS);
        for (signal, name) in [("HUP", "HUP"), ("sigint", "INT"), ("15", "TERM")] {
            let output = ask_on(&place, kernel, &["-v", "--signal", signal]);
            says(
                &output,
                0,
                "",
                &format!("rawdaemon: signalled pid {} with SIG{name}\n", daemon.pid),
            );
            eventually("it has arrived", || {
                place.read("log").ends_with(&format!("{name}\n"))
            });
        }
        daemon.assert_alive();
        for bad in ["-1", "65", "hub", "RTMIN+31", ""] {
            let output = ask_on(&place, kernel, &["--signal", bad]);
            assert_eq!(
                (output.code(), output.stdout.as_str()),
                (64, ""),
                "{output:?}"
            );
        }
        daemon.assert_alive();
    }
}

#[test]
fn a_real_time_signal_arrives_by_its_name() {
    for (name, number) in [("RTMIN+3", 37), ("sigrtmax-1", 63)] {
        let place = Place::new();
        let script =
            format!("trap 'echo got >>log' {number}; echo up >>log; while :; do sleep 0.01; done");
        let daemon = start_script(&place, &script);
        says(&ask(&place, &["--signal", name]), 0, "", "");
        eventually("it has arrived", || place.read("log") == "up\ngot\n");
        daemon.assert_alive();
    }
}

#[test]
fn signal_0_only_checks_that_the_daemon_may_be_signalled() {
    for kernel in kernels() {
        let place = Place::new();
        says(&ask_on(&place, kernel, &["-s", "0"]), 0, "", NOT_RUNNING);
        says(
            &ask_on(&place, kernel, &["-s0", "--strict"]),
            7,
            "",
            NOT_RUNNING,
        );
        let daemon = start_script(&place, LOGS);
        says(&ask_on(&place, kernel, &["-s", "0"]), 0, "", "");
        for other in ["--stop", "--restart"] {
            let output = ask_on(&place, kernel, &["-s", "0", other, "sleep", "1000"]);
            assert_eq!(output.code(), 64, "{output:?}");
        }
        daemon.assert_alive();
        assert_eq!(place.read("log"), "up\n");
    }
}

#[test]
fn a_schedule_can_be_repeated_forever() {
    // It ends by the third SIGINT.
    let script = "n=0; trap 'echo TERM >>log' TERM; \
                  trap 'echo INT >>log; n=$((n + 1)); [ $n = 3 ] && exit' INT; \
                  echo up >>log; while :; do sleep 0.01; done";
    for kernel in kernels() {
        let place = Place::new();
        let daemon = start_script(&place, script);
        let schedule = "-TERM/0.3/forever/-INT/0.3";
        let output = ask_on(&place, kernel, &["-v", "--stop", "--retry", schedule]);
        let line = format!("rawdaemon: stopped pid {} with SIGINT\n", daemon.pid);
        says(&output, 0, "", &line);
        daemon.ended();
        assert_eq!(place.read("log"), "up\nTERM\nINT\nINT\nINT\n");
        assert!(!place.path("pid").exists());
    }
}

#[test]
fn a_daemon_that_ignores_signals_is_killed_in_the_end() {
    for kernel in kernels() {
        let place = Place::new();
        for (options, order) in [
            (&["--stop", "-t", "0.6"][..], "up\nTERM\n"),
            (&["--stop", "--kill-after", "0.6"], "up\nTERM\n"),
            (&["--stop", "--signal", "INT", "-t0.6"], "up\nINT\n"),
            (&["--stop", "--retry", "0.6"], "up\nTERM\n"),
            (&["-K", "--retry", "0.6", "-s", "INT"], "up\nINT\n"),
            (
                &["-K", "--retry", "INT/0.6/SIGHUP/0.6/9/5"],
                "up\nINT\nHUP\n",
            ),
        ] {
            let daemon = start_script(&place, LOGS);
            let output = ask_on(&place, kernel, options);
            says(&output, 0, "", "");
            assert!(output.took >= Duration::from_millis(600), "{output:?}");
            assert!(wait_for(&watch(daemon.pid), Duration::ZERO));
            daemon.ended();
            assert_eq!(place.read("log"), order, "{options:?}");
            assert!(!place.path("pid").exists());
        }
        let daemon = start_script(&place, LOGS);
        let output = ask_on(&place, kernel, &["--stop", "--retry", "TERM/0.2/INT/0.1"]);
        let pid = daemon.pid;
        let line = format!("rawdaemon: has not ended in time, and still runs as pid {pid}\n");
        says(&output, 1, "", &line);
        daemon.assert_alive();
        assert_eq!(pid_in(&place.path("pid")), pid);
    }
}

#[test]
fn missing_permission_to_signal_is_reported() {
    if !is_root() {
        return;
    }
    for kernel in kernels() {
        let place = Place::new();
        let daemon = place.start(["-p", "pid", "sleep", "1000"]);
        for action in [
            &["--stop"][..],
            &["--signal", "TERM"],
            &["-K", "--process-group"],
        ] {
            let mut command = place.rawdaemon(action);
            command.args(["-p", "pid"]);
            kernel.1(&mut command);
            crate::support::before_exec(&mut command, || {
                become_ordinary_user();
                Ok(())
            });
            let line = "rawdaemon: cannot signal the daemon: Operation not permitted (EPERM)\n";
            says(&place.run(&mut command), 4, "", line);
        }
        daemon.assert_alive();
        // --status needs no permission.
        let mut command = place.rawdaemon(["--status", "-p", "pid"]);
        command.uid(65534).gid(65534);
        says(
            &place.run(&mut command),
            0,
            &format!("{}\n", daemon.pid),
            "",
        );
    }
}

/// Becomes an ordinary user, after all steps that need root.
fn become_ordinary_user() {
    // SAFETY: numbers only.
    assert_eq!(unsafe { libc::syscall(libc::SYS_setuid, 65534) }, 0);
}

#[test]
fn the_daemon_s_process_group_is_signalled() {
    for kernel in kernels() {
        let place = Place::new();
        // The child has no children: with a parent other than the test, they could not be reaped here.
        let child = "trap '' TERM; exec sh -c 'echo $$ >>log; exec sleep 1000'";
        let script = &format!("({child}) & exec sleep 1000");
        let child = || {
            eventually("the child is there", || place.read("log").ends_with('\n'));
            let child = place.read("log").trim_end().parse().unwrap();
            watch(rustix::process::Pid::from_raw(child).unwrap())
        };
        let daemon = start_script(&place, script);
        let left = child();
        says(&ask_on(&place, kernel, &["--stop"]), 0, "", "");
        daemon.ended();
        assert!(
            !wait_for(&left, Duration::ZERO),
            "only the daemon is stopped"
        );
        for pid in place.processes() {
            drop(Daemon::new(pid));
        }
        // The child ignores the first signal, and dies of the second.
        let daemon = start_script(&place, script);
        let left = child();
        says(
            &ask_on(&place, kernel, &["-K", "--process-group", "-t", "0.3"]),
            0,
            "",
            "",
        );
        daemon.ended();
        assert!(wait_for(&left, DEADLINE));
        for pid in place.processes() {
            drop(Daemon::new(pid));
        }
    }
}

#[test]
fn a_group_of_the_caller_s_session_is_not_signalled() {
    let place = Place::new();
    let mut command = place.rawdaemon(["-f", "-p", "pid", "sleep", "1000"]);
    // The group is its own, so that of the tests is not in danger.
    let mut child = command.process_group(0).spawn().unwrap();
    eventually("it runs", || ask(&place, &["-qT"]).code() == 0);
    let output = ask(&place, &["--stop", "--process-group"]);
    let line = "rawdaemon: cannot signal the daemon: Operation not permitted (EPERM)\n";
    says(&output, 4, "", line);
    assert!(child.try_wait().unwrap().is_none());
    says(&ask(&place, &["--stop"]), 0, "", "");
    assert_eq!(child.wait().unwrap().code(), None);
}

#[test]
fn a_restart_is_a_stop_and_a_start() {
    let place = Place::new();
    let start = ["-p", "pid", "sleep", "1000"];
    let restart = ["-v", "--restart", "-p", "pid", "sleep", "1000"];
    let first = place.start_by(&mut place.rawdaemon(restart));
    let restarted = place.run(&mut place.rawdaemon(restart));
    let second = Daemon::new(restarted.pid());
    // It tells of the stop, and then of the start.
    let stopped = format!("rawdaemon: stopped pid {} with SIGTERM\n", first.pid);
    let (stop, start_steps) = restarted.stderr.split_at(stopped.len());
    assert_eq!(stop, stopped);
    assert!(
        start_steps.starts_with("rawdaemon: reset the signals\n"),
        "{start_steps}"
    );
    first.ended();
    assert_eq!(pid_in(&place.path("pid")), second.pid);
    // With --start-or-ok, a daemon that runs already is a success.
    let ok = |options: &[&str]| place.run(place.rawdaemon(options).args(start));
    let line = format!("rawdaemon: already running as pid {}\n", second.pid);
    says(&ok(&[]), 12, "", &line);
    says(&ok(&["--start-or-ok"]), 0, "", "");
    let output = ok(&["--start-or-ok", "-v"]);
    assert!(
        output.code() == 0 && output.stderr.ends_with(&line),
        "{output:?}"
    );
    // A daemon that does not end is not replaced.
    drop(second);
    let stubborn = start_script(&place, LOGS);
    let restart = ["--retry=INT/0.1", "--restart", "-p", "pid", "sleep", "1000"];
    let pid = stubborn.pid;
    let line = format!("rawdaemon: has not ended in time, and still runs as pid {pid}\n");
    says(&place.run(&mut place.rawdaemon(restart)), 25, "", &line);
    stubborn.assert_alive();
    assert_eq!(pid_in(&place.path("pid")), pid);
}

#[test]
fn the_library_does_the_same() {
    let place = Place::new();
    let path = CString::new(place.path("pid").into_os_string().into_encoded_bytes()).unwrap();
    let pidfile = Pidfile::new(path.as_c_str());
    let stages = [Stage::new(Signal::TERM, DEADLINE)];
    assert_eq!(pidfile.owner(), Ok(Owner::NotRunning));
    assert_eq!(pidfile.stop(&stages), Ok(None));
    // open(2) would say that an empty path does not exist.
    let nameless = Pidfile::new(c"");
    for error in [nameless.owner().err(), nameless.stop(&stages).err()] {
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert_eq!(error.subject(), Some(rawdaemon::Subject::Pidfile));
    }
    let daemon = start_script(&place, LOGS);
    let pid = rawdaemon::Pid::new(daemon.pid.as_raw_pid()).unwrap();
    assert_eq!(pidfile.owner(), Ok(Owner::Running(pid)));
    assert_eq!(pidfile.signal(Signal::HUP), Ok(Some(pid)));
    eventually("it has arrived", || place.read("log") == "up\nHUP\n");
    let short = [Stage::new(Signal::INT, Duration::from_millis(50))];
    assert_eq!(
        pidfile.stop(&short).unwrap_err().kind(),
        ErrorKind::StillRunning
    );
    let kill = [Stage::new(Signal::KILL, DEADLINE)];
    assert_eq!(pidfile.stop(&kill), Ok(Some(pid)));
    daemon.ended();
    assert_eq!(pidfile.owner(), Ok(Owner::NotRunning));
    let unlocked = start_unlocked(&place);
    let pid = rawdaemon::Pid::new(unlocked.pid.as_raw_pid()).unwrap();
    assert_eq!(pidfile.owner(), Ok(Owner::Unlocked(pid)));
    assert_eq!(pidfile.stop(&stages), Ok(Some(pid)));
    unlocked.ended();
    let other = place.start(["-l", "lock", "sleep", "1000"]);
    fs::write(place.path("pid"), format!("{}\n", other.pid)).unwrap();
    let pid = rawdaemon::Pid::new(other.pid.as_raw_pid()).unwrap();
    assert_eq!(pidfile.owner(), Ok(Owner::Unknown(pid)));
    assert_eq!(
        pidfile.signal(Signal::TERM).unwrap_err().kind(),
        ErrorKind::NoLock
    );
    assert_eq!(pidfile.trust(true).stop(&stages), Ok(Some(pid)));
    other.ended();
}

#[test]
fn a_daemon_that_closes_its_files_first_has_not_ended() {
    if !has("bash") {
        return;
    }
    let closes = "for n in {3..255}; do eval \"exec $n>&-\"; done; sleep 0.5";
    let script = format!("trap '{closes}; exit' TERM; echo >up; while :; do sleep 0.01; done");
    for kernel in kernels() {
        let place = Place::new();
        let daemon = place.start(["-p", "pid", "-c", ".", "bash", "-c", &script]);
        eventually("it is up", || place.path("up").exists());
        says(&ask_on(&place, kernel, &["--stop"]), 0, "", "");
        assert!(wait_for(&watch(daemon.pid), Duration::ZERO), "{}", kernel.0);
        assert!(!place.path("pid").exists());
    }
}

#[test]
fn a_daemon_that_is_stopped_by_a_signal_can_handle_the_end() {
    let place = Place::new();
    let script = "trap 'echo TERM >>log; exit' TERM; echo up >>log; while :; do sleep 0.01; done";
    let daemon = start_script(&place, script);
    says(&ask(&place, &["--signal=STOP"]), 0, "", "");
    says(&ask(&place, &["--stop"]), 0, "", "");
    daemon.ended();
    assert_eq!(place.read("log"), "up\nTERM\n");
}

#[test]
fn a_group_outlives_its_leader() {
    let place = Place::new();
    let script = "(trap '' TERM; echo up >>log; exec sleep 1000) & exec sleep 1000";
    let folder = place.path("");
    let folder = folder.to_str().unwrap();
    let daemon = place.start(["-p", "pid", "-c", folder, "sh", "-c", script]);
    eventually("it is up", || place.path("log").exists());
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| ask(&place, &["-K", "--process-group", "-t", "1"]));
        daemon.ended();
        // The kernel does not reuse its pid while the group exists.
        daemon.kill();
        says(&stop.join().unwrap(), 0, "", "");
    });
    place.assert_no_process();
}

#[test]
fn a_group_is_stopped_from_a_session_outside_the_pid_namespace() {
    if !has("unshare") || !is_root_for("a pid namespace") {
        return;
    }
    let place = Place::new();
    let script = r#""$0" -p pid sh -c 'sleep 1000 & wait'
        "$0" --stop --process-group --retry TERM/10 -p pid"#;
    let arguments = ["--pid", "--fork", "--mount-proc", "sh", "-c", script];
    let mut command = place.program(Path::new("unshare"), arguments);
    says(&place.run(command.arg(tested_command())), 0, "", "");
}

#[test]
fn a_group_that_the_daemon_has_made_is_stopped_with_its_last_process() {
    if !has("timeout") {
        return;
    }
    let place = Place::new();
    let daemon = place.start(["-p", "pid", "timeout", "1000", "sleep", "1000"]);
    let has_child = || place.processes().len() == 2;
    eventually("timeout(1) has started its program", has_child);
    let state = State::of(daemon.pid);
    if state.group != daemon.pid.as_raw_pid() {
        return skip("this timeout(1) makes no process group");
    }
    assert_ne!(state.session, state.group);
    // Until it is reaped it belongs to the group. Where `/proc` tells that it has ended, that holds up nothing.
    let output = ask(&place, &["-K", "--process-group", "--retry", "TERM/15"]);
    says(&output, 0, "", "");
    assert!(output.took < Duration::from_secs(10), "{output:?}");
    place.assert_no_process();
    daemon.kill();
    if !is_root_for("a kernel without /proc") {
        return;
    }
    // Elsewhere the command waits until it is reaped; after a SIGKILL for a second at most.
    let kernel: Kernel = ("without /proc", without_proc);
    for (schedule, is_reaped) in [("TERM/15", true), ("KILL/15", false)] {
        let daemon = place.start(["-p", "pid", "sleep", "1000"]);
        let options = ["-K", "--process-group", "--retry", schedule];
        std::thread::scope(|scope| {
            let stop = scope.spawn(|| ask_on(&place, kernel, &options));
            daemon.ended();
            if is_reaped {
                daemon.kill();
            }
            let output = stop.join().unwrap();
            says(&output, 0, "", "");
            assert!(
                is_reaped || output.took >= Duration::from_secs(1),
                "{output:?}"
            );
        });
    }
}

#[test]
fn a_stop_removes_no_file_that_names_no_daemon() {
    let place = Place::new();
    fs::write(place.path("empty"), "").unwrap();
    let output = place.run(&mut place.rawdaemon(["--stop", "-p", "empty"]));
    assert_eq!(output.code(), 0, "{output:?}");
    assert!(place.path("empty").exists());
    // A lock file is not a pidfile.
    let daemon = place.start(["-l", "lock", "sleep", "1000"]);
    let output = place.run(&mut place.rawdaemon(["--stop", "-p", "lock"]));
    assert_eq!(output.code(), 0, "{output:?}");
    daemon.ended();
    assert!(place.path("lock").exists());
}

#[test]
fn a_lock_that_cannot_be_read_is_no_end() {
    if !has("strace") || !is_root_for("a kernel without /proc") {
        return;
    }
    let place = Place::new();
    let program = "trap '' USR1; echo up; while :; do sleep 1000; done";
    let daemon = place.start(["-p", "pid", "-c", ".", "-o", "log", "sh", "-c", program]);
    eventually("it ignores the signal", || place.read("log") == "up\n");
    // The first calls look the daemon up, thrice, and see whether it has ended.
    let faults = [
        "--inject=pidfd_open:error=ENOSYS",
        "--inject=fcntl:error=EIO:when=5+",
    ];
    let arguments = ["--stop", "--retry", "USR1/0.3", "-p", "pid"];
    let mut command = strace_rawdaemon(&place, &faults, &arguments);
    without_proc(&mut command);
    let output = place.run(&mut command);
    assert_eq!(output.code(), 1, "{output:?}");
    daemon.assert_alive();
    assert!(place.path("pid").exists());
}
