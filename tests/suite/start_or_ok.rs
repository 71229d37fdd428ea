//! `--start-or-ok`: it waits for the outcome of another start that holds the lock.

use std::fs;
use std::time::Duration;

use crate::support::control::ask;
use crate::support::{Daemon, Output, Place, eventually};

/// Runs two starts at the same time, and returns both outcomes. The first daemon reports its outcome when `go` exists;
/// the second start uses `--start-or-ok`.
fn beside(end: &str, options: &[&str], meanwhile: impl FnOnce(&Place)) -> (Place, Output, Output) {
    let place = Place::new();
    let folder = place.path("");
    let folder = folder.to_str().unwrap();
    let script = format!("echo >up; until [ -e go ]; do sleep 0.01; done; {end}");
    let arguments = ["-c", folder, "-R", "fd:3", "-p", "pid", "sh", "-c", &script];
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| place.run(&mut place.rawdaemon(arguments)));
        eventually("the first start waits", || place.path("up").exists());
        let second = scope.spawn(|| {
            let arguments = ["--start-or-ok", "-p", "pid", "sleep", "1000"];
            place.run(place.rawdaemon(options).args(arguments))
        });
        meanwhile(&place);
        (first.join().unwrap(), second.join().unwrap())
    });
    (place, first, second)
}

/// Time in which a wrong answer would be given.
const A_WHILE: Duration = Duration::from_millis(300);

#[test]
fn a_start_that_succeeds_is_waited_for() {
    let (place, first, second) = beside("echo >&3; exec sleep 1000", &[], |place| {
        std::thread::sleep(A_WHILE);
        fs::write(place.path("go"), "").unwrap();
    });
    assert_eq!((first.code(), second.code()), (0, 0), "{second:?}");
    assert!(second.took >= A_WHILE / 2, "{second:?}");
    let daemon = Daemon::new(crate::support::pid_in(&place.path("pid")));
    daemon.assert_alive();
    drop(daemon);
    place.assert_no_process();
}

#[test]
fn after_a_start_that_fails_it_starts_itself() {
    let (place, first, second) = beside("exit 3", &["-v"], |place| {
        std::thread::sleep(A_WHILE);
        fs::write(place.path("go"), "").unwrap();
    });
    assert_eq!((first.code(), second.code()), (5, 0), "{second:?}");
    let daemon = Daemon::new(second.pid());
    assert_eq!(crate::support::pid_in(&place.path("pid")), daemon.pid);
    let name = fs::read_to_string(format!("/proc/{}/comm", daemon.pid)).unwrap();
    assert_eq!(name, "sleep\n");
}

#[test]
fn its_own_timeout_counts() {
    let (place, first, second) = beside("echo >&3; exec sleep 1000", &["-t", "0.2"], |place| {
        // The second one ends before.
        std::thread::sleep(A_WHILE * 5);
        fs::write(place.path("go"), "").unwrap();
    });
    assert_eq!((first.code(), second.code()), (0, 6), "{second:?}");
    let says = "rawdaemon: the other start has not ended in time\n";
    assert_eq!(second.stderr, says);
    drop(Daemon::new(crate::support::pid_in(&place.path("pid"))));
}

#[test]
fn a_daemon_in_the_foreground_is_not_waited_for() {
    let place = Place::new();
    // The leader of its session is that of the tests, and lives on.
    let mut child = place.rawdaemon(["-f", "-p", "pid", "sleep", "1000"]);
    let mut child = child.spawn().unwrap();
    eventually("it runs", || ask(&place, &["-qT"]).code() == 0);
    let arguments = ["--start-or-ok", "-p", "pid", "sleep", "1000"];
    let output = place.run(&mut place.rawdaemon(arguments));
    assert_eq!(output.code(), 0, "{output:?}");
    assert!(output.took < Duration::from_secs(5), "{output:?}");
    assert_eq!(ask(&place, &["-qK"]).code(), 0);
    child.wait().unwrap();
}

#[test]
fn the_lock_of_another_program_is_not_waited_for() {
    if !crate::support::has("python3") {
        return;
    }
    let place = Place::new();
    let script = "import fcntl, os, time\nf = open('pid', 'w'); fcntl.lockf(f, fcntl.LOCK_EX)\n\
        f.write(str(os.getpid())); f.flush(); open('up', 'w'); time.sleep(1000)";
    let mut other = place.program(std::path::Path::new("python3"), ["-c", script]);
    let mut other = other.spawn().unwrap();
    eventually("it is locked", || place.path("up").exists());
    let arguments = ["--start-or-ok", "-p", "pid", "sleep", "1000"];
    let output = place.run(&mut place.rawdaemon(arguments));
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(output.code(), 0, "{output:?}");
}

#[test]
fn a_daemon_whose_session_is_outside_the_pid_namespace_runs() {
    use crate::support::{has, is_root_for, tested_command};
    if !has("unshare") || !is_root_for("a pid namespace") {
        return;
    }
    let place = Place::new();
    let script = r#""$0" -f -p pid sleep 1000 &
        until "$0" -qT -p pid; do sleep 0.01; done
        "$0" --start-or-ok -p pid sleep 1000"#;
    // The shell is the first process of the namespace: with it, all others end.
    let arguments = ["--pid", "--fork", "--mount-proc", "sh", "-c", script];
    let mut command = place.program(std::path::Path::new("unshare"), arguments);
    let output = place.run(command.arg(tested_command()));
    assert_eq!(output.code(), 0, "{output:?}");
    eventually("no process is left", || place.processes().is_empty());
}
