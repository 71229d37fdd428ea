//! The message of an error.

use core::ffi::CStr;
use core::fmt;

use super::errno::Errno;
use super::error::{CauseKind, Error, Note};
use super::exit_code::ErrorKind;
use super::milliseconds::UNTIMED;
use super::subject::Subject;
use crate::packed::{Packed, packed};
use crate::text::{Lines, Sink, display, lines, parse_number, split_once, write_number};

/// Writes the message of an error, with the path that the step used.
///
/// For the command: the same text as `Display`, as bytes and without `core::fmt`.
#[doc(hidden)]
pub fn describe(error: &Error, path: Option<&CStr>, out: &mut Sink<'_>) {
    let (kind, large) = (error.kind(), error.large());
    let subject = error.subject();
    let (cause, is_other) = (error.cause_kind(), error.has(Note::Other));
    let what = match (kind, subject) {
        (ErrorKind::PidfileFailed, Some(Subject::LockFile)) => packed!("cannot use the lock file"),
        (ErrorKind::StdioFailed, Some(_)) => packed!("cannot save"),
        (ErrorKind::CloseFailed, Some(_)) => packed!("cannot keep"),
        (ErrorKind::OpenFailed, _) if is_other => packed!("cannot empty"),
        (ErrorKind::OpenFailed, Some(Subject::Mkdir)) => packed!("cannot make"),
        (ErrorKind::PidfileFailed, _) if is_other => packed!("cannot remove the pidfile"),
        (ErrorKind::WaitFailed, _) if is_other => packed!("cannot watch the daemon"),
        (ErrorKind::TimedOut, _) if is_other => packed!("the other start has not ended in time"),
        _ if matches!(cause, CauseKind::Silent | CauseKind::Late) => {
            packed!("the daemon did not become ready")
        }
        _ => kind.words(),
    };
    what.write(out);
    let path = path.map(|path| named_part(kind, path.to_bytes()));
    let (before, object, after): (&[u8], &[u8], &[u8]) = match (path, kind) {
        (Some(path), ErrorKind::AlreadyRunning) => (b" (", path, b")"),
        (Some(path), _) => (b" ", path, b""),
        (None, ErrorKind::OpenFailed) => (b" the file", b"", b""),
        (None, ErrorKind::ExecFailed) => (b" the command", b"", b""),
        (None, _) => (b"", b"", b""),
    };
    out(before);
    out(object);
    out(after);
    let (before, after): (&[u8], &[u8]) = match kind {
        ErrorKind::OpenFailed => (b" for ", b""),
        ErrorKind::StdioFailed | ErrorKind::CloseFailed => (b" ", b""),
        ErrorKind::LimitsFailed | ErrorKind::Usage => (b" (", b")"),
        _ => (b"", b""),
    };
    if let (Some(subject), false) = (subject, before.is_empty()) {
        out(before);
        out(subject.name());
        if let Some(Ok(fd)) = error.descriptor().map(u32::try_from) {
            out(b" ");
            write_number(fd, out);
        }
        out(after);
    }
    let accounts: &[u8] = match kind {
        ErrorKind::SetuidFailed => b"passwd",
        _ => b"group",
    };
    if is_other && matches!(kind, ErrorKind::SetuidFailed | ErrorKind::SetgidFailed) {
        packed!(": cannot read /etc/").write(out);
        out(accounts);
    }
    CAUSES.line(cause as usize).write(out);
    match cause {
        CauseKind::Errno => match (kind, error.errno()) {
            (ErrorKind::OpenDevNullFailed, Errno::ENODEV) => {
                packed!("not the null device (rm /dev/null; mknod -m 666 /dev/null c 1 3)")
                    .write(out);
            }
            (ErrorKind::OpenFailed, Errno::ELOOP) => {
                packed!("a symbolic link of another user, or a loop (ELOOP)").write(out);
            }
            (ErrorKind::OpenFailed, Errno::EEXIST) => {
                packed!("it belongs to another user (EEXIST)").write(out);
            }
            (_, errno) => {
                errno.describe(out);
                // The file itself would be created.
                let is_created = kind == ErrorKind::PidfileFailed
                    || kind == ErrorKind::OpenFailed && subject != Some(Subject::Stdin);
                if is_created && errno == Errno::ENOENT {
                    packed!("; its directory is missing, and mkdir makes it").write(out);
                }
                if kind == ErrorKind::OpenDevNullFailed && errno == Errno::ENOENT {
                    packed!("; mount -t devtmpfs dev /dev").write(out);
                }
                let index = (kind as usize).wrapping_sub(ErrorKind::ChrootFailed as usize);
                let right = RIGHTS.get(index);
                if errno == Errno::EPERM && !right.is_empty() {
                    packed!("; this needs CAP_").write(out);
                    out(right);
                }
            }
        },
        CauseKind::Died => {
            let status = error.status();
            status.describe(out);
            if large != UNTIMED {
                packed!(" after ").write(out);
                write_millis(large, out);
            }
            if status.exit_status() == Some(0) {
                packed!("; did it go into the background? It must stay in the foreground")
                    .write(out);
            }
        }
        CauseKind::Late => write_millis(large, out),
        CauseKind::Owner | CauseKind::Reason => write_number(large, out),
        CauseKind::NotListed => {
            out(accounts);
            let id = parse_number(object, 10);
            if kind == ErrorKind::SetuidFailed && id.is_some_and(|id| id < u32::MAX.into()) {
                packed!("; a number without an entry needs a group").write(out);
            }
        }
        CauseKind::Unknown | CauseKind::NotAFile | CauseKind::Silent => {}
    }
    if is_other && kind == ErrorKind::ExecFailed {
        packed!("; the path of its directory is too long or unknown").write(out);
    }
    if error.has(Note::FileLeft) {
        packed!("; its pidfile, socket or directory may be left").write(out);
    }
    if error.has(Note::StillRuns) {
        packed!("; the daemon still runs").write(out);
    } else if cause == CauseKind::Late {
        packed!("; it was stopped").write(out);
    }
}

fn write_millis(number: u32, out: &mut Sink<'_>) {
    write_number(number, out);
    out(b" ms");
}

/// The part of `USER:GROUP` that an error of this kind is about, unless it is empty.
fn named_part(kind: ErrorKind, path: &[u8]) -> &[u8] {
    let (user, group) = split_once(path, b':');
    match (kind, user, group) {
        (ErrorKind::SetuidFailed, part @ [_, ..], _) => part,
        (ErrorKind::SetgidFailed, _, Some(part @ [_, ..])) => part,
        _ => path,
    }
}

/// The rights that are needed by what fails with [`ErrorKind::ChrootFailed`] and the next kinds.
static RIGHTS: Lines = lines!["SYS_CHROOT"; "SETGID"; "SETGID"; "SETUID";];

/// The beginning of each kind of cause.
static CAUSES: Packed = packed![
    "\n\n: \n: \n as pid \n: not a regular file\n: not in /etc/\n",
    ": it closed its notification pipe\n: reason \n within \n",
];

impl Error {
    /// The error together with the path that the step used, for display. The path is not checked: that of another
    /// step makes a wrong message.
    #[must_use]
    pub const fn with_path<'a>(&'a self, path: &'a CStr) -> WithPath<'a> {
        WithPath::new(self, Some(path))
    }
}

impl<'a> WithPath<'a> {
    pub(crate) const fn new(error: &'a Error, path: Option<&'a CStr>) -> Self {
        Self { error, path }
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
/// Made by [`Error::with_path`] and [`DaemonizeOptions::describe`](crate::DaemonizeOptions::describe).
#[derive(Clone, Copy, Debug)]
pub struct WithPath<'a> {
    error: &'a Error,
    path: Option<&'a CStr>,
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

    use crate::protocol::{Cause, Errno, Error, ErrorKind, Note, Pid, Subject, WaitStatus, failed};

    #[test]
    fn messages_are_one_line() {
        let denied = failed(ErrorKind::OpenFailed)(Errno::EACCES).about(Subject::Stdout);
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
            Error::new(ErrorKind::DaemonDied, died).to_string(),
            "the daemon ended too soon: killed by signal 11 (SIGSEGV) after 12 ms"
        );
        let late = |after| {
            let cause = Cause::Late(Duration::from_millis(after));
            Error::new(ErrorKind::TimedOut, cause)
        };
        let says = "the daemon did not become ready within ";
        assert_eq!(
            late(3000).to_string(),
            [says, "3000 ms; it was stopped"].concat()
        );
        let left = late(1500).with(Note::StillRuns);
        let says = [says, "1500 ms; the daemon still runs"].concat();
        assert_eq!(left.to_string(), says);
        let owner = Cause::Owner(Pid::new(1234).unwrap());
        assert_eq!(
            Error::new(ErrorKind::AlreadyRunning, owner).to_string(),
            "already running as pid 1234"
        );
        let not_executed = Error::new(ErrorKind::ExecFailed, Cause::Errno(Errno::EACCES));
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
