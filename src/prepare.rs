//! What the daemon is given beyond what stands on the command line: whom it runs as, and the
//! environment and the own name of its command.

use rawdaemon::args::{Arguments, Invocation, assignments};
use rawdaemon::environment::{set_variable, variable};
use rawdaemon::protocol::join;
use rawdaemon::{
    Account, Cause, DaemonizeOptions, Error, ExitCode, ThinCStr, Zeroed, look_up, look_up_group,
};

use crate::Given;

/// Room for `/etc/passwd` and `/etc/group` together. Of what is not used, the kernel gives none.
const FILES: usize = 4 << 20;

/// As many groups as the kernel lets a process have: `NGROUPS_MAX`.
const GROUPS: usize = 65536;

/// Lets the daemon run as the user or the group that was asked for; gives the user's account.
#[inline(never)]
pub(crate) fn run_as(
    invocation: &Invocation<'static>,
    options: &mut DaemonizeOptions<'_>,
) -> Result<Option<Account<'static>>, Error> {
    let [.., user, group, _] = invocation.words;
    let group = group.map(ThinCStr::to_c_str);
    if let Some(user) = user {
        let account = look_up(user.to_c_str(), group, room(FILES)?, room(GROUPS)?)?;
        *options = options.user(account.user, account.group, account.groups);
        return Ok(Some(account));
    }
    if let Some(group) = group {
        *options = options.group(look_up_group(group, room(FILES)?)?);
    }
    Ok(None)
}

/// The inherited environment, or what `--clear-env` leaves of it, with what is known of the user and
/// what `-E` sets.
///
/// Who supervises the launcher does not supervise the daemon: its NOTIFY_SOCKET goes to a command in
/// the foreground only.
#[inline(never)]
pub(crate) fn environment(
    given: &Given,
    invocation: &Invocation<'_>,
    account: Option<Account<'_>>,
) -> Result<Arguments<'static>, Error> {
    let mut inherited = given.environment.iter().flatten();
    let is_passed_on = account.is_none()
        && !invocation.clear_env
        && assignments(given.arguments).next().is_none()
        && !inherited.any(|string| variable(*string) == Some(b"NOTIFY_SOCKET"));
    if is_passed_on {
        return Ok(given.environment);
    }
    // There are at least as many arguments as assignments in them.
    let size = given.environment.len().wrapping_add(given.arguments.len());
    let room = room(size.wrapping_add(USER_VARIABLES))?;
    let mut places = room.iter_mut();
    for string in given.environment.iter().flatten() {
        let is_inherited = match variable(*string) {
            Some(name) if name == b"NOTIFY_SOCKET" => invocation.foreground,
            Some(name) if name == b"PATH" => true,
            _ => !invocation.clear_env,
        };
        if is_inherited {
            if let Some(place) = places.next() {
                *place = Some(*string);
            }
        }
    }
    if let Some(account) = account {
        set_variable(room, joined(b"HOME=", account.home)?);
        set_variable(room, joined(b"USER=", account.name)?);
        set_variable(room, joined(b"LOGNAME=", account.name)?);
        set_variable(room, joined(b"SHELL=", account.shell)?);
    }
    for assignment in assignments(given.arguments) {
        set_variable(room, assignment);
    }
    Ok(room)
}

/// How many variables login(1) sets.
const USER_VARIABLES: usize = 4;

fn joined(name: &[u8], value: &[u8]) -> Result<ThinCStr<'static>, Error> {
    // With the zero byte at its end.
    let room = room(name.len().wrapping_add(value.len()).wrapping_add(1))?;
    join(name, value, room);
    Ok(ThinCStr::at_start(room).unwrap_or(ThinCStr::new(c"")))
}

/// The command and its arguments, with the own name that was asked for.
#[inline(never)]
pub(crate) fn command(
    given: &Given,
    invocation: &Invocation<'static>,
) -> Result<Arguments<'static>, Error> {
    let command = given
        .arguments
        .get(invocation.command..)
        .unwrap_or_default();
    let [.., Some(own_name)] = invocation.words else {
        return Ok(command);
    };
    let renamed = room(command.len())?;
    for (place, argument) in renamed.iter_mut().zip(command) {
        *place = *argument;
    }
    if let Some(first) = renamed.first_mut() {
        *first = Some(own_name);
    }
    Ok(renamed)
}

fn room<T: Zeroed>(count: usize) -> Result<&'static mut [T], Error> {
    rawdaemon::room(count).map_err(|errno| Error::new(ExitCode::ExecFailed, Cause::Errno(errno)))
}
