//! Files and directories by path, and locks.

use core::mem::MaybeUninit;

use linux_raw_sys::general::{
    __kernel_old_timespec, AT_FDCWD, AT_SYMLINK_NOFOLLOW, F_GETLK, F_SETLK, F_WRLCK, O_APPEND,
    O_CLOEXEC, O_CREAT, O_DIRECTORY, O_LARGEFILE, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_PATH,
    O_RDONLY, O_RDWR, O_WRONLY, S_IFMT, S_IFREG, S_IFSOCK, S_IWGRP, S_IWOTH, UTIME_OMIT, flock,
};
use syscalls::Sysno;

use super::clock::SECOND;
use super::credentials::effective_user;
use super::fd::{Fd, RawFd};
use super::strings::ThinCStr;
use crate::protocol::{Errno, Nanoseconds, Pid, cut};

#[cfg(target_pointer_width = "64")]
use linux_raw_sys::general::stat as Stat;
#[cfg(target_pointer_width = "32")]
use linux_raw_sys::general::stat64 as Stat;

/// What a file is opened for: with flags that never let open(2) wait for the other end of a FIFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Open {
    /// A device, or a file of `/proc`.
    ReadWrite = O_RDWR,
    Read = O_RDONLY | O_NONBLOCK,
    Write = O_WRONLY | O_CREAT | O_NONBLOCK,
    Append = O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK,
    Lock = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK,
    LockExisting = O_RDWR | O_NOFOLLOW | O_NONBLOCK,
    Look = O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
    Directory = O_RDONLY | O_DIRECTORY,
    /// To come back to. fchdir(2) takes it since Linux 3.5.
    Place = O_PATH | O_DIRECTORY,
}

/// `openat(AT_FDCWD, path, flags | O_CLOEXEC | O_NOCTTY, 0644)`, again after `EINTR`.
pub(crate) fn open(path: ThinCStr<'_>, how: Open) -> Result<Fd, Errno> {
    let flags = how as u32 | O_CLOEXEC | O_NOCTTY | O_LARGEFILE;
    loop {
        // SAFETY: the kernel reads the string `path`.
        match unsafe { call!(Sysno::openat, AT_FDCWD, path.as_ptr(), flags, 0o644) } {
            Err(Errno::EINTR) => {}
            result => return Fd::above_standard_streams(result?),
        }
    }
}

/// `chdir(path)`
pub(crate) fn change_directory(path: ThinCStr<'_>) -> Result<(), Errno> {
    // SAFETY: the kernel reads the string `path`.
    unsafe { attempt!(Sysno::chdir, path.as_ptr()) }
}

/// `fchdir(fd)`
pub(crate) fn return_to_directory(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: a number only.
    unsafe { attempt!(Sysno::fchdir, fd) }
}

/// `getcwd(buffer)`—The absolute path of the working directory. Empty when it has none: it was
/// removed, or lies outside the root.
pub(crate) fn current_directory(buffer: &mut [u8]) -> &[u8] {
    // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`.
    let _ = unsafe { call!(Sysno::getcwd, buffer.as_mut_ptr(), buffer.len()) };
    match cut(buffer, 0).0 {
        path @ [b'/', ..] => path,
        _ => b"",
    }
}

/// `umask(mask)`; gives the mask that was.
pub(crate) fn set_umask(mask: u32) -> u32 {
    // SAFETY: a number only.
    unsafe { call!(Sysno::umask, mask) }.unwrap_or(0)
}

/// `faccessat(AT_FDCWD, path, F_OK)`
pub(crate) fn exists(path: ThinCStr<'_>) -> bool {
    // SAFETY: the kernel reads the string `path`.
    unsafe { attempt!(Sysno::faccessat, AT_FDCWD, path.as_ptr(), 0) }.is_ok()
}

/// `unlinkat(AT_FDCWD, path, 0)`
pub(crate) fn unlink(path: ThinCStr<'_>) -> Result<(), Errno> {
    // SAFETY: the kernel reads the string `path`.
    unsafe { attempt!(Sysno::unlinkat, AT_FDCWD, path.as_ptr(), 0) }
}

/// `ftruncate(fd, 0)`
pub(crate) fn truncate(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: numbers only.
    unsafe { attempt!(Sysno::ftruncate, fd, 0) }
}

/// `utimensat(fd, NULL, {UTIME_OMIT, time}, 0)`—Dates the file as if it had last been written then. The
/// owner may, and root.
pub(crate) fn set_written(fd: RawFd, time: Nanoseconds) -> Result<(), Errno> {
    let times = [
        __kernel_old_timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT as _,
        },
        __kernel_old_timespec {
            tv_sec: (time / SECOND) as _,
            tv_nsec: (time % SECOND) as _,
        },
    ];
    // SAFETY: the kernel reads no path from null, and two timespecs.
    unsafe { call!(Sysno::utimensat, fd, 0, times.as_ptr(), 0) }.map(drop)
}

/// Which file a descriptor or a path stands for, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
    mode: u32,
    names: u32,
    owner: u32,
    written: Nanoseconds,
}

impl PartialEq for FileId {
    fn eq(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

impl FileId {
    #[allow(
        clippy::unnecessary_cast,
        reason = "the fields are narrower on some architectures"
    )]
    fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            mode: stat.st_mode as u32,
            names: stat.st_nlink as u32,
            owner: stat.st_uid as u32,
            written: (stat.st_mtime as Nanoseconds)
                .saturating_mul(SECOND)
                .saturating_add(stat.st_mtime_nsec as Nanoseconds),
        }
    }

    pub(crate) const fn is_regular(self) -> bool {
        self.mode & S_IFMT == S_IFREG
    }

    pub(crate) const fn is_socket(self) -> bool {
        self.mode & S_IFMT == S_IFSOCK
    }

    pub(crate) const fn has_other_names(self) -> bool {
        self.names > 1
    }

    /// Whether nobody but root and the caller may write it.
    pub(crate) fn is_safe(self) -> bool {
        self.mode & (S_IWGRP | S_IWOTH) == 0 && (self.owner == 0 || self.owner == effective_user())
    }

    /// When it was last written, by the clock of then.
    pub(crate) const fn written(self) -> Nanoseconds {
        self.written
    }
}

/// `fstat(fd)`
pub(crate) fn file_of(fd: RawFd) -> Result<FileId, Errno> {
    #[cfg(target_pointer_width = "64")]
    const CALL: Sysno = Sysno::fstat;
    #[cfg(target_pointer_width = "32")]
    const CALL: Sysno = Sysno::fstat64;
    let mut stat = MaybeUninit::<Stat>::zeroed();
    // SAFETY: the kernel writes a stat, of the kind that goes with the call.
    unsafe { attempt!(CALL, fd, stat.as_mut_ptr()) }?;
    // SAFETY: all zeros is a stat, and so is what the kernel wrote.
    Ok(FileId::of(&unsafe { stat.assume_init() }))
}

/// `fstatat(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW)`
pub(crate) fn file_at(path: ThinCStr<'_>) -> Result<FileId, Errno> {
    #[cfg(target_arch = "x86_64")]
    const CALL: Sysno = Sysno::newfstatat;
    #[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
    const CALL: Sysno = Sysno::fstatat; // newfstatat by another name, number 79
    #[cfg(target_pointer_width = "32")]
    const CALL: Sysno = Sysno::fstatat64;
    let mut stat = MaybeUninit::<Stat>::zeroed();
    // SAFETY: the kernel reads the string `path` and writes a stat, of the kind that goes with
    // the call.
    unsafe {
        call!(
            CALL,
            AT_FDCWD,
            path.as_ptr(),
            stat.as_mut_ptr(),
            AT_SYMLINK_NOFOLLOW
        )
    }?;
    // SAFETY: all zeros is a stat, and so is what the kernel wrote.
    Ok(FileId::of(&unsafe { stat.assume_init() }))
}

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
pub(crate) fn lock(fd: RawFd, locker: Locker) -> Result<bool, Errno> {
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
pub(crate) fn lock_owner(fd: RawFd) -> Result<LockOwner, Errno> {
    let mut lock = record_lock(Locker::Daemon);
    // SAFETY: the kernel reads and writes a flock.
    unsafe { attempt!(Sysno::fcntl, fd, F_GETLK, &raw mut lock) }?;
    if lock.l_type != F_WRLCK as _ || lock.l_start == Locker::Cleaner as _ {
        return Ok(LockOwner::Nobody);
    }
    Ok(Pid::new(lock.l_pid).map_or(LockOwner::Unknown, LockOwner::Process))
}

/// `getdents64(fd, buffer)`—The next entries of a directory; 0 at its end.
pub(crate) fn read_directory(fd: RawFd, buffer: &mut [u8]) -> Result<u32, Errno> {
    // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`.
    unsafe { call!(Sysno::getdents64, fd, buffer.as_mut_ptr(), buffer.len()) }
}
