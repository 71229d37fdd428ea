//! Files and directories.

use linux_raw_sys::general::{
    __kernel_timespec, AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, O_APPEND, O_CLOEXEC, O_CREAT,
    O_DIRECTORY, O_EXCL, O_LARGEFILE, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDONLY, O_RDWR,
    O_WRONLY, UTIME_OMIT,
};
use syscalls::Sysno;

use super::arch::{self, RENAMEAT, UTIMENSAT, call_with_times};
use super::c_str::ThinCStr;
use super::fd::{Fd, RawFd};
use crate::protocol::{Errno, Nanoseconds, SECOND};
use crate::text::split_once;

/// `PATH_MAX`: the longest path that the kernel accepts, including the null byte.
pub(crate) const PATH_SIZE: usize = 4096;

/// The purpose that a file is opened for. None of these makes open(2) wait for the other end of a FIFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Open {
    /// For a device or a file of `/proc`.
    ReadWrite = O_RDWR,
    Read = O_RDONLY | O_NONBLOCK,
    /// For a file that a daemon writes its output to.
    Append = O_WRONLY | O_APPEND | O_NONBLOCK,
    Lock = O_RDWR | O_NOFOLLOW | O_NONBLOCK,
    LockQuery = O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
    Directory = O_RDONLY | O_DIRECTORY,
    /// For fchdir(2), which accepts such a descriptor since Linux 3.5.
    Path = O_PATH | O_DIRECTORY,
}

/// In place of the descriptor of a directory: the working directory.
pub(crate) const WORKING_DIRECTORY: RawFd = AT_FDCWD as RawFd;

/// What open(2) makes of a symbolic link as the last component, and of a missing file.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(crate) enum Missing {
    /// Fails with `ENOENT`.
    Fails = 0,
    /// Fails with `ENOENT`; a link fails with `ELOOP`.
    FailsAsLinks = O_NOFOLLOW,
    /// Creates the file, also that to which a link points.
    IsCreated = O_CREAT,
    /// Creates the file; a link or another file fails with `EEXIST`.
    IsCreatedOnly = O_CREAT | O_EXCL,
}

/// `openat(AT_FDCWD, path, flags | O_CLOEXEC | O_NOCTTY)`—Opens a file that exists. Retries after `EINTR`.
pub(crate) fn open(path: ThinCStr<'_>, purpose: Open) -> Result<Fd, Errno> {
    open_at(WORKING_DIRECTORY, path, purpose, Missing::Fails)
}

/// `openat(directory, path, flags | O_CLOEXEC | O_NOCTTY, 0644)`—Opens or creates a file. Retries after `EINTR`.
pub(crate) fn open_at(
    directory: RawFd,
    path: ThinCStr<'_>,
    purpose: Open,
    missing: Missing,
) -> Result<Fd, Errno> {
    openat(directory, path, purpose as u32 | missing as u32, 0o644)
}

/// `openat(AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | …, mode)`—Creates a file. `EEXIST` if there is
/// one, even if it is a symbolic link.
pub(crate) fn create_new(path: ThinCStr<'_>, mode: u32) -> Result<Fd, Errno> {
    let flags = Open::Append as u32 | Missing::IsCreatedOnly as u32;
    openat(WORKING_DIRECTORY, path, flags, mode)
}

#[inline(never)]
fn openat(directory: RawFd, path: ThinCStr<'_>, flags: u32, mode: u32) -> Result<Fd, Errno> {
    let flags = flags | O_CLOEXEC | O_NOCTTY | O_LARGEFILE;
    loop {
        // SAFETY: the kernel reads the C string `path`.
        match unsafe { call!(Sysno::openat, directory, path.as_ptr(), flags, mode) } {
            Err(Errno::EINTR) => {}
            result => return Fd::above_standard_streams(result?),
        }
    }
}

/// `chdir(path)`—Changes the working directory.
pub(crate) fn chdir(path: ThinCStr<'_>) -> Result<(), Errno> {
    // SAFETY: the kernel reads the C string `path`.
    unsafe { attempt!(Sysno::chdir, path.as_ptr()) }
}

/// `fchdir(fd)`—Changes the working directory to an open one.
pub(crate) fn fchdir(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: the call takes no pointers.
    unsafe { attempt!(Sysno::fchdir, fd) }
}

/// `getcwd(buffer, size)`—Returns the absolute path of the working directory. Empty if the directory was
/// removed or lies outside the root, or if the path does not fit into the buffer.
pub(crate) fn getcwd(buffer: &mut [u8]) -> &[u8] {
    // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`.
    let _ = unsafe { call!(Sysno::getcwd, buffer.as_mut_ptr(), buffer.len()) };
    match split_once(buffer, 0).0 {
        path @ [b'/', ..] => path,
        _ => b"",
    }
}

/// `umask(mask)`—Sets the file mode creation mask, and returns the previous one. Fails only in a sandbox.
pub(crate) fn umask(mask: u32) -> Result<u32, Errno> {
    // SAFETY: the call takes no pointers.
    unsafe { call!(Sysno::umask, mask) }
}

/// Runs an action with this file mode creation mask, if that can be set.
pub(crate) fn with_umask<T>(mask: u32, action: impl FnOnce() -> T) -> T {
    let before = umask(mask);
    let value = action();
    let _ = before.and_then(umask);
    value
}

/// `faccessat(directory, path, F_OK)`—Returns whether a file exists, as far as the caller can see.
pub(crate) fn access_at(directory: RawFd, path: ThinCStr<'_>) -> bool {
    // SAFETY: the kernel reads the C string `path`.
    unsafe { attempt!(Sysno::faccessat, directory, path.as_ptr(), 0) }.is_ok()
}

/// `mkdirat(directory, name, mode)`—Makes a directory. `EEXIST` if there is a file, even if it is a symbolic link.
pub(crate) fn mkdirat(directory: RawFd, name: ThinCStr<'_>, mode: u32) -> Result<(), Errno> {
    // SAFETY: the kernel reads the C string `name`.
    unsafe { attempt!(Sysno::mkdirat, directory, name.as_ptr(), mode) }
}

/// `mkdirat(AT_FDCWD, path, mode)`—Makes a directory.
pub(crate) fn mkdir(path: ThinCStr<'_>, mode: u32) -> Result<(), Errno> {
    mkdirat(WORKING_DIRECTORY, path, mode)
}

/// `unlinkat(AT_FDCWD, path, 0)`—Removes a name of a file.
pub(crate) fn unlink(path: ThinCStr<'_>) -> Result<(), Errno> {
    unlinkat(WORKING_DIRECTORY, path, 0)
}

/// `unlinkat(AT_FDCWD, path, AT_REMOVEDIR)`—Removes an empty directory.
pub(crate) fn rmdir(path: ThinCStr<'_>) -> Result<(), Errno> {
    rmdir_at(WORKING_DIRECTORY, path)
}

/// `unlinkat(directory, name, AT_REMOVEDIR)`—Removes an empty directory.
pub(crate) fn rmdir_at(directory: RawFd, name: ThinCStr<'_>) -> Result<(), Errno> {
    unlinkat(directory, name, AT_REMOVEDIR)
}

#[inline(never)]
fn unlinkat(directory: RawFd, path: ThinCStr<'_>, flags: u32) -> Result<(), Errno> {
    // SAFETY: the kernel reads the C string `path`.
    unsafe { attempt!(Sysno::unlinkat, directory, path.as_ptr(), flags) }
}

/// `fchmodat(AT_FDCWD, path, mode)`—Changes the mode of a file. Follows symbolic links.
pub(crate) fn chmod(path: ThinCStr<'_>, mode: u32) -> Result<(), Errno> {
    // SAFETY: the kernel reads the C string `path`.
    unsafe { attempt!(Sysno::fchmodat, AT_FDCWD, path.as_ptr(), mode) }
}

/// `fchownat(AT_FDCWD, path, user, -1, AT_SYMLINK_NOFOLLOW)`—Changes the owner of a file.
pub(crate) fn lchown(path: ThinCStr<'_>, user: u32) -> Result<(), Errno> {
    let (group, flags) = (u32::MAX, AT_SYMLINK_NOFOLLOW);
    // SAFETY: the kernel reads the C string `path`.
    unsafe { call!(Sysno::fchownat, AT_FDCWD, path.as_ptr(), user, group, flags) }.map(drop)
}

/// `renameat(AT_FDCWD, from, AT_FDCWD, to)`—Gives a file another name, in place of the file that has it.
pub(crate) fn rename(from: ThinCStr<'_>, to: ThinCStr<'_>) -> Result<(), Errno> {
    let (from, to) = (from.as_ptr(), to.as_ptr());
    // The flags of renameat2(2) become zero.
    // SAFETY: the kernel reads the C strings.
    unsafe { call!(RENAMEAT, AT_FDCWD, from, AT_FDCWD, to) }.map(drop)
}

/// `fchmod(fd, mode)`—Sets the permissions of a file.
pub(crate) fn fchmod(fd: RawFd, mode: u32) -> Result<(), Errno> {
    // SAFETY: the call takes no pointers.
    unsafe { attempt!(Sysno::fchmod, fd, mode) }
}

/// `ftruncate(fd, length)`—Sets the length of a file.
pub(crate) fn ftruncate(fd: RawFd, length: u64) -> Result<(), Errno> {
    arch::ftruncate(fd, length)
}

/// `utimensat(fd, NULL, {UTIME_OMIT, time}, 0)`—Sets the modification time of a file.
///
/// Since Linux 2.6.22. `EPERM` unless the caller owns the file or is root.
pub(crate) fn set_mtime(fd: RawFd, time: Nanoseconds) -> Result<(), Errno> {
    let mut times = [
        __kernel_timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT as _,
        },
        __kernel_timespec {
            tv_sec: (time / SECOND) as _,
            tv_nsec: (time % SECOND) as _,
        },
    ];
    // SAFETY: the kernel reads two timespecs from `times`, and no path through the null pointer.
    call_with_times(UTIMENSAT, &mut times, |number, times| unsafe {
        call!(number, fd, 0, times, 0)
    })
    .map(drop)
}
