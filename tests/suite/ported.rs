//! The library, as programs use it that come from another crate: open files as streams, users by name, an
//! action with privileges, a wait for the lock.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::process::{Pid, Signal};

use crate::support::{
    Daemon, Place, eventually, has_test_programs, is_root, may_become_others, pid_in, run,
    status_line, std_program,
};

#[test]
fn open_files_are_the_streams_of_the_daemon() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    fs::write(place.path("in"), "read this\n").unwrap();
    fs::write(place.path("log"), "old\n").unwrap();
    let daemon = Daemon::new(run(&place, "open files").pid());
    eventually("all is written", || {
        place.read("log") == "old\nread this\nsaid on standard error\n"
    });
    let mut descriptors = daemon.state().descriptors;
    // The daemon has not reported yet.
    assert_eq!(descriptors.split_off(&3).len(), 1);
    let paths: Vec<_> = descriptors.into_values().collect();
    assert_eq!(
        paths,
        [place.path("in"), place.path("log"), place.path("log")]
    );
}

#[test]
fn streams_are_inherited_and_swapped() {
    if !has_test_programs() {
        return;
    }
    for (case, output, error) in [
        ("inherited streams", "standard output", "standard error"),
        ("swapped streams", "standard error", "standard output"),
    ] {
        let place = Place::new();
        let mut command = std_program(&place, case);
        let file = |name: &str| fs::File::create(place.path(name)).unwrap();
        let mut child = command
            .stdin(std::process::Stdio::null())
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn()
            .unwrap();
        assert!(child.wait().unwrap().success());
        let printed = |name: &str, text: &str| place.read(name).contains(&format!("on {text}\n"));
        let pid = place.read("out");
        let pid = pid.split_once("pid ").unwrap().1.lines().next().unwrap();
        let _daemon = Daemon::new(Pid::from_raw(pid.parse().unwrap()).unwrap());
        eventually("both are written", || {
            printed("out", output) && printed("err", error)
        });
    }
}

#[test]
fn a_descriptor_that_is_not_open_is_no_stream() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let output = run(&place, "a closed descriptor");
    let says = "cannot open the file for standard output: Bad file descriptor (EBADF)\n";
    assert_eq!((output.code(), output.stdout.as_str()), (8, says));
    place.assert_no_process();
}

#[test]
fn an_action_has_the_caller_s_privileges() {
    if !has_test_programs() || !is_root() {
        return;
    }
    let place = Place::new();
    // The root directory of the daemon is a folder of the place.
    fs::create_dir(place.path("root")).unwrap();
    fs::write(place.path("secret"), "a key").unwrap();
    let mut command = std_program(&place, "action");
    let output = place.run(command.current_dir(place.path("root")));
    let daemon = Daemon::new(output.pid());
    eventually("the daemon has what the action read", || {
        fs::read_to_string(place.path("root/result")).is_ok_and(|text| text == "a key")
    });
    let by = fs::read_to_string(place.path("root/action")).unwrap();
    assert_eq!(by, daemon.pid.to_string());
    assert_eq!(fs::read(place.path("root/seen")).unwrap(), b"");
    assert_eq!(pid_in(&place.path("root/pid")), daemon.pid);
}

#[test]
fn an_action_that_fails_is_a_failed_start() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let output = run(&place, "action fails");
    let says = "the daemon refused to start: Address already in use (EADDRINUSE)\n";
    assert_eq!((output.code(), output.stdout.as_str()), (18, says));
    assert!(!place.path("pid").exists());
    place.assert_no_process();
}

#[test]
fn a_daemon_keeps_the_lock_when_it_asks_for_its_own_pidfile() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    fs::write(place.path("stale"), "").unwrap();
    let daemon = Daemon::new(run(&place, "own pidfile").pid());
    let own = "cannot use the pidfile: Resource deadlock avoided (EDEADLK)\n";
    eventually("it has asked", || {
        fs::read_to_string(place.path("asked"))
            .is_ok_and(|text| text == format!("{}Dead\n", own.repeat(4)))
    });
    for option in ["-p", "-l"] {
        let file = if option == "-p" { "pid" } else { "lock" };
        let output = place.run(&mut place.rawdaemon([option, file, "sleep", "1000"]));
        let says = format!("rawdaemon: already running as pid {}\n", daemon.pid);
        assert_eq!((output.code(), output.stderr), (12, says), "{option}");
    }
}

#[test]
fn a_start_waits_for_the_lock() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let first = place.start(["-p", "pid", "sleep", "1000"]);
    let output = run(&place, "waits in vain");
    let says = format!("already running as pid {}\n", first.pid);
    assert_eq!((output.code(), output.stdout), (12, says));
    assert!(output.took.as_millis() >= 300, "{:?}", output.took);

    // Its timeout, which is shorter, starts when it has the lock.
    let second = std::thread::scope(|scope| {
        let start = scope.spawn(|| run(&place, "waits for the lock"));
        eventually("the second waits", || place.processes().len() >= 3);
        std::thread::sleep(std::time::Duration::from_millis(300));
        first.signal(Signal::TERM);
        first.ended();
        let output = start.join().unwrap();
        Daemon::new(output.pid())
    });
    assert_eq!(pid_in(&place.path("pid")), second.pid);
}

#[test]
fn a_user_is_found_by_name_and_gets_the_pidfile() {
    if !has_test_programs() || !may_become_others() {
        return;
    }
    let place = Place::new();
    let daemon = Daemon::new(run(&place, "user by name").pid());
    let nobody = fs::read_to_string("/etc/passwd").unwrap();
    let nobody = nobody.lines().find(|line| line.starts_with("nobody:"));
    let user: u32 = nobody.unwrap().split(':').nth(2).unwrap().parse().unwrap();
    let metadata = fs::metadata(place.path("pid")).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (user, 5100));
    assert_eq!(status_line(daemon.pid, "Uid:"), vec![user.to_string(); 4]);
    assert_eq!(status_line(daemon.pid, "Gid:"), ["5100"; 4]);
}

#[test]
fn a_user_that_does_not_exist_is_found_out_first() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let output = run(&place, "no such user");
    let says = "cannot set the user: not in /etc/passwd\n";
    assert_eq!((output.code(), output.stdout.as_str()), (16, says));
    assert!(!place.path("pid").exists());
}

#[test]
fn the_umask_is_inherited_on_request() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let daemon = Daemon::new(run(&place, "inherited umask").pid());
    assert_eq!(status_line(daemon.pid, "Umask:"), ["0123"]);
}

#[test]
fn the_caller_knows_the_session_and_the_group() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let output = run(&place, "session");
    let daemon = Daemon::new(output.pid());
    let session = rustix::process::getsid(Some(daemon.pid)).unwrap();
    let group = rustix::process::getpgid(Some(daemon.pid)).unwrap();
    assert_eq!(
        output.stdout.lines().last(),
        Some(&*format!("{session} {group}"))
    );
}
