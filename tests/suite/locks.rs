//! The lock on the pidfile: its place among the descriptors, those that other programs hold, and what becomes of it.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use crate::support::control::{NOT_RUNNING, ask, says};
use crate::support::{Place, before_exec, eventually, filter, has, pid_in};

/// Locks the whole file for reading.
fn lock_for_reading(file: &File) {
    // SAFETY: all zeros is a flock: the whole file.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_RDLCK as _;
    // SAFETY: the kernel reads a flock.
    let locked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) };
    assert_eq!(locked, 0);
}

fn flock(file: &File, how: i32) {
    // SAFETY: the call takes no pointers.
    assert_eq!(unsafe { libc::flock(file.as_raw_fd(), how) }, 0);
}

#[test]
fn a_reader_s_lock_blocks_no_start() {
    // Left by a crash: empty, or with the pid of a process that has ended.
    for text in ["", "99999999\n"] {
        let place = Place::new();
        fs::write(place.path("pid"), text).unwrap();
        let file = File::open(place.path("pid")).unwrap();
        lock_for_reading(&file);
        assert_eq!(ask(&place, &["--status"]).code(), 1);
        says(&ask(&place, &["--signal", "TERM"]), 0, "", NOT_RUNNING);
        let daemon = place.start(["-p", "pid", "sleep", "1000"]);
        assert_eq!(pid_in(&place.path("pid")), daemon.pid);
        let mode = fs::metadata(place.path("pid"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o644);
        let pid = format!("{}\n", daemon.pid);
        says(&ask(&place, &["--status"]), 0, &pid, "");
        let again = place.run(&mut place.rawdaemon(["-p", "pid", "sleep", "1000"]));
        assert_eq!(again.code(), 12, "{again:?}");
        says(&ask(&place, &["--stop"]), 0, "", "");
        daemon.ended();
        let left: Vec<_> = fs::read_dir(place.path("")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn a_reader_s_lock_blocks_no_start_of_an_old_kernel_or_after_a_kill() {
    let place = Place::new();
    fs::write(place.path("pid"), "").unwrap();
    let file = File::open(place.path("pid")).unwrap();
    lock_for_reading(&file);
    // A start was killed before it could rename this.
    let left = place.path("pid.new");
    fs::write(&left, "").unwrap();
    fs::set_permissions(&left, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = place.rawdaemon(["-v", "-p", "pid", "sleep", "1000"]);
    // As before Linux 3.15.
    let missing = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    if cfg!(not(target_arch = "riscv64")) {
        before_exec(&mut command, filter(libc::SYS_renameat2, missing));
    }
    let daemon = place.start_by(&mut command);
    assert_eq!(pid_in(&place.path("pid")), daemon.pid);
    assert!(!left.exists());
}

#[test]
fn one_of_many_starts_wins_in_spite_of_a_reader() {
    let place = Place::new();
    fs::write(place.path("pid"), "").unwrap();
    let file = File::open(place.path("pid")).unwrap();
    lock_for_reading(&file);
    let start = || {
        let mut command = place.rawdaemon(["-p", "pid", "sleep", "1000"]);
        place.run(&mut command).code()
    };
    let mut codes: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        starts.into_iter().map(|it| it.join().unwrap()).collect()
    });
    codes.sort_unstable();
    assert_eq!(codes, [0, 12, 12, 12, 12, 12, 12, 12]);
    says(&ask(&place, &["--stop"]), 0, "", "");
    eventually("no process is left", || place.processes().is_empty());
    assert!(!place.path("pid.new").exists());
}

#[test]
fn a_lock_file_with_contents_is_not_replaced() {
    let place = Place::new();
    fs::write(place.path("lock"), "contents\n").unwrap();
    let file = File::open(place.path("lock")).unwrap();
    lock_for_reading(&file);
    let busy = "rawdaemon: cannot use the lock file lock: Device or resource busy (EBUSY)";
    place.fails(
        &mut place.rawdaemon(["-l", "lock", "sleep", "1000"]),
        11,
        busy,
    );
    assert_eq!(place.read("lock"), "contents\n");
    assert!(!place.path("lock.new").exists());
}

#[test]
fn a_lock_of_flock_is_a_daemon_of_another_program() {
    let place = Place::new();
    let start = |code| {
        let output = place.run(&mut place.rawdaemon(["-p", "pid", "true"]));
        assert_eq!(output.code(), code, "{output:?}");
        // Until it has ended, it is the daemon of the file.
        eventually("no process is left", || place.processes().is_empty());
    };
    let own = std::process::id();
    for text in [String::new(), format!("{own}\n")] {
        fs::write(place.path("pid"), &text).unwrap();
        let file = File::open(place.path("pid")).unwrap();
        flock(&file, libc::LOCK_EX);
        start(12);
        assert_eq!(place.read("pid"), text);
        let ok = ["--start-or-ok", "-p", "pid", "true"];
        assert_eq!(place.run(&mut place.rawdaemon(ok)).code(), 0);
        // It does not say that it is the only one.
        flock(&file, libc::LOCK_SH);
        start(0);
    }
    // Any process can have it after a crash.
    fs::write(place.path("pid"), "99999999\n").unwrap();
    let file = File::open(place.path("pid")).unwrap();
    flock(&file, libc::LOCK_EX);
    start(0);
}

#[test]
fn a_reader_does_not_displace_the_daemon_of_another_program() {
    let place = Place::new();
    let own = format!("{}\n", std::process::id());
    fs::write(place.path("pid"), &own).unwrap();
    let file = File::open(place.path("pid")).unwrap();
    flock(&file, libc::LOCK_EX);
    lock_for_reading(&file);
    let output = place.run(&mut place.rawdaemon(["-p", "pid", "true"]));
    assert_eq!(output.code(), 12, "{output:?}");
    assert_eq!(place.read("pid"), own);
}

#[test]
fn a_script_that_uses_any_low_descriptor_keeps_the_lock() {
    let script = "for n in 3 4 5 6 7 8 9; do eval \"exec $n>&1\"; eval \"exec $n>&-\"; done
        echo done >>log; while :; do sleep 1000; done";
    for shell in ["sh", "bash"] {
        if !has(shell) {
            continue;
        }
        let place = Place::new();
        let options = ["-c", ".", "-p", "pid", "-l", "lock", shell, "-c", script];
        let daemon = place.start(options);
        eventually("it has used them", || place.path("log").exists());
        let output = ask(&place, &["-vT"]);
        let how = "rawdaemon: running, and holds the lock on its pidfile; pid ";
        assert!(output.stderr.starts_with(how), "{output:?}");
        let lock = place.run(&mut place.rawdaemon(["-T", "-p", "lock"]));
        assert_eq!(lock.stdout, format!("{}\n", daemon.pid));
    }
}

#[test]
fn few_descriptors_are_enough_for_the_locks() {
    for limit in [10, 16, 64, 200] {
        let place = Place::new();
        let mut command = place.rawdaemon(["-v", "-p", "pid", "-l", "lock", "sleep", "1000"]);
        let limit = libc::rlimit {
            rlim_cur: limit,
            rlim_max: limit,
        };
        // SAFETY: setrlimit(2) may be called in the child, and reads an rlimit.
        unsafe {
            command.pre_exec(move || {
                assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
                Ok(())
            });
        }
        let daemon = place.start_by(&mut command);
        says(&ask(&place, &["-T"]), 0, &format!("{}\n", daemon.pid), "");
    }
}

#[test]
fn a_lock_that_outlives_the_daemon_is_not_the_daemon() {
    if !has("python3") {
        return;
    }
    let place = Place::new();
    // CLONE_FILES: the child shares the descriptors, and by that the locks.
    let script = "
import ctypes, time
libc = ctypes.CDLL(None)
child = libc.syscall(CLONE, 0x400 | 17, 0, 0, 0, 0)
if child == 0:
    time.sleep(1000)
open('child', 'w').write(str(child) + '\\n')
while True:
    time.sleep(1000)
";
    let script = script.replace("CLONE", &libc::SYS_clone.to_string());
    let daemon = place.start(["-c", ".", "-p", "pid", "python3", "-c", &script]);
    eventually("it has a child", || place.path("child").exists());
    eventually("the pid is there", || place.read("child").ends_with('\n'));
    let child = pid_in(&place.path("child"));
    let child = crate::support::Daemon::new(child);
    let pid = format!("{}\n", daemon.pid);
    says(&ask(&place, &["-T"]), 0, &pid, "");
    daemon.kill();
    let dead = "rawdaemon: dead, but its pidfile exists\n";
    says(&ask(&place, &["-T"]), 1, "", dead);
    says(&ask(&place, &["--signal=TERM"]), 0, "", NOT_RUNNING);
    let busy = "rawdaemon: cannot use the pidfile pid: Device or resource busy (EBUSY)
";
    for option in ["-q", "--start-or-ok"] {
        let output = place.run(&mut place.rawdaemon([option, "-p", "pid", "true"]));
        assert_eq!(output.code(), 11, "{output:?}");
        assert!(option == "-q" || output.stderr == busy, "{output:?}");
    }
    child.assert_alive();
}
