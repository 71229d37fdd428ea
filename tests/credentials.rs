//! Who the daemon runs as, where, and with which limits.

#![allow(missing_docs, unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::ffi::CString;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Pid;
use support::{
    Daemon, Output, Place, before_exec, copy, environment, eventually, is_root, mount, own_mounts,
    pid_in, status_line,
};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
    +nis-user::::::\n\
    web:x:5033:5034:,,,:/srv/web:/bin/false\n\
    bare:x:5040:5041:::";
const GROUP: &str = "root:x:0:\n\
    web:x:5034:\n\
    logs:x:5100:web,bare\n\
    +nis-group:::\n\
    tape:x:5101:other,web\n\
    other:x:5102:webmaster,other";

/// The command in a system that has just the users and groups above, and is called by somebody with
/// groups of his own.
fn with_accounts(place: &Place, arguments: &[&str]) -> Command {
    fs::write(place.path("passwd"), PASSWD).unwrap();
    fs::write(place.path("group"), GROUP).unwrap();
    let mut command = place.rawdaemon(["-v", "-p", "pid"]);
    command.args(arguments);
    let c_string = |path: PathBuf| CString::new(path.as_os_str().as_bytes()).unwrap();
    let files = [
        (c_string(place.path("passwd")), c"/etc/passwd"),
        (c_string(place.path("group")), c"/etc/group"),
    ];
    before_exec(&mut command, move || {
        own_mounts();
        for (from, to) in &files {
            mount(from.as_ptr(), to.as_ptr(), libc::MS_BIND);
        }
        let groups = [4, 20, 5102];
        // SAFETY: that many groups are read.
        assert_eq!(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) }, 0);
        Ok(())
    });
    command
}

/// The ids of a process: real, effective and saved, and the one for file access.
fn ids(pid: Pid, name: &str) -> Vec<u32> {
    let words = status_line(pid, name);
    words.iter().map(|word| word.parse().unwrap()).collect()
}

#[test]
fn the_group_is_told_before_the_user() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let output = place.run(&mut place.rawdaemon(["-v", "-u", "1", "-g", "2", "sleep", "1000"]));
    let daemon = Daemon::new(output.pid());
    let says = format!(
        "rawdaemon: became group 2\n\
         rawdaemon: became user 1\n\
         rawdaemon: executed sleep\n\
         rawdaemon: the daemon runs as pid {}\n",
        daemon.pid
    );
    assert!(output.stderr.ends_with(&says), "{output:?}");
}

#[test]
fn a_daemon_runs_as_its_user_and_groups_and_no_others() {
    if !is_root() {
        return;
    }
    let cases: [(&[&str], u32, u32, &[u32]); 11] = [
        (&["-u", "web"], 5033, 5034, &[5034, 5100, 5101]),
        (&["-u", "5033"], 5033, 5034, &[5034, 5100, 5101]),
        (&["-u", "web:tape"], 5033, 5101, &[5100, 5101]),
        (&["-u", "web:7000"], 5033, 7000, &[5100, 5101, 7000]),
        (
            &["-u", "web", "-g", "other"],
            5033,
            5102,
            &[5100, 5101, 5102],
        ),
        (&["-u", "web:tape", "-g", "root"], 5033, 0, &[0, 5100, 5101]),
        (&["--user=bare"], 5040, 5041, &[5041, 5100]),
        (&["-u", "8000:8001"], 8000, 8001, &[8001]),
        (&["-u", "root"], 0, 0, &[0]),
        (&["-g", "tape"], 0, 5101, &[]),
        (&["--group", "7000"], 0, 7000, &[]),
    ];
    for (options, user, group, groups) in cases {
        let place = Place::new();
        let mut command = with_accounts(&place, options);
        let daemon = place.start_by(command.args(["sleep", "1000"]));
        assert_eq!(ids(daemon.pid, "Uid"), [user; 4], "{options:?}");
        assert_eq!(ids(daemon.pid, "Gid"), [group; 4], "{options:?}");
        assert_eq!(ids(daemon.pid, "Groups"), groups, "{options:?}");
        // Its files were made before, by who started it.
        assert_eq!(fs::metadata(place.path("pid")).unwrap().uid(), 0);
        assert_eq!(pid_in(&place.path("pid")), daemon.pid);
    }
}

#[test]
fn the_environment_says_who_it_is() {
    if !is_root() {
        return;
    }
    let of_web = [
        "HOME=/srv/web",
        "LOGNAME=web",
        "PATH=/bin:/usr/bin",
        "SHELL=/bin/false",
        "USER=web",
    ];
    let of_bare = [
        "HOME=/",
        "LOGNAME=bare",
        "PATH=/bin:/usr/bin",
        "SHELL=/bin/sh",
        "USER=bare",
    ];
    let of_nobody = [
        "HOME=/",
        "LOGNAME=99",
        "PATH=/bin:/usr/bin",
        "SHELL=/bin/sh",
        "USER=99",
    ];
    let changed = [
        "HOME=/elsewhere",
        "LOGNAME=web",
        "PATH=/bin:/usr/bin",
        "SHELL=/bin/false",
        "USER=web",
    ];
    let cases: [(&[&str], [&str; 5]); 5] = [
        (&["-u", "web"], of_web),
        (&["-u", "5033:root"], of_web),
        (&["-u", "bare"], of_bare),
        (&["-u", "99:99"], of_nobody),
        (&["-E", "HOME=/elsewhere", "-u", "web"], changed),
    ];
    for (options, expected) in cases {
        for clear in [false, true] {
            let place = Place::new();
            let mut command = with_accounts(&place, options);
            if clear {
                command.arg("--clear-env");
            }
            let mark = format!(
                "RAWDAEMON_TEST={}",
                place.path("").file_name().unwrap().to_string_lossy()
            );
            command.args(["-E", &mark, "sleep", "1000"]);
            command
                .env("PATH", "/bin:/usr/bin")
                .env("HOME", "/root")
                .env("SHELL", "/bin/zsh");
            command
                .env("USER", "root")
                .env("LOGNAME", "root")
                .env("OTHER", "1");
            let daemon = place.start_by(&mut command);
            let kept = |line: &String| {
                !["LANG", "RUST", "CARGO"]
                    .iter()
                    .any(|name| line.starts_with(name))
            };
            let mut found: Vec<_> = environment(daemon.pid).into_iter().filter(kept).collect();
            if clear {
                assert_eq!(environment(daemon.pid), expected, "{options:?}");
            } else {
                let other = found.iter().position(|line| line == "OTHER=1").unwrap();
                found.remove(other);
                assert!(
                    expected
                        .iter()
                        .all(|line| found.iter().any(|other| other == line)),
                    "{found:?}"
                );
                let names = found
                    .iter()
                    .filter(|line| line.starts_with("HOME=") || line.starts_with("USER="));
                assert_eq!(names.count(), 2, "{found:?}");
            }
        }
    }
}

#[test]
fn an_account_that_is_not_there_is_named() {
    if !is_root() {
        return;
    }
    let cases: [(&[&str], i32, &str); 8] = [
        (
            &["-u", "nobdy"],
            16,
            "cannot set the user nobdy: not in /etc/passwd",
        ),
        (
            &["-u", "+nis-user"],
            16,
            "cannot set the user +nis-user: not in /etc/passwd",
        ),
        (
            &["-u", ":web"],
            16,
            "cannot set the user :web: not in /etc/passwd",
        ),
        (
            &["-u", "8000"],
            16,
            "cannot set the user 8000: not in /etc/passwd",
        ),
        (
            &["-u", "4294967295:1"],
            16,
            "cannot set the user 4294967295:1: not in /etc/passwd",
        ),
        (
            &["-u", "web:nogrp"],
            15,
            "cannot set the group web:nogrp: not in /etc/group",
        ),
        (
            &["-u", "web:"],
            15,
            "cannot set the group web:: not in /etc/group",
        ),
        (
            &["-g", "4294967296"],
            15,
            "cannot set the group 4294967296: not in /etc/group",
        ),
    ];
    for (options, code, says) in cases {
        let place = Place::new();
        let mut command = with_accounts(&place, options);
        let output = place.run(command.args(["sleep", "1000"]));
        assert_eq!(output.code(), code, "{options:?}: {output:?}");
        assert_eq!(output.stderr, format!("rawdaemon: {says}\n"));
        place.assert_no_process();
        assert!(!place.path("pid").exists(), "{options:?}");
    }
}

/// The command, run by an ordinary user.
fn as_nobody(place: &Place, arguments: &[&str]) -> Command {
    let copy = place.executable(Path::new(env!("CARGO_BIN_EXE_rawdaemon")), "rawdaemon");
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = place.program(&copy, arguments);
    if rustix::process::geteuid().is_root() {
        before_exec(&mut command, || {
            // SAFETY: numbers and an empty list.
            let result = unsafe {
                libc::setgroups(0, std::ptr::null())
                    | libc::setresgid(54_321, 54_321, 54_321)
                    | libc::setresuid(54_321, 54_321, 54_321)
            };
            assert_eq!(result, 0);
            Ok(())
        });
    }
    command
}

#[test]
fn what_takes_a_privilege_is_refused_without_it() {
    let cases: [(&[&str], i32, &str); 7] = [
        (
            &["-u", "root"],
            14,
            "cannot set the groups: Operation not permitted (EPERM)",
        ),
        (
            &["-g", "0"],
            14,
            "cannot set the groups: Operation not permitted (EPERM)",
        ),
        (
            &["-r", "/"],
            13,
            "cannot chroot /: Operation not permitted (EPERM)",
        ),
        (
            &["-n", "-5"],
            17,
            "cannot set a limit (niceness): Permission denied (EACCES)",
        ),
        (
            &["--rlimit", "nofile=unlimited"],
            17,
            "cannot set a limit (nofile): Operation not permitted (EPERM)",
        ),
        (
            &["--oom-score-adj=-1000"],
            17,
            "cannot set a limit (oom_score_adj): Permission denied (EACCES)",
        ),
        (
            &["--keep-fd", "77"],
            10,
            "cannot keep descriptor 77: Bad file descriptor (EBADF)",
        ),
    ];
    for (options, code, says) in cases {
        let place = Place::new();
        let mut command = as_nobody(&place, &["-p", "pid"]);
        command.args(options).args(["sleep", "1000"]);
        place.fails(&mut command, code, &format!("rawdaemon: {says}"));
        assert!(!place.path("pid").exists(), "{options:?}");
    }
}

#[test]
fn limits_are_what_was_asked_for() {
    let place = Place::new();
    let options = [
        "--rlimit=nofile=100:200",
        "--rlimit=core=0",
        "--rlimit=as=1000000000:2000000000",
        "--rlimit=data=1000000001",
        "--rlimit=stack=1000001:unlimited",
        "--rlimit=memlock=1002:1003",
        "--rlimit=fsize=5",
        "--rlimit=fsize=1000004:1000005",
        "--rlimit=cpu=1006:1007",
        "-n",
        "7",
        "--oom-score-adj",
        "1000",
        "--no-new-privs",
        "-p",
        "pid",
        "sleep",
        "1000",
    ];
    let mut command = as_nobody(&place, &["-v"]);
    // The hard limit of the stack may be lower already where the tests run.
    let stack = rustix::process::getrlimit(rustix::process::Resource::Stack);
    let options = options
        .iter()
        .filter(|option| !option.contains("stack") || stack.maximum.is_none());
    let daemon = place.start_by(command.args(options));
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid)).unwrap();
    let mut expected = vec![
        ("Max open files", "100", "200"),
        ("Max core file size", "0", "0"),
        ("Max address space", "1000000000", "2000000000"),
        ("Max data size", "1000000001", "1000000001"),
        ("Max locked memory", "1002", "1003"),
        ("Max file size", "1000004", "1000005"),
        ("Max cpu time", "1006", "1007"),
    ];
    if stack.maximum.is_none() {
        expected.push(("Max stack size", "1000001", "unlimited"));
    }
    for (name, soft, hard) in expected {
        let line = limits
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        let mut words = line.split_whitespace();
        assert_eq!(
            (words.next(), words.next()),
            (Some(soft), Some(hard)),
            "{name}"
        );
    }
    let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid)).unwrap();
    let niceness = stat.rsplit_once(") ").unwrap().1.split(' ').nth(16);
    assert_eq!(niceness, Some("7"));
    let adjustment = fs::read_to_string(format!("/proc/{}/oom_score_adj", daemon.pid)).unwrap();
    assert_eq!(adjustment, "1000\n");
    assert_eq!(status_line(daemon.pid, "NoNewPrivs"), ["1"]);
}

#[test]
fn limits_that_stop_the_daemon_itself_do_not_stop_its_start() {
    // No file may be written and none opened any more; the pidfile is complete all the same.
    let place = Place::new();
    let daemon = place.start([
        "--rlimit=fsize=0",
        "--rlimit=nofile=3",
        "-p",
        "pid",
        "-o",
        "out",
        "sh",
        "-c",
        "read x; kill -STOP $$",
    ]);
    assert_eq!(pid_in(&place.path("pid")), daemon.pid);
    // The dynamic linker found no descriptor: that is the daemon's own end, and not the start's.
    daemon.ended();
}

#[test]
fn a_user_with_too_many_processes_gets_no_command() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let user = ["-u", "54322:54322", "--rlimit", "nproc=1", "sleep", "1000"];
    // The kernel counts those that are there before this one becomes the user's.
    let daemons = [place.start(user), place.start(user)];
    let says = "rawdaemon: cannot execute sleep: Resource temporarily unavailable (EAGAIN)";
    fails_beside(&place, &user, 126, says);
    daemons.iter().for_each(Daemon::assert_alive);
}

/// A start that fails beside a daemon that runs.
fn fails_beside(place: &Place, arguments: &[&str], code: i32, says: &str) -> Output {
    let before = place.processes();
    let output = place.run(&mut place.rawdaemon(arguments));
    assert_eq!((output.code(), output.stderr.trim_end()), (code, says));
    assert_eq!(place.processes(), before);
    output
}

/// Puts a program and the libraries that it needs into a root directory of its own.
fn furnish(root: &Path, program: &str) {
    let libraries = Command::new("ldd").arg(program).output().unwrap();
    let libraries = String::from_utf8(libraries.stdout).unwrap();
    let paths = libraries
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    for path in paths.chain([program]) {
        let inside = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(inside.parent().unwrap()).unwrap();
        copy(Path::new(path), &inside);
    }
}

#[test]
fn a_daemon_has_the_root_that_was_asked_for() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let root = place.path("root");
    furnish(&root, "/bin/sleep");
    fs::create_dir_all(root.join("data/deep")).unwrap();
    fs::write(place.path("in"), "").unwrap();
    // The files count from here, and from outside; the command and its directory from inside.
    for (directory, expected, command) in [
        (None, "/", "sleep"),
        (Some("/data"), "/data", "/bin/sleep"),
        (Some("data/deep"), "/data/deep", "../../bin/sleep"),
    ] {
        let files = [
            "-r",
            "root",
            "-p",
            "pid",
            "-l",
            "lock",
            "-i",
            "in",
            "-o",
            "out",
            "-E",
            "PATH=/bin",
        ];
        let mut start = place.rawdaemon(["-v", "--oom-score-adj=500"]);
        start.args(files);
        if let Some(directory) = directory {
            start.args(["-c", directory]);
        }
        let daemon = place.start_by(start.args([command, "1000"]));
        let link = |name: &str| fs::read_link(format!("/proc/{}/{name}", daemon.pid)).unwrap();
        assert_eq!(link("root"), root);
        assert_eq!(link("cwd"), root.join(expected.trim_start_matches('/')));
        assert_eq!(link("exe"), root.join("bin/sleep"));
        let descriptors = daemon.state().descriptors;
        let names: Vec<_> = descriptors.values().cloned().collect();
        let expected = ["in", "out"].map(|name| place.path(name));
        assert_eq!(names[..2], expected);
        assert_eq!(names[3..], ["lock", "pid"].map(|name| place.path(name)));
        assert_eq!(pid_in(&place.path("pid")), daemon.pid);
        fails_beside(
            &place,
            &files_and(&files, command),
            12,
            &format!("rawdaemon: already running as pid {}", daemon.pid),
        );
    }
    for (options, code, says) in [
        (
            &["-r", "nowhere", "sleep"][..],
            13,
            "cannot chroot nowhere: No such file or directory (ENOENT)",
        ),
        (
            &["-r", "in", "sleep"],
            13,
            "cannot chroot in: Not a directory (ENOTDIR)",
        ),
        (
            &["-r", "root", "-c", "/srv", "sleep"],
            3,
            "cannot enter the working directory /srv: No such file or directory (ENOENT)",
        ),
        // Outside there is one.
        (
            &["-r", "root", "/bin/sh"],
            127,
            "cannot find the command /bin/sh: No such file or directory (ENOENT)",
        ),
    ] {
        let mut command = place.rawdaemon(["-p", "pid2"]);
        place.fails(command.args(options), code, &format!("rawdaemon: {says}"));
        assert!(!place.path("pid2").exists());
    }
}

fn files_and<'a>(files: &[&'a str], command: &'a str) -> Vec<&'a str> {
    files.iter().copied().chain([command, "1000"]).collect()
}

#[test]
fn descriptors_are_kept_on_request() {
    let place = Place::new();
    fs::write(place.path("kept"), "").unwrap();
    let file = fs::File::open(place.path("kept")).unwrap();
    let from = file.as_raw_fd();
    let mut command = place.rawdaemon([
        "-v",
        "--keep-fd=400",
        "--keep-fd",
        "250",
        "-p",
        "pid",
        "sleep",
        "1000",
    ]);
    before_exec(&mut command, move || {
        for fd in [249, 250, 251, 400, 401] {
            // SAFETY: numbers only.
            unsafe { libc::dup2(from, fd) };
        }
        Ok(())
    });
    let daemon = place.start_by(&mut command);
    let state = daemon.state();
    let kept: Vec<_> = state
        .descriptors
        .iter()
        .filter(|(_, path)| **path == place.path("kept"))
        .map(|(fd, _)| *fd)
        .collect();
    assert_eq!(kept, [250, 400]);
    assert_eq!(state.descriptors.len(), 6, "{state:?}");
}

#[test]
fn a_command_may_get_a_name_and_no_environment() {
    let place = Place::new();
    let mark = format!(
        "RAWDAEMON_TEST={}",
        place.path("").file_name().unwrap().to_string_lossy()
    );
    let mut command = place.rawdaemon([
        "-v",
        "--clear-env",
        "-E",
        &mark,
        "-E",
        "A=1",
        "--argv0",
        "-web",
        "sleep",
        "1000",
    ]);
    let path = std::env::var("PATH").unwrap();
    let daemon = place.start_by(&mut command);
    assert_eq!(
        environment(daemon.pid),
        ["A=1".to_owned(), format!("PATH={path}")]
    );
    let line = fs::read(format!("/proc/{}/cmdline", daemon.pid)).unwrap();
    assert_eq!(line, b"-web\x001000\0");
    // Without PATH there is none to inherit.
    let mut command = place.rawdaemon(["-v", "--clear-env", "-E", &mark, "/bin/sleep", "1000"]);
    let daemon = place.start_by(command.env_remove("PATH"));
    assert_eq!(environment(daemon.pid), [""; 0]);
}

#[test]
fn output_files_belong_to_who_starts_the_daemon() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.path("private")).unwrap();
    fs::set_permissions(place.path("private"), fs::Permissions::from_mode(0o700)).unwrap();
    chown(place.path("private"), Some(0), Some(0)).unwrap();
    // The daemon itself could not open it any more.
    let daemon = place.start([
        "-u",
        "54323:54323",
        "-o",
        "private/log",
        "sh",
        "-c",
        "echo said; exec sleep 1000",
    ]);
    eventually("it has written", || place.read("private/log") == "said\n");
    assert_eq!(ids(daemon.pid, "Uid"), [54323; 4]);
}
