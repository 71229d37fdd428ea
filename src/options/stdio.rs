//! What a standard stream of the daemon is.

use super::c_str_arg::{CStrArg, IntoCStr};
use crate::sys::ThinCStr;

/// What a standard stream of the daemon is, for [`DaemonizeOptions::stdin`](crate::DaemonizeOptions::stdin),
/// [`stdout`](crate::DaemonizeOptions::stdout) and [`stderr`](crate::DaemonizeOptions::stderr).
///
/// With the feature `std`, an open `File`, socket or `OwnedFd` converts into this, and so does a reference to
/// anything that is `AsFd`. Who reads the other end of a pipe sees its end only when the caller has closed its own
/// copies, too: drop the options, which own what was passed by value.
///
/// ```
/// use rawdaemon::{DaemonizeOptions, Stdio};
///
/// let log = c"/var/log/web.log";
/// let options = DaemonizeOptions::new().stdout(Stdio::append(log)).stderr(Stdio::append(log));
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
pub struct Stdio<'a>(Stream<'a>);

#[derive(Clone, Debug)]
pub(crate) enum Stream<'a> {
    Null,
    /// The caller's stream, or `/dev/null` if that is closed.
    Inherit,
    /// A file that is truncated if it is an output.
    File(CStrArg<'a>),
    /// A file that output is appended to.
    Append(CStrArg<'a>),
    /// A descriptor of the caller.
    Fd(i32),
    /// A descriptor that the options own.
    #[cfg(feature = "std")]
    Owned(alloc::sync::Arc<std::os::fd::OwnedFd>),
}

impl<'a> Stdio<'a> {
    /// `/dev/null`. This is the default, except in the foreground.
    #[must_use]
    pub const fn null() -> Self {
        Self(Stream::Null)
    }

    /// The caller's stream. If the caller's stream is closed, it is `/dev/null`, so that no other file gets
    /// its number. This is the default in the foreground.
    #[must_use]
    pub const fn inherit() -> Self {
        Self(Stream::Inherit)
    }

    /// The file at this path, truncated if it is an output. Standard input is read from it.
    ///
    /// Output always goes to the end of the file (`O_APPEND`), also after another process has truncated it.
    /// The file is truncated last, when only an exec can still fail. A missing file is created with mode
    /// 0644, less the caller's umask. A directory, a socket, and a FIFO that no process has open for reading
    /// are errors.
    #[must_use]
    pub fn file(path: impl IntoCStr<'a>) -> Self {
        Self(Stream::File(path.into_arg()))
    }

    /// As [`file`](Self::file), without truncating it.
    #[must_use]
    pub fn append(path: impl IntoCStr<'a>) -> Self {
        Self(Stream::Append(path.into_arg()))
    }

    /// A descriptor that is open in the caller. It is duplicated, so the caller's descriptor stays as it is,
    /// and shares the file offset and flags with the daemon. A descriptor that is not open is an error,
    /// `EBADF`.
    #[must_use]
    pub const fn fd(fd: i32) -> Self {
        Self(Stream::Fd(fd))
    }

    #[cfg(feature = "std")]
    pub(crate) fn owned(fd: std::os::fd::OwnedFd) -> Self {
        Self(Stream::Owned(alloc::sync::Arc::new(fd)))
    }

    pub(crate) const fn stream(&self) -> &Stream<'a> {
        &self.0
    }

    /// The same file, appended to. For the command: its option --append may follow the file.
    #[doc(hidden)]
    #[must_use]
    pub fn appending(self) -> Self {
        match self.0 {
            Stream::File(path) => Self(Stream::Append(path)),
            other => Self(other),
        }
    }
}

impl Stream<'_> {
    /// The descriptor, if it is one.
    pub(crate) fn fd(&self) -> Option<i32> {
        match self {
            Stream::Fd(fd) => Some(*fd),
            #[cfg(feature = "std")]
            Stream::Owned(fd) => Some(std::os::fd::AsRawFd::as_raw_fd(&**fd)),
            _ => None,
        }
    }

    /// The path, if it is a file.
    pub(crate) fn path(&self) -> Option<ThinCStr<'_>> {
        match self {
            Stream::File(path) | Stream::Append(path) => Some(path.get()),
            _ => None,
        }
    }
}
