//! `--status`, `--signal`, `--stop`, and the stop of `--restart`.
//!
//! The first three exit with the codes that the Linux Standard Base defines for init scripts.

use rawdaemon::internal::{
    HAS_SUPERVISOR, Note, Packed, Plan, describe, describe_process, getsid, next_field, packed,
    read_state, remove_state,
};
use rawdaemon::{CStrings, Cause, Error, ErrorKind, Owner, Pid, Pidfile, Signal, ThinCStr};

use crate::args::{Invocation, Name, Verbosity};
use crate::line::{Line, write_line};
use crate::os::SUCCESS;

/// The daemon did not end in time.
const FAILED: u8 = 1;
/// `--status`: the daemon is dead, but its pidfile exists.
const DEAD: u8 = 1;
/// `--status`: the daemon does not run now, and its supervisor starts it again.
const RESTARTING: u8 = 2;
/// `--status`: there is no daemon and no pidfile.
const NOT_RUNNING: u8 = 3;
/// The state of the daemon is unknown, or the signal cannot be sent.
const UNKNOWN: u8 = 4;
/// `--strict`: there is no daemon to stop or signal.
const NOTHING_TO_STOP: u8 = 7;

/// Prints a line for each of the pidfiles. Returns 0 if all their daemons run, or the largest exit code of
/// `--status`.
pub(crate) fn list(invocation: &Invocation<'_>, arguments: CStrings<'static>) -> u8 {
    let mut code = SUCCESS;
    for path in arguments.skip(invocation.command).iter() {
        code = code.max(print_status(invocation, Some(path)));
    }
    code
}

/// Prints the daemon's pid, or the reason that there is none. For `--list`, a line for this pidfile.
#[inline(never)]
pub(crate) fn print_status(invocation: &Invocation<'_>, listed: Option<ThinCStr<'_>>) -> u8 {
    let path = listed.or(invocation.pidfile());
    let seen = Pidfile::new(path.unwrap_or(ThinCStr::new(c""))).owner_and_supervisor();
    let owner = seen.map(|(owner, _)| owner);
    let supervisor = seen.ok().and_then(|(_, supervisor)| supervisor);
    let error = match owner {
        Ok(Owner::Unknown(pid)) => Some(Error::new(ErrorKind::NoLock, Cause::Owner(pid))),
        Ok(_) => None,
        Err(error) => Some(error),
    };
    let pid = match owner {
        Ok(Owner::Running(pid) | Owner::Unlocked(pid) | Owner::Unknown(pid)) => Some(pid),
        _ => None,
    };
    // The state of the supervisor of this daemon, or of one that has given up.
    let state = path.filter(|_| HAS_SUPERVISOR).and_then(read_state);
    let state = state.filter(|state| match (supervisor, pid) {
        (Some(supervisor), _) => supervisor == state.supervisor,
        (None, Some(pid)) => {
            let leads = getsid(Some(pid)) == Ok(Some(state.supervisor));
            // One that has gone into the background by itself has a session of its own.
            leads || state.is_lost()
        }
        (None, None) => matches!(owner, Ok(Owner::Dead)),
    });
    let (code, words) = match owner {
        Ok(Owner::Running(_)) => (
            SUCCESS,
            packed!("running, and holds the lock on its pidfile"),
        ),
        Ok(Owner::Unlocked(_)) if state.is_some() => {
            (SUCCESS, packed!("running, but its supervisor is lost"))
        }
        Ok(Owner::Unlocked(_)) => (
            SUCCESS,
            packed!("running, by its fingerprint (it has released its lock)"),
        ),
        Ok(Owner::Elsewhere) => (
            SUCCESS,
            packed!("running in another pid namespace, or on another machine"),
        ),
        Ok(Owner::Restarting(_)) => (RESTARTING, packed!("not running at the moment")),
        Ok(Owner::NotRunning) => (NOT_RUNNING, packed!("not running")),
        Ok(Owner::Dead) => (DEAD, packed!("dead, but its pidfile exists")),
        Ok(_) | Err(_) => (UNKNOWN, packed!()),
    };
    if invocation.verbosity == Verbosity::Quiet {
        return code;
    }
    let is_brief = listed.is_none() && invocation.verbosity != Verbosity::Verbose;
    let mut line = Line::empty();
    if let (Some(pid), SUCCESS, None) = (pid, code, listed) {
        line.add_number(pid.get() as u32);
        line.push(b'\n');
        // The code for a dead daemon would be a lie.
        let printed = line.print(UNKNOWN);
        if is_brief || printed != SUCCESS {
            return printed;
        }
    }
    // The line must fit in the buffer.
    let name = listed.map_or(&b"rawdaemon"[..], ThinCStr::to_bytes);
    line.add(name.get(..LONGEST_NAME).unwrap_or(name));
    line.add(b": ");
    line.say(words);
    if let Some(error) = error {
        let path = match error.kind() {
            ErrorKind::PidfileFailed if listed.is_none() => path.map(ThinCStr::to_c_str),
            _ => None,
        };
        describe(&error, path, &mut |text| line.add(text));
    }
    if let (Some(pid), false) = (pid, is_brief) {
        if code == SUCCESS {
            line.say(packed!("; pid "));
            line.add_number(pid.get() as u32);
        }
        add_process(&mut line, pid);
    }
    if let (Some(state), false) = (&state, is_brief && pid.is_some()) {
        line.say(packed!("; "));
        line.add(state.sentence());
        if let Some(left) = state.milliseconds_left() {
            line.say(packed!("; next start in "));
            line.add_number(left);
            line.add(b" ms");
        }
        if let Some(supervisor) = supervisor {
            line.say(packed!("; supervisor "));
            line.add_number(supervisor.get() as u32);
        }
    }
    if listed.is_none() {
        if matches!(owner, Ok(Owner::Unknown(_))) {
            add_hint(&mut line, invocation);
        }
        line.end();
        return code;
    }
    line.push(b'\n');
    code.max(line.print(UNKNOWN))
}

/// How much of the path of a pidfile is printed, in bytes.
const LONGEST_NAME: usize = 1024;

/// The units of an age, in seconds.
static UNITS: &[(u32, u8)] = &[(86400, b'd'), (3600, b'h'), (60, b'm'), (1, b's')];

/// Adds the user of a process, its age, and its command line, if `/proc` has them.
fn add_process(line: &mut Line, pid: Pid) {
    let mut text = [0; 512];
    let Some((user, age, command)) = describe_process(pid, &mut text) else {
        return;
    };
    line.say(packed!(", user "));
    line.add_number(user);
    line.say(packed!(", for"));
    let mut rest = age as u32;
    for (size, name) in UNITS {
        let count = rest.checked_div(*size).unwrap_or(0);
        rest = rest.wrapping_sub(count.wrapping_mul(*size));
        if count > 0 || *size == 1 {
            line.push(b' ');
            line.add_number(count);
            line.push(*name);
        }
    }
    line.push(b':');
    let mut command = Some(command);
    while command.is_some() {
        let argument = next_field(&mut command, 0);
        if !argument.is_empty() {
            line.push(b' ');
            line.add(argument);
        }
    }
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
    if error.cause() == Cause::Unknown {
        // Another program has locked the file: there is no start whose outcome could be waited for.
        return Ok(true);
    }
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
    // It is there if the supervisor was killed, or has given up.
    if let Some(path) = invocation.pidfile() {
        if remove_state(path) && stopped.is_none() {
            pidfile(invocation).remove_empty()?;
        }
    }
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

/// Adds what to do about a process that is not known to be the daemon.
#[inline(never)]
fn add_hint(line: &mut Line, invocation: &Invocation<'_>) {
    line.say(match invocation.has(Name::TrustPidfile) {
        true => packed!(
            "; the pidfile is not trusted: it must be no older than the process, hold \
             nothing but a pid above 1, and belong to root or to you, and others must not be able \
             to write it"
        ),
        false => packed!("; --trust-pidfile acts on it all the same"),
    });
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
            add_hint(&mut line, invocation);
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
