//! The daemon's word that it is ready, or that it will never be.

use crate::protocol::{Cause, Error, ExitCode, Pid, Record, encode, failed};
use crate::sys::{self, NO_FD, RawFd};

/// The daemon's end of the line to its launcher.
///
/// Dropping it says nothing: then the timeout decides, or, with
/// [`require_ready`](crate::DaemonizeOptions::require_ready), the start fails at once. It is a
/// close-on-exec descriptor above 2. In the foreground nobody listens, and every word is a success.
#[derive(Debug)]
pub struct Ready {
    /// [`NO_FD`] in the foreground.
    report: RawFd,
    pid: Pid,
}

impl Ready {
    pub(crate) const fn new(report: RawFd, pid: Pid) -> Self {
        Self { report, pid }
    }

    /// The daemon's pid.
    #[must_use]
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    /// Says that the daemon is ready: the original returns at once.
    ///
    /// # Errors
    ///
    /// `ChannelFailed` with `EPIPE` when nobody listens any more. Mostly that is because the timeout
    /// was over and the start a success before the daemon was ready, which is no reason for it to
    /// end; but the launcher may also have been killed, and then the daemon gets a SIGTERM at this
    /// time. It gets no SIGPIPE.
    pub fn notify(self) -> Result<(), Error> {
        self.send(Record::Runs(self.pid))
    }

    /// Says that the daemon cannot start, and why: an [`Errno`](crate::Errno), or a number of its
    /// own. The original fails with `Refused` and this cause.
    ///
    /// The daemon should end now. It has a tenth of a second until it gets a SIGTERM, and a second
    /// more until it gets a SIGKILL, for the original returns when it is gone.
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
    /// As [`notify`](Self::notify).
    pub fn fail(self, why: impl Into<Cause>) -> Result<(), Error> {
        self.send(Record::Failed(Error::new(ExitCode::Refused, why.into())))
    }

    fn send(&self, record: Record) -> Result<(), Error> {
        if self.report == NO_FD {
            return Ok(());
        }
        sys::write_no_sigpipe(self.report, &encode(&record))
            .map_err(failed(ExitCode::ChannelFailed))
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        sys::close(self.report);
    }
}
