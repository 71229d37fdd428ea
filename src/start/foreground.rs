//! The steps in the calling process, without the forks and setsid(2), for a supervisor or a container,
//! which does those itself.

use super::context::{Context, INTERNAL_FDS, Role, Shared};
use super::directories::MadeDirectories;
use super::kept_fds::FIRST_FD;
use super::notify_folder::NotifyFolder;
use super::plan::Plan;
use super::readiness::NotifyEnd;
use super::steps;
use super::streams::{OpenFiles, open_null};
use crate::environment::listen_fds;
use crate::options::{Readiness, Settings, Stream};
use crate::pidfile::{is_missing, remove_after_failure};
use crate::protocol::{Errno, Error, ErrorKind, Subject, failed};
use crate::sys::{self, CStrings, Fd, NO_FD, Open, Pipe, RawFd, SignalSet, Stack, ThinCStr};

/// Takes the steps. Does not return if it executes a command.
#[inline(never)]
pub(super) fn take_steps<R: Role>(plan: &Plan<'_>, role: &R) -> Result<R::Output, Error> {
    let options = plan.options;
    let first_fd = keep_listen_fds(role.environment())?;
    let (notify, opened_here) =
        keep_notify_fd(plan.readiness).map_err(failed(ErrorKind::ChannelFailed))?;
    let saved = SavedState::save(options)?;
    let [input, output, error] = saved.streams.map(|copy| copy.unwrap_or(NO_FD));
    let internal_fds: [RawFd; INTERNAL_FDS] = [notify, input, output, error, saved.directory];
    let context = Context {
        shared: &Shared {
            plan,
            role,
            may_setpgid: true,
            is_new: is_missing(options),
            folder: NotifyFolder::NONE,
            verdict: Pipe::NONE,
            supervision: None,
            stack: &Stack::none(),
        },
        report: Pipe::NONE,
        notify: NotifyEnd::NONE,
        environment: role.environment(),
        first_fd,
        internal_fds,
    };
    let mut files = OpenFiles::new();
    let mut made = MadeDirectories::NONE;
    let result = made
        .make(plan)
        .and_then(|()| steps::take(&context, &mut files))
        .and_then(|output| {
            if options.reset_signals {
                sys::set_signal_mask(SignalSet::NONE).map_err(failed(ErrorKind::SignalsFailed))?;
            }
            Ok(output)
        })
        .map_err(|mut error| {
            if plan.resets_signals() {
                let _ = sys::restore_trap_action(None);
            }
            files.truncate_pidfile();
            saved.restore();
            // After a chroot, the path may name a different file.
            if options.string(Subject::Chroot).is_none() {
                let is_new = context.shared.is_new;
                error = remove_after_failure(options, Some(sys::getpid()), error, is_new);
            }
            error = made.remove(plan, error);
            files.close();
            if opened_here {
                sys::close(notify);
            }
            error
        });
    saved.close();
    result
}

/// Checks that the descriptors of socket activation are open, so that none of this crate's own gets their numbers.
/// Returns the number above them.
fn keep_listen_fds(environment: CStrings<'_>) -> Result<RawFd, Error> {
    let end = FIRST_FD.saturating_add(listen_fds(environment, sys::getpid()));
    for fd in FIRST_FD..end {
        sys::fcntl_getfd(fd)
            .map_err(|errno| Error::of_descriptor(ErrorKind::CloseFailed, errno, fd as i32))?;
    }
    Ok(end)
}

/// Keeps the notification fd open across exec (see [`Readiness::Descriptor`]). The supervisor passes it;
/// if it does not, the command writes to `/dev/null`. Returns the fd, and whether this function opened
/// it.
fn keep_notify_fd(readiness: Readiness<'_>) -> Result<(RawFd, bool), Errno> {
    let number = match readiness {
        Readiness::Descriptor(number) => number as RawFd,
        _ => return Ok((NO_FD, false)),
    };
    let is_missing = match sys::clear_cloexec(number) {
        Err(Errno::EBADF) => true,
        kept => {
            kept?;
            false
        }
    };
    if is_missing {
        let null = open_null()?;
        if null.raw() == number {
            sys::clear_cloexec(null.into_raw())?;
        } else {
            sys::dup3(null.raw(), number)?;
        }
    }
    Ok((number, is_missing))
}

/// State of the caller that is restored after a failure, so that the caller can report it as usual.
struct SavedState {
    /// Duplicates of the streams that the steps replace; [`NO_FD`] for streams that were closed.
    streams: [Option<RawFd>; 3],
    directory: RawFd,
    umask: Option<u32>,
}

impl SavedState {
    fn save(options: &Settings<'_>) -> Result<Self, Error> {
        let mut streams = [None; 3];
        for (stream, copy) in (0..).zip(&mut streams) {
            let new = options.stream(stream as usize);
            *copy = match (sys::fcntl_getfd(stream), new) {
                (Err(Errno::EBADF), _) => Some(NO_FD),
                (_, Stream::Inherit) => None,
                (_, _) => Some(sys::dupfd_cloexec(stream, 3).map_err(|errno| {
                    Error::of_descriptor(ErrorKind::StdioFailed, errno, stream as i32)
                })?),
            };
        }
        let directory = sys::open(ThinCStr::new(c"."), Open::Path);
        let umask = sys::umask(0o077).ok();
        umask.map(sys::umask);
        Ok(Self {
            streams,
            // If this failed, the working directory is not restored.
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
        self.umask.map(sys::umask);
    }

    fn close(&self) {
        for copy in self.streams.iter().flatten() {
            sys::close(*copy);
        }
        sys::close(self.directory);
    }
}
