//! What errors say, in words.

use core::ffi::CStr;
use core::fmt;

use super::error::{Kind, UNTIMED};
use super::text::{Say, display, line, say_number};
use super::{Error, ExitCode};

/// What the streams are called.
static STREAMS: &[u8] = b"input\noutput\nerror";

/// What a limit is called: those of `Resource`, in its order, and the others that code 17 tells of.
pub(crate) static LIMITS: &[u8] =
    b"nofile\ncore\nas\ndata\nstack\nmemlock\nnproc\nfsize\ncpu\nniceness\noom_score_adj\nno_new_privs";

/// The lines of the others.
pub(crate) const NICENESS: u32 = 9;
pub(crate) const OOM_SCORE_ADJ: u32 = 10;
pub(crate) const NO_NEW_PRIVS: u32 = 11;

/// Says the error in words, with the path that the step was given.
///
/// For the command: what `Display` shows, as bytes and without `core::fmt`.
#[doc(hidden)]
pub fn tell(error: &Error, path: Option<&CStr>, say: &mut Say<'_>) {
    let (code, large) = (error.code(), error.large());
    match (code, error.part()) {
        (ExitCode::PidfileFailed, Some(_)) => say(b"cannot use the lock file"),
        (ExitCode::CloseFailed, Some(fd)) => {
            say(b"cannot keep descriptor ");
            say_number(fd as u32, say);
        }
        _ => say(code.words()),
    }
    match (path, code) {
        (Some(path), _) => {
            say(b" ");
            say(path.to_bytes());
        }
        (None, ExitCode::OpenFailed) => say(b" the file"),
        (None, ExitCode::ExecFailed) => say(b" the command"),
        (None, _) => {}
    }
    match (code, error.part()) {
        (ExitCode::OpenFailed, Some(stream)) => {
            say(b" for standard ");
            say(line(STREAMS, stream));
        }
        (ExitCode::LimitsFailed, Some(limit)) => {
            say(b" (");
            say(line(LIMITS, limit));
            say(b")");
        }
        _ => {}
    }
    say(line(CAUSES, error.kind() as usize));
    match error.kind() {
        Kind::Errno => error.errno().tell(say),
        Kind::Died => {
            error.status().tell(say);
            if large != UNTIMED {
                say(b" after ");
                say_number(large, say);
                say(b" ms");
            }
        }
        Kind::Owner | Kind::Reason => say_number(large, say),
        Kind::NotListed if code == ExitCode::SetuidFailed => say(b"passwd"),
        Kind::NotListed => say(b"group"),
        Kind::Unknown | Kind::NotAFile | Kind::Silent => {}
    }
}

/// How each kind of cause is told, a line to each.
static CAUSES: &[u8] = b"\n\n: \n: \n as pid \n: not a regular file\n: not in /etc/\n\
: it closed its line without a word\n: reason ";

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(f, |say| tell(self, None, say))
    }
}

/// As `Display`, since this is what a `main` that returns the error prints.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An [`Error`] and the path that the step was given, for display.
#[derive(Clone, Copy, Debug)]
pub struct WithPath<'a> {
    pub(super) error: &'a Error,
    pub(super) path: Option<&'a CStr>,
}

impl fmt::Display for WithPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(f, |say| tell(self.error, self.path, say))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::string::ToString;

    use crate::protocol::{Cause, Errno, Error, ExitCode, Pid, Stream, WaitStatus};

    #[test]
    fn errors_are_one_line_of_plain_words() {
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
        let not_utf8 = Error::new(ExitCode::ExecFailed, Cause::Errno(Errno::EACCES));
        assert_eq!(
            not_utf8.with_path(c"/\xffx").to_string(),
            "cannot execute /\u{fffd}x: Permission denied (EACCES)"
        );
    }
}
