//! The process that writes the log, as the supervisor sees it.

use core::convert::Infallible;

use super::log::{self, LogOptions};
use crate::options::{Settings, Stdio};
use crate::protocol::{Errno, Error, ErrorKind, Nanoseconds, Pid, SECOND, Signal, failed};
use crate::start::{KeptFds, close_all_but};
use crate::sys::{self, End, ExitSignal, Fork, NO_FD, Pipe, RawFd, ThinCStr, TidAddress};

/// The shortest and the longest time after which a process that could not run is started again. The daemon waits in the
/// meantime, once the pipe is full.
const DELAYS: (Nanoseconds, Nanoseconds) = (SECOND, 60 * SECOND);

/// The time to write the contents of the pipe.
const DRAIN_TIMEOUT: Nanoseconds = 2_000_000_000;

/// The process that writes the log, if there is one.
pub(super) struct Logger<'a> {
    options: &'a LogOptions<'a>,
    /// The daemons write to it. The supervisor keeps both ends, so nothing is lost if a process ends.
    pipe: Pipe,
    pub(super) pid: Option<Pid>,
    /// A socket whose other end only the process has: it is readable once the process has ended. Linux has no pidfd for
    /// that before 5.3.
    pub(super) end: RawFd,
    /// When it is started again.
    pub(super) due: Nanoseconds,
    /// When it was started last, and the delay before that.
    born: Nanoseconds,
    delay: Nanoseconds,
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
            due: Nanoseconds::MAX,
            born: 0,
            delay: 0,
        };
        if options.needs_process() {
            log::open(options)?;
            logger.pipe = sys::pipe().map_err(failed(ErrorKind::ChannelFailed))?;
            let writer = logger.pipe.writer;
            sys::set_status_flags(writer, false).map_err(failed(ErrorKind::ChannelFailed))?;
            redirect(settings, options, writer);
            logger.create().map_err(failed(ErrorKind::ForkFailed))?;
        }
        Ok(logger)
    }

    /// Prepares the pipe for the next daemon: the last one may have made it nonblocking.
    pub(super) fn renew(&self) {
        if self.pipe.writer != NO_FD {
            let _ = sys::set_status_flags(self.pipe.writer, false);
        }
    }

    /// Starts the process again, which is due.
    pub(super) fn start(&mut self) {
        self.due = Nanoseconds::MAX;
        if self.create().is_err() {
            self.put_off(sys::monotonic_time().unwrap_or(0));
        }
    }

    /// Makes the next start due: each time later, unless the process has run for a second.
    fn put_off(&mut self, now: Nanoseconds) {
        let (least, most) = DELAYS;
        let has_run = now.saturating_sub(self.born) >= least;
        (self.due, self.delay) = match (self.delay, has_run) {
            (_, true) => (now, 0),
            (0, _) => (now.saturating_add(least), least),
            (delay, _) => {
                let delay = delay.saturating_mul(2).min(most);
                (now.saturating_add(delay), delay)
            }
        };
    }

    fn create(&mut self) -> Result<(), Errno> {
        let [end, other] = sys::socketpair()?;
        let data = (self.options, self.pipe.reader, other.raw());
        // A wait for any child does not find it.
        let created = sys::clone(ExitSignal::None, TidAddress::NONE, &data, run);
        // The child does not return.
        if let Fork::Parent(pid) = created? {
            (self.pid, self.end) = (Some(pid), end.into_raw());
            self.born = sys::monotonic_time().unwrap_or(0);
        }
        Ok(())
    }

    /// The process has ended, and is to be started again.
    pub(super) fn has_ended(&mut self) {
        sys::close(self.end);
        self.end = NO_FD;
        if let Some(pid) = self.pid.take() {
            let _ = sys::waitpid(pid);
        }
        self.put_off(sys::monotonic_time().unwrap_or(0));
    }

    /// Sends a line to the log. An error cannot be reported: the log is where it would go.
    pub(super) fn say(&self, line: &[u8]) {
        let _ = sys::send(self.end, line, false);
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
        // Without a writer, it ends by itself.
        sys::close(self.pipe.writer);
        let _ = sys::kill(pid, Signal::TERM.number());
        let mut ended = [self.end, NO_FD, NO_FD, NO_FD];
        let has_ended = sys::ppoll(&mut ended, DRAIN_TIMEOUT).is_ok() && ended != [NO_FD; 4];
        if !has_ended {
            // It may be waiting for a device: init reaps it.
            let _ = sys::kill(pid, Signal::KILL.number());
        }
        let _ = sys::try_wait(pid);
    }
}

/// Directs the output to the log. Another file for the standard error remains.
fn redirect(settings: &mut Settings<'_>, options: &LogOptions<'_>, writer: RawFd) {
    let [_, output, error] = &mut settings.streams;
    *output = Some(Stdio::fd(writer as i32));
    let is_another = |stream: &Stdio<'_>| match stream.stream().path() {
        Some(path) => !options.is_to(path),
        None => true,
    };
    if !error.as_ref().is_some_and(is_another) {
        *error = Some(Stdio::fd(writer as i32));
    }
}

fn run((options, pipe, supervisor): &(&LogOptions<'_>, RawFd, RawFd)) -> End<Infallible> {
    let _ = sys::lead_group();
    if !options.has_relative_path() {
        // The file system of the caller's working directory can then be unmounted. If this fails, it stays in use.
        let _ = sys::chdir(ThinCStr::new(c"/"));
    }
    // With a write end of its own, it would never see the end of the pipe.
    let closed = close_all_but(KeptFds {
        first: 0,
        requested: &[],
        internal: &[*pipe, *supervisor],
        streams: &[],
    });
    End::Exit(match closed {
        Ok(()) => log::run(options, *pipe, *supervisor),
        Err(_) => ErrorKind::CloseFailed.exit_code(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::log::{LogOptions, LogTarget};
    use super::redirect;
    use crate::options::{Settings, Stdio};
    use crate::sys::ThinCStr;

    #[test]
    fn the_standard_error_keeps_another_file() {
        let file = LogTarget::File(ThinCStr::new(c"log"));
        let same = Some(Stdio::append(c"log"));
        for (target, error, is_redirected) in [
            (file, None, true),
            (file, Some(Stdio::null()), false),
            (file, Some(Stdio::file(c"/dev/null")), false),
            (file, same, true),
            (file, Some(Stdio::file(c"err")), false),
            (file, Some(Stdio::inherit()), false),
            (LogTarget::Kmsg, None, true),
            (LogTarget::Kmsg, Some(Stdio::file(c"log")), false),
        ] {
            let mut settings = Settings::new();
            settings.streams = [None, Some(Stdio::file(c"log")), error];
            let options = LogOptions {
                target,
                ..LogOptions::new()
            };
            redirect(&mut settings, &options, 7);
            let fds = [1, 2].map(|stream| settings.stream(stream).fd());
            let expected = is_redirected.then_some(7);
            assert_eq!(fds, [Some(7), expected], "{:?}", settings.streams);
        }
    }
}
