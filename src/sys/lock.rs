//! POSIX record locks.

use core::mem::MaybeUninit;

use linux_raw_sys::general::{F_GETLK, F_SETLK, F_WRLCK, flock};
use syscalls::Sysno;

use super::fd::RawFd;
use crate::protocol::{Errno, Pid};

/// The two kinds of processes that lock a pidfile. Their ranges overlap, so one excludes the other, and the
/// start of the range tells which one holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locker {
    /// The daemon locks from the first byte.
    Daemon = 0,
    /// A process that removes the pidfile locks from the second byte.
    Remover = 1,
}

/// The description of a lock for writing, for fcntl(2).
fn record_lock(locker: Locker) -> flock {
    // SAFETY: all zeros is a flock: from the start to the end of the file, wherever that will be.
    let mut lock: flock = unsafe { MaybeUninit::zeroed().assume_init() };
    lock.l_type = F_WRLCK as _;
    lock.l_start = locker as _;
    lock
}

/// `fcntl(fd, F_SETLK, F_WRLCK)`—Takes the lock; `false` if another process has it. The lock belongs to the
/// process, not to the descriptor. A child does not inherit it, an exec keeps it, and closing any descriptor
/// of the file releases it.
// Inlined, it is smaller: the callers pass constants.
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

/// The holder of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockOwner {
    /// No daemon.
    None,
    /// The daemon with this pid.
    Process(Pid),
    /// A daemon without a pid in this namespace: it is in another pid namespace.
    Unknown,
}

/// `fcntl(fd, F_GETLK, F_WRLCK)`—Asks the kernel for the holder of the lock.
///
/// A daemon locks for writing. Locks for reading are ignored: any process that may read the file can take one.
pub(crate) fn fcntl_getlk(fd: RawFd) -> Result<LockOwner, Errno> {
    let mut lock = record_lock(Locker::Daemon);
    // SAFETY: the kernel reads and writes a flock.
    unsafe { attempt!(Sysno::fcntl, fd, F_GETLK, &raw mut lock) }?;
    if lock.l_type != F_WRLCK as _ || lock.l_start == Locker::Remover as _ {
        return Ok(LockOwner::None);
    }
    Ok(Pid::new(lock.l_pid).map_or(LockOwner::Unknown, LockOwner::Process))
}
