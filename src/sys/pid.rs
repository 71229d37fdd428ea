//! Pids, process groups and sessions, and signals to them.

use syscalls::Sysno;

use crate::protocol::{Errno, Pid};

/// `kill(pid, signal)`—Sends a signal to a process. `EPERM` for a process of another user, `ESRCH` if there is
/// none. Signal 0 only checks.
pub(crate) fn kill(pid: Pid, signal: u8) -> Result<(), Errno> {
    // SAFETY: numbers only. A pid is positive, and so never a group.
    unsafe { attempt!(Sysno::kill, pid.get(), signal) }
}

/// `kill(-group, signal)`—Sends a signal to every process of a group. `ESRCH` if there is none, and `EPERM` if none
/// of them may be signalled.
///
/// `EINVAL` for group 1: kill(2) takes -1 for every process.
pub(crate) fn killpg(group: Pid, signal: u8) -> Result<(), Errno> {
    if group.get() == 1 {
        return Err(Errno::EINVAL);
    }
    // SAFETY: numbers only.
    unsafe { attempt!(Sysno::kill, group.get().wrapping_neg(), signal) }
}

/// `getpgid(pid)`—Returns the process group of a process.
pub(crate) fn getpgid(pid: Pid) -> Option<Pid> {
    // SAFETY: a number only.
    let group = unsafe { call!(Sysno::getpgid, pid.get()) };
    group.ok().and_then(|group| Pid::new(group as i32))
}

/// `getppid()`—Returns the parent's pid. `None` if the parent is in another pid namespace.
pub(crate) fn getppid() -> Option<Pid> {
    // SAFETY: no arguments.
    let parent = unsafe { call!(Sysno::getppid) };
    parent.ok().and_then(|pid| Pid::new(pid as i32))
}

/// `getsid(pid)`—Returns the session of a process, a zombie included; without a pid, that of the caller.
pub(crate) fn getsid(pid: Option<Pid>) -> Option<Pid> {
    // SAFETY: a number only.
    let session = unsafe { call!(Sysno::getsid, pid.map_or(0, Pid::get)) };
    session.ok().and_then(|session| Pid::new(session as i32))
}

/// `getpid()`—Returns the caller's pid.
pub fn getpid() -> Pid {
    // SAFETY: no arguments.
    let pid = unsafe { call!(Sysno::getpid) }
        .ok()
        .and_then(|pid| Pid::new(pid as i32));
    // The call cannot fail (getpid(2)). No process has the largest number, which is above the kernel's limit.
    pid.unwrap_or(Pid::LARGEST)
}
