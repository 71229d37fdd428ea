//! Processes that are no children of the caller: held, asked about, and signalled.

use syscalls::Sysno;

use super::fd::Fd;
use crate::protocol::{Errno, Pid};

/// `pidfd_open(pid, 0)`—A descriptor that stands for this process and never for another, and can be
/// read when the process has ended. Since Linux 5.3.
///
/// `ESRCH` when there is no such process, and `EINVAL` or `ENOENT` when the number is a thread's.
#[inline(never)]
pub(crate) fn hold(pid: Pid) -> Result<Fd, Errno> {
    // SAFETY: numbers only.
    Fd::above_standard_streams(unsafe { call!(Sysno::pidfd_open, pid.get(), 0) }?)
}

/// `pidfd_send_signal(process, signal, NULL, 0)`—Since Linux 5.1.
pub(crate) fn signal_held(process: &Fd, signal: u8) -> Result<(), Errno> {
    // SAFETY: numbers only; the kernel reads nothing from null.
    unsafe { call!(Sysno::pidfd_send_signal, process.raw(), signal, 0, 0) }.map(drop)
}

/// `kill(pid, signal)`—`EPERM` for a process of another user. Signal 0 asks only whether there is such
/// a process.
#[inline(never)]
pub(crate) fn signal(pid: Pid, signal: u8) -> Result<(), Errno> {
    // SAFETY: numbers only, and a pid is never a group.
    unsafe { attempt!(Sysno::kill, pid.get(), signal) }
}

/// `kill(-group, signal)`—To every process of the group; `ESRCH` when there is none, and `EPERM` when
/// none of them may be signalled.
///
/// Group 1 is `EINVAL` here: `kill(-1)` means every process there is.
pub(crate) fn signal_group(group: Pid, signal: u8) -> Result<(), Errno> {
    if group.get() == 1 {
        return Err(Errno::EINVAL);
    }
    // SAFETY: numbers only.
    unsafe { attempt!(Sysno::kill, group.get().wrapping_neg(), signal) }
}

/// `getpgid(pid)`
pub(crate) fn group_of(pid: Pid) -> Option<Pid> {
    // SAFETY: a number only.
    let group = unsafe { call!(Sysno::getpgid, pid.get()) };
    group.ok().and_then(|group| Pid::new(group as i32))
}

/// `getppid()`, `getsid(0)`—Whether the caller's parent leads its session.
pub(crate) fn is_child_of_leader() -> bool {
    // SAFETY: numbers only.
    unsafe { call!(Sysno::getppid) == call!(Sysno::getsid, 0) }
}

/// `getsid(pid)`—The session of a process that is there, be it as a zombie.
pub(crate) fn session_of(pid: Pid) -> Option<Pid> {
    // SAFETY: a number only.
    let session = unsafe { call!(Sysno::getsid, pid.get()) };
    session.ok().and_then(|session| Pid::new(session as i32))
}

/// `getpid()`
pub(crate) fn process_id() -> Pid {
    // SAFETY: no arguments.
    let pid = unsafe { call!(Sysno::getpid) }
        .ok()
        .and_then(|pid| Pid::new(pid as i32));
    // The call cannot fail (getpid(2)); no process has this number, which is above the kernel's
    // limit.
    pid.unwrap_or(Pid::LARGEST)
}
