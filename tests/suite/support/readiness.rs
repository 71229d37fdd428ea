//! Helpers for tests of readiness: the ways to wait for a daemon, and the messages.

use std::fs;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{DEADLINE, Output, Place, eventually, example, wait_for, watch};

/// Much less than the timeout of a minute.
pub const SOON: Duration = Duration::from_secs(10);

pub const DIED: &str = "rawdaemon: the daemon ended too soon: ";
pub const LATE: &str = "rawdaemon: the daemon did not become ready within N ms; it was stopped";
pub const SENT_NOTHING: &str = "; it sent no READY=1 to NOTIFY_SOCKET";
pub const WROTE_NOTHING: &str = "; it wrote no line to its descriptor";

/// The last message, without the milliseconds that the daemon lived, and with `N` for those that it had.
pub fn last_message(output: &Output) -> String {
    let line = output.stderr.lines().last().unwrap_or_default();
    let line = line.split_once(" after ").map_or(line, |(said, _)| said);
    match line.split_once(" within ") {
        Some((before, after)) => {
            let unit = after.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before} within N{unit}")
        }
        None => line.to_owned(),
    }
}

#[track_caller]
pub fn fails(place: &Place, command: &mut Command, code: i32, says: &str) -> Output {
    let output = place.run(command);
    assert_eq!(
        (output.code(), last_message(&output).as_str()),
        (code, says),
        "{output:?}"
    );
    assert!(output.took < SOON, "{output:?}");
    place.assert_no_process();
    output
}

/// The ways to wait for a daemon, each with how the daemon reports readiness.
pub fn modes() -> [(&'static [&'static str], &'static str); 5] {
    let notifier = "notifier";
    [
        (&["-t", "60"], ""),
        (&["-R", "fd:3"], "echo >&3"),
        (&["-R", "notify"], notifier),
        (&["-R", "notify:@"], notifier),
        (&["-R", "notify:/"], notifier),
    ]
}

/// A command with the options of a mode.
pub fn in_mode(place: &Place, options: &[&str]) -> Command {
    let path = format!("notify:{}", place.path("socket").display());
    let options = options.iter().map(|option| match *option {
        "notify:/" => path.as_str(),
        option => option,
    });
    let mut command = place.rawdaemon(["-v", "-p", "pid"]);
    command.args(options);
    command
}

pub fn notifier(place: &Place, options: &[&str], words: &[&str]) -> Command {
    let mut command = place.rawdaemon(["-v", "-R", "notify"]);
    command.args(options).arg(example("notifier")).args(words);
    command
}

/// Whether the daemon has executed `sleep`.
pub fn sleeps(pid: &Pid) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/comm"));
    name.is_ok_and(|name| name == "sleep\n")
}

/// A launcher that waits, and the daemon that it waits for.
pub struct Waiting {
    pub launcher: Child,
    pub daemon: Pid,
    pidfd: OwnedFd,
}

impl Waiting {
    /// Starts a launcher, and waits until its daemon has executed `sleep`.
    pub fn start(place: &Place, command: &mut Command) -> Self {
        let launcher = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(place.path("stderr")).unwrap())
            .spawn()
            .unwrap();
        let mut found = None;
        eventually("the daemon sleeps", || {
            found = place.processes().into_iter().find(sleeps);
            found.is_some()
        });
        let daemon = found.unwrap();
        Self {
            launcher,
            daemon,
            pidfd: watch(daemon),
        }
    }

    /// Waits until the daemon has ended. The intermediate reaps it.
    pub fn daemon_ended(&self) {
        assert!(wait_for(&self.pidfd, DEADLINE), "{} lives", self.daemon);
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.launcher), signal).unwrap();
    }
}
