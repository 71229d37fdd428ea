//! The daemon's word that it is ready.

use crate::daemonize::failed;
use crate::protocol::{Error, ExitCode, Pid, Record, encode};
use crate::sys::{self, RawFd};

/// The daemon's end of the line to its launcher.
///
/// Dropping it says nothing: then the timeout decides. It is a close-on-exec descriptor above 2.
#[derive(Debug)]
pub struct Ready {
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
    /// end; but the launcher may also have been killed. The daemon gets no SIGPIPE.
    pub fn notify(self) -> Result<(), Error> {
        let record = encode(&Record::Runs(self.pid));
        sys::send(self.report, &record).map_err(failed(ExitCode::ChannelFailed))
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        sys::close(self.report);
    }
}
