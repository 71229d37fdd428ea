//! The steps without the forks and the session, in the calling process: for a supervisor or a container,
//! which has taken care of those.

use super::context::{Context, OWN, Role, Shared};
use super::plan::Plan;
use super::readiness::NotifyEnd;
use super::steps;
use super::streams::OpenFiles;
use crate::options::{DaemonizeOptions, Readiness};
use crate::pidfile::remove_after_failure;
use crate::protocol::{Errno, Error, ExitCode, Subject, failed};
use crate::sys::{self, Fd, NO_FD, Open, Pipe, RawFd, SignalSet, Stack, ThinCStr};

/// Takes the steps. A command is executed, and then this does not return.
#[inline(never)]
pub(super) fn take_steps<R: Role>(plan: &Plan<'_>, role: &R) -> Result<R::Output, Error> {
    let options = plan.options;
    let (notify, is_opened) =
        keep_notify_fd(plan.readiness).map_err(failed(ExitCode::ChannelFailed))?;
    let before = Before::save(options).map_err(failed(ExitCode::StdioFailed))?;
    let [input, output, error] = before.streams.map(|copy| copy.unwrap_or(NO_FD));
    let own: [RawFd; OWN] = [notify, input, output, error, before.directory];
    let context = Context {
        shared: &Shared {
            plan,
            role,
            verdict: Pipe::NONE,
            stack: &Stack::none(),
        },
        report: Pipe::NONE,
        notify: NotifyEnd::NONE,
        environment: role.environment(),
        own,
    };
    let mut files = OpenFiles::new();
    let taken = steps::take(&context, &mut files);
    match taken {
        Ok(_) if options.reset_signals => {
            sys::set_signal_mask(SignalSet::NONE).map_err(failed(ExitCode::SignalsFailed))?;
        }
        Ok(_) => {}
        Err(error) => {
            files.truncate_pidfile();
            before.restore();
            // With another root, the path may name another file.
            if options.path(Subject::Chroot).is_none() {
                remove_after_failure(options, sys::getpid(), error);
            }
            files.close();
            if is_opened {
                sys::close(notify);
            }
        }
    }
    before.close();
    taken
}

/// The pipe of the s6 protocol comes from the supervisor. One that does not speak this protocol passes no
/// pipe: then the command writes to `/dev/null`. Returns the descriptor, and whether it was opened here.
fn keep_notify_fd(readiness: Readiness<'_>) -> Result<(RawFd, bool), Errno> {
    let number = match readiness {
        Readiness::Descriptor(number) => number as RawFd,
        _ => return Ok((NO_FD, false)),
    };
    let is_missing = sys::clear_cloexec(number).is_err();
    if is_missing {
        let null = sys::open(ThinCStr::new(c"/dev/null"), Open::ReadWrite)?;
        if null.raw() == number {
            sys::clear_cloexec(null.into_raw())?;
        } else {
            sys::dup3(null.raw(), number)?;
        }
    }
    Ok((number, is_missing))
}

/// What the caller gets back after a failure, so that it can report it as it always does.
struct Before {
    /// Copies of the standard streams that are replaced; [`NO_FD`] for those that were closed.
    streams: [Option<RawFd>; 3],
    directory: RawFd,
    umask: u32,
}

impl Before {
    fn save(options: &DaemonizeOptions<'_>) -> Result<Self, Errno> {
        let mut streams = [None; 3];
        for ((stream, copy), path) in (0..).zip(&mut streams).zip(&options.paths) {
            *copy = match (sys::fcntl_getfd(stream), path) {
                (Err(_), _) => Some(NO_FD),
                (Ok(()), Some(_)) => Some(sys::dupfd_cloexec(stream, 3)?),
                (Ok(()), None) => None,
            };
        }
        let directory = sys::open(ThinCStr::new(c"."), Open::Path);
        let umask = sys::umask(0o077);
        sys::umask(umask);
        Ok(Self {
            streams,
            // Without it, the working directory stays where the steps have left it.
            directory: directory.map_or(NO_FD, Fd::into_raw),
            umask,
        })
    }

    fn restore(&self) {
        for (stream, copy) in (0..).zip(&self.streams) {
            match copy {
                Some(NO_FD) => sys::close(stream),
                Some(copy) => drop(sys::dup3(*copy, stream)),
                None => {}
            }
        }
        let _ = sys::fchdir(self.directory);
        sys::umask(self.umask);
    }

    fn close(&self) {
        for copy in self.streams.iter().flatten() {
            sys::close(*copy);
        }
        sys::close(self.directory);
    }
}
