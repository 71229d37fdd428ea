//! POSIX record locks, and the file systems that do not keep them in this kernel.

use core::mem::MaybeUninit;

use linux_raw_sys::general::{F_OFD_GETLK, F_RDLCK, F_WRLCK, LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN};
use syscalls::Sysno;

use super::arch::{
    F_GETLK_64, F_SETLK_64, FCNTL_64, FSTATFS, Flock64, RawStatFs, fstatfs_arguments,
};
use super::fd::RawFd;
use crate::protocol::{Errno, Pid};

/// The process that locks a pidfile. The lock of a daemon begins at the first byte, so each excludes the others. Its
/// length is above the size of any pidfile, and F_GETLK returns it: it carries the daemon's fingerprint, a number below
/// 2^30, or zero if that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locker {
    /// A daemon.
    Daemon(u32),
    /// A daemon in the foreground, which the leader of its session does not watch.
    Foreground(u32),
    /// The supervisor of a daemon, during the first start and after its success: the second lock includes the first.
    Starter(u32),
    Supervisor(u32),
    /// A daemon whose supervisor has locked the file: one byte behind that lock. It is there even if the supervisor is
    /// killed.
    Supervised,
    /// The process that removes the pidfile of a daemon that has ended: from the second byte to the end.
    Remover,
    /// The process that replaces a pidfile: a lock for reading, which excludes the other lockers.
    Replacer,
}

/// The lengths of the locks of processes without a fingerprint.
const DAEMON: i64 = 1 << 30;
const FOREGROUND: i64 = 2 << 30;
const STARTER: i64 = 3 << 30;
const SUPERVISOR: i64 = 4 << 30;

/// The offset of the lock of a daemon that has a supervisor.
const SUPERVISED: i64 = 1 << 40;

/// A lock of this type on a part of a file. A length of zero means to the end.
fn record_lock(kind: u32, start: i64, length: i64) -> Flock64 {
    // SAFETY: a flock consists of integers, which may be zero. F_OFD_GETLK wants a pid of zero.
    let mut lock: Flock64 = unsafe { MaybeUninit::zeroed().assume_init() };
    lock.l_type = kind as _;
    lock.l_start = start;
    lock.l_len = length;
    lock
}

/// `fcntl(fd, F_SETLK, _)`—Locks a file.
///
/// `EAGAIN` if another process holds a conflicting lock. POSIX allows `EACCES` too: the kernel's own locks never give
/// it (`fs/locks.c`), but the SMB client does. Usually it is the answer of a policy that refuses the call.
/// [`fcntl_getlk`] tells the two apart.
///
/// The lock belongs to the process, not to the descriptor: a child does not inherit it, it survives
/// execve(2), and closing any descriptor for the file releases it.
pub(crate) fn fcntl_setlk(fd: RawFd, locker: Locker) -> Result<(), Errno> {
    let lock = match locker {
        Locker::Replacer => record_lock(F_RDLCK, 0, 0),
        Locker::Supervised => record_lock(F_WRLCK, SUPERVISED, 1),
        Locker::Remover => record_lock(F_WRLCK, 1, 0),
        Locker::Daemon(fingerprint) => record_lock(F_WRLCK, 0, DAEMON | i64::from(fingerprint)),
        Locker::Foreground(fingerprint) => {
            record_lock(F_WRLCK, 0, FOREGROUND | i64::from(fingerprint))
        }
        Locker::Starter(fingerprint) => record_lock(F_WRLCK, 0, STARTER | i64::from(fingerprint)),
        Locker::Supervisor(fingerprint) => {
            record_lock(F_WRLCK, 0, SUPERVISOR | i64::from(fingerprint))
        }
    };
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

/// The lock of a daemon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lock {
    pub(crate) owner: LockOwner,
    length: i64,
}

impl Lock {
    /// Whether the daemon was not started in the foreground.
    pub(crate) const fn is_background(self) -> bool {
        self.length >> 30 == 1
    }

    /// Whether it is the lock of a supervisor.
    pub(crate) const fn is_supervisor(self) -> bool {
        matches!(self.length >> 30, 3 | 4)
    }

    /// Whether it is that of a supervisor whose first start is not over.
    pub(crate) const fn is_starter(self) -> bool {
        self.length >> 30 == 3
    }

    /// The fingerprint of its holder; zero if the lock has none.
    pub(crate) const fn fingerprint(self) -> u32 {
        match self.length >> 30 {
            1..=4 => self.length as u32 & 0x3fff_ffff,
            _ => 0,
        }
    }
}

/// `fcntl(fd, F_OFD_GETLK, {F_WRLCK, ...})`—Returns the lock that a daemon holds on a file.
///
/// Ignores read locks: a daemon holds a write lock, and any process that may read the file can lock it for
/// reading. Before Linux 3.15 it uses F_GETLK, which does not report a lock of the calling process.
pub(crate) fn fcntl_getlk(fd: RawFd) -> Result<Lock, Errno> {
    // All daemons' locks have the first byte. A read lock on other bytes hides none of them.
    getlk(fd, 0)
}

/// As [`fcntl_getlk`], for the lock that the daemon itself holds if its supervisor has locked the file.
pub(crate) fn fcntl_getlk_supervised(fd: RawFd) -> Result<LockOwner, Errno> {
    Ok(getlk(fd, SUPERVISED)?.owner)
}

#[inline(never)]
fn getlk(fd: RawFd, byte: i64) -> Result<Lock, Errno> {
    let mut lock = record_lock(F_WRLCK, byte, 1);
    // SAFETY: the kernel reads a flock from `lock` and writes one to it.
    let mut result = unsafe { attempt!(FCNTL_64, fd, F_OFD_GETLK, &raw mut lock) };
    if result == Err(Errno::EINVAL) {
        // SAFETY: as before.
        result = unsafe { attempt!(FCNTL_64, fd, F_GETLK_64, &raw mut lock) };
    }
    result?;
    let owner = match lock.l_type == F_WRLCK as _ {
        true => Pid::new(lock.l_pid).map_or(LockOwner::Unknown, LockOwner::Process),
        false => LockOwner::None,
    };
    Ok(Lock {
        owner,
        length: lock.l_len,
    })
}

/// `flock(fd, LOCK_EX | LOCK_NB)`—Locks the file for its open file description, which the children of the caller
/// share: they keep the lock when the caller has ended.
pub(crate) fn flock(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: the call takes no pointers.
    unsafe { attempt!(Sysno::flock, fd, LOCK_EX | LOCK_NB) }
}

/// `flock(fd, LOCK_SH | LOCK_NB)`, undone at once—Returns whether a process has locked the file by flock(2) for itself
/// alone.
pub(crate) fn has_flock(fd: RawFd) -> bool {
    // SAFETY: the call takes no pointers.
    let locked = unsafe { attempt!(Sysno::flock, fd, LOCK_SH | LOCK_NB) };
    if locked.is_ok() {
        // SAFETY: as before.
        let _ = unsafe { call!(Sysno::flock, fd, LOCK_UN) };
    }
    locked == Err(Errno::EAGAIN)
}

/// `fstatfs(fd, _)`—Returns whether the locks of a file may be those of processes on other machines, or of the server
/// of a FUSE file system. True if that is not known.
pub(crate) fn has_remote_locks(fd: RawFd) -> bool {
    let mut status = MaybeUninit::<RawStatFs>::zeroed();
    let [first, second] = fstatfs_arguments(status.as_mut_ptr());
    // SAFETY: `RawStatFs` is the structure that the kernel writes for this call.
    if unsafe { call!(FSTATFS, fd, first, second) }.is_err() {
        return true;
    }
    // SAFETY: `status` was initialized with zeros, which are valid integers.
    let kind = unsafe { status.assume_init() }.f_type as u32;
    REMOTE.contains(&kind)
}

/// The types of such file systems (statfs(2), and the kernel's sources).
const REMOTE: [u32; 13] = [
    0x0000_6969, // nfs
    0x6573_5546, // fuse, virtiofs
    0x0102_1997, // 9p
    0xff53_4d42, // cifs
    0xfe53_4d42, // smb2
    0x0000_517b, // smb
    0x00c3_6400, // ceph
    0x5346_414f, // afs
    0x0116_1970, // gfs2
    0x7461_636f, // ocfs2
    0x0bd0_0bd0, // lustre
    0x2003_0528, // orangefs
    0x786f_4256, // vboxsf
];
