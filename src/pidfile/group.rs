//! The process group of a daemon.

use crate::protocol::{Errno, Pid};
use crate::sys;

/// A process group of the daemon's session.
pub(super) struct Group {
    id: Pid,
    /// The session of the process with the group's number, if there is one. The number is not given to
    /// another process as long as the group has it, after its leader has ended too.
    leader: Option<Pid>,
}

impl Group {
    pub(super) fn of(daemon: Pid) -> Result<Self, Errno> {
        let (session, own) = (sys::getsid(Some(daemon)), sys::getsid(None));
        let id = sys::getpgid(daemon).ok_or(Errno::EPERM)?;
        let leader = sys::getsid(Some(id));
        if session == own || Some(id) != session && leader != session {
            return Err(Errno::EPERM);
        }
        Ok(Self { id, leader })
    }

    pub(super) fn send(&self, signal: u8) -> Result<(), Errno> {
        let leader = sys::getsid(Some(self.id));
        if leader.is_some() && leader != self.leader {
            return Err(Errno::ESRCH);
        }
        sys::killpg(self.id, signal)
    }

    pub(super) fn has_members(&self) -> bool {
        sys::killpg(self.id, 0) != Err(Errno::ESRCH)
    }
}
