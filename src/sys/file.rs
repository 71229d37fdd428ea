//! Files and directories.

use linux_raw_sys::general::{
    __kernel_old_timespec, AT_FDCWD, O_APPEND, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_LARGEFILE,
    O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDONLY, O_RDWR, O_WRONLY, UTIME_OMIT,
};
use syscalls::Sysno;

use super::c_str::ThinCStr;
use super::fd::{Fd, RawFd};
use crate::protocol::{Errno, Nanoseconds, SECOND};
use crate::text::split_once;

/// The purposes of opening a file, as flags with which open(2) never waits for the other end of a FIFO.
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
    /// A directory to return to. fchdir(2) takes such a descriptor since Linux 3.5.
    Path = O_PATH | O_DIRECTORY,
}

impl Open {
    /// For a file that gets output.
    pub(crate) const fn output(append: bool) -> Self {
        if append { Self::Append } else { Self::Write }
    }
}

/// `openat(AT_FDCWD, path, flags | O_CLOEXEC | O_NOCTTY, 0644)`—Opens a file, again after `EINTR`.
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

/// `chdir(path)`—Changes the working directory.
pub(crate) fn chdir(path: ThinCStr<'_>) -> Result<(), Errno> {
    // SAFETY: the kernel reads the string `path`.
    unsafe { attempt!(Sysno::chdir, path.as_ptr()) }
}

/// `fchdir(fd)`—Changes the working directory.
pub(crate) fn fchdir(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: a number only.
    unsafe { attempt!(Sysno::fchdir, fd) }
}

/// `getcwd(buffer, size)`—Returns the absolute path of the working directory. Empty if it has none: it was
/// removed, or is outside the root directory.
pub(crate) fn getcwd(buffer: &mut [u8]) -> &[u8] {
    // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`.
    let _ = unsafe { call!(Sysno::getcwd, buffer.as_mut_ptr(), buffer.len()) };
    match split_once(buffer, 0).0 {
        path @ [b'/', ..] => path,
        _ => b"",
    }
}

/// `umask(mask)`—Sets the file mode creation mask, and returns the previous one.
pub(crate) fn umask(mask: u32) -> u32 {
    // SAFETY: a number only.
    unsafe { call!(Sysno::umask, mask) }.unwrap_or(0)
}

/// `faccessat(AT_FDCWD, path, F_OK)`—Whether a file exists, as far as the caller can see.
pub(crate) fn access(path: ThinCStr<'_>) -> bool {
    // SAFETY: the kernel reads the string `path`.
    unsafe { attempt!(Sysno::faccessat, AT_FDCWD, path.as_ptr(), 0) }.is_ok()
}

/// `unlinkat(AT_FDCWD, path, 0)`—Removes a name of a file.
pub(crate) fn unlink(path: ThinCStr<'_>) -> Result<(), Errno> {
    // SAFETY: the kernel reads the string `path`.
    unsafe { attempt!(Sysno::unlinkat, AT_FDCWD, path.as_ptr(), 0) }
}

/// `ftruncate(fd, 0)`—Empties a file.
pub(crate) fn ftruncate(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: numbers only.
    unsafe { attempt!(Sysno::ftruncate, fd, 0) }
}

/// `utimensat(fd, NULL, {UTIME_OMIT, time}, 0)`—Sets the modification time. Only the owner and root may.
pub(crate) fn set_mtime(fd: RawFd, time: Nanoseconds) -> Result<(), Errno> {
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
    // SAFETY: the path is null, and the kernel reads two timespecs.
    unsafe { call!(Sysno::utimensat, fd, 0, times.as_ptr(), 0) }.map(drop)
}

/// `getdents64(fd, buffer, size)`—Reads the next entries of a directory. Zero at its end.
pub(crate) fn getdents(fd: RawFd, buffer: &mut [u8]) -> Result<u32, Errno> {
    // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`.
    unsafe { call!(Sysno::getdents64, fd, buffer.as_mut_ptr(), buffer.len()) }
}
