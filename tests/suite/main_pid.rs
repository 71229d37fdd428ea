//! `MAINPID=`: a daemon that names another process during its start.

use std::fs;
use std::time::Duration;

use crate::support::control::{ask, says};
use crate::support::{
    Daemon, Output, Place, before_exec, eventually, filter, has, has_filters, pid_in,
};

/// Forks, and names the child. What follows is done by the parent, the child, or both.
const FORKS: &str = "
import os, signal, socket, sys, time
def say(text):
    name = os.environ['NOTIFY_SOCKET']
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.sendto(text.encode(), '\\0' + name[1:] if name[0] == '@' else name)
mode = sys.argv[1]
child = os.fork()
if child:
    other = mode == 'leader' and str(os.getsid(0)) or mode
    say('MAINPID=' + (other.isdigit() and other or str(child)))
    if other.isdigit():
        say('READY=1')
    if mode == 'parent-waits':
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        time.sleep(0.3)
    elif mode != 'parent-ends':
        time.sleep(1000)
    os._exit(0)
os.closerange(3, 256)
if mode == 'fails':
    time.sleep(0.1)
    os._exit(3)
if mode == 'waits':
    while not os.path.exists('go'):
        time.sleep(0.01)
    os._exit(3)
if mode == 'removes':
    def end(*_):
        os.remove('pid')
        os._exit(0)
    signal.signal(signal.SIGTERM, end)
if mode == 'hangs':
    os.setsid()
    time.sleep(1000)
time.sleep(0.2)
say('READY=1')
time.sleep(1000)
";

fn start(place: &Place, mode: &str) -> Output {
    let options = ["-v", "-t", "20", "-R", "notify", "-p", "pid", "python3"];
    let mut command = place.rawdaemon(options);
    if mode == "hangs" {
        command = place.rawdaemon(["-t", "1", "-R", "notify", "-p", "pid", "python3"]);
    }
    place.run(command.args(["-c", FORKS, mode]))
}

#[test]
fn the_process_that_the_daemon_names_is_the_daemon() {
    if !has("python3") {
        return;
    }
    for mode in ["parent-ends", "parent-waits", "both-live"] {
        let place = Place::new();
        let output = start(&place, mode);
        assert_eq!(output.code(), 0, "{output:?}");
        let daemon = output.pid();
        assert_eq!(pid_in(&place.path("pid")), daemon);
        let pid = format!("{daemon}\n");
        says(&ask(&place, &["--status"]), 0, &pid, "");
        let again = place.run(&mut place.rawdaemon(["-p", "pid", "true"]));
        assert_eq!(again.code(), 12, "{again:?}");
        let all = processes(&place);
        says(&ask(&place, &["--stop"]), 0, "", "");
        // The process that was started has the lock, and is stopped, too.
        all.iter().for_each(Daemon::ended);
        assert!(!place.path("pid").exists(), "{mode}");
        assert_eq!(all.len(), if mode == "parent-ends" { 1 } else { 2 });
    }
}

/// All processes of the test, which are reaped in the end.
fn processes(place: &Place) -> Vec<Daemon> {
    place.processes().into_iter().map(Daemon::new).collect()
}

#[test]
fn a_restart_also_stops_the_process_that_was_started() {
    if !has("python3") {
        return;
    }
    for mode in ["parent-waits", "both-live"] {
        let place = Place::new();
        assert_eq!(start(&place, mode).code(), 0);
        let all = processes(&place);
        let next = place.start(["--restart", "-p", "pid", "sleep", "1000"]);
        all.iter().for_each(Daemon::ended);
        assert_eq!(pid_in(&place.path("pid")), next.pid);
    }
}

#[test]
fn a_daemon_that_removes_its_pidfile_hides_no_process_that_was_started() {
    if !has("python3") {
        return;
    }
    let place = Place::new();
    let options = ["-v", "-t", "20", "-c", ".", "-R", "notify", "-p", "pid"];
    let script = ["python3", "-c", FORKS, "removes"];
    let output = place.run(place.rawdaemon(options).args(script));
    assert_eq!(output.code(), 0, "{output:?}");
    let daemon = pid_in(&place.path("pid"));
    let all = processes(&place);
    let starter = all.iter().find(|process| process.pid != daemon).unwrap();
    let line = format!(
        "rawdaemon: has not ended in time, and still runs as pid {}\n",
        starter.pid
    );
    says(&ask(&place, &["--stop"]), 1, "", &line);
    starter.assert_alive();
}

#[test]
fn a_start_fails_with_the_process_that_the_daemon_names() {
    if !has("python3") {
        return;
    }
    for (mode, code) in [("fails", 5), ("hangs", 6)] {
        let place = Place::new();
        let output = start(&place, mode);
        assert_eq!(output.code(), code, "{output:?}");
        assert!(!place.path("pid").exists());
        eventually("no process is left", || place.processes().is_empty());
    }
}

/// A start in which this call fails with this error, and which must fail with this code. Returns its message.
fn refused(mode: &str, call: i64, errno: i32, code: i32) -> String {
    let place = Place::new();
    let mut command = place.rawdaemon(["-R", "notify:@", "-p", "pid", "python3", "-c", FORKS]);
    let answer = libc::SECCOMP_RET_ERRNO | errno as u32;
    before_exec(&mut command, filter(call, answer));
    let output = place.run(command.arg(mode));
    assert_eq!(output.code(), code, "{output:?}");
    eventually("no process is left", || place.processes().is_empty());
    // What cannot be removed is emptied.
    let is_kept = call == libc::SYS_unlinkat;
    assert_eq!(place.path("pid").exists(), is_kept);
    assert!(!is_kept || place.read("pid").is_empty());
    output.stderr
}

#[test]
fn a_process_whose_fingerprint_cannot_be_kept_is_not_the_daemon() {
    // With 32 bits, the call has another number.
    if !has("python3") || !has_filters() || cfg!(target_pointer_width = "32") {
        return;
    }
    for mode in ["parent-ends", "both-live"] {
        let says = refused(mode, libc::SYS_utimensat, libc::EPERM, 11);
        let reason = "Operation not permitted (EPERM)";
        assert_eq!(
            says,
            format!("rawdaemon: cannot use the pidfile pid: {reason}\n")
        );
    }
}

#[test]
fn a_failure_after_another_process_was_named_is_told_in_full() {
    if !has("python3") || !has_filters() {
        return;
    }
    let says = refused("fails", libc::SYS_unlinkat, libc::EROFS, 5);
    assert!(says.contains("may be left"), "{says}");
    let says = refused("both-live", libc::SYS_pidfd_open, libc::ENOMEM, 22);
    let reason = "Cannot allocate memory (ENOMEM)";
    assert_eq!(
        says,
        format!("rawdaemon: cannot watch the daemon: {reason}\n")
    );
}

#[test]
fn another_start_waits_until_the_process_that_the_daemon_names_is_ready() {
    if !has("python3") {
        return;
    }
    let place = Place::new();
    let second = std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let options = ["-t", "20", "-c", ".", "-R", "notify", "-p", "pid"];
            let script = ["python3", "-c", FORKS, "waits"];
            place.run(place.rawdaemon(options).args(script))
        });
        // The pidfile names the child, and the parent has the lock.
        eventually("it has named the other process", || {
            ask(&place, &["-vT"]).stderr.contains("by its fingerprint")
        });
        let second = scope.spawn(|| {
            let options = ["--start-or-ok", "-v", "-p", "pid", "sleep", "1000"];
            place.run(&mut place.rawdaemon(options))
        });
        // Time in which a wrong answer would be given.
        std::thread::sleep(Duration::from_millis(300));
        fs::write(place.path("go"), "").unwrap();
        assert_eq!(first.join().unwrap().code(), 5);
        second.join().unwrap()
    });
    assert_eq!(second.code(), 0, "{second:?}");
    assert_eq!(pid_in(&place.path("pid")), second.pid());
    says(&ask(&place, &["--stop"]), 0, "", "");
}

#[test]
fn a_process_that_is_no_descendant_is_not_the_daemon() {
    if !has("python3") {
        return;
    }
    let own = std::process::id().to_string();
    // The leader of the daemon's session is the process that watches it.
    for other in [own.as_str(), "leader"] {
        is_not_followed(other);
    }
}

fn is_not_followed(other: &str) {
    let place = Place::new();
    let output = start(&place, other);
    assert_eq!(output.code(), 0, "{output:?}");
    let daemon = Daemon::new(output.pid());
    assert_eq!(pid_in(&place.path("pid")), daemon.pid);
    says(&ask(&place, &["--stop", "--process-group"]), 0, "", "");
}
