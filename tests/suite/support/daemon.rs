//! The daemons of a test, and the wait for their end.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};

use super::state::settle;
use super::{DEADLINE, State, eventually};

/// A daemon of the test. Dropping this kills and reaps it.
pub struct Daemon {
    pub pid: Pid,
    pidfd: OwnedFd,
}

impl Daemon {
    pub fn new(pid: Pid) -> Self {
        let daemon = Self::open(pid).unwrap();
        settle(pid);
        daemon
    }

    /// As [`Self::new`], for a process that may not exist any longer.
    pub fn open(pid: Pid) -> rustix::io::Result<Self> {
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self { pid, pidfd })
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::pidfd_send_signal(&self.pidfd, signal).unwrap();
    }

    #[track_caller]
    pub fn assert_alive(&self) {
        assert!(
            !wait_for(&self.pidfd, Duration::ZERO),
            "{} has ended",
            self.pid
        );
    }

    /// Kills the daemon and waits until it is gone.
    pub fn kill(self) {}

    /// Waits until the daemon ends by itself.
    #[track_caller]
    pub fn ended(&self) {
        assert!(
            wait_for(&self.pidfd, DEADLINE),
            "{} has not ended",
            self.pid
        );
    }

    /// The state of the daemon once it sleeps. When the launcher returns, its program may still be
    /// loading libraries.
    #[track_caller]
    pub fn state(&self) -> State {
        let sleeps = || {
            std::thread::sleep(Duration::from_millis(1));
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
            stat.rsplit_once(") ").unwrap().1.starts_with('S')
        };
        eventually("the daemon sleeps", || (0..5).all(|_| sleeps()));
        State::of(self.pid)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        let ended = wait_for(&self.pidfd, DEADLINE);
        let reaped =
            rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
        assert!(
            ended && reaped.is_ok() || std::thread::panicking(),
            "{}: {reaped:?}",
            self.pid
        );
    }
}

/// A descriptor that is readable once the process has ended.
pub fn watch(pid: Pid) -> OwnedFd {
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap()
}

/// Whether the process ends within this time.
pub fn wait_for(pidfd: &OwnedFd, time: Duration) -> bool {
    let timeout = Timespec::try_from(time).unwrap();
    poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout)).unwrap() == 1
}

/// The children of this process whose programs have this name. The name is unique to the test.
pub fn children(name: &str) -> Vec<Pid> {
    let own = rustix::process::getpid().as_raw_pid().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let children = processes.filter_map(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (pid, rest) = stat.split_once(" (")?;
        let (comm, rest) = rest.rsplit_once(") ")?;
        let is_child = comm == name && rest.split(' ').nth(1) == Some(&own);
        is_child.then(|| Pid::from_raw(pid.parse().unwrap()).unwrap())
    });
    children.collect()
}
