//! What the daemon is given beyond what stands on the command line: whom it runs as, and the
//! environment and the own name of its command.

use rawdaemon::args::{Arguments, Invocation, assignments, set_variable, variable};
use rawdaemon::{
    Account, Cause, DaemonizeOptions, Error, ExitCode, Room, ThinCStr, look_up, look_up_group,
};

use crate::Given;

/// Room for `/etc/passwd` and `/etc/group` together. Of what is not used, the kernel gives none.
const FILES: usize = 4 << 20;

/// As many groups as the kernel lets a process have: `NGROUPS_MAX`.
const GROUPS: usize = 65536;

/// Room that is never given back.
macro_rules! room {
    ($count:expr) => {
        Room::new($count)
            .map(Room::leak)
            .map_err(|errno| Error::new(ExitCode::ExecFailed, Cause::Errno(errno)))
    };
}

/// The account that was asked for, and the group, if it was a group only.
pub(crate) fn whom(
    invocation: &Invocation<'static>,
) -> Result<(Option<Account<'static>>, Option<u32>), Error> {
    let [.., user, group, _] = invocation.words.map(|name| name.map(ThinCStr::to_c_str));
    match (user, group) {
        (Some(user), _) => {
            let account = look_up(user, group, room!(FILES)?, room!(GROUPS)?)?;
            Ok((Some(account), None))
        }
        (None, Some(group)) => Ok((None, Some(look_up_group(group, room!(FILES)?)?))),
        (None, None) => Ok((None, None)),
    }
}

/// The options with the account or the group.
pub(crate) const fn running_as<'a>(
    options: DaemonizeOptions<'a>,
    account: Option<Account<'a>>,
    group: Option<u32>,
) -> DaemonizeOptions<'a> {
    match (account, group) {
        (Some(account), _) => options.user(account.user, account.group, account.groups),
        (None, Some(group)) => options.group(group),
        (None, None) => options,
    }
}

/// The inherited environment, or what `--clear-env` leaves of it, with what is known of the user and
/// what `-E` sets.
///
/// Who supervises the launcher does not supervise the daemon: its NOTIFY_SOCKET goes to a command in
/// the foreground only.
pub(crate) fn environment(
    given: &Given,
    invocation: &Invocation<'_>,
    account: Option<Account<'_>>,
) -> Result<Arguments<'static>, Error> {
    let set = assignments(given.arguments);
    let is_inherited = |string: &Option<ThinCStr<'_>>| match string.and_then(variable) {
        Some(b"NOTIFY_SOCKET") => invocation.foreground,
        name => !invocation.clear_env || name == Some(b"PATH"),
    };
    let mut inherited = given
        .environment
        .split_last()
        .map_or(&[][..], |(_, all)| all)
        .iter();
    if inherited.all(is_inherited) && account.is_none() && set.clone().next().is_none() {
        return Ok(given.environment);
    }
    // There are at least as many arguments as assignments in them.
    let size = given.environment.len().wrapping_add(given.arguments.len());
    let room = room!(size.wrapping_add(VARIABLES))?;
    let inherited = given
        .environment
        .iter()
        .filter(|string| is_inherited(string));
    for (place, string) in room.iter_mut().zip(inherited) {
        *place = *string;
    }
    if let Some(account) = account {
        set_user_variables(room, account)?;
    }
    for assignment in set {
        set_variable(room, assignment);
    }
    Ok(room)
}

const VARIABLES: usize = 4;

/// What login(1) sets.
fn set_user_variables(
    environment: &mut [Option<ThinCStr<'static>>],
    account: Account<'_>,
) -> Result<(), Error> {
    let Account {
        name, home, shell, ..
    } = account;
    let variables: [(&[u8], &[u8]); VARIABLES] = [
        (b"HOME=", home),
        (b"USER=", name),
        (b"LOGNAME=", name),
        (b"SHELL=", shell),
    ];
    for (name, value) in variables {
        // With the zero byte at its end.
        let room = room!(name.len().wrapping_add(value.len()).wrapping_add(1))?;
        for (place, byte) in room.iter_mut().zip(name.iter().chain(value)) {
            *place = *byte;
        }
        if let Some(assignment) = ThinCStr::at_start(room) {
            set_variable(environment, assignment);
        }
    }
    Ok(())
}

/// The command and its arguments, with the own name that was asked for.
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
    let renamed = room!(command.len())?;
    for (place, argument) in renamed.iter_mut().zip(command) {
        *place = *argument;
    }
    if let Some(first) = renamed.first_mut() {
        *first = Some(own_name);
    }
    Ok(renamed)
}
