//! The launcher of a supervisor.

use core::convert::Infallible;

use super::begin::{Supervision, lead_session, supervise_with};
use super::context::Outcome;
use crate::protocol::{
    Errno, Error, ErrorKind, Pid, Record, cannot_watch, encode, failed, outcome,
};
use crate::start::{DaemonProcess, Progress, check_descriptors, send_verdict, wait_for_verdict};
use crate::sys::{self, End, ExitSignal, Fd, Fork, NO_FD, Pipe, RawFd, SignalSet, TidAddress};

/// Starts a command and a supervisor for it. Returns when the first start is over; if that is a failure, there is no
/// supervisor.
///
/// # Errors
///
/// Those of [`spawn_as`](crate::start::spawn_as).
#[inline(never)]
pub fn supervise(
    supervision: &Supervision<'_>,
    show: &mut dyn FnMut(Progress<'_>),
) -> Result<DaemonProcess, Error> {
    check_descriptors(supervision.settings)?;
    match sys::ppoll(&mut [NO_FD; 4], 0) {
        Ok(()) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(cannot_watch(errno)),
    }
    let mask = sys::block_signals(SignalSet::ALL).map_err(failed(ErrorKind::SignalsFailed))?;
    let launched = launch(supervision);
    let _ = sys::set_signal_mask(mask);
    let (supervisor, verdict) = launched?;
    let reader = Fd::from_raw(verdict);
    let (record, ended) = wait_for_verdict(reader.raw(), supervisor, true, show);
    outcome(record, ended).map(|pid| DaemonProcess::new(pid, supervisor))
}

/// Creates the supervisor. Returns its pid, and the pipe for its verdict.
fn launch(supervision: &Supervision<'_>) -> Result<(Pid, RawFd), Error> {
    let verdict = sys::pipe().map_err(failed(ErrorKind::ChannelFailed))?;
    let created = sys::clone(
        ExitSignal::None,
        TidAddress::NONE,
        &(supervision, verdict),
        run,
    );
    sys::close(verdict.writer);
    if let Ok(Fork::Parent(supervisor)) = created {
        return Ok((supervisor, verdict.reader));
    }
    sys::close(verdict.reader);
    // The child does not return.
    Err(failed(ErrorKind::FirstForkFailed)(
        created.err().unwrap_or(Errno::EINVAL),
    ))
}

/// The supervisor.
fn run((supervision, verdict): &(&Supervision<'_>, Pipe)) -> End<Infallible> {
    sys::catch_traps();
    // The launcher must have the only read end, so that POLLERR reports its death.
    sys::close(verdict.reader);
    let may_setpgid = sys::may_setpgid();
    let led = lead_session(supervision.settings, verdict.writer);
    let stayed =
        led.and_then(|session| supervise_with(supervision, session, may_setpgid, *verdict));
    match stayed {
        Ok(Outcome::Ended(error) | Outcome::GaveUp(error) | Outcome::Lost(error)) => {
            End::Exit(error.exit_code())
        }
        Err(error) => {
            // This fails if the launcher is gone.
            let _ = send_verdict(verdict.writer, encode(&Record::Failed(error)));
            End::Exit(error.exit_code())
        }
    }
}
