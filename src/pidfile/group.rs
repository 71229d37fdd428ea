//! The daemon's process group.

use super::process::{each_process, is_zombie};
use crate::protocol::{Errno, Pid};
use crate::sys;

/// A process group of the daemon's session.
pub(super) struct Group {
    id: Pid,
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

    /// Sends the group a signal. `ESRCH` if its id has been reused.
    pub(super) fn send(&self, signal: u8) -> Result<(), Errno> {
        let leader_session = session_of(self.id)?;
        if leader_session.is_some() && leader_session != self.leader_session {
            return Err(Errno::ESRCH);
        }
        sys::killpg(self.id, signal)
    }

    /// Whether a process of the group runs.
    pub(super) fn has_members(&self) -> bool {
        has_members(self.id)
    }
}

/// Whether a process of this group runs. A zombie does not, as far as `/proc` tells.
pub(crate) fn has_members(group: Pid) -> bool {
    sys::killpg(group, 0) != Err(Errno::ESRCH)
        // Twice: during one look, a process that was not seen yet may fork one that was passed, and end.
        && !(has_zombies_only(group) && has_zombies_only(group))
}

/// Whether `/proc` shows members, and all of them are zombies.
fn has_zombies_only(group: Pid) -> bool {
    let mut has_zombies = false;
    let each = each_process(&mut |pid| {
        let is_member = sys::getpgid(pid) == Some(group);
        has_zombies |= is_member;
        is_member && !is_zombie(pid)
    });
    each == Ok(false) && has_zombies
}

/// The session of a process; `None` if it does not exist.
fn session_of(pid: Pid) -> Result<Option<Pid>, Errno> {
    match sys::getsid(Some(pid)) {
        Err(Errno::ESRCH) => Ok(None),
        session => session,
    }
}
