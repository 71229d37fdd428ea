//! Which pidfile a stop or a failed start removes: that of the daemon that has ended, and no other.

use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;

use crate::support::control::{NOT_RUNNING, ask, ask_on, kernels, says};
use crate::support::{
    Place, eventually, fails_under_strace, has, has_for, is_root, tested_command, without_pidfds,
    without_proc,
};

/// The pidfile of a daemon that is gone.
fn leave_pidfile(place: &Place) -> String {
    place.start(["-p", "pid", "sleep", "1000"]).kill();
    place.read("pid")
}

/// A start may have locked the file, and not written its pid to it yet.
#[test]
fn a_locked_pidfile_of_a_dead_daemon_is_left() {
    for kernel in kernels() {
        let place = Place::new();
        let text = leave_pidfile(&place);
        let file = fs::File::open(place.path("pid")).unwrap();
        // A lock for reading does not stand for a daemon, but excludes the remover's lock.
        // SAFETY: all zeros is a flock: the whole file.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = libc::F_RDLCK as _;
        // SAFETY: the kernel reads a flock.
        let locked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) };
        assert_eq!(locked, 0);
        let stop = || ask_on(&place, kernel, &["--stop"]);
        says(&stop(), 0, "", NOT_RUNNING);
        assert_eq!(fs::read_to_string(place.path("pid")).unwrap(), text);
        drop(file);
        says(&stop(), 0, "", NOT_RUNNING);
        assert!(!place.path("pid").exists());
    }
}

#[test]
fn a_file_that_replaces_the_pidfile_is_left() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    leave_pidfile(&place);
    let path = place.path("pid");
    let name = path.to_str().unwrap();
    std::thread::scope(|scope| {
        // The first call is to find the daemon, and the second one to remove its file. The command is delayed
        // before it locks that.
        let stop = scope.spawn(|| {
            let delay = ["-P", name, "--inject=openat:delay_exit=3s:when=2"];
            let mut command = place.program(Path::new("strace"), ["-qq", "-o", "trace"]);
            command
                .args(delay)
                .args([tested_command(), "--stop", "-p", name]);
            place.run(&mut command)
        });
        eventually("it opens the file again", || {
            fs::read_to_string(place.path("trace"))
                .is_ok_and(|said| said.matches("openat").count() == 2)
        });
        fs::remove_file(&path).unwrap();
        fs::write(&path, "of another program\n").unwrap();
        says(&stop.join().unwrap(), 0, "", NOT_RUNNING);
    });
    assert_eq!(place.read("pid"), "of another program\n");
}

/// As a zombie the daemon still has its pid.
#[test]
fn the_lock_shows_the_end_without_pidfds_and_proc() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let daemon = place.start(["-p", "pid", "sleep", "1000"]);
    let mut command = place.rawdaemon(["--stop", "--retry", "TERM/15", "-p", "pid"]);
    without_proc(&mut command);
    without_pidfds(&mut command);
    says(&place.run(&mut command), 0, "", "");
    daemon.ended();
    assert!(!place.path("pid").exists());
    says(&ask(&place, &["--status"]), 3, "", NOT_RUNNING);
}

#[test]
fn a_failure_before_the_pidfile_leaves_it() {
    let place = Place::new();
    fs::write(place.path("pid"), "").unwrap();
    let mut command = place.rawdaemon(["-p", "pid", "-i", "/no/such", "sleep", "1000"]);
    let says =
        "rawdaemon: cannot open /no/such for standard input: No such file or directory (ENOENT)";
    place.fails(&mut command, 8, says);
    assert!(place.path("pid").exists());
    fs::create_dir(place.path("folder")).unwrap();
    for options in [
        &["-p", "pid", "-l", "folder"][..],
        &["-f", "-p", "pid", "-l", "folder"],
    ] {
        let mut command = place.rawdaemon(options);
        let says = "rawdaemon: cannot use the lock file folder: not a regular file";
        place.fails(command.args(["sleep", "1000"]), 11, says);
        assert!(place.path("pid").exists(), "{options:?}");
    }
    if has_for(
        "strace",
        "failures to open /dev/null and to close descriptors",
    ) {
        for (refuse, code) in [
            (&["-P", "/dev/null", "--inject=openat:error=EACCES"][..], 4),
            (
                &["--inject=close_range,getdents64,prlimit64:error=EACCES"],
                10,
            ),
        ] {
            let output = fails_under_strace(&place, refuse, &["-p", "pid", "sleep", "1000"]);
            assert_eq!(output.code(), code, "{output:?}");
            assert!(place.path("pid").exists(), "{output:?}");
        }
    }
}

#[test]
fn a_failed_start_leaves_an_empty_file_that_was_there() {
    let place = Place::new();
    fs::write(place.path("pid"), "").unwrap();
    let start = ["-p", "pid", "-c", "/nowhere", "sleep", "1000"];
    assert_eq!(place.run(&mut place.rawdaemon(start)).code(), 3);
    assert_eq!(place.read("pid"), "");
    place.assert_no_process();
}
