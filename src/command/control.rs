//! `--status`, `--signal`, `--stop`, and the stop of `--restart`.
//!
//! The first three exit with the codes that the Linux Standard Base defines for init scripts.

use rawdaemon::internal::{Note, Packed, Plan, describe, packed};
use rawdaemon::{Cause, Error, ErrorKind, Owner, Pid, Pidfile, Signal, ThinCStr};

use crate::args::{Invocation, Name, Verbosity};
use crate::line::{Line, write_line};
use crate::os::SUCCESS;

/// The daemon did not end in time.
const FAILED: u8 = 1;
/// `--status`: the daemon is dead, but its pidfile exists.
const DEAD: u8 = 1;
/// `--status`: there is no daemon and no pidfile.
const NOT_RUNNING: u8 = 3;
/// The state of the daemon is unknown, or the signal cannot be sent.
const UNKNOWN: u8 = 4;
/// `--strict`: there is no daemon to stop or signal.
const NOTHING_TO_STOP: u8 = 7;

/// Prints the daemon's pid, or the reason that there is none.
pub(crate) fn print_status(invocation: &Invocation<'_>) -> u8 {
    let is_verbose = invocation.verbosity == Verbosity::Verbose;
    let is_quiet = invocation.verbosity == Verbosity::Quiet;
    let owner = match pidfile(invocation).owner() {
        Ok(Owner::Unknown(pid)) => Err(Error::new(ErrorKind::NoLock, Cause::Owner(pid))),
        owner => owner,
    };
    let (code, text) = match owner {
        Ok(Owner::Running(pid) | Owner::Unlocked(pid)) if !is_quiet => {
            let mut line = Line::empty();
            line.add_number(pid.get() as u32);
            line.push(b'\n');
            // The code for a dead daemon would be a lie.
            let code = line.print(UNKNOWN);
            if !is_verbose || code != SUCCESS {
                return code;
            }
            match owner {
                Ok(Owner::Running(_)) => (
                    SUCCESS,
                    packed!("running, and holds the lock on its pidfile"),
                ),
                _ => (
                    SUCCESS,
                    packed!("running, by its fingerprint (it has released its lock)"),
                ),
            }
        }
        Ok(Owner::Elsewhere) => (
            SUCCESS,
            packed!("running in another pid namespace, or on another machine"),
        ),
        Ok(Owner::NotRunning) => (NOT_RUNNING, packed!("not running")),
        Ok(Owner::Dead) => (DEAD, packed!("dead, but its pidfile exists")),
        Ok(_) => return SUCCESS,
        Err(error) => return report_error(invocation, &error),
    };
    if !is_quiet {
        write_line(text);
    }
    code
}

/// Sends the daemon the signal of `--signal`.
pub(crate) fn signal_daemon(invocation: &Invocation<'_>) -> u8 {
    let signal = invocation.signal;
    let outcome = pidfile(invocation).signal(signal);
    let outcome = outcome.map(|pid| Some((pid?, signal)));
    report_outcome(invocation, outcome, packed!("signalled pid "))
}

/// Stops the daemon.
pub(crate) fn stop_daemon(invocation: &Invocation<'_>) -> u8 {
    report_outcome(invocation, stop(invocation), STOPPED)
}

/// Stops the daemon before a new one is started. Fails with the exit code.
///
/// If the process that the pidfile names may be an unrelated one, it is not stopped, and the new daemon is
/// started all the same: a start ignores such a pidfile too.
pub(crate) fn stop_for_restart(invocation: &Invocation<'_>) -> Result<(), u8> {
    let owner = pidfile(invocation).owner();
    if matches!(owner, Ok(Owner::Unknown(_))) && !invocation.has(Name::TrustPidfile) {
        return Ok(());
    }
    match stop(invocation) {
        Ok(stopped) => {
            if invocation.verbosity == Verbosity::Verbose {
                report_outcome(invocation, Ok(stopped), STOPPED);
            }
            Ok(())
        }
        // The new daemon will use it.
        Err(error) if error.has(Note::Other) && error.kind() == ErrorKind::PidfileFailed => Ok(()),
        Err(error) => {
            report_error(invocation, &error);
            Err(error.exit_code())
        }
    }
}

/// Whether the daemon that made a start fail runs, once the outcome of its own start is known. Waits for that as long
/// as the start itself may take.
#[inline(never)]
pub(crate) fn runs(invocation: &Invocation<'_>, error: &Error) -> Result<bool, Error> {
    let settings = &invocation.start;
    let (_, time) = Plan::for_command(settings).goal_and_time();
    let path = error.subject().and_then(|subject| settings.string(subject));
    let pidfile = Pidfile::new(path.unwrap_or(ThinCStr::new(c"")));
    // The daemon may take this time for its steps, and must then live as long again.
    let time = time.unwrap_or_default().saturating_mul(2);
    let owner = pidfile.wait_for_start(time)?;
    Ok(!matches!(owner, Owner::NotRunning | Owner::Dead))
}

/// Stops the daemon. Returns its pid, and the signal by which it ended.
fn stop(invocation: &Invocation<'_>) -> Result<Option<(Pid, Option<Signal>)>, Error> {
    let schedule = invocation.schedule();
    let stopped = pidfile(invocation).stop_by(schedule.stages(), schedule.first_repeated)?;
    Ok(stopped.map(|(pid, signal)| (pid, Some(signal))))
}

/// What a stop has done, before the pid.
static STOPPED: Packed = packed!("stopped pid ");

fn pidfile<'i>(invocation: &'i Invocation<'_>) -> Pidfile<'i> {
    let path = invocation.pidfile().unwrap_or(ThinCStr::new(c""));
    Pidfile::new(path)
        .trust(invocation.has(Name::TrustPidfile))
        .process_group(invocation.has(Name::ProcessGroup))
}

/// Reports the outcome of a signal or a stop, and returns its exit code.
fn report_outcome(
    invocation: &Invocation<'_>,
    outcome: Result<Option<(Pid, Option<Signal>)>, Error>,
    success: Packed,
) -> u8 {
    match outcome {
        Ok(Some((pid, signal))) => {
            if invocation.verbosity == Verbosity::Verbose {
                let mut line = Line::new();
                line.say(success);
                line.add_number(pid.get() as u32);
                line.say(packed!(" with "));
                match signal {
                    Some(signal) => signal.describe(&mut |piece| line.add(piece)),
                    None => line.add(b"0"),
                }
                line.end();
            }
            SUCCESS
        }
        Ok(None) => {
            if invocation.verbosity != Verbosity::Quiet {
                write_line(packed!("not running"));
            }
            if invocation.has(Name::Strict) {
                NOTHING_TO_STOP
            } else {
                SUCCESS
            }
        }
        Err(error) => report_error(invocation, &error),
    }
}

/// Reports an error, and returns its exit code.
fn report_error(invocation: &Invocation<'_>, error: &Error) -> u8 {
    if invocation.verbosity != Verbosity::Quiet {
        let path = match error.kind() {
            ErrorKind::PidfileFailed => invocation.pidfile().map(ThinCStr::to_c_str),
            _ => None,
        };
        let mut line = Line::new();
        describe(error, path, &mut |text| line.add(text));
        if error.kind() == ErrorKind::NoLock {
            let hint = match invocation.has(Name::TrustPidfile) {
                true => packed!(
                    "; the pidfile is not trusted: it must be no older than the process, hold \
                     nothing but a pid above 1, and belong to root or to you, and others must not be able \
                     to write it"
                ),
                false => packed!("; --trust-pidfile acts on it all the same"),
            };
            hint.write(&mut |text| line.add(text));
        }
        line.end();
    }
    match error.kind() {
        ErrorKind::StillRunning => FAILED,
        // The daemon has been stopped.
        ErrorKind::PidfileFailed if error.has(Note::Other) => SUCCESS,
        _ => UNKNOWN,
    }
}
