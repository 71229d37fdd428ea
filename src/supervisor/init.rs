//! The supervisor as the init process of a container or of an image.

use super::begin::{Supervision, supervise_with};
use super::context::{Init, Outcome, Supervisor};
use crate::pidfile::is_missing;
use crate::protocol::{Cause, Errno, Error, ErrorKind, Nanoseconds, Signal, failed};
use crate::start::{check_descriptors, open_null};
use crate::sys::{self, Pipe, Power, SignalSet};

/// Supervises a command in the calling process. Returns the exit status for it: that of the command, or 128 and the
/// number of the signal that has ended it.
///
/// In an image, the process ends by reboot(2).
///
/// # Errors
///
/// Those of [`supervise`](super::supervise).
#[inline(never)]
pub fn supervise_here(supervision: &Supervision<'_>) -> Result<u8, Error> {
    for fd in 0..3 {
        // The kernel opens /dev/console, if there is one.
        if sys::fcntl_getfd(fd) == Err(Errno::EBADF) {
            let null = open_null().map_err(failed(ErrorKind::OpenDevNullFailed))?;
            if null.raw() != fd {
                sys::dup3(null.raw(), fd).map_err(failed(ErrorKind::StdioFailed))?;
            }
        }
    }
    check_descriptors(supervision.settings)?;
    let mask = sys::block_signals(SignalSet::ALL).map_err(failed(ErrorKind::SignalsFailed))?;
    if supervision.init == Init::Image {
        // Ctrl-Alt-Del is a SIGINT from now on.
        let _ = sys::reboot(Power::CadOff);
    }
    let session = sys::getsid(None).ok().flatten();
    let session = session.unwrap_or(sys::getpid());
    let is_new = is_missing(supervision.settings);
    let outcome = supervise_with(supervision, session, sys::may_setpgid(), Pipe::NONE, is_new);
    let _ = sys::set_signal_mask(mask);
    match outcome? {
        Outcome::Ended(error) | Outcome::GaveUp(error) | Outcome::Lost(error) => {
            Ok(exit_code(&error))
        }
    }
}

/// The exit code of a container, and of a supervisor, for the end of its command.
pub(super) fn exit_code(error: &Error) -> u8 {
    match error.cause() {
        Cause::Died { status, .. } if error.kind() == ErrorKind::DaemonDied => {
            let signal = status.terminating_signal().map_or(0, Signal::number);
            status.exit_status().unwrap_or(128 | signal)
        }
        _ => error.exit_code(),
    }
}

impl Supervisor<'_> {
    /// Before the end of the supervisor: an init process ends all others. That of an image waits for a request to do
    /// so, and then ends by reboot(2).
    pub(super) fn end_all(&mut self, failure: Option<&Error>) {
        if self.init == Init::Image {
            if let Some(error) = failure {
                self.give_up(error);
            }
            while self.power.is_none() {
                if self.wait(None, Nanoseconds::MAX).is_err() {
                    return;
                }
            }
        }
        if self.init != Init::No {
            self.end_rest(None, true);
        }
        if let Some(power) = self.power {
            sys::sync();
            // In a container, this ends the process by a signal. Without CAP_SYS_BOOT, it goes on.
            let _ = sys::reboot(power);
        }
    }
}
