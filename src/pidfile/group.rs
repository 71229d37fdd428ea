//! The daemon's process group.

use super::process::{each_process, is_zombie};
use crate::protocol::{Errno, Pid};
use crate::sys::{self, Fd};

/// A process group of the daemon's session.
#[derive(Clone, Copy)]
pub(crate) struct Group {
    pub(crate) id: Pid,
    /// The session of the group leader, if it is alive. The kernel does not reuse the id of a process
    /// group that has members, even if its leader has ended.
    leader_session: Option<Pid>,
}

impl Group {
    /// The daemon's process group. `EPERM` if it is not known to be a group of the daemon's session, or
    /// if that session is the caller's.
    pub(super) fn of(daemon: Pid) -> Result<Self, Errno> {
        let (session, own) = (sys::getsid(Some(daemon))?, sys::getsid(None)?);
        let id = sys::getpgid(daemon).ok_or(Errno::EPERM)?;
        let leader_session = session_of(id)?;
        // A session of another pid namespace has no id here, and is never known to be the daemon's.
        if session.is_none() || session == own || Some(id) != session && leader_session != session {
            return Err(Errno::EPERM);
        }
        Ok(Self { id, leader_session })
    }

    /// The process group of the process of this pidfd; `None` if that is the caller's. Without a pidfd, the pid may be
    /// that of another process by now: a group whose leader is alive is not taken for the daemon's.
    pub(crate) fn other(pid: Pid, pidfd: Option<&Fd>) -> Option<Self> {
        let own = sys::getpgid(sys::getpid());
        let id = sys::getpgid(pid).filter(|id| Some(*id) != own)?;
        let leader_session = session_of(id).ok()?;
        let is_known = pidfd.is_some_and(|pidfd| sys::pidfd_send_signal(pidfd, 0).is_ok());
        Some(Self {
            id,
            leader_session: leader_session.filter(|_| is_known),
        })
    }

    /// Sends the group a signal. `ESRCH` if its id has been reused.
    pub(crate) fn send(&self, signal: u8) -> Result<(), Errno> {
        let leader_session = session_of(self.id)?;
        if leader_session.is_some() && leader_session != self.leader_session {
            return Err(Errno::ESRCH);
        }
        sys::killpg(self.id, signal)
    }

    /// Whether a process of the group runs. A zombie does not, as far as `/proc` tells.
    pub(crate) fn has_members(&self) -> bool {
        self.send(0) != Err(Errno::ESRCH)
            // Twice: during one look, a process that was not seen yet may fork one that was passed, and end.
            && !(self.has_zombies_only() && self.has_zombies_only())
    }

    /// Whether `/proc` shows members, and all of them are zombies.
    fn has_zombies_only(&self) -> bool {
        let mut has_zombies = false;
        let each = each_process(&mut |pid| {
            let is_member = sys::getpgid(pid) == Some(self.id);
            has_zombies |= is_member;
            is_member && !is_zombie(pid)
        });
        each == Ok(false) && has_zombies
    }
}

/// The session of a process; `None` if it does not exist.
fn session_of(pid: Pid) -> Result<Option<Pid>, Errno> {
    match sys::getsid(Some(pid)) {
        Err(Errno::ESRCH) => Ok(None),
        session => session,
    }
}
