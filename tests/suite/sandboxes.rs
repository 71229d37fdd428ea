//! Sandboxes that answer system calls by a signal: seccomp(2) with SECCOMP_RET_TRAP, as Android's for apps.
//!
//! The kernel kills a process that blocks or ignores the signal.

use std::ffi::{CString, c_long};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rawdaemon::{CStrings, DaemonizeOptions, ErrorKind, Owner, Pidfile, Signal, Stage, argv};

use crate::support::readiness::last_message;
use crate::support::{
    Daemon, Output, Place, before_exec, eventually, example, filter, has_filters,
    has_test_programs, is_root, pid_in, status_line, std_program, trapping, without_core,
};

/// The calls that an older one replaces, or that can be left out.
const REPLACED: [c_long; 5] = [
    libc::SYS_close_range,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_setpgid,
    libc::SYS_waitid,
];

fn run_trapping(place: &Place, call: c_long, command: &mut Command) -> Output {
    trapping(command, call);
    place.run(without_core(command))
}

/// Checks that the daemon has default dispositions, and an empty mask.
#[track_caller]
fn assert_default_signals(daemon: &Daemon) {
    let state = daemon.state();
    let signals = [state.caught, state.ignored, state.blocked];
    assert_eq!(signals, ["", "", ""]);
}

#[test]
fn a_trapped_call_is_one_that_is_missing() {
    if !has_filters() {
        return;
    }
    for call in REPLACED {
        for options in [
            &[][..],
            &["-v"],
            &["-t", "0.2"],
            &["-t", "0.2", "-v"],
            &["-l", "lock"],
        ] {
            let place = Place::new();
            let mut command = place.rawdaemon(options);
            command.args(["-p", "pid", "sleep", "1000"]);
            let output = run_trapping(&place, call, &mut command);
            assert_eq!(output.code(), 0, "{call} {options:?}: {output:?}");
            let daemon = Daemon::new(pid_in(&place.path("pid")));
            daemon.assert_alive();
            let state = daemon.state();
            assert!(state.descriptors.len() <= 5, "{call}: {state:?}");
            assert_default_signals(&daemon);
            drop(daemon);
            place.assert_no_process();
        }
    }
}

#[test]
fn readiness_is_told_in_such_a_sandbox() {
    if !has_filters() || !has_test_programs() {
        return;
    }
    let notifier = example("notifier");
    for call in REPLACED {
        let place = Place::new();
        let script = "echo >&3; exec 3>&-; exec sleep 1000";
        let arguments = ["-v", "-R", "fd:3", "sh", "-c", script];
        let output = run_trapping(&place, call, &mut place.rawdaemon(arguments));
        assert_eq!(output.code(), 0, "{call}: {output:?}");
        assert_default_signals(&Daemon::new(output.pid()));
        let mut command = place.rawdaemon(["-v", "-R", "notify"]);
        command.arg(&notifier).arg("say READY=1");
        let output = run_trapping(&place, call, &mut command);
        assert_eq!(output.code(), 0, "{call}: {output:?}");
        drop(Daemon::new(output.pid()));
        eventually("the listener ends", || place.processes().is_empty());
    }
}

#[test]
fn a_failed_start_is_told_in_such_a_sandbox() {
    if !has_filters() {
        return;
    }
    for call in REPLACED {
        for (arguments, code) in [
            (&["/no/such/command"][..], 127),
            (&["-v", "/no/such/command"], 127),
            (&["-t", "9", "sh", "-c", "exit 3"], 5),
            (&["-t", "0.1", "-R", "fd:3", "sleep", "1000"], 6),
            (&["-c", "/no/such/directory", "sleep", "1000"], 3),
        ] {
            let place = Place::new();
            let mut command = place.rawdaemon(["-p", "pid"]);
            command.args(arguments);
            let output = run_trapping(&place, call, &mut command);
            assert_eq!(output.code(), code, "{call} {arguments:?}: {output:?}");
            assert!(!place.path("pid").exists());
            eventually("no process is left", || place.processes().is_empty());
        }
    }
}

/// The answer names the step and the errno where nothing can replace the call.
#[test]
fn what_no_call_replaces_is_an_error() {
    if !has_filters() || !is_root() {
        return;
    }
    for (call, arguments, code, says) in [
        (libc::SYS_chroot, ["-r", "/"], 13, "chroot"),
        (libc::SYS_setgroups, ["-u", "12345:12345"], 14, "groups"),
        (libc::SYS_setresgid, ["-u", "12345:12345"], 15, "group"),
        (libc::SYS_umask, ["-m", "022"], 17, "umask"),
    ] {
        let place = Place::new();
        let mut command = place.rawdaemon(["-p", "pid"]);
        command.args(arguments).args(["sleep", "1000"]);
        // A group to drop: without one, the daemon needs no call for its groups.
        before_exec(&mut command, || {
            // SAFETY: one group is read.
            assert_eq!(unsafe { libc::setgroups(1, [5].as_ptr()) }, 0);
            Ok(())
        });
        let output = run_trapping(&place, call, &mut command);
        assert_eq!(output.code(), code, "{output:?}");
        let message = last_message(&output);
        assert!(message.contains(says), "{output:?}");
        assert!(message.contains("ENOSYS"), "{output:?}");
        assert!(!place.path("pid").exists());
        place.assert_no_process();
    }
}

#[test]
fn a_daemon_is_found_and_stopped_in_such_a_sandbox() {
    if !has_filters() {
        return;
    }
    for call in REPLACED {
        for script in [
            "exec sleep 1000",
            // It drops its lock.
            "for n in 3 4 5 6 7 8 9; do eval \"exec $n>&-\"; done; exec sleep 1000",
        ] {
            let place = Place::new();
            let daemon = place.start(["-p", "pid", "sh", "-c", script]);
            daemon.state();
            let ask = |option| {
                let mut command = place.rawdaemon([option, "-p", "pid"]);
                command.args(["--trust-pidfile", "--retry", "TERM/10"]);
                run_trapping(&place, call, &mut command)
            };
            let status = ask("--status");
            assert_eq!(status.code(), 0, "{call}: {status:?}");
            assert_eq!(status.stdout, format!("{}\n", daemon.pid));
            let stop = ask("--stop");
            assert_eq!(stop.code(), 0, "{call}: {stop:?}");
            daemon.ended();
            assert!(!place.path("pid").exists());
            let status = ask("--status");
            assert_eq!(status.code(), 3, "{call}: {status:?}");
        }
    }
}

/// A launcher may have been started with the signal blocked and ignored.
#[test]
fn the_signal_may_be_blocked_and_ignored_before() {
    if !has_filters() {
        return;
    }
    for options in [&["-t", "0.1"][..], &["-f"]] {
        let place = Place::new();
        let mut command = place.rawdaemon(["-p", "pid"]);
        command.args(options).args(["sleep", "0.3"]);
        before_exec(&mut command, || {
            // SAFETY: numbers, and a set that outlives the calls.
            unsafe {
                libc::signal(libc::SIGSYS, libc::SIG_IGN);
                let mut set = std::mem::zeroed();
                libc::sigfillset(&raw mut set);
                libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            }
            Ok(())
        });
        let output = run_trapping(&place, libc::SYS_close_range, &mut command);
        assert_eq!(output.code(), 0, "{output:?}");
        eventually("it ends", || place.processes().is_empty());
    }
}

#[test]
fn a_program_that_daemonizes_itself_is_told_the_truth() {
    if !has_filters() || !has_test_programs() {
        return;
    }
    for call in [
        libc::SYS_close_range,
        libc::SYS_pidfd_open,
        libc::SYS_get_robust_list,
        libc::SYS_setpgid,
    ] {
        for (case, code) in [("notify", 0), ("exit 3", 5), ("bad directory", 3)] {
            let place = Place::new();
            let output = run_trapping(&place, call, &mut std_program(&place, case));
            assert_eq!(output.code(), code, "{call} {case}: {output:?}");
            if code == 0 {
                let daemon = Daemon::new(output.pid());
                daemon.assert_alive();
                // A handler for the signal is none of the program's.
                let caught = status_line(daemon.pid, "SigCgt").concat();
                let caught = u64::from_str_radix(&caught, 16).unwrap();
                assert_eq!(caught & (1 << (libc::SIGSYS - 1)), 0);
                assert_eq!(daemon.state().blocked, "");
            }
            drop(place);
        }
    }
}

/// Runs an action in a thread of its own, for which the kernel traps this call.
fn in_a_sandbox<T: Send>(call: c_long, action: impl FnOnce() -> T + Send) -> T {
    let in_thread = || {
        filter(call, libc::SECCOMP_RET_TRAP)().unwrap();
        action()
    };
    thread::scope(|scope| scope.spawn(in_thread).join().unwrap())
}

/// The disposition of the signal in this process: its handler.
fn disposition() -> usize {
    // SAFETY: all zeros is a sigaction, which the kernel fills in.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGSYS, std::ptr::null(), &raw mut action);
        action.sa_sigaction
    }
}

fn c_string(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

#[test]
fn a_program_that_spawns_is_told_the_truth() {
    if !has_filters() {
        return;
    }
    let before = disposition();
    for call in REPLACED {
        let place = Place::new();
        let (path, mark) = (c_string(&place.path("pid")), place.variable());
        let variables = [Some(mark.as_c_str().into()), None];
        let (pid, status) = in_a_sandbox(call, || {
            let envp = CStrings::new(&variables).unwrap();
            let options = DaemonizeOptions::new();
            let missing = options.spawn(c"/no/such/command", argv![c"x"], envp);
            assert_eq!(missing.unwrap_err().kind(), ErrorKind::CommandNotFound);
            let options = options
                .timeout(Duration::from_millis(50))
                .pidfile(path.as_c_str());
            let argv = argv![c"sleep", c"1000"];
            let daemon = options.spawn(c"/bin/sleep", argv, envp).unwrap();
            let pidfile = Pidfile::new(path.as_c_str());
            // The time is also that for the steps, which may be longer on a busy machine.
            let options = options.timeout(Duration::from_secs(20));
            let again = options.spawn(c"/bin/sleep", argv, envp).unwrap_err();
            assert_eq!(again.kind(), ErrorKind::AlreadyRunning);
            let owner = pidfile.owner().unwrap();
            assert_eq!(owner, Owner::Running(daemon.pid()));
            (
                daemon.pid(),
                status_line(daemon_pid(daemon.pid()), "SigCgt"),
            )
        });
        assert_eq!(status, ["0000000000000000"], "{call}");
        // Outside: the calls of pidfds would end this process.
        let pidfile = Pidfile::new(path.as_c_str());
        let stage = Stage::new(Signal::TERM, Duration::from_secs(20));
        assert_eq!(pidfile.stop(&[stage]).unwrap(), Some(pid), "{call}");
        drop(Daemon::open(daemon_pid(pid)));
        place.assert_no_process();
        assert_eq!(disposition(), before, "the caller's dispositions stay");
    }
}

fn daemon_pid(pid: rawdaemon::Pid) -> rustix::process::Pid {
    rustix::process::Pid::from_raw(pid.get()).unwrap()
}
