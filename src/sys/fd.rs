//! Descriptors: owning, moving, reading and writing them.

use core::mem::ManuallyDrop;

use linux_raw_sys::general::{
    F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_SETFL, O_APPEND, O_CLOEXEC, O_NONBLOCK, RLIMIT_NOFILE,
    SEEK_SET, rlimit64,
};
use syscalls::Sysno;

use crate::protocol::Errno;

/// The number of a descriptor. It is an `int` to the kernel; unsigned, it needs no sign extension.
pub type RawFd = u32;

/// An owned descriptor, closed when it is dropped.
#[derive(Debug)]
pub(crate) struct Fd(RawFd);

impl Fd {
    /// Owns a descriptor that the kernel has just returned, moved above 2 if need be.
    ///
    /// The kernel returns 0 to 2 if the caller runs with these closed. The standard streams will be put
    /// there, and would replace the descriptor.
    pub(super) fn above_standard_streams(fd: u32) -> Result<Self, Errno> {
        let fd = Self(fd);
        if fd.0 > 2 {
            return Ok(fd);
        }
        dupfd_cloexec(fd.0, 3).map(Self)
    }

    /// Owns a descriptor that nothing else closes.
    pub(crate) const fn from_raw(fd: RawFd) -> Self {
        Self(fd)
    }

    pub(crate) const fn raw(&self) -> RawFd {
        self.0
    }

    /// Gives up the ownership, and returns the number.
    pub(crate) fn into_raw(self) -> RawFd {
        ManuallyDrop::new(self).0
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        close(self.0);
    }
}

/// `close(fd)`—Closes the descriptor, unless it is [`NO_FD`]. Linux closes it even if the call fails, also with
/// `EINTR` (close(2)), so errors are ignored.
pub(crate) fn close(fd: RawFd) {
    if fd == NO_FD {
        return;
    }
    // SAFETY: a number only. The callers close numbers that they own, so no `Fd` is closed twice.
    let _ = unsafe { call!(Sysno::close, fd) };
}

/// The two ends of a pipe. They stay open until they are closed one by one, or the process ends.
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

/// `pipe2(ends, O_CLOEXEC | O_NONBLOCK)`—Creates a pipe.
pub(crate) fn pipe() -> Result<Pipe, Errno> {
    let mut ends = [0; 2];
    // SAFETY: the kernel writes two ints to `ends`.
    unsafe { attempt!(Sysno::pipe2, ends.as_mut_ptr(), O_CLOEXEC | O_NONBLOCK) }?;
    let [reader, writer] = ends.map(Fd::above_standard_streams);
    let (reader, writer) = (reader?, writer?);
    Ok(Pipe {
        reader: reader.into_raw(),
        writer: writer.into_raw(),
    })
}

/// `read(fd, buffer, size)`—Reads, again after `EINTR`. Zero at end of file.
pub(crate) fn read(fd: RawFd, buffer: &mut [u8]) -> Result<u32, Errno> {
    loop {
        // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`.
        match unsafe { call!(Sysno::read, fd, buffer.as_mut_ptr(), buffer.len()) } {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// `lseek(fd, 0, SEEK_SET)`—Moves to the start of the file.
pub(crate) fn rewind(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: numbers only.
    unsafe { attempt!(Sysno::lseek, fd, 0, SEEK_SET) }
}

/// `write(fd, bytes, size)`—Writes, again after `EINTR`. Returns how many bytes were written.
pub fn write(fd: RawFd, bytes: &[u8]) -> Result<u32, Errno> {
    loop {
        // SAFETY: the kernel reads `bytes.len()` bytes from `bytes`.
        match unsafe { call!(Sysno::write, fd, bytes.as_ptr(), bytes.len()) } {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// `dup3(from, to, 0)`—Makes `to` a copy of `from` that stays open across an exec. They must differ, else
/// `EINVAL`.
pub(crate) fn dup3(from: RawFd, to: RawFd) -> Result<(), Errno> {
    // SAFETY: numbers only.
    unsafe { attempt!(Sysno::dup3, from, to, 0) }
}

/// `fcntl(fd, F_DUPFD_CLOEXEC, lowest)`—Copies the descriptor to the lowest free number that is not below
/// `lowest`.
pub(crate) fn dupfd_cloexec(fd: RawFd, lowest: RawFd) -> Result<RawFd, Errno> {
    // SAFETY: numbers only.
    unsafe { call!(Sysno::fcntl, fd, F_DUPFD_CLOEXEC, lowest) }
}

/// `fcntl(fd, F_GETFD)`—Succeeds if the descriptor is open, else `EBADF`.
pub(crate) fn fcntl_getfd(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: numbers only.
    unsafe { attempt!(Sysno::fcntl, fd, F_GETFD) }
}

/// `fcntl(fd, F_SETFD, 0)`—Leaves the descriptor open across an exec.
pub(crate) fn clear_cloexec(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: numbers only.
    unsafe { attempt!(Sysno::fcntl, fd, F_SETFD, 0) }
}

/// `fcntl(fd, F_SETFL, O_APPEND)` or `fcntl(fd, F_SETFL, 0)`—Clears `O_NONBLOCK`, and sets or clears `O_APPEND`.
pub(crate) fn set_status_flags(fd: RawFd, append: bool) -> Result<(), Errno> {
    let flags = if append { O_APPEND } else { 0 };
    // SAFETY: numbers only.
    unsafe { attempt!(Sysno::fcntl, fd, F_SETFL, flags) }
}

/// `close_range(first, last, 0)`—Closes all descriptors from `first` to `last`. Since Linux 5.9.
pub(crate) fn close_range(first: RawFd, last: RawFd) -> Result<(), Errno> {
    // SAFETY: numbers only. The callers own every descriptor from `first` to `last`.
    unsafe { attempt!(Sysno::close_range, first, last, 0) }
}

/// `prlimit64(0, RLIMIT_NOFILE, NULL, limit)`—Returns one more than the highest number of a new descriptor.
pub(crate) fn getrlimit_nofile() -> Result<u64, Errno> {
    let mut limit = rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel reads nothing from null and writes a rlimit64 to `limit`.
    unsafe { call!(Sysno::prlimit64, 0, RLIMIT_NOFILE, 0, &raw mut limit) }?;
    Ok(limit.rlim_cur)
}

/// No descriptor: the number that [`ppoll`](super::ppoll) ignores.
pub(crate) const NO_FD: RawFd = RawFd::MAX; // -1 to the kernel
