//! The pidfile: its lock, its text, and what may lie at its path.

#![allow(missing_docs, unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use support::{Daemon, Place, before_exec, eventually, fails_under_strace, has, is_root, pid_in};

#[test]
fn a_pidfile_is_locked_as_long_as_the_daemon_lives() {
    let place = Place::new();
    for stale in [
        "",
        "1\n",
        "garbage",
        "99999999999999999999999999\n-1\n",
        "12",
    ] {
        fs::write(place.path("pid"), stale).unwrap();
        let daemon = place.start(["-p", "pid", "sleep", "1000"]);
        assert_eq!(pid_in(&place.path("pid")), daemon.pid);
        fs::write(place.path("out"), "the first daemon's output\n").unwrap();
        let output = place.run(&mut place.rawdaemon(["-p", "pid", "-o", "out", "sleep", "1000"]));
        assert_eq!(
            (output.code(), output.stderr),
            (
                12,
                format!("rawdaemon: already running as pid {}\n", daemon.pid)
            )
        );
        assert_eq!(
            place.read("out"),
            "the first daemon's output\n",
            "a start that fails must not empty it"
        );
        assert_eq!(place.processes(), [daemon.pid]);
        assert_eq!(pid_in(&place.path("pid")), daemon.pid);
        daemon.kill();
    }
}

#[test]
fn descriptors_of_the_pidfile_that_are_closed_do_not_give_up_the_lock() {
    for shell in [
        "exec 9>>pid; exec \"$@\"",
        "exec \"$@\" 2>>pid",
        "exec 0<>pid; exec \"$@\"",
    ] {
        let place = Place::new();
        let start = [
            env!("CARGO_BIN_EXE_rawdaemon"),
            "-p",
            "pid",
            "sleep",
            "1000",
        ];
        let shell = ["-c", shell, "sh"].into_iter().chain(start);
        let first = place.run(&mut place.program(Path::new("/bin/sh"), shell.clone()));
        assert_eq!(first.code(), 0, "{first:?}");
        let daemon = Daemon::new(pid_in(&place.path("pid")));
        let second = place.run(&mut place.program(Path::new("/bin/sh"), shell));
        assert_eq!(second.code(), 12, "{second:?}");
        daemon.assert_alive();
    }
}

#[test]
fn a_file_may_be_both_pidfile_and_output() {
    let place = Place::new();
    let start = ["-a", "-o", "pid", "-p", "pid", "sleep", "1000"];
    let daemon = place.start(start);
    assert_eq!(pid_in(&place.path("pid")), daemon.pid);
    assert_eq!(place.run(&mut place.rawdaemon(start)).code(), 12);
}

#[test]
fn many_starts_at_once_have_one_winner() {
    for _ in 0..5 {
        let place = Place::new();
        let starts: Vec<_> = (0..32)
            .map(|_| {
                let mut command = place.rawdaemon(["-v", "-p", "pid", "sleep", "1000"]);
                command
                    .stderr(std::process::Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        let ends: Vec<_> = starts
            .into_iter()
            .map(|start| start.wait_with_output().unwrap())
            .collect();
        let daemon = Daemon::new(pid_in(&place.path("pid")));
        daemon.assert_alive();
        assert_eq!(place.processes(), [daemon.pid]);
        let loses = format!("rawdaemon: already running as pid {}\n", daemon.pid);
        let (winners, losers): (Vec<_>, Vec<_>) = ends.iter().partition(|end| end.status.success());
        assert_eq!(winners.len(), 1);
        for end in losers {
            assert_eq!(end.status.code(), Some(12));
            assert!(end.stderr.ends_with(loses.as_bytes()), "{end:?}");
        }
    }
}

#[test]
fn the_daemon_s_children_do_not_hold_the_lock() {
    let place = Place::new();
    let daemon = place.start(
        [
            "-p",
            "pid",
            "sh",
            "-c",
            "sleep 1000 & echo $! >child; wait",
            "sh",
        ]
        .map(String::from)
        .map(|argument| argument.replace(">child", &format!(">{}", place.path("child").display()))),
    );
    eventually("the child runs", || {
        fs::read_to_string(place.path("child")).is_ok_and(|text| text.ends_with('\n'))
    });
    let child = Daemon::new(pid_in(&place.path("child")));
    daemon.kill();
    child.assert_alive();
    place.start(["-p", "pid", "sleep", "1000"]).assert_alive();
}

#[test]
fn the_pidfile_is_readable_whatever_the_umask() {
    let place = Place::new();
    let mut command = place.rawdaemon(["-v", "-o", "out", "-p", "pid", "sleep", "1000"]);
    before_exec(&mut command, || {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        Ok(())
    });
    let _daemon = place.start_by(&mut command);
    let mode = |name| fs::metadata(place.path(name)).unwrap().mode() & 0o777;
    assert_eq!((mode("out"), mode("pid")), (0o600, 0o644));
}

#[test]
fn a_device_is_no_pidfile_and_is_not_removed() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let (device, mode) = (
        rustix::fs::makedev(1, 3),
        rustix::fs::Mode::from_raw_mode(0o600),
    );
    let kind = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(rustix::fs::CWD, place.path("null"), kind, mode, device).unwrap();
    let says = "rawdaemon: cannot write the pidfile null: not a regular file";
    place.fails(
        &mut place.rawdaemon(["-p", "null", "sleep", "1000"]),
        11,
        says,
    );
    assert!(place.path("null").exists());
}

#[test]
fn a_full_disk_leaves_no_half_pid() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let pidfile = place.path("pid");
    let pidfile = pidfile.to_str().unwrap();
    let options = ["-P", pidfile, "--inject=write:error=ENOSPC"];
    let output = fails_under_strace(&place, &options, &["-p", pidfile, "sleep", "1000"]);
    let why = "No space left on device (ENOSPC)";
    let says = format!("rawdaemon: cannot write the pidfile {pidfile}: {why}\n");
    assert_eq!((output.code(), output.stderr), (11, says));
    assert!(!place.path("pid").exists());
}

#[test]
fn tidying_up_after_a_failed_start_is_not_running() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let mut bad = place.program(Path::new("strace"), ["-D", "-f", "-qq", "-o", "trace"]);
    bad.args([
        "--inject=unlinkat:delay_enter=500ms",
        env!("CARGO_BIN_EXE_rawdaemon"),
    ]);
    let mut bad = bad
        .args(["-q", "-p", "pid", "/no/such/command"])
        .spawn()
        .unwrap();
    eventually("the failed start is being tidied up", || {
        let Ok(file) = fs::OpenOptions::new().write(true).open(place.path("pid")) else {
            return false;
        };
        // SAFETY: all zeros is a flock; the kernel writes to it who holds the lock.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = libc::F_WRLCK as _;
        // SAFETY: as above.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &mut lock) };
        lock.l_type != libc::F_UNLCK as i16 && lock.l_start == 1
    });
    let daemon = place.start(["-p", "pid", "sleep", "1000"]);
    assert_eq!(bad.wait().unwrap().code(), Some(127));
    assert_eq!(place.read("pid"), format!("{}\n", daemon.pid));
}
