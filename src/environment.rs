//! The variables of a command: looked up, set and added. Pure.

use crate::protocol::Errno;
use crate::sys::{Mapping, ThinCStr};
use crate::text::split_once;

/// Variables, as execve(2) takes them.
pub(crate) type Environment<'a> = &'a [Option<ThinCStr<'a>>];

/// The name of a variable in `NAME=VALUE`; it is not empty.
pub fn variable(assignment: ThinCStr<'_>) -> Option<&[u8]> {
    match split_once(assignment.to_bytes(), b'=') {
        (name @ [_, ..], Some(_)) => Some(name),
        _ => None,
    }
}

/// Sets a variable in an environment that has room for one more, whatever it is there.
pub fn set_variable<'a>(environment: &mut [Option<ThinCStr<'a>>], assignment: ThinCStr<'a>) {
    let name = variable(assignment);
    let mut is_set = false;
    for place in environment {
        match place {
            // One that is there twice is the same in both places then.
            Some(other) if variable(*other) == name => {
                *other = assignment;
                is_set = true;
            }
            Some(_) => {}
            None => {
                if !is_set {
                    *place = Some(assignment);
                }
                return;
            }
        }
    }
}

/// An environment with one more variable, or with another value of it.
pub(crate) fn add_variable<'a>(
    environment: Environment<'a>,
    variable: ThinCStr<'a>,
) -> Result<Mapping<Option<ThinCStr<'a>>>, Errno> {
    let mut room = Mapping::new(environment.len().saturating_add(1))?;
    for (place, variable) in room.iter_mut().zip(environment) {
        *place = *variable;
    }
    set_variable(&mut room, variable);
    Ok(room)
}

/// Where commands are looked for when the environment does not say it: init scripts may run without
/// PATH.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The directories of PATH, or the default ones.
pub(crate) fn search_path<'a>(environment: &[Option<ThinCStr<'a>>]) -> &'a [u8] {
    for variable in environment.iter().flatten() {
        let (name, value) = split_once(variable.to_bytes(), b'=');
        if let (true, Some(path)) = (name == b"PATH", value) {
            return path;
        }
    }
    DEFAULT_PATH
}
