//! The pidfile: its lock, its text, and other files at its path.

use std::ffi::CString;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::support::{
    Daemon, Place, before_exec, eventually, fails_under_strace, has, is_root, own_mounts, pid_in,
    strace_rawdaemon, tested_command, under_strace,
};

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
fn closing_inherited_descriptors_of_the_pidfile_does_not_drop_the_lock() {
    for shell in [
        "exec 9>>pid; exec \"$@\"",
        "exec \"$@\" 2>>pid",
        "exec 0<>pid; exec \"$@\"",
    ] {
        let place = Place::new();
        let start = [tested_command(), "-p", "pid", "sleep", "1000"];
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
    const STARTS: usize = 64;
    for round in 0..50 {
        let place = Place::new();
        if round % 2 == 1 {
            fs::write(place.path("pid"), "1\n").unwrap();
        }
        // The output of each start. The winner reads the pidfile too.
        let start = || {
            let mut command = place.rawdaemon(["-v", "-p", "pid", "sleep", "1000"]);
            let end = command.output().unwrap();
            let found = end.status.success().then(|| place.read("pid"));
            (end, found)
        };
        let ends: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..STARTS).map(|_| scope.spawn(start)).collect();
            let ends = starts.into_iter().map(|start| start.join().unwrap());
            ends.collect()
        });
        let daemon = Daemon::new(pid_in(&place.path("pid")));
        daemon.assert_alive();
        assert_eq!(place.processes(), [daemon.pid]);
        let found: Vec<_> = ends
            .iter()
            .filter_map(|(_, found)| found.as_ref())
            .collect();
        assert_eq!(found, [&format!("{}\n", daemon.pid)]);
        let loses = format!("rawdaemon: already running as pid {}\n", daemon.pid);
        for (end, _) in ends.iter().filter(|(_, found)| found.is_none()) {
            assert_eq!(end.status.code(), Some(12));
            assert!(end.stderr.ends_with(loses.as_bytes()), "{end:?}");
        }
    }
}

#[test]
fn a_lock_file_is_locked_and_nothing_else() {
    let place = Place::new();
    fs::write(place.path("lock"), "another program's text\n").unwrap();
    let daemon = place.start(["-l", "lock", "-p", "pid", "sleep", "1000"]);
    // With two files, the line names the one.
    for (second, file) in [
        (&["-l", "lock"][..], ""),
        (&["-l", "lock", "-p", "other"], " (lock)"),
        (&["-p", "pid"], ""),
        (&["-l", "pid"], ""),
    ] {
        let says = format!("rawdaemon: already running{file} as pid {}\n", daemon.pid);
        let output = place.run(place.rawdaemon(second).args(["sleep", "1000"]));
        assert_eq!((output.code(), &output.stderr), (12, &says), "{second:?}");
    }
    assert!(!place.path("other").exists());
    daemon.kill();
    let output = place.run(&mut place.rawdaemon(["-l", "lock", "/no/such/command"]));
    assert_eq!(output.code(), 127);
    assert_eq!(place.read("lock"), "another program's text\n");
    // One file may be both lock file and pidfile.
    let daemon = place.start(["-l", "pid", "-p", "pid", "sleep", "1000"]);
    assert_eq!(pid_in(&place.path("pid")), daemon.pid);
    assert_eq!(
        place
            .run(&mut place.rawdaemon(["-p", "pid", "sleep", "1000"]))
            .code(),
        12
    );
}

const MISSING: &str =
    "No such file or directory (ENOENT); its directory is missing, and mkdir makes it";

#[test]
fn other_files_are_no_lock_files() {
    let place = Place::new();
    fs::create_dir(place.path("folder")).unwrap();
    fs::write(place.path("target"), "").unwrap();
    std::os::unix::fs::symlink("target", place.path("link")).unwrap();
    for (path, why) in [
        ("folder", "not a regular file"),
        ("link", "Too many levels of symbolic links (ELOOP)"),
        ("nowhere/lock", MISSING),
    ] {
        let says = format!("rawdaemon: cannot use the lock file {path}: {why}");
        let mut command = place.rawdaemon(["-p", "pid", "-l", path, "sleep", "1000"]);
        place.fails(&mut command, 11, &says);
        assert!(!place.path("pid").exists());
    }
}

#[test]
fn a_file_with_another_name_is_no_pidfile() {
    let place = Place::new();
    fs::write(place.path("precious"), "text of another program\n").unwrap();
    fs::hard_link(place.path("precious"), place.path("pid")).unwrap();
    let why = "Too many links (EMLINK)";
    let says = format!("rawdaemon: cannot use the pidfile pid: {why}");
    place.fails(
        &mut place.rawdaemon(["-p", "pid", "sleep", "1000"]),
        11,
        &says,
    );
    let says = format!("rawdaemon: cannot use the lock file pid: {why}");
    place.fails(
        &mut place.rawdaemon(["-l", "pid", "sleep", "1000"]),
        11,
        &says,
    );
    assert_eq!(place.read("precious"), "text of another program\n");
    assert!(place.path("pid").exists());
}

#[test]
fn a_full_file_system_is_reported() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.path("full")).unwrap();
    let folder = CString::new(place.path("full").into_os_string().into_encoded_bytes()).unwrap();
    let mut command = place.rawdaemon(["-p", "full/pid", "sleep", "1000"]);
    before_exec(&mut command, move || {
        own_mounts();
        let (kind, size) = (c"tmpfs".as_ptr(), c"size=4096".as_ptr().cast());
        // SAFETY: the arguments are strings.
        let result = unsafe { libc::mount(kind, folder.as_ptr(), kind, 0, size) };
        assert_eq!(result, 0);
        let folder = Path::new(folder.to_str().unwrap());
        fs::write(folder.join("filler"), [0; 4096])?;
        Ok(())
    });
    let why = "No space left on device (ENOSPC)";
    place.fails(
        &mut command,
        11,
        &format!("rawdaemon: cannot use the pidfile full/pid: {why}"),
    );
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
fn a_device_is_refused_and_not_removed() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    if !place.is_mounted_without(rustix::fs::StatVfsMountFlags::NODEV) {
        return;
    }
    let (device, mode) = (
        rustix::fs::makedev(1, 3),
        rustix::fs::Mode::from_raw_mode(0o600),
    );
    let kind = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(rustix::fs::CWD, place.path("null"), kind, mode, device).unwrap();
    let says = "rawdaemon: cannot use the pidfile null: not a regular file";
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
    let why = "No space left on device (ENOSPC)";
    let says = format!("rawdaemon: cannot use the pidfile {pidfile}: {why}\n");
    // The kernel may also write a part: here it says so.
    for fault in ["error=ENOSPC", "retval=1"] {
        let options = ["-P", pidfile, &format!("--inject=write:{fault}")];
        let output = fails_under_strace(&place, &options, &["-p", pidfile, "sleep", "1000"]);
        assert_eq!((output.code(), &output.stderr), (11, &says), "{fault}");
        assert!(!place.path("pid").exists(), "{fault}");
    }
}

/// On some file systems the same error means that another process holds the lock.
#[test]
fn a_lock_that_a_policy_refuses_is_told_at_once() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    // The first call moves the descriptor, and the third one asks who holds the lock.
    for calls in ["2", "2..3"] {
        let refuse = format!("--inject=fcntl:error=EACCES:when={calls}");
        for (option, file) in [("-p", "pidfile"), ("-l", "lock file")] {
            let start = [option, "file", "sleep", "1000"];
            let output = fails_under_strace(&place, &[&refuse], &start);
            let says =
                format!("rawdaemon: cannot use the {file} file: Permission denied (EACCES)\n");
            assert_eq!((output.code(), output.stderr), (11, says), "{calls}");
            let trace = place.read("trace");
            let lock = "F_SETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=0";
            assert_eq!(trace.matches(lock).count(), 1, "{trace}");
        }
    }
    let daemon = place.start(["-p", "pid", "sleep", "1000"]);
    let refuse = ["--inject=fcntl:error=EACCES:when=2"];
    let output = under_strace(&place, &refuse, &["-p", "pid", "sleep", "1000"]);
    let says = format!("rawdaemon: already running as pid {}\n", daemon.pid);
    assert_eq!((output.code(), output.stderr), (12, says));
}

#[test]
fn output_that_cannot_be_emptied_leaves_no_pidfile() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    fs::write(place.path("out"), "the output of before\n").unwrap();
    let out = place.path("out");
    let out = out.to_str().unwrap();
    let options = ["-P", out, "--inject=ftruncate:error=EIO"];
    let arguments = ["-v", "-p", "pid", "-o", out, "sleep", "1000"];
    let output = fails_under_strace(&place, &options, &arguments);
    let lines: Vec<&str> = output.stderr.lines().collect();
    let message =
        format!("rawdaemon: cannot empty {out} for standard output: Input/output error (EIO)");
    let [.., before, last] = lines.as_slice() else {
        panic!("{output:?}")
    };
    assert_eq!(
        (*before, *last),
        ("rawdaemon: wrote the pidfile pid", message.as_str())
    );
    assert_eq!(output.code(), 8);
    assert!(!place.path("pid").exists());
}

/// An early step can fail with the same error, which leaves the pidfile as it is.
#[test]
fn a_failure_right_before_the_exec_leaves_no_pidfile() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    // The first call moves the descriptor, the second one locks the pidfile, and the third one makes the exec keep it
    // open.
    let fault = ["--inject=fcntl:error=EBADF:when=3"];
    let output = fails_under_strace(&place, &fault, &["-p", "pid", "sleep", "1000"]);
    let trace = place.read("trace");
    let (before, _) = trace.split_once(", F_SETFD, 0)").unwrap();
    let (_, descriptor) = before.rsplit_once('(').unwrap();
    let why = "Bad file descriptor (EBADF)";
    let says = format!("rawdaemon: cannot keep descriptor {descriptor}: {why}\n");
    assert_eq!((output.code(), output.stderr.clone()), (10, says));
    assert!(trace.contains("F_SETLK"), "{output:?}");
    assert!(!place.path("pid").exists(), "{output:?}");
}

#[test]
fn a_start_that_cleans_up_is_not_the_daemon() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let delay = ["--inject=unlinkat:delay_enter=800ms"];
    let mut bad = strace_rawdaemon(&place, &delay, &["-q", "-p", "pid", "/no/such/command"])
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

#[test]
fn a_pidfile_that_is_removed_before_it_is_locked_is_created_again() {
    if !has("strace") {
        return;
    }
    // Another process may have created it again: the lock on the removed file is worth nothing.
    for is_replaced in [false, true] {
        let place = Place::new();
        let path = place.path("pid");
        let name = path.to_str().unwrap();
        // The second call creates the file. The start is delayed before it locks that.
        let delay = ["-P", name, "--inject=openat:delay_exit=3s:when=2"];
        let mut command = strace_rawdaemon(&place, &delay, &["-v", "-p", name, "sleep", "1000"]);
        let stderr = fs::File::create(place.path("said")).unwrap();
        let mut launcher = command.stderr(stderr).spawn().unwrap();
        eventually("the pidfile is there", || path.exists());
        fs::remove_file(&path).unwrap();
        if is_replaced {
            fs::write(&path, "").unwrap();
        }
        assert_eq!(launcher.wait().unwrap().code(), Some(0));
        let said = place.read("said");
        let daemon = said.trim_end().rsplit_once("as pid ").unwrap().1;
        let daemon = Daemon::new(rustix::process::Pid::from_raw(daemon.parse().unwrap()).unwrap());
        assert_eq!(place.read("pid"), format!("{}\n", daemon.pid));
        let says = format!("rawdaemon: already running as pid {}", daemon.pid);
        let output = place.run(&mut place.rawdaemon(["-p", "pid", "sleep", "1000"]));
        assert_eq!((output.code(), output.stderr.trim_end()), (12, &*says));
    }
}
