//! Prepares a start: builds the environment and the arguments of the command.

use rawdaemon::internal::{
    self, Lines, NUMBER_LINE, Zeroed, effective_user, getpid, is_of_session, join, listen_fds,
    number_line, set_variable, split_once, variable,
};
use rawdaemon::{Account, CStrings, Cause, Errno, Error, ErrorKind, ThinCStr};

use crate::args::{Invocation, Name, assignments};
use crate::os::Given;

/// The environment of the command: the inherited variables, then those of the user, then those of `--env`. A later
/// variable replaces an earlier one of the same name. What belongs to the session of another user is not inherited.
///
/// With `--clear-env`, only PATH and what a supervisor sets are inherited. The latter in the foreground only, because
/// the launcher's supervisor does not supervise the daemon.
#[inline(never)]
pub(crate) fn environment(
    given: &Given,
    invocation: &Invocation<'_>,
    account: Option<Account<'_>>,
) -> Result<CStrings<'static>, Error> {
    let mut inherited = given.environment.iter();
    let watchdog = invocation.respawn.watchdog;
    let is_unchanged = account.is_none()
        && watchdog.is_zero()
        && !invocation.has(Name::ClearEnv)
        && assignments(given.arguments.as_slice()).next().is_none()
        && !inherited.any(|string| supervisor_variable(string).is_some());
    if is_unchanged {
        return Ok(given.environment);
    }
    // There are at most as many assignments as arguments.
    let given_size = given.environment.as_slice().len();
    let size = given_size.wrapping_add(given.arguments.as_slice().len());
    let environment = zeroed(size.wrapping_add(MORE_VARIABLES))?;
    let mut slots = environment.iter_mut();
    let is_activated = listen_fds(given.environment, getpid()) != 0;
    let is_cleared = invocation.has(Name::ClearEnv);
    let is_other = account.is_some_and(|account| account.user != effective_user());
    for string in given.environment.iter() {
        let is_inherited = match supervisor_variable(string) {
            Some(index) => {
                invocation.has(Name::Foreground) && (index < BEFORE_LISTEN || is_activated)
            }
            None => match variable(string) {
                Some(b"PATH") => true,
                Some(name) => !(is_cleared || is_other && is_of_session(name)),
                None => !is_cleared,
            },
        };
        if is_inherited {
            if let Some(slot) = slots.next() {
                *slot = Some(string);
            }
        }
    }
    if let Some(account) = account {
        set_variable(environment, assignment(b"HOME=", account.home)?);
        set_variable(environment, assignment(b"USER=", account.name)?);
        set_variable(environment, assignment(b"LOGNAME=", account.name)?);
        set_variable(environment, assignment(b"SHELL=", account.shell)?);
    }
    if !watchdog.is_zero() {
        let mut buffer = [0; NUMBER_LINE];
        let time = i64::try_from(watchdog.as_micros()).unwrap_or(i64::MAX);
        let (time, _) = split_once(number_line(time, &mut buffer), b'\n');
        set_variable(environment, assignment(b"WATCHDOG_USEC=", time)?);
    }
    for string in assignments(given.arguments.as_slice()) {
        set_variable(environment, string);
    }
    terminated(environment)
}

/// The variables that a supervisor sets. The LISTEN variables are kept only if they are for this process.
static SUPERVISOR: Lines = Lines::new(
    "NOTIFY_SOCKET\nWATCHDOG_PID\nWATCHDOG_USEC\nLISTEN_PID\nLISTEN_FDS\nLISTEN_FDNAMES\nLISTEN_PIDFDID\n",
);

/// How many of them come before the LISTEN variables.
const BEFORE_LISTEN: usize = 3;

/// The index of a variable in [`SUPERVISOR`].
#[inline(never)]
fn supervisor_variable(string: ThinCStr<'_>) -> Option<usize> {
    SUPERVISOR.position(variable(string)?)
}

/// The number of variables for the user, HOME, USER, LOGNAME and SHELL, as login(1) sets them, and of WATCHDOG_USEC. Its
/// companion WATCHDOG_PID may be missing (sd_watchdog_enabled(3)).
const MORE_VARIABLES: usize = 5;

/// Joins `NAME=` and a value.
fn assignment(name: &[u8], value: &[u8]) -> Result<ThinCStr<'static>, Error> {
    // One byte more, for the NUL at the end.
    let buffer = zeroed(name.len().wrapping_add(value.len()).wrapping_add(1))?;
    join(name, value, buffer);
    Ok(ThinCStr::at_start(buffer).unwrap_or(ThinCStr::new(c"")))
}

/// The arguments of the command. `--argv0` replaces the first one.
pub(crate) fn command<'a>(
    command: CStrings<'a>,
    argv0: Option<ThinCStr<'a>>,
) -> Result<CStrings<'a>, Error> {
    let Some(argv0) = argv0 else {
        return Ok(command);
    };
    let arguments = zeroed(command.as_slice().len())?;
    for (slot, argument) in arguments.iter_mut().zip(command.as_slice()) {
        *slot = *argument;
    }
    if let Some(first) = arguments.first_mut() {
        *first = Some(argv0);
    }
    terminated(arguments)
}

/// Checks that the list ends in `None`.
fn terminated<'a>(list: &'a [Option<ThinCStr<'a>>]) -> Result<CStrings<'a>, Error> {
    CStrings::new(list).ok_or(prepare_failed(Errno::EINVAL))
}

/// Allocates a list that is never freed.
fn zeroed<'a, T: Zeroed + 'a>(count: usize) -> Result<&'a mut [T], Error> {
    internal::leak_zeroed(count).map_err(prepare_failed)
}

const fn prepare_failed(errno: Errno) -> Error {
    Error::new(ErrorKind::ExecFailed, Cause::Errno(errno))
}
