//! Processes that are no children of the caller: held, asked about, and signalled.

use syscalls::Sysno;

use crate::protocol::{Errno, Pid};

/// `kill(pid, signal)`—`EPERM` for a process of another user. Signal 0 asks only whether there is such
/// a process.
pub(crate) fn kill(pid: Pid, signal: u8) -> Result<(), Errno> {
    // SAFETY: numbers only, and a pid is never a group.
    unsafe { attempt!(Sysno::kill, pid.get(), signal) }
}

/// `kill(-group, signal)`—To every process of the group; `ESRCH` when there is none, and `EPERM` when
/// none of them may be signalled.
///
/// Group 1 is `EINVAL` here: `kill(-1)` means every process there is.
pub(crate) fn killpg(group: Pid, signal: u8) -> Result<(), Errno> {
    if group.get() == 1 {
        return Err(Errno::EINVAL);
    }
    // SAFETY: numbers only.
    unsafe { attempt!(Sysno::kill, group.get().wrapping_neg(), signal) }
}

/// `getpgid(pid)`
pub(crate) fn getpgid(pid: Pid) -> Option<Pid> {
    // SAFETY: a number only.
    let group = unsafe { call!(Sysno::getpgid, pid.get()) };
    group.ok().and_then(|group| Pid::new(group as i32))
}

/// `getppid()`—`None` for a parent in another pid namespace.
pub(crate) fn getppid() -> Option<Pid> {
    // SAFETY: no arguments.
    let parent = unsafe { call!(Sysno::getppid) };
    parent.ok().and_then(|pid| Pid::new(pid as i32))
}

/// `getsid(pid)`—The session of this process, a zombie included; without a pid, of the caller.
pub(crate) fn getsid(pid: Option<Pid>) -> Option<Pid> {
    // SAFETY: a number only.
    let session = unsafe { call!(Sysno::getsid, pid.map_or(0, Pid::get)) };
    session.ok().and_then(|session| Pid::new(session as i32))
}

/// `getpid()`
pub fn getpid() -> Pid {
    // SAFETY: no arguments.
    let pid = unsafe { call!(Sysno::getpid) }
        .ok()
        .and_then(|pid| Pid::new(pid as i32));
    // The call cannot fail (getpid(2)); no process has this number, which is above the kernel's
    // limit.
    pid.unwrap_or(Pid::LARGEST)
}
