//! The supervised daemons of a test.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};

use super::control::ask;
use super::{DEADLINE, Output, Place, State, eventually, wait_for, watch};

/// A supervisor that a test has started, with `pid` as the pidfile of its daemon. Dropping this kills all processes of
/// the test.
pub struct Supervised<'p> {
    place: &'p Place,
    /// The supervisor.
    pub pid: Pid,
    pidfd: OwnedFd,
}

impl<'p> Supervised<'p> {
    /// Starts a command with `--respawn` and these options.
    #[track_caller]
    pub fn start(place: &'p Place, options: &[&str], command: &[&str]) -> Self {
        Self::start_by(place, &mut respawn(place, options, command))
    }

    /// Runs a command that starts a supervisor.
    #[track_caller]
    pub fn start_by(place: &'p Place, command: &mut Command) -> Self {
        let output = place.run(command);
        assert_eq!(output.code(), 0, "{output:?}");
        Self::find(place)
    }

    /// Finds the only supervisor, whose launcher has ended. One that has given up has ended, but its file is left.
    #[track_caller]
    pub fn find(place: &'p Place) -> Self {
        let state = fs::read_to_string(place.path("pid.supervisor")).unwrap_or_default();
        let told = state.lines().next().and_then(|line| line.parse().ok());
        let supervisors = match told.and_then(Pid::from_raw) {
            Some(pid) => vec![pid],
            None => supervisors(place),
        };
        let [pid] = supervisors[..] else {
            panic!("not one supervisor: {supervisors:?}");
        };
        Self {
            place,
            pid,
            pidfd: watch(pid),
        }
    }

    /// The daemon, once the pidfile names it.
    #[track_caller]
    pub fn daemon(&self) -> Pid {
        let mut daemon = None;
        eventually("there is a daemon", || {
            daemon = named(self.place);
            daemon.is_some()
        });
        daemon.unwrap()
    }

    /// The daemon that follows this one.
    #[track_caller]
    pub fn next(&self, daemon: Pid) -> Pid {
        let mut next = None;
        eventually("there is another daemon", || {
            next = named(self.place).filter(|pid| *pid != daemon);
            next.is_some()
        });
        next.unwrap()
    }

    /// Kills the daemon. Returns its pid.
    #[track_caller]
    pub fn kill_daemon(&self) -> Pid {
        let daemon = self.daemon();
        rustix::process::kill_process(daemon, Signal::KILL).unwrap();
        daemon
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::pidfd_send_signal(&self.pidfd, signal).unwrap();
    }

    /// Kills the supervisor.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
        self.ended();
    }

    /// Kills the supervisor, and starts another one, which adopts the daemon.
    #[track_caller]
    pub fn replace(self, options: &[&str], command: &[&str]) -> Self {
        let place = self.place;
        self.kill();
        // Its daemon must not be killed.
        std::mem::forget(self);
        Self::start(place, options, command)
    }

    pub fn has_ended(&self) -> bool {
        wait_for(&self.pidfd, Duration::ZERO)
    }

    /// Waits until the supervisor has ended, and reaps it.
    #[track_caller]
    pub fn ended(&self) {
        assert!(wait_for(&self.pidfd, DEADLINE), "the supervisor lives");
        let id = WaitId::PidFd(self.pidfd.as_fd());
        rustix::process::waitid(id, WaitIdOptions::EXITED).unwrap();
    }

    /// Waits until the supervisor has ended. It must leave no process and no file.
    #[track_caller]
    pub fn ends_cleanly(&self) {
        self.ended();
        self.place.assert_no_process();
        assert_no_file(self.place);
    }

    /// Waits until `--status -v` says this.
    #[track_caller]
    pub fn says(&self, code: i32, text: &str) -> Output {
        let mut last = None;
        eventually(text, || {
            let output = ask(self.place, &["-v", "--status"]);
            let holds = output.code() == code && output.stderr.contains(text);
            if !holds && last.is_none() {
                eprintln!("waits for {text}: {output:?}");
            }
            last = Some(output);
            holds
        });
        last.unwrap()
    }

    /// Waits until `--status -v` says this, whatever its code is.
    #[track_caller]
    pub fn tells(&self, text: &str) {
        eventually(text, || {
            let output = ask(self.place, &["-v", "--status"]);
            output.stderr.contains(text)
        });
    }

    /// Kills the daemon, which has a long delay, and waits until the supervisor waits, too.
    #[track_caller]
    pub fn wait_for_delay(&self) {
        self.kill_daemon();
        self.says(2, "next start in");
    }
}

impl Drop for Supervised<'_> {
    fn drop(&mut self) {
        let state = fs::read_to_string(self.place.path("pid.supervisor")).unwrap_or_default();
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        wait_for(&self.pidfd, DEADLINE);
        let id = WaitId::PidFd(self.pidfd.as_fd());
        let _ = rustix::process::waitid(id, WaitIdOptions::EXITED);
        end_processes(self.place);
        // The folder of the notification socket, which a killed supervisor leaves.
        let folder = state.lines().nth(2).unwrap_or_default();
        if folder.contains("/rawdaemon-") {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// Kills and reaps the processes of a test, of which some may be children of others.
pub fn end_processes(place: &Place) {
    let open = |pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok();
    let left: Vec<OwnedFd> = place.processes().into_iter().filter_map(open).collect();
    for process in &left {
        let _ = rustix::process::pidfd_send_signal(process, Signal::KILL);
    }
    for process in &left {
        wait_for(process, DEADLINE);
    }
    // The children of those that have ended are children of the test.
    for process in &left {
        let _ = rustix::process::waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED);
    }
}

/// The command line of a supervised daemon.
pub fn respawn(place: &Place, options: &[&str], command: &[&str]) -> Command {
    let mut start = place.rawdaemon(["-v", "--respawn", "-p", "pid"]);
    start.args(options).arg("--").args(command);
    start
}

/// The supervisors of a test. After the end of its launcher, a supervisor is a child of the test.
pub fn supervisors(place: &Place) -> Vec<Pid> {
    let own = rustix::process::getpid().as_raw_pid();
    let is_one = |pid: &Pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        let fields = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = fields.rsplit_once(") ").and_then(|(_, rest)| {
            let mut fields = rest.split(' ');
            fields.nth(1)?.parse::<i32>().ok()
        });
        name.is_ok_and(|name| name == "rawdaemon\n") && parent == Some(own)
    };
    place.processes().into_iter().filter(is_one).collect()
}

/// The pid in the pidfile `pid`, if there is one.
pub fn named(place: &Place) -> Option<Pid> {
    let text = fs::read_to_string(place.path("pid")).ok()?;
    Pid::from_raw(text.strip_suffix('\n')?.parse().ok()?)
}

/// The pids that a script has written to a file, one a line.
#[track_caller]
pub fn pids(place: &Place, name: &str, count: usize) -> Vec<Pid> {
    let mut pids = Vec::new();
    eventually("the processes run", || {
        let text = fs::read_to_string(place.path(name)).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.parse().ok());
        pids = lines.filter_map(Pid::from_raw).collect();
        pids.len() == count && text.ends_with('\n')
    });
    pids
}

/// There is neither a pidfile nor the file of a supervisor.
#[track_caller]
pub fn assert_no_file(place: &Place) {
    for name in ["pid", "pid.supervisor"] {
        assert!(!place.path(name).exists(), "{name} is left");
    }
}

/// The parent, group and session of a daemon.
pub fn family(pid: Pid) -> (i32, i32, i32) {
    let state = State::of(pid);
    (state.parent, state.group, state.session)
}
