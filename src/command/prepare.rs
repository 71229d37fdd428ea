//! The parts of a start that are not on the command line: the ids of its user, and the environment and the
//! arguments of its command.

use rawdaemon::internal::{self, Zeroed, join, set_variable, variable};
use rawdaemon::{
    Account, CStrings, Cause, DaemonizeOptions, Errno, Error, ExitCode, ThinCStr, look_up,
    look_up_group,
};

use crate::args::{Invocation, assignments};
use crate::entry::Given;

/// Room for `/etc/passwd` and `/etc/group` together, in bytes. The kernel allocates only the pages that are touched.
const FILES: usize = 4 << 20;

/// The most supplementary groups of a process: `NGROUPS_MAX`.
const GROUPS: usize = 65536;

/// Looks up the user or the group, and sets its ids in the options. Returns the user's account.
#[inline(never)]
pub(crate) fn run_as(
    invocation: &Invocation<'static>,
    options: &mut DaemonizeOptions<'_>,
) -> Result<Option<Account<'static>>, Error> {
    let group = invocation.group.map(ThinCStr::to_c_str);
    if let Some(user) = invocation.user {
        let account = look_up(user.to_c_str(), group, zeroed(FILES)?, zeroed(GROUPS)?)?;
        *options = options.user(account.user, account.group, account.groups);
        return Ok(Some(account));
    }
    if let Some(group) = group {
        *options = options.group(look_up_group(group, zeroed(FILES)?)?);
    }
    Ok(None)
}

/// The environment of the command: the inherited one, or PATH alone with `--clear-env`; then the variables of the
/// user; then those of `--env`.
///
/// NOTIFY_SOCKET is passed on in the foreground only: the launcher's supervisor does not supervise the daemon.
#[inline(never)]
pub(crate) fn environment(
    given: &Given,
    invocation: &Invocation<'_>,
    account: Option<Account<'_>>,
) -> Result<CStrings<'static>, Error> {
    let mut inherited = given.environment.iter();
    let is_passed_on = account.is_none()
        && !invocation.clear_env
        && assignments(given.arguments.as_slice()).next().is_none()
        && !inherited.any(|string| variable(string) == Some(b"NOTIFY_SOCKET"));
    if is_passed_on {
        return Ok(given.environment);
    }
    // There are at most as many assignments as arguments.
    let given_size = given.environment.as_slice().len();
    let size = given_size.wrapping_add(given.arguments.as_slice().len());
    let list = zeroed(size.wrapping_add(USER_VARIABLES))?;
    let mut slots = list.iter_mut();
    for string in given.environment.iter() {
        let is_inherited = match variable(string) {
            Some(name) if name == b"NOTIFY_SOCKET" => invocation.foreground,
            Some(name) if name == b"PATH" => true,
            _ => !invocation.clear_env,
        };
        if is_inherited {
            if let Some(slot) = slots.next() {
                *slot = Some(string);
            }
        }
    }
    if let Some(account) = account {
        set_variable(list, joined(b"HOME=", account.home)?);
        set_variable(list, joined(b"USER=", account.name)?);
        set_variable(list, joined(b"LOGNAME=", account.name)?);
        set_variable(list, joined(b"SHELL=", account.shell)?);
    }
    for assignment in assignments(given.arguments.as_slice()) {
        set_variable(list, assignment);
    }
    terminated(list)
}

/// How many variables describe the user, as login(1) sets them.
const USER_VARIABLES: usize = 4;

fn joined(name: &[u8], value: &[u8]) -> Result<ThinCStr<'static>, Error> {
    // With a zero byte at its end.
    let list = zeroed(name.len().wrapping_add(value.len()).wrapping_add(1))?;
    join(name, value, list);
    Ok(ThinCStr::at_start(list).unwrap_or(ThinCStr::new(c"")))
}

/// The arguments of the command, the first of them replaced by `--argv0`.
pub(crate) fn command(
    command: CStrings<'static>,
    invocation: &Invocation<'static>,
) -> Result<CStrings<'static>, Error> {
    let Some(argv0) = invocation.argv0 else {
        return Ok(command);
    };
    let renamed = zeroed(command.as_slice().len())?;
    for (slot, argument) in renamed.iter_mut().zip(command.as_slice()) {
        *slot = *argument;
    }
    if let Some(first) = renamed.first_mut() {
        *first = Some(argv0);
    }
    terminated(renamed)
}

/// A list whose last entry was left `None`.
fn terminated(list: &'static [Option<ThinCStr<'static>>]) -> Result<CStrings<'static>, Error> {
    CStrings::new(list).ok_or(cannot_prepare(Errno::EINVAL))
}

fn zeroed<T: Zeroed>(count: usize) -> Result<&'static mut [T], Error> {
    internal::leak_zeroed(count).map_err(cannot_prepare)
}

const fn cannot_prepare(errno: Errno) -> Error {
    Error::new(ExitCode::ExecFailed, Cause::Errno(errno))
}
