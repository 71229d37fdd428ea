//! The process that writes the log, as the supervisor sees it.

use core::convert::Infallible;

use super::log::{self, LogOptions};
use crate::options::{Settings, Stdio, Stream};
use crate::protocol::{Error, ErrorKind, Nanoseconds, Pid, SECOND, Signal, failed};
use crate::start::{KeptFds, close_all_but};
use crate::sys::{self, End, ExitSignal, Fd, Fork, NO_FD, Pipe, RawFd, TidAddress};

/// How long it may take to write what the pipe holds.
const DRAIN_TIMEOUT: Nanoseconds = 2_000_000_000;

/// The process that writes the log, if there is one.
pub(super) struct Logger<'a> {
    options: &'a LogOptions<'a>,
    /// The daemons write to it. The supervisor keeps both ends, so nothing is lost if a process ends.
    pipe: Pipe,
    pub(super) pid: Option<Pid>,
    /// Its pidfd.
    pub(super) end: RawFd,
    born: Nanoseconds,
}

impl<'a> Logger<'a> {
    /// Opens the log, and directs the output of the daemons to it.
    pub(super) fn open(
        options: &'a LogOptions<'a>,
        settings: &mut Settings<'_>,
    ) -> Result<Self, Error> {
        let mut logger = Self {
            options,
            pipe: Pipe::NONE,
            pid: None,
            end: NO_FD,
            born: 0,
        };
        if options.needs_process() {
            log::open(options)?;
            logger.pipe = sys::pipe().map_err(failed(ErrorKind::ChannelFailed))?;
            let writer = logger.pipe.writer;
            sys::set_status_flags(writer, false).map_err(failed(ErrorKind::ChannelFailed))?;
            let [_, output, error] = &mut settings.streams;
            *output = Some(Stdio::fd(writer as i32));
            // Another file for the standard error remains.
            if error
                .as_ref()
                .is_none_or(|it| matches!(it.stream(), Stream::Null))
            {
                *error = Some(Stdio::fd(writer as i32));
            }
            logger.start();
        }
        Ok(logger)
    }

    /// Starts the process, if it does not run. At most once a second: if it cannot run, it ends at once.
    pub(super) fn start(&mut self) {
        if self.pipe.reader == NO_FD {
            return;
        }
        if let Some(pid) = self.pid {
            if sys::try_wait(pid) == Ok(None) {
                return;
            }
        }
        sys::close(self.end);
        (self.pid, self.end) = (None, NO_FD);
        let now = sys::monotonic_time().unwrap_or(0);
        if self.born != 0 && now.saturating_sub(self.born) < SECOND {
            return;
        }
        self.born = now;
        let data = (self.options, self.pipe.reader);
        // A wait for any child does not find it.
        if let Ok(Fork::Parent(pid)) = sys::clone(ExitSignal::None, TidAddress::NONE, &data, run) {
            self.pid = Some(pid);
            self.end = sys::pidfd_open(pid).map_or(NO_FD, Fd::into_raw);
        }
    }

    /// Makes it open the log again.
    pub(super) fn reopen(&self) {
        if let Some(pid) = self.pid {
            // Not reaped yet, so it is this process.
            let _ = sys::kill(pid, Signal::USR1.number());
        }
    }

    /// Ends the process when it has written what the pipe holds. A descendant of the daemon may have the pipe still.
    pub(super) fn finish(&mut self) {
        let Some(pid) = self.pid else {
            return;
        };
        let _ = sys::kill(pid, Signal::TERM.number());
        let mut ended = [self.end, NO_FD, NO_FD, NO_FD];
        let has_ended = sys::ppoll(&mut ended, DRAIN_TIMEOUT).is_ok() && ended != [NO_FD; 4];
        if !has_ended && sys::try_wait(pid) == Ok(None) {
            let _ = sys::kill(pid, Signal::KILL.number());
        }
        let _ = sys::waitpid(pid);
    }
}

fn run((options, pipe): &(&LogOptions<'_>, RawFd)) -> End<Infallible> {
    let _ = sys::lead_group();
    // With a write end of its own, it would never see the end of the pipe.
    let closed = close_all_but(KeptFds {
        first: 3,
        requested: &[],
        internal: &[*pipe],
        streams: &[],
    });
    End::Exit(match closed {
        Ok(()) => log::run(options, *pipe),
        Err(_) => ErrorKind::CloseFailed.exit_code(),
    })
}
