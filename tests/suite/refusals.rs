//! Calls that a policy refuses with an error: a refusal is no answer.

use std::ffi::c_long;
use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::support::control::{ask, start_unlocked};
use crate::support::readiness::last_message;
use crate::support::{
    Daemon, Output, Place, before_exec, eventually, filter, has_filters, has_test_programs,
    limit_descriptors, pid_in, std_program, without_core,
};
use rawdaemon::{DaemonizeOptions, Errno, ErrorKind};

/// Runs the command in a sandbox that refuses a call with this error.
fn refusing(place: &Place, call: c_long, errno: i32, command: &mut Command) -> Output {
    let answer = libc::SECCOMP_RET_ERRNO | errno as u32;
    before_exec(command, filter(call, answer));
    place.run(without_core(command))
}

#[test]
fn a_call_that_nothing_replaces_fails_the_start() {
    if !has_filters() {
        return;
    }
    for (call, options, code, says) in [
        (
            libc::SYS_clock_gettime,
            &["-t", "0.2"][..],
            22,
            "cannot watch the daemon",
        ),
        (
            libc::SYS_clock_gettime,
            &["-R", "fd:3"],
            22,
            "cannot watch the daemon",
        ),
        (
            libc::SYS_ppoll,
            &["-t", "0.2"],
            22,
            "cannot watch the daemon",
        ),
        (
            libc::SYS_ppoll,
            &["-R", "fd:3"],
            22,
            "cannot watch the daemon",
        ),
        (
            libc::SYS_recvmsg,
            &["-R", "notify"],
            22,
            "cannot watch the daemon",
        ),
        (
            libc::SYS_umask,
            &["-m", "077"],
            17,
            "cannot set a limit (umask)",
        ),
    ] {
        for errno in [libc::EPERM, libc::ENOSYS] {
            let place = Place::new();
            let mut command = place.rawdaemon(options);
            // The daemon sends messages, so that there is one to be received.
            command.args(["-p", "pid", "sh", "-c"]);
            command.arg("systemd-notify --status=x 2>/dev/null; exec sleep 1000");
            let output = refusing(&place, call, errno, &mut command);
            if call == libc::SYS_recvmsg && output.code() == 6 {
                continue; // There is no systemd-notify.
            }
            assert_eq!(output.code(), code, "{call} {options:?}: {output:?}");
            assert!(last_message(&output).contains(says), "{output:?}");
            assert!(output.took < Duration::from_secs(5), "{output:?}");
            place.assert_no_process();
            assert!(!place.path("pid").exists());
        }
    }
}

#[test]
fn a_stop_without_a_clock_does_nothing() {
    if !has_filters() {
        return;
    }
    let place = Place::new();
    let daemon = place.start(["-p", "pid", "sleep", "1000"]);
    let mut command = place.rawdaemon(["--stop", "-p", "pid"]);
    let output = refusing(&place, libc::SYS_clock_gettime, libc::EPERM, &mut command);
    assert_eq!(output.code(), 4, "{output:?}");
    let says = "cannot watch the daemon: Operation not permitted (EPERM)";
    assert!(last_message(&output).ends_with(says), "{output:?}");
    daemon.assert_alive();
}

#[test]
fn a_refused_wait_or_question_changes_no_answer() {
    if !has_filters() {
        return;
    }
    for errno in [libc::EPERM, libc::ENOSYS, libc::EACCES, libc::EOPNOTSUPP] {
        for call in [libc::SYS_wait4, libc::SYS_waitid] {
            let place = Place::new();
            // It is stopped when the start succeeds.
            let script = "kill -STOP $$; exec sleep 1000";
            let mut command = place.rawdaemon(["-v", "-t", "0.3", "sh", "-c", script]);
            let output = refusing(&place, call, errno, &mut command);
            assert_eq!(output.code(), 0, "{call} {errno}: {output:?}");
            let daemon = Daemon::new(output.pid());
            let name = format!("/proc/{}/comm", daemon.pid);
            eventually("it goes on", || {
                fs::read_to_string(&name).unwrap() == "sleep\n"
            });
            drop(daemon);
            let mut command = place.rawdaemon(["-v", "/no/such/command"]);
            let output = refusing(&place, call, errno, &mut command);
            assert_eq!(output.code(), 127, "{call} {errno}: {output:?}");
            for (script, says) in [
                ("exit 3", "exited with status 3 "),
                ("kill -TERM $$", "killed by signal 15 (SIGTERM) "),
            ] {
                let mut command = place.rawdaemon(["-t", "20", "sh", "-c", script]);
                let output = refusing(&place, call, errno, &mut command);
                assert_eq!(output.code(), 5, "{call} {errno}: {output:?}");
                assert!(output.stderr.contains(says), "{call} {errno}: {output:?}");
            }
            place.assert_no_process();
        }
    }
}

#[test]
fn an_open_stream_is_inherited_though_fcntl_is_refused() {
    if !has_filters() {
        return;
    }
    let place = Place::new();
    let mut command = place.rawdaemon(["-o", "inherit", "sh", "-c", "echo hello"]);
    let output = refusing(&place, libc::SYS_fcntl, libc::EPERM, &mut command);
    // Not a success with the output lost.
    assert_ne!(output.code(), 0, "{output:?}");
    place.assert_no_process();
}

#[test]
fn a_late_report_ends_no_daemon_without_rt_sigtimedwait() {
    if !has_filters() || !has_test_programs() {
        return;
    }
    let place = Place::new();
    let mut command = std_program(&place, "late");
    let call = libc::SYS_rt_sigtimedwait;
    let output = refusing(&place, call, libc::EPERM, &mut command);
    assert_eq!(output.code(), 0, "{output:?}");
    let daemon = Daemon::new(output.pid());
    eventually("it says so", || place.read("out").contains("EPIPE"));
    daemon.assert_alive();
}

#[test]
fn too_few_descriptors_are_no_second_daemon() {
    for limit in 3..12 {
        let place = Place::new();
        let daemon = start_unlocked(&place);
        let mut command = place.rawdaemon(["-p", "pid", "sleep", "0.1"]);
        limit_descriptors(&mut command, limit);
        let output = place.run(&mut command);
        assert_ne!(output.code(), 0, "{limit}: {output:?}");
        daemon.assert_alive();
    }
}

#[test]
fn a_pidfile_of_before_1970_is_older_than_its_process() {
    let place = Place::new();
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    let file = fs::File::create(place.path("pid")).unwrap();
    fs::write(place.path("pid"), format!("{}\n", child.id())).unwrap();
    let time = SystemTime::UNIX_EPOCH - Duration::from_secs(300_000_000);
    file.set_modified(time).unwrap();
    let output = ask(&place, &["-K", "--trust-pidfile"]);
    let is_alive = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(is_alive && output.code() == 4, "{output:?}");
}

#[test]
fn a_reader_s_lock_beyond_the_daemon_s_hides_nothing() {
    let place = Place::new();
    let daemon = place.start(["-p", "pid", "sleep", "1000"]);
    let file = fs::File::open(place.path("pid")).unwrap();
    // SAFETY: all zeros is a flock, which the kernel reads.
    let locked = unsafe {
        let mut lock: libc::flock = std::mem::zeroed();
        lock.l_type = libc::F_RDLCK as _;
        lock.l_start = 1 << 33;
        libc::fcntl(
            std::os::fd::AsRawFd::as_raw_fd(&file),
            libc::F_SETLK,
            &raw const lock,
        )
    };
    assert_eq!(locked, 0, "the daemon's lock ends before");
    assert_eq!(ask(&place, &["-qT"]).code(), 0);
    let output = place.run(&mut place.rawdaemon(["-p", "pid", "sleep", "1000"]));
    assert_eq!(output.code(), 12, "{output:?}");
    assert_eq!(pid_in(&place.path("pid")), daemon.pid);
}

#[test]
fn a_descriptor_without_room_in_the_error_is_not_misnamed() {
    let keep = [1 << 24 | 3];
    let error = DaemonizeOptions::new()
        .close_fds(&keep)
        .spawn(c"true", rawdaemon::argv![c"true"], rawdaemon::argv![])
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CloseFailed);
    assert_eq!(error.cause(), Errno::EBADF.into());
    assert_eq!(error.descriptor(), None);
}
