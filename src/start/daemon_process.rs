//! The daemon, as its starter sees it.

use crate::protocol::Pid;

/// The daemon of a successful start.
///
/// Its parent is init or the nearest child subreaper (prctl(2)). If that is the caller itself, the caller must
/// wait for the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaemonProcess {
    pub(super) pid: Pid,
    pub(super) session: Pid,
    pub(super) process_group: Pid,
}

impl DaemonProcess {
    /// The daemon's pid.
    #[must_use]
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    /// The id of the session that the start has created. Its leader is not the daemon.
    #[must_use]
    pub const fn session(&self) -> Pid {
        self.session
    }

    /// The id of the daemon's process group, to which the processes that it starts belong unless they leave
    /// it.
    #[must_use]
    pub const fn process_group(&self) -> Pid {
        self.process_group
    }
}
