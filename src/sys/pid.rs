//! Processes by their ids: signals, process groups and sessions.

use syscalls::Sysno;

use crate::protocol::{Errno, Pid};

/// `kill(pid, signal)`—Sends a signal to a process. With signal 0, only checks that the process exists.
///
/// `EPERM` if the caller may not signal the process; `ESRCH` if it does not exist.
pub(crate) fn kill(pid: Pid, signal: u8) -> Result<(), Errno> {
    // SAFETY: the call takes no pointers. A `Pid` is positive, so it never stands for a group.
    unsafe { attempt!(Sysno::kill, pid.get(), signal) }
}

/// `kill(-group, signal)`—Sends a signal to every process of a process group.
///
/// `ESRCH` if the group does not exist, and `EPERM` if the caller may signal none of its processes. `EINVAL`
/// for group 1, because `kill(-1)` signals every process.
pub(crate) fn killpg(group: Pid, signal: u8) -> Result<(), Errno> {
    if group.get() == 1 {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the call takes no pointers. The group is not 1, so the signal goes to this group only.
    unsafe { attempt!(Sysno::kill, group.get().wrapping_neg(), signal) }
}

/// `kill(-1, signal)`—Sends a signal to every process of the pid namespace but the caller, its init process.
///
/// `EPERM` if the caller is another process: it would end the machine.
pub(crate) fn kill_all(signal: u8) -> Result<(), Errno> {
    if getpid().get() != 1 {
        return Err(Errno::EPERM);
    }
    // SAFETY: the call takes no pointers.
    unsafe { attempt!(Sysno::kill, -1_isize, signal) }
}

/// `getpgid(pid)`—Returns the process group of a process. `None` if the process does not exist.
pub(crate) fn getpgid(pid: Pid) -> Option<Pid> {
    // SAFETY: the call takes no pointers.
    let group = unsafe { call!(Sysno::getpgid, pid.get()) };
    group.ok().and_then(|group| Pid::new(group as i32))
}

/// `gettid()`—Returns the id of the calling thread; 0 if a sandbox refuses that.
pub(crate) fn gettid() -> u32 {
    // SAFETY: the call takes no arguments.
    unsafe { call!(Sysno::gettid) }.unwrap_or(0)
}

/// `getppid()`—Returns the pid of the parent process. `None` if the parent is in another pid namespace.
pub(crate) fn getppid() -> Option<Pid> {
    // SAFETY: the call takes no arguments.
    let parent = unsafe { call!(Sysno::getppid) };
    parent.ok().and_then(|pid| Pid::new(pid as i32))
}

/// `getsid(pid)`—Returns the session of a process, even of a zombie; without a pid, that of the caller.
///
/// `None` if the session is one of another pid namespace. `ESRCH` if the process does not exist.
pub fn getsid(pid: Option<Pid>) -> Result<Option<Pid>, Errno> {
    // SAFETY: the call takes no pointers.
    let session = unsafe { call!(Sysno::getsid, pid.map_or(0, Pid::get)) };
    session.map(|session| Pid::new(session as i32))
}

/// `getpid()`—Returns the pid of the caller.
pub fn getpid() -> Pid {
    // SAFETY: the call takes no arguments.
    let pid = unsafe { call!(Sysno::getpid) }
        .ok()
        .and_then(|pid| Pid::new(pid as i32));
    // The call cannot fail (getpid(2)). No process has the largest pid, which is above the kernel's limit.
    pid.unwrap_or(Pid::LARGEST)
}
