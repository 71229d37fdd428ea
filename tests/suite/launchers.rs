//! Launchers of all kinds, with few resources: the daemon and the answer are the same.

use std::ffi::CString;
use std::path::Path;

use crate::support::{
    Place, State, before_exec, eventually, example, has, has_test_programs, is_root, is_root_for,
    mount, own_mounts, skip_part, status_line, tested_command,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn limit(resource: Resource, value: u64) -> std::io::Result<()> {
    let maximum = getrlimit(resource)
        .maximum
        .map_or(value, |maximum| maximum.max(value));
    Ok(setrlimit(
        resource,
        Rlimit {
            current: Some(value),
            maximum: Some(maximum),
        },
    )?)
}

#[test]
fn a_hundred_thousand_descriptors_are_closed() {
    let place = Place::new();
    let most = getrlimit(Resource::Nofile)
        .maximum
        .unwrap_or(100_000)
        .min(100_000);
    if most < 100_000 {
        skip_part(format!("no more than {most} descriptors may be open"));
    }
    let mut command = place.rawdaemon(["-v", "sleep", "1000"]);
    before_exec(&mut command, move || {
        limit(Resource::Nofile, most)?;
        take_descriptors(most as i32);
        Ok(())
    });
    // The exec closes the lowest, which the start itself needs.
    before_exec(&mut command, move || {
        for fd in 3..16 {
            // SAFETY: a number only.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
        Ok(())
    });
    let daemon = place.start_by(&mut command);
    daemon.state().assert_well_behaved(daemon.pid);
}

/// Opens all descriptors below this one.
fn take_descriptors(end: i32) {
    for fd in 3..end {
        // SAFETY: numbers only. The descriptor on which the test harness waits stays.
        unsafe {
            if libc::fcntl(fd, libc::F_GETFD) == -1 {
                libc::dup2(0, fd);
            }
        }
    }
}

#[test]
fn without_a_free_descriptor_the_step_is_named() {
    let place = Place::new();
    let mut command = place.rawdaemon(["-p", "pid", "sleep", "1000"]);
    before_exec(&mut command, || {
        take_descriptors(64);
        limit(Resource::Nofile, 3)
    });
    let says =
        "rawdaemon: cannot make a channel between the processes: Too many open files (EMFILE)";
    place.fails(&mut command, 20, says);
    assert!(!place.path("pid").exists());
}

#[test]
fn without_a_free_process_the_step_is_named() {
    if !is_root() {
        return;
    }
    let intermediate = "cannot create the intermediate process";
    let daemon = "cannot create the daemon process";
    // The command itself is this user's first process.
    for (time, processes, code, step) in [
        ("0", 1, 1, daemon),
        ("0.1", 1, 21, intermediate),
        ("0.1", 2, 1, daemon),
    ] {
        let place = Place::new();
        let user = 54_324;
        let copy = place.executable(Path::new(tested_command()), "rawdaemon");
        let mut command = place.program(&copy, ["-t", time, "sleep", "1000"]);
        before_exec(&mut command, move || {
            limit(Resource::Nproc, processes)?;
            // SAFETY: numbers only.
            let ids = unsafe {
                (
                    libc::setresgid(user, user, user),
                    libc::setresuid(user, user, user),
                )
            };
            assert_eq!(ids, (0, 0));
            Ok(())
        });
        let why = "Resource temporarily unavailable (EAGAIN)";
        place.fails(&mut command, code, &format!("rawdaemon: {step}: {why}"));
    }
}

#[test]
fn children_are_waited_for_despite_sa_nocldwait() {
    let place = Place::new();
    let mut command = place.rawdaemon(["-t", "10", "sh", "-c", "exit 3"]);
    before_exec(&mut command, || {
        // SAFETY: no handler is installed.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_flags = libc::SA_NOCLDWAIT;
            libc::sigaction(libc::SIGCHLD, &action, std::ptr::null_mut());
        }
        Ok(())
    });
    let output = place.run(&mut command);
    assert_eq!(output.code(), 5, "{output:?}");
    assert!(output.stderr.contains("exited with status 3"), "{output:?}");
    place.assert_no_process();
}

/// A kind of launcher: its name, and how to become one.
type Launcher = (&'static str, fn() -> std::io::Result<()>);

/// Those that need no privilege.
const LAUNCHERS: [Launcher; 6] = [
    ("leader of a process group", || {
        Ok(rustix::process::setpgid(None, None)?)
    }),
    ("leader of a session", || {
        Ok(rustix::process::setsid().map(drop)?)
    }),
    ("SIGCHLD ignored", || {
        // SAFETY: no handler is installed.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        Ok(())
    }),
    ("everything ignored", || {
        for signal in 1..65 {
            // SAFETY: no handler is installed.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
        }
        Ok(())
    }),
    ("everything blocked", || {
        let all = u64::MAX;
        // SAFETY: the kernel reads a set of eight bytes.
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, &all, 0, 8) };
        Ok(())
    }),
    ("own umask and directory", || {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o777));
        Ok(rustix::process::chdir("/usr")?)
    }),
];

/// Those that need root.
const PRIVILEGED: [Launcher; 2] = [
    ("no /proc", || {
        own_mounts();
        hide(c"/proc")
    }),
    ("read-only root", || {
        own_mounts();
        let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
        mount(c"none".as_ptr(), c"/".as_ptr(), flags);
        Ok(())
    }),
];

/// Mounts an empty file system over a folder.
fn hide(path: &std::ffi::CStr) -> std::io::Result<()> {
    let kind = c"tmpfs".as_ptr();
    // SAFETY: the arguments are strings.
    match unsafe { libc::mount(kind, path.as_ptr(), kind, 0, std::ptr::null()) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[test]
fn the_daemon_is_the_same_for_all_launchers() {
    let privileged = if is_root_for("launchers with privileges") {
        &PRIVILEGED[..]
    } else {
        &[]
    };
    for (name, launcher) in LAUNCHERS.iter().chain(privileged) {
        eprintln!("{name}");
        let place = Place::new();
        let mut command = place.rawdaemon(["-v", "sleep", "1000"]);
        before_exec(&mut command, launcher);
        let daemon = place.start_by(&mut command);
        daemon.state().assert_well_behaved(daemon.pid);
        drop(daemon);
        // A death is reported with its status.
        let mut command = place.rawdaemon(["-t", "10", "sh", "-c", "exit 3"]);
        before_exec(&mut command, launcher);
        let output = place.run(&mut command);
        assert_eq!(output.code(), 5, "{output:?}");
        assert!(output.stderr.contains("exited with status 3"), "{output:?}");
        place.assert_no_process();
    }
}

#[test]
fn a_missing_file_system_is_named() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut command = place.rawdaemon(["sleep", "1000"]);
    before_exec(&mut command, || {
        own_mounts();
        hide(c"/dev")
    });
    let why = "No such file or directory (ENOENT)";
    place.fails(
        &mut command,
        4,
        &format!("rawdaemon: cannot open /dev/null: {why}; mount -t devtmpfs dev /dev"),
    );
    let mut command = place.rawdaemon(["--oom-score-adj", "1", "sleep", "1000"]);
    before_exec(&mut command, || {
        own_mounts();
        hide(c"/proc")
    });
    let says = format!("rawdaemon: cannot set a limit (oom_score_adj): {why}");
    place.fails(&mut command, 17, &says);
    let mut command = place.rawdaemon(["-p", "pid", "sleep", "1000"]);
    let folder = CString::new(place.path("").into_os_string().into_encoded_bytes()).unwrap();
    before_exec(&mut command, move || {
        own_mounts();
        // The folder may not be on the root's mount.
        let read_only = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
        mount(folder.as_ptr(), folder.as_ptr(), libc::MS_BIND);
        mount(c"none".as_ptr(), folder.as_ptr(), read_only);
        Ok(rustix::process::chdir(&folder)?)
    });
    let says = "rawdaemon: cannot use the pidfile pid: Read-only file system (EROFS)";
    place.fails(&mut command, 11, says);
}

#[test]
fn without_any_argument_there_is_no_command() {
    let place = Place::new();
    let mut command = place.rawdaemon([""; 0]);
    let program = CString::new(tested_command()).unwrap();
    before_exec(&mut command, move || {
        let nothing = [std::ptr::null()];
        // SAFETY: a string, and two lists that end in a null pointer.
        unsafe { libc::execve(program.as_ptr(), nothing.as_ptr(), nothing.as_ptr()) };
        Err(std::io::Error::last_os_error())
    });
    let says = "rawdaemon: no command given; see rawdaemon --help";
    place.fails(&mut command, 64, says);
}

#[test]
fn the_first_process_of_a_pid_namespace_may_not_exit() {
    if !is_root() || !has("unshare") {
        return;
    }
    let place = Place::new();
    let mut command = place.program(Path::new("unshare"), ["--pid", "--fork", "--kill-child"]);
    command.arg(tested_command());
    // The kernel would kill the daemon when the launcher exits.
    let says = "rawdaemon: process 1 must not exit; use --init or --foreground";
    place.fails(command.args(["-p", "pid", "sleep", "1000"]), 64, says);
    assert!(!place.path("pid").exists());
}

#[test]
fn the_first_process_of_a_pid_namespace_may_start_daemons() {
    if !is_root() || !has("unshare") || !has_test_programs() {
        return;
    }
    // The first process is a shell, or a program that turns itself into a daemon.
    let shell = "\"$0\" -p pid sleep 1000; echo $? >code; while :; do sleep 1; done";
    let starts: [&[&str]; 2] = [
        &["sh", "-c", shell, tested_command()],
        &[&example("std_program").display().to_string(), "as init"],
    ];
    for start in starts {
        let place = Place::new();
        let mut command = place.program(Path::new("unshare"), ["--pid", "--fork", "--kill-child"]);
        let mut unshare = command.args(start).spawn().unwrap();
        let read = |name| std::fs::read_to_string(place.path(name)).unwrap_or_default();
        eventually("the start has returned", || read("code").ends_with('\n'));
        assert_eq!(read("code"), "0\n", "{start:?}");
        // In this namespace, the daemon has another pid.
        let inside = read("pid");
        let daemons = place.processes().into_iter();
        let daemon = daemons.map(|pid| (pid, status_line(pid, "NSpid")));
        let (daemon, _) = daemon
            .into_iter()
            .find(|(_, ids)| ids.get(1) == Some(&inside.trim().to_owned()))
            .unwrap();
        let state = State::of(daemon);
        assert_ne!(state.session, daemon.as_raw_pid());
        assert_eq!(state.terminal, 0);
        assert_eq!(state.directory, Path::new("/"));
        unshare.kill().unwrap();
        unshare.wait().unwrap();
        eventually("the namespace is empty", || place.processes().is_empty());
    }
}
