//! The supervisor as the init process of a container or of an image.

use super::begin::{Supervision, supervise_with};
use super::context::{Init, Outcome, Supervisor};
use crate::pidfile::is_missing;
use crate::protocol::{
    Cause, Errno, Error, ErrorKind, Nanoseconds, SECOND, Signal, cannot_watch, failed,
};
use crate::start::{Running, check_descriptors, open_null};
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
    // The process ends afterwards.
    sys::block_signals(SignalSet::ALL).map_err(failed(ErrorKind::SignalsFailed))?;
    sys::monotonic_time().map_err(cannot_watch)?;
    if supervision.init == Init::Image {
        // Ctrl-Alt-Del is a SIGINT from now on.
        let _ = sys::reboot(Power::CadOff);
    }
    let session = sys::getsid(None).ok().flatten();
    let session = session.unwrap_or(sys::getpid());
    let is_new = is_missing(supervision.settings);
    let outcome = supervise_with(supervision, session, sys::may_setpgid(), Pipe::NONE, is_new);
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
    /// The daemon has ended: the terminal is that of the supervisor again, if it was.
    pub(super) fn take_terminal(&self) {
        if self.supervised.supervision.has_terminal {
            if let Some(group) = sys::getpgid(sys::getpid()) {
                let _ = sys::set_foreground(group);
            }
        }
    }

    /// If the daemon has been stopped from the terminal, stops the supervisor, too, so that a shell sees it, and then
    /// continues both. The kernel does not stop process 1, whose daemon goes on.
    pub(super) fn stop_beside(&self, running: &Running) {
        if self.supervised.supervision.has_terminal && sys::has_stopped(running.main) {
            self.take_terminal();
            let _ = sys::kill(sys::getpid(), Signal::STOP.number());
            if let Some(group) = running.group {
                let _ = sys::set_foreground(group);
            }
            running.signal(Signal::CONT);
        }
    }

    /// Before the end of the supervisor: an init process ends all others. That of an image waits for a request to do
    /// so, and then ends by reboot(2). After a failure of the first start, [`await_power`] does.
    pub(super) fn end_all(&mut self) {
        while self.init == Init::Image && self.power.is_none() {
            if self.wait(None, Nanoseconds::MAX).is_err() {
                return;
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

/// What a signal asks the init process of an image to do: as that of BusyBox.
pub(super) fn power(signal: Signal) -> Option<Power> {
    match signal {
        Signal::TERM | Signal::INT => Some(Power::Restart),
        Signal::USR1 => Some(Power::Halt),
        Signal::USR2 => Some(Power::Off),
        _ => None,
    }
}

/// Waits for a request in an image whose command could not be started: if its init process ended, the kernel would
/// panic.
#[inline(never)]
pub fn await_power() {
    let _ = sys::block_signals(SignalSet::ALL);
    let Ok(signals) = sys::signalfd(SignalSet::ALL) else {
        return;
    };
    let power = loop {
        while let Ok(Some(_)) = sys::try_wait_any() {}
        match sys::read_signal(signals.raw()) {
            Some(number) => match Signal::new(number as u8).and_then(power) {
                Some(power) => break power,
                None => continue,
            },
            None => match sys::ppoll(&mut [signals.raw()], Nanoseconds::MAX) {
                Ok(()) | Err(Errno::EINTR) => {}
                Err(_) => return,
            },
        }
    };
    for signal in [Signal::TERM, Signal::KILL] {
        let _ = sys::kill_all(signal.number());
        sys::sleep(SECOND);
    }
    sys::sync();
    let _ = sys::reboot(power);
}
