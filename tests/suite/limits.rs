//! The limits of a daemon, and steps that need a privilege.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::{
    Daemon, Place, before_exec, fails_beside, is_root, may_become_others, pid_in, status_line,
    tested_command, without_core,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The command as an ordinary user, if the test runs as one or can become one.
fn as_ordinary_user(place: &Place, arguments: &[&str]) -> Option<Command> {
    let root = rustix::process::geteuid().is_root();
    if root && !may_become_others() {
        return None;
    }
    let copy = place.executable(Path::new(tested_command()), "rawdaemon");
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = place.program(&copy, arguments);
    if root {
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
    Some(command)
}

#[test]
fn privileged_steps_are_refused_to_an_ordinary_user() {
    // The group stays the same.
    let group = match is_root() {
        true => 54321,
        false => rustix::process::getegid().as_raw(),
    };
    let user = format!("0:{group}");
    let cases: [(&[&str], i32, &str); 8] = [
        (
            &["-u", "root"],
            15,
            "cannot set the group: Operation not permitted (EPERM); this needs CAP_SETGID",
        ),
        (
            &["-u", &user],
            16,
            "cannot set the user 0: Operation not permitted (EPERM); this needs CAP_SETUID",
        ),
        (
            &["-g", "0"],
            15,
            "cannot set the group 0: Operation not permitted (EPERM); this needs CAP_SETGID",
        ),
        (
            &["-r", "/"],
            13,
            "cannot chroot /: Operation not permitted (EPERM); this needs CAP_SYS_CHROOT",
        ),
        (
            &["-n", "-20"],
            17,
            "cannot set a limit (nice): Permission denied (EACCES)",
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
        let Some(mut command) = as_ordinary_user(&place, &["-p", "pid"]) else {
            return;
        };
        command.args(options).args(["sleep", "1000"]);
        place.fails(&mut command, code, &format!("rawdaemon: {says}"));
        assert!(!place.path("pid").exists(), "{options:?}");
    }
}

#[test]
fn limits_are_set_as_requested() {
    let place = Place::new();
    let options = [
        "--rlimit=nofile=100:200",
        "--rlimit=core=0",
        "--rlimit=as=1000000000:2000000000",
        "--rlimit=data=1000000001",
        "--rlimit=stack=1000001:unlimited",
        "--rlimit=memlock=2K:3K",
        "--rlimit=rss=1M:3G",
        "--rlimit=locks=1008:1009",
        "--rlimit=sigpending=10:11",
        "--rlimit=msgqueue=1K",
        "--rlimit=nice=0",
        "--rlimit=rtprio=0",
        "--rlimit=rttime=1012:1013",
        "--rlimit=fsize=5",
        "--rlimit=fsize=1000004:1000005",
        "--rlimit=cpu=1006:1007",
        "-n",
        "19",
        "--oom-score-adj",
        "1000",
        "--no-new-privs",
        "-p",
        "pid",
        "sleep",
        "1000",
    ];
    let Some(mut command) = as_ordinary_user(&place, &["-v"]) else {
        return;
    };
    // The hard limit of the stack may be lower for the tests already.
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
        ("Max locked memory", "2048", "3072"),
        ("Max resident set", "1048576", "3221225472"),
        ("Max file locks", "1008", "1009"),
        ("Max pending signals", "10", "11"),
        ("Max msgqueue size", "1024", "1024"),
        ("Max nice priority", "0", "0"),
        ("Max realtime priority", "0", "0"),
        ("Max realtime timeout", "1012", "1013"),
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
    let nice = stat.rsplit_once(") ").unwrap().1.split(' ').nth(16);
    assert_eq!(nice, Some("19"));
    let adjustment = fs::read_to_string(format!("/proc/{}/oom_score_adj", daemon.pid)).unwrap();
    assert_eq!(adjustment, "1000\n");
    assert_eq!(status_line(daemon.pid, "NoNewPrivs"), ["1"]);
}

#[test]
fn limits_that_the_daemon_cannot_live_with_do_not_stop_its_start() {
    // The daemon may neither write nor open a file, but its pidfile is complete.
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
    // The dynamic linker gets no descriptor, which ends the daemon, but not its start.
    daemon.ended();
}

#[test]
fn a_user_with_too_many_processes_gets_no_command() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let user = ["-u", "54322:54322", "--rlimit", "nproc=1", "sleep", "1000"];
    // setresuid(2) counts the user's other processes only, so the limit is exceeded by the third daemon.
    let daemons = [place.start(user), place.start(user)];
    let says = "rawdaemon: cannot execute sleep: Resource temporarily unavailable (EAGAIN)";
    fails_beside(&place, &user, 126, says);
    daemons.iter().for_each(Daemon::assert_alive);
}

#[test]
fn a_limit_of_the_size_of_files_is_told() {
    let place = Place::new();
    let limited = |arguments: &[&str], limit| {
        let mut command = place.rawdaemon(arguments);
        let limit = Rlimit {
            current: Some(limit),
            ..getrlimit(Resource::Fsize)
        };
        before_exec(&mut command, move || Ok(setrlimit(Resource::Fsize, limit)?));
        without_core(&mut command);
        command
    };
    let start = ["-p", "pid", "sleep", "1000"];
    let in_foreground = ["-f", "-p", "pid", "sleep", "1000"];
    for arguments in [&start[..], &in_foreground] {
        // The kernel would write a part of the pid.
        for limit in [0, 1] {
            // The limit applies to files, not to pipes.
            let output = limited(arguments, limit).output().unwrap();
            let says = "rawdaemon: cannot use the pidfile pid: File too large (EFBIG)\n";
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!((output.status.code(), &*said), (Some(11), says));
            assert!(!place.path("pid").exists());
            place.assert_no_process();
        }
        let output = place.run(&mut limited(arguments, 0));
        assert_eq!((output.code(), output.stderr.as_str()), (11, ""));
        assert!(!place.path("pid").exists());
    }
    // The answer is lost.
    let _daemon = place.start(start);
    let output = place.run(&mut limited(&["--status", "-p", "pid"], 0));
    assert_eq!((output.code(), output.stdout.as_str()), (4, ""));
}
