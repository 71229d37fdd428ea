//! Helpers for tests of `--status` and `--stop`: kernels, questions, and difficult daemons.

use std::fmt::Display;
use std::fs;
use std::process::Command;

use super::{Daemon, Output, Place, eventually, is_root_for, without_pidfds, without_proc};

/// A kernel that lacks something: its name, and how to run the command on it.
pub type Kernel = (&'static str, fn(&mut Command));

pub fn kernels() -> Vec<Kernel> {
    let mut kernels: Vec<Kernel> = vec![("whole", |_| {}), ("without pidfds", without_pidfds)];
    if is_root_for("a kernel without /proc") {
        kernels.push(("without /proc", without_proc));
    }
    kernels
}

/// Runs the command with these options and the pidfile.
pub fn ask_on(place: &Place, kernel: Kernel, options: &[&str]) -> Output {
    let mut command = place.rawdaemon(options);
    command.args(["-p", "pid"]);
    kernel.1(&mut command);
    place.run(&mut command)
}

pub fn ask(place: &Place, options: &[&str]) -> Output {
    ask_on(place, ("whole", |_| {}), options)
}

/// Checks the exit code, and all that the command prints.
#[track_caller]
pub fn says(output: &Output, code: i32, stdout: &str, stderr: &str) {
    let found = (
        output.code(),
        output.stdout.as_str(),
        output.stderr.as_str(),
    );
    assert_eq!(found, (code, stdout, stderr));
}

/// The line about a process that is not known to be the daemon.
pub fn unknown(pid: impl Display) -> String {
    format!(
        "rawdaemon: unknown (no lock), it may run as pid {pid}; --trust-pidfile acts on it all the same\n"
    )
}

/// The line about one that `--trust-pidfile` does not help with.
pub fn distrusted(pid: impl Display) -> String {
    format!(
        "rawdaemon: unknown (no lock), it may run as pid {pid}; the pidfile is not trusted: it must be no \
         older than the process, hold nothing but a pid above 1, and belong to root or to you, and others \
         must not be able to write it\n"
    )
}

pub const NOT_RUNNING: &str = "rawdaemon: not running\n";

/// A daemon that closes every descriptor, and drops its lock by that.
const CLOSES: &str = "for n in {3..255}; do eval \"exec $n>&-\"; done; exec sleep 1000";

/// Starts a script in the test's folder, and waits until it has begun.
pub fn start_script(place: &Place, script: &str) -> Daemon {
    let folder = place.path("");
    let folder = folder.to_str().unwrap();
    let _ = fs::remove_file(place.path("log"));
    let daemon = place.start(["-p", "pid", "-c", folder, "sh", "-c", script]);
    if script.contains(">>log") {
        eventually("it is up", || place.path("log").exists());
    }
    daemon
}

/// Starts a daemon that drops its lock, and waits until it has.
pub fn start_unlocked(place: &Place) -> Daemon {
    let daemon = place.start(["-p", "pid", "bash", "-c", CLOSES]);
    let comm = format!("/proc/{}/comm", daemon.pid);
    eventually("it has closed all", || {
        fs::read_to_string(&comm).is_ok_and(|name| name == "sleep\n")
    });
    daemon
}
