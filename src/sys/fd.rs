//! Descriptors: ownership, duplication, flags, reading and writing.

use core::mem::ManuallyDrop;

use linux_raw_sys::general::{
    F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_SETFL, O_APPEND, O_CLOEXEC, O_NONBLOCK, RLIMIT_FSIZE,
    RLIMIT_NOFILE, rlimit64,
};
use linux_raw_sys::ioctl::FIONREAD;
use syscalls::Sysno;

use super::arch::{self, FCNTL_64};
use crate::protocol::Errno;

/// The number of a descriptor. The kernel takes an `int`; an unsigned number needs no sign extension to
/// become the argument of a system call.
pub type RawFd = u32;

/// An owned descriptor. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Fd(RawFd);

impl Fd {
    /// Takes ownership of a new descriptor, and moves it above 2 if necessary.
    ///
    /// If the caller runs with a standard stream closed, the kernel reuses its number. The descriptors of
    /// this crate must not stay there: redirecting the standard streams would close them.
    pub(super) fn above_standard_streams(fd: u32) -> Result<Self, Errno> {
        let fd = Self(fd);
        if fd.0 > 2 {
            return Ok(fd);
        }
        dupfd_cloexec(fd.0, 3).map(Self)
    }

    /// Takes ownership of a descriptor. Nothing else may close it.
    pub(crate) const fn from_raw(fd: RawFd) -> Self {
        Self(fd)
    }

    /// Returns the number of the descriptor.
    pub(crate) const fn raw(&self) -> RawFd {
        self.0
    }

    /// Gives up ownership, and returns the number of the descriptor.
    pub(crate) fn into_raw(self) -> RawFd {
        ManuallyDrop::new(self).0
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        close(self.0);
    }
}

/// `close(fd)`—Closes a descriptor. Does nothing for [`NO_FD`].
///
/// Linux closes the descriptor even if the call fails, with `EINTR` too (close(2)), so the call is not
/// repeated.
pub(crate) fn close(fd: RawFd) {
    if fd == NO_FD {
        return;
    }
    // SAFETY: the call takes no pointers. The callers own the descriptor, so no `Fd` closes it again.
    let _ = unsafe { call!(Sysno::close, fd) };
}

/// The two ends of a pipe. Dropping it does not close them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pipe {
    pub(crate) reader: RawFd,
    pub(crate) writer: RawFd,
}

impl Pipe {
    /// No pipe.
    pub(crate) const NONE: Self = Self {
        reader: NO_FD,
        writer: NO_FD,
    };
}

/// `pipe2(_, O_CLOEXEC | O_NONBLOCK)`—Creates a pipe.
///
/// Since Linux 2.6.27.
pub(crate) fn pipe() -> Result<Pipe, Errno> {
    let mut ends = [0; 2];
    // SAFETY: the kernel writes two ints to `ends`, which has room for them.
    unsafe { attempt!(Sysno::pipe2, ends.as_mut_ptr(), O_CLOEXEC | O_NONBLOCK) }?;
    let [reader, writer] = ends.map(Fd::above_standard_streams);
    let (reader, writer) = (reader?, writer?);
    Ok(Pipe {
        reader: reader.into_raw(),
        writer: writer.into_raw(),
    })
}

/// `read(fd, buffer, length)`—Reads from a descriptor, and returns the number of bytes; 0 at the end of the
/// file. Retries after `EINTR`.
pub(crate) fn read(fd: RawFd, buffer: &mut [u8]) -> Result<u32, Errno> {
    loop {
        // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`.
        match unsafe { call!(Sysno::read, fd, buffer.as_mut_ptr(), buffer.len()) } {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// `ioctl(fd, FIONREAD, _)`—Returns how many bytes a pipe holds.
pub(crate) fn fionread(fd: RawFd) -> Result<u32, Errno> {
    let mut count = 0_u32;
    // SAFETY: the kernel writes an int to `count`.
    unsafe { attempt!(Sysno::ioctl, fd, FIONREAD, &raw mut count) }?;
    Ok(count)
}

/// `lseek(fd, offset, SEEK_SET)`, or `_llseek`—Moves the file offset.
pub(crate) fn seek(fd: RawFd, offset: usize) -> Result<(), Errno> {
    arch::seek(fd, offset)
}

/// `write(fd, bytes, length)`—Writes to a descriptor, and returns the number of bytes written. Retries after
/// `EINTR`.
pub fn write(fd: RawFd, bytes: &[u8]) -> Result<u32, Errno> {
    loop {
        // SAFETY: the kernel reads `bytes.len()` bytes from `bytes`.
        match unsafe { call!(Sysno::write, fd, bytes.as_ptr(), bytes.len()) } {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// `dup3(from, to, 0)`—Makes `to` a duplicate of `from`, without the close-on-exec flag.
///
/// Since Linux 2.6.27. `EINVAL` if the two are equal, which the callers rule out.
pub(crate) fn dup3(from: RawFd, to: RawFd) -> Result<(), Errno> {
    // SAFETY: the call takes no pointers.
    unsafe { attempt!(Sysno::dup3, from, to, 0) }
}

/// `fcntl(fd, F_DUPFD_CLOEXEC, lowest)`—Duplicates a descriptor to the lowest free number not below `lowest`.
///
/// Since Linux 2.6.24.
pub(crate) fn dupfd_cloexec(fd: RawFd, lowest: RawFd) -> Result<RawFd, Errno> {
    // SAFETY: the call takes no pointers.
    unsafe { call!(FCNTL_64, fd, F_DUPFD_CLOEXEC, lowest) }
}

/// `fcntl(fd, F_GETFD)`—Checks that a descriptor is open. `EBADF` if it is not.
pub(crate) fn fcntl_getfd(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: the call takes no pointers.
    unsafe { attempt!(FCNTL_64, fd, F_GETFD) }
}

/// `fcntl(fd, F_SETFD, 0)`—Keeps a descriptor open across execve(2).
pub(crate) fn clear_cloexec(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: the call takes no pointers.
    unsafe { attempt!(FCNTL_64, fd, F_SETFD, 0) }
}

/// `fcntl(fd, F_SETFL, O_APPEND)` or `fcntl(fd, F_SETFL, 0)`—Clears `O_NONBLOCK`, and sets or clears
/// `O_APPEND`.
pub(crate) fn set_status_flags(fd: RawFd, append: bool) -> Result<(), Errno> {
    let flags = if append { O_APPEND } else { 0 };
    // SAFETY: the call takes no pointers.
    unsafe { attempt!(FCNTL_64, fd, F_SETFL, flags) }
}

/// `close_range(first, last, 0)`—Closes every descriptor from `first` to `last`.
///
/// Since Linux 5.9. `ENOSYS` before that.
pub(crate) fn close_range(first: RawFd, last: RawFd) -> Result<(), Errno> {
    // SAFETY: the call takes no pointers. No `Fd` has one of these numbers; descriptors of the program are closed on
    // its request.
    unsafe { attempt!(Sysno::close_range, first, last, 0) }
}

/// `prlimit64(0, RLIMIT_NOFILE, NULL, _)`—Returns the soft limit of open files, which is one above the largest
/// number that a new descriptor can have.
///
/// Since Linux 2.6.36.
pub(crate) fn getrlimit_nofile() -> Result<u64, Errno> {
    let mut limit = rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel reads nothing through the null pointer, and writes an rlimit64 to `limit`.
    unsafe { call!(Sysno::prlimit64, 0, RLIMIT_NOFILE, 0, &raw mut limit) }?;
    Ok(limit.rlim_cur)
}

/// `prlimit64(0, RLIMIT_FSIZE, NULL, _)`—Returns the soft limit of the size of a file, in bytes; the largest number if
/// there is none, or if the call fails. A write that begins at the limit raises SIGXFSZ.
pub(crate) fn getrlimit_fsize() -> u64 {
    let mut limit = rlimit64 {
        rlim_cur: u64::MAX,
        rlim_max: 0,
    };
    // SAFETY: the kernel reads nothing through the null pointer, and writes an rlimit64 to `limit`.
    let _ = unsafe { call!(Sysno::prlimit64, 0, RLIMIT_FSIZE, 0, &raw mut limit) };
    limit.rlim_cur
}

/// No descriptor. [`ppoll`](super::ppoll) ignores it.
pub(crate) const NO_FD: RawFd = RawFd::MAX; // -1 to the kernel
