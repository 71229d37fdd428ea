//! The daemon's user and groups, and the variables that name them.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::Command;

use crate::support::{
    Daemon, Place, before_exec, environment, eventually, fails_under_strace, filter, has_filters,
    has_for, is_root, mount, own_mounts, pid_in, status_line,
};
use rustix::process::Pid;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
    +nis-user::::::\n\
    web:x:5033:5034:,,,:/srv/web:/bin/false\n\
    tty:x:5050:5050::/srv/tty:/usr/bin/mksh\n\
    bare:x:5040:5041:::";
const GROUP: &str = "root:x:0:\n\
    web:x:5034:\n\
    logs:x:5100:web,bare\n\
    +nis-group:::\n\
    tape:x:5101:other,web\n\
    other:x:5102:webmaster,other";

/// The command in a system that has only the users and groups above. Its caller has supplementary
/// groups.
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
fn the_group_is_reported_before_the_user() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    for (options, group, user) in [
        (&["-u", "1", "-g", "2"][..], "group 2", "user 1"),
        (&["-u", "1:2"], "group", "user 1:2"),
    ] {
        let mut command = place.rawdaemon(["-v"]);
        command.args(options).args(["sleep", "1000"]);
        let output = place.run(&mut command);
        let daemon = Daemon::new(output.pid());
        let says = format!(
            "rawdaemon: set the supplementary groups\n\
             rawdaemon: became the {group}\n\
             rawdaemon: became the {user}\n\
             rawdaemon: executed the command sleep\n\
             rawdaemon: the daemon runs as pid {}\n",
            daemon.pid
        );
        assert!(output.stderr.ends_with(&says), "{output:?}");
    }
}

#[test]
fn a_daemon_runs_as_its_user_and_groups_and_no_others() {
    if !is_root() {
        return;
    }
    let cases: [(&[&str], u32, u32, &[u32]); 12] = [
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
        // 16 bits do not suffice.
        (
            &["-u", "100000:4000000000"],
            100_000,
            4_000_000_000,
            &[4_000_000_000],
        ),
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
        // The launcher's user has created its files.
        assert_eq!(fs::metadata(place.path("pid")).unwrap().uid(), 0);
        assert_eq!(pid_in(&place.path("pid")), daemon.pid);
    }
}

#[test]
fn the_environment_names_the_user() {
    if !is_root() {
        return;
    }
    let of_web = [
        "HOME=/srv/web",
        "LOGNAME=web",
        "PATH=/bin:/usr/bin",
        "SHELL=/bin/sh",
        "USER=web",
    ];
    let of_tty = [
        "HOME=/srv/tty",
        "LOGNAME=tty",
        "PATH=/bin:/usr/bin",
        "SHELL=/usr/bin/mksh",
        "USER=tty",
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
        "SHELL=/bin/sh",
        "USER=web",
    ];
    let cases: [(&[&str], [&str; 5]); 6] = [
        (&["-u", "web"], of_web),
        (&["-u", "tty"], of_tty),
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
fn a_missing_account_is_named() {
    if !is_root() {
        return;
    }
    let cases: [(&[&str], i32, &str); 12] = [
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
            "cannot set the user 8000: not in /etc/passwd; a number without an entry needs a group",
        ),
        (
            &["-u", "4294967295"],
            16,
            "cannot set the user 4294967295: not in /etc/passwd",
        ),
        (
            &["-u", "4294967295:1"],
            16,
            "cannot set the user 4294967295: not in /etc/passwd",
        ),
        (
            &["-u", "nobdy:web"],
            16,
            "cannot set the user nobdy: not in /etc/passwd",
        ),
        (
            &["-u", "web@tape"],
            16,
            "cannot set the user web@tape: not in /etc/passwd",
        ),
        (
            &["-u", "web:nogrp"],
            15,
            "cannot set the group nogrp: not in /etc/group",
        ),
        (
            &["-u", "web:tape", "-g", "nogrp"],
            15,
            "cannot set the group nogrp: not in /etc/group",
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

#[test]
fn the_file_that_cannot_be_read_is_named() {
    let place = Place::new();
    let user = "cannot set the user root: cannot read /etc/passwd";
    let groups = "cannot set the group root: cannot read /etc/group";
    // The users' file is read into a buffer of 4 MiB.
    let memory = rustix::process::Resource::As;
    let limit = rustix::process::Rlimit {
        current: Some(4 << 20),
        ..rustix::process::getrlimit(memory)
    };
    for (option, code, says) in [("-u", 16, user), ("-g", 15, groups)] {
        let mut command = place.rawdaemon([option, "root", "sleep", "1000"]);
        before_exec(&mut command, move || {
            Ok(rustix::process::setrlimit(memory, limit)?)
        });
        let says = format!("rawdaemon: {says}: Cannot allocate memory (ENOMEM)");
        place.fails(&mut command, code, &says);
    }
    if !has_for("strace", "files that cannot be opened or read") {
        return;
    }
    let groups = "cannot set the group: cannot read /etc/group";
    for (file, code, says) in [("/etc/passwd", 16, user), ("/etc/group", 15, groups)] {
        for (call, why) in [
            ("openat:error=EACCES", "Permission denied (EACCES)"),
            ("read:error=EIO", "Input/output error (EIO)"),
        ] {
            let fault = ["-P", file, &format!("--inject={call}")];
            let output = fails_under_strace(&place, &fault, &["-u", "root", "sleep", "1000"]);
            let says = format!("rawdaemon: {says}: {why}\n");
            assert_eq!((output.code(), output.stderr), (code, says), "{call}");
        }
    }
}

#[test]
fn output_files_belong_to_the_launcher_s_user() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.path("private")).unwrap();
    fs::set_permissions(place.path("private"), fs::Permissions::from_mode(0o700)).unwrap();
    chown(place.path("private"), Some(0), Some(0)).unwrap();
    // The daemon's user cannot open it.
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

/// A caller that is what the daemon is to be needs no right for it, and no call.
#[test]
fn what_is_so_already_needs_no_right() {
    if !is_root() || !has_filters() {
        return;
    }
    for groups in [&[0][..], &[]] {
        for call in [
            libc::SYS_setgroups,
            libc::SYS_setresgid,
            libc::SYS_setresuid,
        ] {
            // Without the group among the supplementary ones, the groups are set if that is allowed.
            if groups.is_empty() && call != libc::SYS_setgroups {
                continue;
            }
            let place = Place::new();
            let mut command = place.rawdaemon(["-v", "-u", "0:0", "sleep", "1000"]);
            before_exec(&mut command, move || {
                // SAFETY: that many groups are read.
                assert_eq!(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) }, 0);
                Ok(())
            });
            before_exec(
                &mut command,
                filter(call, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
            );
            let daemon = place.start_by(&mut command);
            assert_eq!(ids(daemon.pid, "Uid"), [0; 4]);
            assert_eq!(ids(daemon.pid, "Groups"), groups);
        }
    }
    // There is a group to drop.
    let place = Place::new();
    let mut command = place.rawdaemon(["-u", "0:0", "sleep", "1000"]);
    before_exec(&mut command, move || {
        // SAFETY: two groups are read.
        assert_eq!(unsafe { libc::setgroups(2, [0, 5].as_ptr()) }, 0);
        Ok(())
    });
    let refused = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    before_exec(&mut command, filter(libc::SYS_setgroups, refused));
    let says =
        "rawdaemon: cannot set the groups: Operation not permitted (EPERM); this needs CAP_SETGID";
    place.fails(&mut command, 14, says);
}

/// The variables of the launcher's session reach a daemon of the same user, but no other.
#[test]
fn a_session_is_not_passed_on_to_another_user() {
    if !is_root() {
        return;
    }
    let session = [
        ("XDG_RUNTIME_DIR", "/run/user/0"),
        ("XDG_SESSION_ID", "1"),
        ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/0/bus"),
        ("MAIL", "/var/mail/root"),
        ("SSH_AUTH_SOCK", "/tmp/ssh/agent"),
        ("STY", "1234.pts-0.host"),
        ("SUDO_USER", "alice"),
        ("TEMP", "/tmp/user/0"),
        ("TEMPDIR", "/tmp/user/0"),
        ("TMP", "/tmp/user/0"),
        ("TMPDIR", "/tmp/user/0"),
        ("TMUX", "/tmp/tmux-0/default,1234,0"),
        ("TMUX_PANE", "%0"),
        ("XAUTHORITY", "/root/.Xauthority"),
    ];
    let others = [
        ("XDG_DATA_DIRS", "/usr/share"),
        ("MAILTO", "root"),
        ("TMPFS", "/srv/tmp"),
        ("LANG", "C"),
    ];
    let passed_on = |options: &[&str]| {
        let place = Place::new();
        let mut command = with_accounts(&place, options);
        command.envs(session).envs(others).args(["sleep", "1000"]);
        let daemon = place.start_by(&mut command);
        environment(daemon.pid)
    };
    let has = |variables: &[String], (name, value): &(&str, &str)| {
        variables.contains(&format!("{name}={value}"))
    };
    for options in [&["-u", "root"][..], &["-g", "web"], &[]] {
        let found = passed_on(options);
        let mut all = session.iter().chain(&others);
        assert!(
            all.all(|variable| has(&found, variable)),
            "{options:?}: {found:?}"
        );
    }
    for options in [&["-u", "web"][..], &["-u", "8000:8000"]] {
        let found = passed_on(options);
        assert!(
            others.iter().all(|variable| has(&found, variable)),
            "{found:?}"
        );
        let mut names = session.iter().map(|(name, _)| format!("{name}="));
        let is_found = |name: &String| found.iter().any(|line| line.starts_with(name));
        assert_eq!(names.find(is_found), None, "{options:?}");
    }
    let asked_for = passed_on(&["-u", "web", "-E", "MAIL=/var/mail/web"]);
    assert!(has(&asked_for, &("MAIL", "/var/mail/web")), "{asked_for:?}");
}

const SETS: [&str; 4] = ["CapInh", "CapPrm", "CapEff", "CapAmb"];

/// However the caller has arranged that capabilities survive a change of the user, they do not.
#[test]
fn no_capability_survives_a_change_of_the_user() {
    if !is_root() {
        return;
    }
    // CAP_KILL, CAP_SETGID and CAP_SETUID.
    let raised = 0b1110_0000_u32;
    for securebits in [0, libc::SECBIT_KEEP_CAPS, libc::SECBIT_NO_SETUID_FIXUP] {
        for (user, options) in [(0, ["-u", "5033:5034"]), (5033, ["-u", "5040:5034"])] {
            let place = Place::new();
            let mut command = place.rawdaemon(["-v"]);
            command.args(options).args(["sleep", "1000"]);
            before_exec(&mut command, move || {
                keep_capabilities(raised, securebits, user);
                Ok(())
            });
            let daemon = place.start_by(&mut command);
            for set in SETS {
                let found = status_line(daemon.pid, set);
                assert_eq!(found, ["0000000000000000"], "{set} {securebits} {user}");
            }
        }
    }
    // The user stays the same: nothing is changed.
    let place = Place::new();
    let mut command = place.rawdaemon(["-v", "-u", "5033:5034", "sleep", "1000"]);
    before_exec(&mut command, move || {
        keep_capabilities(raised, 0, 5033);
        Ok(())
    });
    let daemon = place.start_by(&mut command);
    for set in SETS {
        assert_eq!(status_line(daemon.pid, set), ["00000000000000e0"], "{set}");
    }
}

/// Makes the calling process this user, with these capabilities as its permitted, inheritable and ambient ones.
fn keep_capabilities(raised: u32, securebits: libc::c_int, user: libc::uid_t) {
    let mut header = [0x2008_0522_u32, 0];
    let mut sets = [0_u32; 6];
    // SAFETY: the kernel writes to a header of two words, and six words of sets, and reads them.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_SECUREBITS, securebits), 0);
        if user != 0 {
            assert_eq!(libc::prctl(libc::PR_SET_KEEPCAPS, 1), 0);
            assert_eq!(libc::setgroups(1, [5034].as_ptr()), 0);
            assert_eq!(libc::setresgid(5034, 5034, 5034), 0);
            assert_eq!(libc::syscall(libc::SYS_setresuid, user, user, user), 0);
        }
        assert_eq!(
            libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()),
            0
        );
        sets[2] = raised;
        if user != 0 {
            sets = [raised, raised, raised, 0, 0, 0];
        }
        assert_eq!(
            libc::syscall(libc::SYS_capset, header.as_mut_ptr(), sets.as_ptr()),
            0
        );
        for capability in (0..32).filter(|number| raised >> number & 1 != 0) {
            let raise = libc::PR_CAP_AMBIENT_RAISE;
            assert_eq!(
                libc::prctl(libc::PR_CAP_AMBIENT, raise, capability, 0, 0),
                0
            );
        }
    }
}
