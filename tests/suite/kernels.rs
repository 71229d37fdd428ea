//! The main cases on kernels that lack or refuse system calls, in namespaces, and in sandboxes.

use std::ffi::c_long;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::support::{
    Daemon, Place, before_exec, eventually, example, filter, filter_from, has, has_filters,
    has_test_programs, is_root, own_mounts, pid_in, skip, tested_command, without_core,
    without_proc,
};

/// Makes the command under test, with these arguments, for a kernel or a sandbox.
type Make<'m> = &'m dyn Fn(&Place, &[&str]) -> Command;

/// Runs the main cases. The answers are the same everywhere.
fn check(name: &str, make: Make<'_>) {
    let place = Place::new();
    let expect = |code: i32, arguments: &[&str]| {
        let mut command = make(&place, arguments);
        // Without folders that this user may not search.
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        let output = place.run(without_core(&mut command));
        assert_eq!(output.code(), code, "{name} {arguments:?}: {output:?}");
    };
    let start = ["-p", "pid", "sleep", "1000"];
    expect(3, &["--status", "-p", "pid"]);
    expect(0, &start);
    assert_eq!(place.processes().len(), 1, "{name}");
    expect(12, &start);
    expect(0, &["--status", "-p", "pid"]);
    expect(0, &["--signal", "URG", "--strict", "-p", "pid"]);
    expect(0, &[&["--start-or-ok"], &start[..]].concat());
    expect(0, &[&["--restart"], &start[..]].concat());
    assert_eq!(place.processes().len(), 1, "{name}");
    expect(0, &["--stop", "--strict", "-p", "pid"]);
    expect(3, &["--status", "-p", "pid"]);
    assert!(!place.path("pid").exists(), "{name}");
    // The job of a shell.
    let mut command = make(&place, &start);
    let output = place.run(command.process_group(0));
    assert_eq!(output.code(), 0, "{name}: {output:?}");
    expect(0, &["--stop", "--strict", "-p", "pid"]);
    for (code, arguments) in [
        (127, &["nosuch"][..]),
        (3, &["-c", "/no/such", "sleep", "1000"]),
        (3, &["-t", "1", "-c", "/no/such", "sleep", "1000"]),
        (8, &["-o", "/no/such/file", "sleep", "1000"]),
        (126, &["/etc/passwd"]),
        (5, &["-t", "5", "sh", "-c", "exit 7"]),
        (5, &["-t", "5", "sh", "-c", "kill -KILL $$"]),
        (6, &["-R", "fd:3", "-t", "0.2", "sleep", "1000"]),
        (
            18,
            &["-R", "fd:3", "sh", "-c", "exec 3>&-; exec sleep 1000"],
        ),
        (9, &["-f", "sh", "-c", "exit 9"]),
    ] {
        expect(code, &[&["-p", "pid"], arguments].concat());
        assert!(
            !place.path("pid").exists() || code == 9,
            "{name} {arguments:?}"
        );
    }
    let _ = std::fs::remove_file(place.path("pid"));
    place.assert_no_process();
    let notifier = example("notifier");
    let notifier = notifier.to_str().unwrap();
    for arguments in [
        &["-t", "0.1", "sleep", "1000"][..],
        &["-R", "fd:3", "sh", "-c", "echo >&3; exec sleep 1000"],
        &["-R", "notify", notifier, "say READY=1"],
    ] {
        expect(0, &[&["-p", "pid"], arguments].concat());
        assert_eq!(place.processes().len(), 1, "{name} {arguments:?}");
        expect(0, &["--stop", "--strict", "-p", "pid"]);
        eventually("the daemon has ended", || place.processes().is_empty());
    }
}

/// The errors with which kernels and policies refuse calls.
const ERRORS: [i32; 4] = [libc::ENOSYS, libc::EPERM, libc::EACCES, libc::EOPNOTSUPP];

/// The first call on x86_64 that Linux 3.2 does not have: kcmp(2).
const NEWER: u32 = 312;

#[test]
fn without_every_call_since_linux_3_2() {
    if !has_filters() || !has_test_programs() {
        return;
    }
    if !cfg!(target_arch = "x86_64") {
        skip("the numbers of the calls are those of x86_64");
        return;
    }
    std::thread::scope(|scope| {
        for error in ERRORS {
            scope.spawn(move || {
                let answer = libc::SECCOMP_RET_ERRNO | error as u32;
                check(&format!("since 3.2, {error}"), &|place, arguments| {
                    let mut command = place.rawdaemon(arguments);
                    before_exec(&mut command, filter_from(NEWER, answer));
                    command
                });
            });
        }
    });
}

/// The calls that older kernels lack, and those that policies are known to refuse.
const REFUSED: [c_long; 13] = [
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_close_range,
    libc::SYS_renameat2,
    libc::SYS_execveat,
    libc::SYS_rseq,
    libc::SYS_unshare,
    libc::SYS_get_robust_list,
    libc::SYS_set_robust_list,
    libc::SYS_utimensat,
    libc::SYS_signalfd4,
    libc::SYS_waitid,
    libc::SYS_setpgid,
];

#[test]
fn without_any_single_call() {
    if !has_filters() || !has_test_programs() {
        return;
    }
    std::thread::scope(|scope| {
        for calls in REFUSED.chunks(4) {
            scope.spawn(move || {
                for call in calls {
                    for error in [libc::ENOSYS, libc::EACCES] {
                        let answer = libc::SECCOMP_RET_ERRNO | error as u32;
                        check(&format!("{call}, {error}"), &|place, arguments| {
                            let mut command = place.rawdaemon(arguments);
                            before_exec(&mut command, filter(*call, answer));
                            command
                        });
                    }
                }
            });
        }
    });
}

/// Calls that the default filter of a container runtime refuses to a container without capabilities.
const NOT_IN_CONTAINERS: [c_long; 14] = [
    libc::SYS_clone3,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_ptrace,
    libc::SYS_kcmp,
    libc::SYS_keyctl,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_open,
    libc::SYS_close_range,
    libc::SYS_rseq,
];

#[test]
fn in_a_container() {
    if !has_filters() || !has_test_programs() {
        return;
    }
    check("container", &|place, arguments| {
        let mut command = place.rawdaemon(arguments);
        for call in NOT_IN_CONTAINERS {
            let answer = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
            before_exec(&mut command, filter(call, answer));
        }
        command
    });
}

#[test]
fn where_nothing_is_privileged() {
    if !has_test_programs() {
        return;
    }
    check("no_new_privs", &|place, arguments| {
        let mut command = place.rawdaemon(arguments);
        before_exec(&mut command, || {
            // SAFETY: numbers.
            let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
            assert_eq!(result, 0);
            Ok(())
        });
        command
    });
}

#[test]
fn in_a_user_namespace() {
    let program = tested_command();
    let can = |options: &[&str]| {
        let mut command = Command::new("unshare");
        let output = command.args(options).arg("true").output();
        output.is_ok_and(|output| output.status.success())
    };
    if !has_test_programs() || !has("unshare") {
        return;
    }
    if !can(&["--user", "--map-root-user"]) {
        skip("no user namespace can be made");
        return;
    }
    check("user namespace", &|place, arguments| {
        let mut command = place.program("unshare".as_ref(), ["--user", "--map-root-user"]);
        command.arg(program).args(arguments);
        command
    });
}

#[test]
fn in_bubblewrap() {
    if !has_test_programs() || !has("bwrap") {
        return;
    }
    let program = tested_command();
    let of = |folder: &str, arguments: &[&str]| {
        let mut all = [
            "--ro-bind",
            "/",
            "/",
            "--dev",
            "/dev",
            "--bind",
            folder,
            folder,
        ]
        .to_vec();
        all.extend(arguments);
        all.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let place = Place::new();
    let folder = place.path("");
    let output =
        place.run(&mut place.program("bwrap".as_ref(), of(folder.to_str().unwrap(), &["true"])));
    if output.code() != 0 {
        skip(format!("bwrap fails: {}", output.stderr));
        return;
    }
    check("bubblewrap", &|place, arguments| {
        let folder = place.path("");
        let inside = of(folder.to_str().unwrap(), &[program]);
        let mut command = place.program("bwrap".as_ref(), inside);
        command.args(arguments);
        command
    });
}

#[test]
fn with_another_proc() {
    if !is_root() || !has_test_programs() {
        return;
    }
    check("no /proc", &|place, arguments| {
        let mut command = place.rawdaemon(arguments);
        without_proc(&mut command);
        command
    });
    for options in [c"hidepid=2", c"subset=pid"] {
        check(options.to_str().unwrap(), &|place, arguments| {
            let mut command = place.rawdaemon(arguments);
            before_exec(&mut command, move || {
                own_mounts();
                let (kind, proc) = (c"proc".as_ptr(), c"/proc".as_ptr());
                // SAFETY: strings that outlive the call.
                let result = unsafe { libc::mount(kind, proc, kind, 0, options.as_ptr().cast()) };
                match result {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
            command
        });
    }
}

/// Mounts the controller of the number of processes at `$1`, and makes the group `$2`.
const PREPARE: &str = "mount -t cgroup -o pids none \"$1\" && cd \"$1\" && mkdir -p \"$2\"";

#[test]
fn in_a_group_that_may_have_no_more_processes() {
    if !is_root() || !has("unshare") {
        return;
    }
    let place = Place::new();
    let group = format!("rawdaemon-test-{}", std::process::id());
    std::fs::create_dir(place.path("groups")).unwrap();
    let folder = place.path("groups");
    let inside = |script: &str| {
        let script = format!("{PREPARE} && {script}");
        let mut command = place.program("unshare".as_ref(), ["-m", "sh", "-c", &script, "sh"]);
        command.arg(&folder).arg(&group);
        command
    };
    if place.run(&mut inside("rmdir \"$2\"")).code() != 0 {
        skip("no group for the number of processes can be made");
        return;
    }
    let start = ["-p", "pid", "sleep", "1000"];
    let watched = ["-p", "pid", "-t", "0.1", "sleep", "1000"];
    let again = "Resource temporarily unavailable (EAGAIN)";
    for (most, arguments, code, says) in [
        (1, &start[..], 1, "cannot create the daemon process"),
        (1, &watched, 21, "cannot create the intermediate process"),
        (2, &watched, 1, "cannot create the daemon process"),
        (2, &start, 0, ""),
        (3, &watched, 0, ""),
    ] {
        let script = format!(
            "echo {most} >\"$2/pids.max\" && echo $$ >\"$2/cgroup.procs\" && cd {} && shift 2 && \
             exec \"$@\"",
            place.path("").display()
        );
        let mut command = inside(&script);
        let output = place.run(command.arg(tested_command()).args(arguments));
        assert_eq!(output.code(), code, "{most} {arguments:?}: {output:?}");
        let says = match says {
            "" => String::new(),
            says => format!("rawdaemon: {says}: {again}\n"),
        };
        assert_eq!(output.stderr, says);
        if code == 0 {
            // Until it is reaped, it counts.
            Daemon::new(pid_in(&place.path("pid"))).kill();
            std::fs::remove_file(place.path("pid")).unwrap();
        }
        assert!(!place.path("pid").exists());
        eventually("no process is left", || place.processes().is_empty());
    }
    let output = place.run(&mut inside("rmdir \"$2\""));
    assert_eq!(output.code(), 0, "{output:?}");
}
