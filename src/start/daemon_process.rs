//! The daemon, as its starter sees it.

use crate::protocol::Pid;
use crate::sys;

/// The daemon of a successful start.
///
/// Its parent is init or the nearest child subreaper (prctl(2)). If that is the caller itself, the caller must
/// wait for the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaemonProcess {
    pub(super) pid: Pid,
    pub(super) session: Pid,
}

impl DaemonProcess {
    /// A daemon of this session.
    pub(crate) const fn new(pid: Pid, session: Pid) -> Self {
        Self { pid, session }
    }

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

    /// The id of the daemon's process group, which it leads: its pid. The processes that it starts belong to the
    /// group unless they leave it. If a policy has refused setpgid(2), it is the session's.
    #[must_use]
    pub fn process_group(&self) -> Pid {
        sys::getpgid(self.pid).unwrap_or(self.pid)
    }
}
