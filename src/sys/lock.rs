//! POSIX record locks.

use core::mem::MaybeUninit;

use linux_raw_sys::general::{F_OFD_GETLK, F_WRLCK};

use super::arch::{F_GETLK_64, F_SETLK_64, FCNTL_64, Flock64};
use super::fd::RawFd;
use crate::protocol::{Errno, Pid};

/// The process that locks a pidfile. All ranges overlap, so each excludes the others. They differ, so F_GETLK shows
/// which one is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locker {
    /// A daemon, from the first byte on, but not to the end. No other program has such a lock.
    Daemon,
    /// A daemon in the foreground, which the leader of its session does not watch: the whole file.
    Foreground,
    /// The process that removes the pidfile of a daemon that has ended, from the second byte to the end.
    Remover,
}

/// The length of the lock of a daemon that is not in the foreground. A pidfile is shorter.
const WATCHED_LENGTH: i32 = 1 << 30;

/// Describes the write lock of this locker.
fn write_lock(locker: Locker) -> Flock64 {
    // SAFETY: a flock consists of integers, which may be zero. An offset and a length of zero mean the whole
    // file, and F_OFD_GETLK wants a pid of zero.
    let mut lock: Flock64 = unsafe { MaybeUninit::zeroed().assume_init() };
    lock.l_type = F_WRLCK as _;
    match locker {
        Locker::Daemon => lock.l_len = WATCHED_LENGTH.into(),
        Locker::Foreground => {}
        Locker::Remover => lock.l_start = 1,
    }
    lock
}

/// `fcntl(fd, F_SETLK, {F_WRLCK, ...})`—Locks a file.
///
/// `EAGAIN` if another process holds a conflicting lock. POSIX allows `EACCES` too: the kernel's own locks never give
/// it (`fs/locks.c`), but the SMB client does. Usually it is the answer of a policy that refuses the call.
/// [`fcntl_getlk`] tells the two apart.
///
/// The lock belongs to the process, not to the descriptor: a child does not inherit it, it survives
/// execve(2), and closing any descriptor for the file releases it.
// Inlining makes the command smaller.
#[inline(always)]
pub(crate) fn fcntl_setlk(fd: RawFd, locker: Locker) -> Result<(), Errno> {
    let lock = write_lock(locker);
    // SAFETY: the kernel reads a flock from `lock`.
    unsafe { attempt!(FCNTL_64, fd, F_SETLK_64, &raw const lock) }
}

/// The holder of a daemon's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockOwner {
    /// No daemon holds the lock.
    None,
    /// A daemon with this pid.
    Process(Pid),
    /// A process that has no pid in this pid namespace, or an open file description lock, which belongs to no
    /// process.
    Unknown,
}

/// `fcntl(fd, F_OFD_GETLK, {F_WRLCK, ...})`—Returns which daemon holds the lock of a file.
///
/// Ignores read locks: a daemon holds a write lock, and any process that may read the file can lock it for
/// reading. Before Linux 3.15 it uses F_GETLK, which does not report a lock of the calling process.
pub(crate) fn fcntl_getlk(fd: RawFd) -> Result<LockOwner, Errno> {
    let lock = getlk(fd)?;
    if lock.l_type != F_WRLCK as _ || lock.l_start != 0 {
        return Ok(LockOwner::None);
    }
    Ok(Pid::new(lock.l_pid).map_or(LockOwner::Unknown, LockOwner::Process))
}

/// [`fcntl_getlk`], for whether the lock is that of a daemon that was not started in the foreground.
pub(crate) fn is_background(fd: RawFd) -> Result<bool, Errno> {
    Ok(getlk(fd)?.l_len == WATCHED_LENGTH.into())
}

fn getlk(fd: RawFd) -> Result<Flock64, Errno> {
    // All lockers' ranges overlap this one, and a read lock beyond it hides none of them.
    let mut lock = write_lock(Locker::Daemon);
    // SAFETY: the kernel reads a flock from `lock` and writes one to it.
    let mut result = unsafe { attempt!(FCNTL_64, fd, F_OFD_GETLK, &raw mut lock) };
    if result == Err(Errno::EINVAL) {
        // SAFETY: as before.
        result = unsafe { attempt!(FCNTL_64, fd, F_GETLK_64, &raw mut lock) };
    }
    result.map(|()| lock)
}
