//! POSIX record locks.

use core::mem::MaybeUninit;

use linux_raw_sys::general::{F_GETLK, F_SETLK, F_WRLCK, flock};
use syscalls::Sysno;

use super::fd::RawFd;
use crate::protocol::{Errno, Pid};

/// Who wants a lock on a file. Their ranges overlap, so that one keeps the other out, and tell who
/// it is that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locker {
    /// The daemon: from the first byte on.
    Daemon = 0,
    /// Whoever tidies up after it: from the second one on.
    Cleaner = 1,
}

/// A POSIX record lock, as fcntl(2) has it.
fn record_lock(locker: Locker) -> flock {
    // SAFETY: all zeros is a flock: from the start, to the end however far that is.
    let mut lock: flock = unsafe { MaybeUninit::zeroed().assume_init() };
    lock.l_type = F_WRLCK as _;
    lock.l_start = locker as _;
    lock
}

/// `fcntl(fd, F_SETLK, F_WRLCK)`—Whether the lock could be had. It belongs to the process, not to
/// the descriptor: a fork does not pass it on, an exec does, and closing any descriptor for the
/// file gives it up.
// Smaller where it is called: there the compiler knows more.
#[inline(always)]
pub(crate) fn fcntl_setlk(fd: RawFd, locker: Locker) -> Result<bool, Errno> {
    let lock = record_lock(locker);
    // SAFETY: the kernel reads a flock.
    match unsafe { attempt!(Sysno::fcntl, fd, F_SETLK, &raw const lock) } {
        Ok(()) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockOwner {
    /// No daemon, or none any more.
    Nobody,
    /// This daemon.
    Process(Pid),
    /// A daemon that has no pid here: it lives in another pid namespace.
    Unknown,
}

/// `fcntl(fd, F_GETLK, F_WRLCK)`—The kernel's own word on who holds the lock.
///
/// A daemon's is for writing. Whoever may read the file can lock it for reading, and means nothing.
pub(crate) fn fcntl_getlk(fd: RawFd) -> Result<LockOwner, Errno> {
    let mut lock = record_lock(Locker::Daemon);
    // SAFETY: the kernel reads and writes a flock.
    unsafe { attempt!(Sysno::fcntl, fd, F_GETLK, &raw mut lock) }?;
    if lock.l_type != F_WRLCK as _ || lock.l_start == Locker::Cleaner as _ {
        return Ok(LockOwner::Nobody);
    }
    Ok(Pid::new(lock.l_pid).map_or(LockOwner::Unknown, LockOwner::Process))
}
