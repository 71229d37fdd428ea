//! Conversions from and to the types of the standard library.

use alloc::ffi::CString;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdin, ChildStdout, ExitCode};

use crate::options::{CStrArg, IntoCStr, Stdio};
use crate::protocol::{Cause, Errno, Error, ErrorKind};

/// The kind is that of the errno if there is one, and the message is that of the error.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match (error.kind(), error.cause()) {
            (ErrorKind::TimedOut, _) => io::ErrorKind::TimedOut,
            (ErrorKind::AlreadyRunning, _) => io::ErrorKind::AlreadyExists,
            (ErrorKind::Usage, _) => io::ErrorKind::InvalidInput,
            (_, Cause::Errno(errno)) => Self::from_raw_os_error(errno.number()).kind(),
            (_, Cause::NotListed) => io::ErrorKind::NotFound,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// The [exit code](Error::exit_code) of the error.
impl From<Error> for ExitCode {
    fn from(error: Error) -> Self {
        Self::from(error.exit_code())
    }
}

/// The errno of the error; [`Cause::Unknown`] if it has none.
impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        let errno = error.raw_os_error().and_then(Errno::new);
        errno.map_or(Self::Unknown, Self::Errno)
    }
}

/// As [`Stdio::fd`].
impl<'a> From<BorrowedFd<'a>> for Stdio<'a> {
    fn from(fd: BorrowedFd<'a>) -> Self {
        Self::fd(fd.as_raw_fd())
    }
}

/// As [`Stdio::fd`], with a reference to an open file, for example.
impl<'a, F: AsFd> From<&'a F> for Stdio<'a> {
    fn from(file: &'a F) -> Self {
        file.as_fd().into()
    }
}

/// As [`Stdio::fd`]. The descriptor is closed when the options are dropped: in the daemon, too.
impl From<OwnedFd> for Stdio<'_> {
    fn from(fd: OwnedFd) -> Self {
        Self::owned(fd)
    }
}

macro_rules! streams {
    ($($type:ty,)*) => {
        $(
            /// As [`Stdio::fd`]. It is closed when the options are dropped: in the daemon, too.
            impl From<$type> for Stdio<'_> {
                fn from(file: $type) -> Self {
                    Self::owned(file.into())
                }
            }
        )*
    };
}

streams! {
    File, UnixStream, UnixDatagram, TcpStream, ChildStdin, ChildStdout, ChildStderr,
}

impl<'a> IntoCStr<'a> for &OsStr {
    fn into_arg(self) -> CStrArg<'a> {
        CStrArg::owned(CString::new(self.as_bytes()))
    }
}

impl<'a> IntoCStr<'a> for &OsString {
    fn into_arg(self) -> CStrArg<'a> {
        self.as_os_str().into_arg()
    }
}

impl<'a> IntoCStr<'a> for OsString {
    fn into_arg(self) -> CStrArg<'a> {
        CStrArg::owned(CString::new(self.into_vec()))
    }
}

impl<'a> IntoCStr<'a> for &Path {
    fn into_arg(self) -> CStrArg<'a> {
        self.as_os_str().into_arg()
    }
}

impl<'a> IntoCStr<'a> for &PathBuf {
    fn into_arg(self) -> CStrArg<'a> {
        self.as_os_str().into_arg()
    }
}

impl<'a> IntoCStr<'a> for PathBuf {
    fn into_arg(self) -> CStrArg<'a> {
        self.into_os_string().into_arg()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::{CString, OsStr, OsString};
    use std::io;
    use std::path::{Path, PathBuf};
    use std::string::{String, ToString};

    use crate::protocol::failed;
    use crate::{Cause, DaemonizeOptions, Errno, Error, ErrorKind, Subject};

    #[test]
    fn errors_keep_their_kind_and_message() {
        for (error, kind) in [
            (
                failed(ErrorKind::ChdirFailed)(Errno::ENOENT),
                io::ErrorKind::NotFound,
            ),
            (
                failed(ErrorKind::Usage)(Errno::EINVAL),
                io::ErrorKind::InvalidInput,
            ),
            (
                Error::new(ErrorKind::TimedOut, Cause::Unknown),
                io::ErrorKind::TimedOut,
            ),
            (
                Error::new(ErrorKind::Refused, Cause::Silent),
                io::ErrorKind::Other,
            ),
        ] {
            let converted = io::Error::from(error);
            assert_eq!(converted.kind(), kind);
            assert_eq!(converted.to_string(), error.to_string());
        }
        let errno = io::Error::from_raw_os_error(Errno::EACCES.number());
        assert_eq!(Cause::from(errno), Cause::Errno(Errno::EACCES));
        let other = io::Error::other("no errno");
        assert_eq!(Cause::from(other), Cause::Unknown);
    }

    #[test]
    #[allow(
        clippy::needless_borrows_for_generic_args,
        reason = "references are types of their own"
    )]
    fn every_type_of_string_is_a_path() {
        let path = Path::new("/run/web.pid");
        let c_string = CString::new("/run/web.pid").unwrap();
        let new = DaemonizeOptions::new;
        for options in [
            new().pidfile("/run/web.pid"),
            new().pidfile(String::from("/run/web.pid")),
            new().pidfile(&String::from("/run/web.pid")),
            new().pidfile(path),
            new().pidfile(PathBuf::from(path)),
            new().pidfile(&PathBuf::from(path)),
            new().pidfile(OsStr::new("/run/web.pid")),
            new().pidfile(OsString::from("/run/web.pid")),
            new().pidfile(&OsString::from("/run/web.pid")),
            new().pidfile(&c_string),
            new().pidfile(c_string.clone()),
        ] {
            let pidfile = options.settings.string(Subject::Pidfile).unwrap();
            assert_eq!(pidfile.to_c_str(), c"/run/web.pid");
        }
        let error = new().pidfile("a\0b").settings.check(false).unwrap_err();
        assert_eq!(error.subject(), Some(Subject::Pidfile));
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
}
