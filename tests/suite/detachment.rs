//! What a daemon does not inherit: its caller's terminal, session, state, and descriptors, except those
//! to keep.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::support::{
    DEADLINE, Daemon, Place, before_exec, eventually, has, has_terminals, lead_session_on, pid_in,
    strace, strace_rawdaemon, terminal, tested_command,
};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, setrlimit};

const SLEEP: [&str; 2] = ["sleep", "1000"];

#[test]
fn the_daemon_is_detached() {
    let place = Place::new();
    let daemon = place.start(SLEEP);
    daemon.state().assert_well_behaved(daemon.pid);
    assert_eq!(
        fs::read_to_string(format!("/proc/{}/comm", daemon.pid)).unwrap(),
        "sleep\n"
    );
}

#[test]
fn the_caller_s_state_is_reset() {
    let place = Place::new();
    let mut command = place.rawdaemon(["-v", "sleep", "1000"]);
    before_exec(&mut command, || {
        for fd in [9, 10, 251] {
            // SAFETY: numbers only.
            unsafe { libc::dup2(0, fd) };
        }
        // SAFETY: the set is initialized by sigfillset; nothing else is touched.
        unsafe {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::sigprocmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
            for signal in [
                libc::SIGHUP,
                libc::SIGUSR1,
                libc::SIGCHLD,
                libc::SIGPIPE,
                40,
            ] {
                libc::signal(signal, libc::SIG_IGN);
            }
            libc::umask(0o077);
        }
        Ok(())
    });
    let daemon = place.start_by(&mut command);
    daemon.state().assert_well_behaved(daemon.pid);
}

#[test]
fn descriptors_0_to_2_may_be_closed_in_every_combination() {
    for closed in 0..8 {
        let place = Place::new();
        let pidfile = place.path("pid");
        let mut command = place.rawdaemon(["-p", "pid", "sleep", "1000"]);
        before_exec(&mut command, move || {
            for fd in (0..3).filter(|fd| closed & (1 << fd) != 0) {
                // SAFETY: a number only.
                unsafe { libc::close(fd) };
            }
            Ok(())
        });
        assert_eq!(place.run(&mut command).code(), 0);
        let daemon = Daemon::new(pid_in(&pidfile));
        let mut state = daemon.state();
        let lock = state.descriptors.split_off(&3);
        assert_eq!(
            lock.into_values().collect::<Vec<_>>(),
            [pidfile],
            "the lock and nothing else"
        );
        state.assert_well_behaved(daemon.pid);
    }
}

#[test]
fn without_proc_every_number_is_closed() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let faults = [
        "--inject=close_range:error=ENOSYS",
        "--inject=getdents64:error=EIO",
    ];
    let mut command = strace_rawdaemon(&place, &faults, &["-v", "/bin/sleep", "1000"]);
    let daemon = place.start_by(before_exec(&mut command, || {
        for fd in [77, 500] {
            // SAFETY: numbers only.
            unsafe { libc::dup2(0, fd) };
        }
        // The daemon closes every descriptor below the limit, and strace prints each call.
        let maximum = getrlimit(Resource::Nofile).maximum;
        let current = Some(maximum.map_or(1024, |most| most.min(1024)));
        Ok(setrlimit(Resource::Nofile, Rlimit { current, maximum })?)
    }));
    let descriptors: Vec<_> = daemon.state().descriptors.into_keys().collect();
    assert_eq!(descriptors, [0, 1, 2]);
}

#[test]
fn without_close_range_inherited_streams_stay_open() {
    if !has("strace") {
        return;
    }
    let files = ["in", "out", "err"];
    for fault in [
        "close_range:error=ENOSYS",
        "close_range,getdents64:error=ENOSYS",
    ] {
        let place = Place::new();
        let paths = files.map(|name| place.path(name));
        let file = |index: usize| fs::File::create(&paths[index]).unwrap();
        let inherit = [
            "-p", "pid", "-i", "inherit", "-o", "inherit", "-e", "inherit",
        ];
        let arguments = [&inherit[..], &["-c", "/", "sleep", "1000"]].concat();
        let fault = format!("--inject={fault}");
        let mut command = strace_rawdaemon(&place, &[&fault], &arguments);
        command.stdin(file(0)).stdout(file(1)).stderr(file(2));
        assert!(command.status().unwrap().success(), "{fault}");
        let daemon = Daemon::new(pid_in(&place.path("pid")));
        let mut descriptors = daemon.state().descriptors;
        descriptors.retain(|_, path| *path != place.path("pid"));
        assert_eq!(
            descriptors.into_values().collect::<Vec<_>>(),
            paths,
            "{fault}"
        );
    }
}

#[test]
fn a_full_table_of_descriptors_is_closed_by_proc() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    // The report pipe takes the last two numbers below the limit: none is left to open /proc/self/fd.
    let shell = "ulimit -S -n 12
        for n in 3 4 5 6 7 8 9; do eval \"exec $n</dev/null\"; done
        exec \"$@\"";
    let missing = ["--inject=close_range:error=ENOSYS"];
    let mut command = strace(&place, &missing, Path::new("/bin/sh"));
    command.args(["-c", shell, "sh", tested_command(), "-p", "pid"]);
    let output = place.run(before_exec(command.args(SLEEP), || {
        // SAFETY: numbers only.
        unsafe { libc::dup2(0, 77) };
        Ok(())
    }));
    assert_eq!(output.code(), 0, "{output:?}");
    let daemon = Daemon::new(pid_in(&place.path("pid")));
    let mut descriptors = daemon.state().descriptors;
    descriptors.retain(|_, path| *path != place.path("pid"));
    assert_eq!(descriptors.into_keys().collect::<Vec<_>>(), [0, 1, 2]);
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
        "--keep-fd=3",
        "--keep-fd=251",
        "-p",
        "pid",
        "sleep",
        "1000",
    ]);
    before_exec(&mut command, move || {
        for fd in [3, 249, 250, 251, 252, 400, 401] {
            // SAFETY: numbers only.
            unsafe {
                libc::dup2(from, fd);
                // If the numbers are equal, dup2 leaves the flag.
                libc::fcntl(fd, libc::F_SETFD, 0);
            }
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
    assert_eq!(kept, [3, 250, 251, 400]);
    assert_eq!(state.descriptors.len(), 8, "{state:?}");
}

#[test]
fn a_foreground_job_s_terminal_is_left_behind() {
    if !has_terminals() {
        return;
    }
    let place = Place::new();
    let (terminal, name) = terminal();
    // The daemon opens a terminal that belongs to no session. A session leader would acquire it.
    let opens_it = format!(
        "exec 3<>{}; echo opened; exec sleep 1000",
        name.to_str().unwrap()
    );
    let mut command = place.rawdaemon(["-v", "-o", "out", "sh", "-c", &opens_it]);
    lead_session_on(&mut command, name);
    let daemon = place.start_by(&mut command);
    assert_eq!(daemon.state().terminal, 0);
    eventually("the daemon has opened the terminal", || {
        place.read("out") == "opened\n"
    });
    assert_eq!(
        daemon.state().terminal,
        0,
        "it must not become the controlling terminal"
    );
    drop(terminal);
    daemon.signal(Signal::CONT);
    daemon.assert_alive();
}

#[test]
fn a_hangup_of_the_caller_s_terminal_does_not_reach_the_daemon() {
    if !has_terminals() {
        return;
    }
    let place = Place::new();
    let (terminal, name) = terminal();
    let mut command = place.rawdaemon(["-v", "sleep", "1000"]);
    lead_session_on(&mut command, name);
    let daemon = place.start_by(&mut command);
    drop(terminal);
    daemon.assert_alive();
    daemon.state().assert_well_behaved(daemon.pid);
}

#[test]
fn a_launcher_leads_the_session_or_leaves_that_to_another() {
    let place = Place::new();
    for leads_group in [false, true] {
        let mut command = place.rawdaemon(["-p", "pid", "sleep", "1000"]);
        if leads_group {
            command.process_group(0);
        }
        let mut launcher = command.spawn().unwrap();
        let pid = Pid::from_child(&launcher);
        assert_eq!(launcher.wait().unwrap().code(), Some(0));
        let daemon = Daemon::new(pid_in(&place.path("pid")));
        let mut state = daemon.state();
        assert_eq!(state.session == pid.as_raw_pid(), !leads_group, "{state:?}");
        state.descriptors.retain(|fd, _| *fd < 3);
        state.assert_well_behaved(daemon.pid);
    }
}

#[test]
fn the_caller_s_pipe_is_closed() {
    let place = Place::new();
    let line = format!("x=$({} -v sleep 1000 2>&1); echo \"$x\"", tested_command());
    let output = place.run(&mut place.program(Path::new("/bin/sh"), ["-c", &line]));
    assert!(output.took < DEADLINE / 2, "{output:?}");
    Daemon::new(output.pid()).assert_alive();
}

#[test]
fn the_working_directory_may_be_removed() {
    let place = Place::new();
    fs::create_dir(place.path("gone")).unwrap();
    let start = [tested_command(), "-v", "sleep", "1000"];
    let shell = [
        "-c",
        "cd gone && rmdir ../gone && PATH=:$PATH exec \"$@\"",
        "sh",
    ];
    let mut command = place.program(Path::new("/bin/sh"), shell.into_iter().chain(start));
    let daemon = place.start_by(&mut command);
    daemon.state().assert_well_behaved(daemon.pid);
}
