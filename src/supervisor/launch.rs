//! The launcher of a supervisor.

use core::convert::Infallible;

use super::begin::{Supervision, lead_session, supervise_with};
use super::context::Outcome;
use super::init::exit_code;
use super::state::remove_state;
use crate::pidfile::{is_missing, parent_of, remove_after_failure};
use crate::protocol::{
    Errno, Error, ErrorKind, Pid, Record, Subject, cannot_watch, encode, failed, outcome,
};
use crate::start::{DaemonProcess, Show, Until, check_descriptors, send_verdict, wait_for_verdict};
use crate::sys::{self, End, ExitSignal, Fd, Fork, NO_FD, Pipe, RawFd, SignalSet, TidAddress};

/// Starts a command and a supervisor for it. Returns when the first start is over; if that is a failure, there is no
/// supervisor. Also returns whether the daemon was started, and not adopted.
///
/// # Errors
///
/// Those of [`spawn_as`](crate::start::spawn_as).
#[inline(never)]
pub fn supervise(
    supervision: &Supervision<'_>,
    show: Show<'_>,
) -> Result<(DaemonProcess, bool), Error> {
    check_descriptors(supervision.settings)?;
    match sys::ppoll(&mut [NO_FD; 4], 0) {
        Ok(()) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(cannot_watch(errno)),
    }
    sys::monotonic_time().map_err(cannot_watch)?;
    let settings = supervision.settings;
    let is_new = is_missing(settings);
    let mask = sys::block_signals(SignalSet::ALL).map_err(failed(ErrorKind::SignalsFailed))?;
    let launched = launch(supervision, is_new);
    let _ = sys::set_signal_mask(mask);
    let (supervisor, verdict) = launched?;
    let reader = Fd::from_raw(verdict);
    let (record, ended) = wait_for_verdict(reader.raw(), supervisor, Until::Verdict, show);
    let is_killed = ended.is_ok_and(|status| status.terminating_signal().is_some());
    match outcome(record, ended) {
        Ok(pid) => {
            let is_own = sys::getsid(Some(pid)) == Ok(Some(supervisor))
                || parent_of(pid) == Some(supervisor);
            Ok((DaemonProcess::new(pid, supervisor), is_own))
        }
        // It has removed nothing. Its daemon may run on.
        Err(error) if is_killed && record.is_none() => {
            let error = remove_after_failure(settings, None, error, is_new);
            if let (Some(path), true) = (settings.string(Subject::Pidfile), is_missing(settings)) {
                remove_state(path);
            }
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// Creates the supervisor. Returns its pid, and the pipe for its verdict.
fn launch(supervision: &Supervision<'_>, is_new: bool) -> Result<(Pid, RawFd), Error> {
    let verdict = sys::pipe().map_err(failed(ErrorKind::ChannelFailed))?;
    let created = sys::clone(
        ExitSignal::None,
        TidAddress::NONE,
        &(supervision, verdict, is_new),
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
fn run((supervision, verdict, is_new): &(&Supervision<'_>, Pipe, bool)) -> End<Infallible> {
    sys::catch_traps();
    // The launcher must have the only read end, so that POLLERR reports its death.
    sys::close(verdict.reader);
    let may_setpgid = sys::may_setpgid();
    let led = lead_session(supervision.settings, verdict.writer);
    let stayed = led
        .and_then(|session| supervise_with(supervision, session, may_setpgid, *verdict, *is_new));
    match stayed {
        Ok(Outcome::Ended(error) | Outcome::GaveUp(error) | Outcome::Lost(error)) => {
            End::Exit(exit_code(&error))
        }
        Err(error) => {
            // This fails if the launcher is gone.
            let _ = send_verdict(verdict.writer, encode(&Record::Failed(error)));
            End::Exit(error.exit_code())
        }
    }
}
