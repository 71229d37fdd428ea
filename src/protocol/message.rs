//! The message of an error.

use core::ffi::CStr;
use core::fmt;

use super::error::{Error, Kind, NOT_EMPTIED, UNTIMED};
use super::exit_code::ExitCode;
use crate::text::{Lines, Sink, display, lines, write_number};

/// The names of the standard streams.
static STREAMS: Lines = lines!["input"; "output"; "error";];

/// The names of the limits: those of `Resource::ALL`, in that order, and the others that fail with
/// `LimitsFailed`.
pub static LIMITS: Lines = lines![
    "nofile"; "core"; "as"; "data"; "stack"; "memlock"; "nproc"; "fsize"; "cpu";
    "niceness"; "oom_score_adj"; "no_new_privs";
];

/// The indices of the others.
pub(crate) const NICENESS: u32 = 9;
pub(crate) const OOM_SCORE_ADJ: u32 = 10;
pub(crate) const NO_NEW_PRIVS: u32 = 11;

/// Writes the message of an error, with the path that the step used.
///
/// For the command: the same text as `Display`, as bytes and without `core::fmt`.
#[doc(hidden)]
pub fn describe(error: &Error, path: Option<&CStr>, out: &mut Sink<'_>) {
    let (code, large) = (error.code(), error.large());
    match (code, error.part()) {
        (ExitCode::PidfileFailed, Some(_)) => out(b"cannot use the lock file"),
        (ExitCode::StdioFailed, Some(_)) => out(b"cannot save the standard descriptors"),
        (ExitCode::CloseFailed, Some(fd)) => {
            out(b"cannot keep descriptor ");
            write_number(fd as u32, out);
        }
        (ExitCode::OpenFailed, Some(part)) if part >= NOT_EMPTIED as usize => out(b"cannot empty"),
        (ExitCode::Refused, _) if error.kind() == Kind::Silent => {
            out(b"the daemon did not become ready");
        }
        _ => out(code.words()),
    }
    match (path, code) {
        (Some(path), _) => {
            out(b" ");
            out(path.to_bytes());
        }
        (None, ExitCode::OpenFailed) => out(b" the file"),
        (None, ExitCode::ExecFailed) => out(b" the command"),
        (None, _) => {}
    }
    match (code, error.part()) {
        (ExitCode::OpenFailed, Some(stream)) => {
            out(b" for standard ");
            out(STREAMS.get(stream & !(NOT_EMPTIED as usize)));
        }
        (ExitCode::LimitsFailed, Some(limit)) => {
            out(b" (");
            out(LIMITS.get(limit));
            out(b")");
        }
        _ => {}
    }
    out(CAUSES.get(error.kind() as usize));
    match error.kind() {
        Kind::Errno => error.errno().describe(out),
        Kind::Died => {
            error.status().describe(out);
            if large != UNTIMED {
                out(b" after ");
                write_number(large, out);
                out(b" ms");
            }
        }
        Kind::Owner | Kind::Reason => write_number(large, out),
        Kind::NotListed if code == ExitCode::SetuidFailed => out(b"passwd"),
        Kind::NotListed => out(b"group"),
        Kind::Unknown | Kind::NotAFile | Kind::Silent => {}
    }
}

/// The beginning of each kind of cause.
static CAUSES: Lines = lines![
    ""; ""; ": "; ": "; " as pid "; ": not a regular file"; ": not in /etc/";
    ": it closed its notification pipe"; ": reason ";
];

impl Error {
    /// The error together with the path that the step used, for display. The path is not checked: that of another
    /// step makes a wrong message.
    #[must_use]
    pub const fn with_path<'a>(&'a self, path: &'a CStr) -> WithPath<'a> {
        WithPath {
            error: self,
            path: Some(path),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(f, |out| describe(self, None, out))
    }
}

/// The same as `Display`: a `main` that returns an error prints it with `Debug`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An [`Error`] together with the path that the step used, for display.
///
/// Made by [`Error::with_path`].
#[derive(Clone, Copy, Debug)]
pub struct WithPath<'a> {
    pub(super) error: &'a Error,
    pub(super) path: Option<&'a CStr>,
}

impl fmt::Display for WithPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(f, |out| describe(self.error, self.path, out))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::string::ToString;

    use crate::protocol::{Cause, Errno, Error, ExitCode, Pid, Stream, WaitStatus};

    #[test]
    fn messages_are_one_line() {
        let denied = Error::of_stream(Errno::EACCES, Stream::Output);
        assert_eq!(
            denied.to_string(),
            "cannot open the file for standard output: Permission denied (EACCES)"
        );
        assert_eq!(
            denied.with_path(c"/var/log/web.log").to_string(),
            "cannot open /var/log/web.log for standard output: Permission denied (EACCES)"
        );
        let died = Cause::Died {
            status: WaitStatus::from_raw(11),
            after: Some(Duration::from_millis(12)),
        };
        assert_eq!(
            Error::new(ExitCode::DaemonDied, died).to_string(),
            "the daemon ended too soon: killed by signal 11 (SIGSEGV) after 12 ms"
        );
        let owner = Cause::Owner(Pid::new(1234).unwrap());
        assert_eq!(
            Error::new(ExitCode::AlreadyRunning, owner).to_string(),
            "already running as pid 1234"
        );
        let not_executed = Error::new(ExitCode::ExecFailed, Cause::Errno(Errno::EACCES));
        assert_eq!(
            not_executed.to_string(),
            "cannot execute the command: Permission denied (EACCES)"
        );
        assert_eq!(
            not_executed.with_path(c"/\xffx").to_string(),
            "cannot execute /\u{fffd}x: Permission denied (EACCES)"
        );
    }
}
