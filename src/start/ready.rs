//! How a program that has daemonized itself reports readiness or failure.

use crate::protocol::{Cause, Error, ErrorKind, Pid, Record, encode, failed};
use crate::sys::{self, NO_FD, RawFd};

/// The daemon's end of the pipe on which it reports to the original.
///
/// Dropping it reports nothing: the timeout then decides, or, with
/// [`require_ready`](crate::DaemonizeOptions::require_ready), the start fails at once with `Refused`. It
/// owns a close-on-exec descriptor above 2. In the [foreground](crate::DaemonizeOptions::foreground)
/// nothing is sent, also not to a supervisor's NOTIFY_SOCKET, and every report returns `Ok`.
#[derive(Debug)]
pub struct Ready {
    /// [`NO_FD`] in the foreground.
    report: RawFd,
    pid: Pid,
}

impl Ready {
    pub(super) const fn new(report: RawFd, pid: Pid) -> Self {
        Self { report, pid }
    }

    /// The daemon's pid.
    #[must_use]
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    /// Reports that the daemon is ready. The original then returns at once.
    ///
    /// # Errors
    ///
    /// `ChannelFailed` with `EPIPE` if no process is left to read the report. Usually the timeout has
    /// expired and the start is already a success, so the daemon need not end. If the original was killed
    /// instead, the daemon receives a SIGTERM at about the same time. It never receives a SIGPIPE.
    pub fn notify(self) -> Result<(), Error> {
        self.send(Record::Runs(self.pid))
    }

    /// Reports that the daemon cannot start, and why: an [`Errno`](crate::Errno), a number of the daemon's
    /// choice, or, with the feature `std`, an `std::io::Error`. The original fails with `Refused` and this
    /// cause. There is no room for a text: write it to standard error.
    ///
    /// The daemon should then exit. After 100 ms it receives a SIGTERM, and one second later a SIGKILL;
    /// the original returns when it has ended.
    ///
    /// ```no_run
    /// # use rawdaemon::{Errno, Identity};
    /// if let Identity::Daemon(ready) = rawdaemon::daemonize()? {
    ///     match std::net::TcpListener::bind("127.0.0.1:8080") {
    ///         Ok(socket) => ready.notify()?,
    ///         Err(error) => {
    ///             let errno = error.raw_os_error().and_then(Errno::new);
    ///             ready.fail(errno.unwrap_or(Errno::EIO))?;
    ///             std::process::exit(1);
    ///         }
    ///     }
    /// }
    /// # Ok::<(), rawdaemon::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`notify`](Self::notify).
    pub fn fail(self, why: impl Into<Cause>) -> Result<(), Error> {
        self.send(Record::Failed(Error::new(ErrorKind::Refused, why.into())))
    }

    fn send(&self, record: Record) -> Result<(), Error> {
        if self.report == NO_FD {
            return Ok(());
        }
        sys::write_no_sigpipe(self.report, &encode(&record))
            .map_err(failed(ErrorKind::ChannelFailed))
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        sys::close(self.report);
    }
}
