//! The environment of a command: finding, setting and adding variables. Pure.

use crate::sys::{CStrings, ThinCStr};
use crate::text::split_once;

/// The name in `NAME=VALUE`. `None` if there is no `=` or the name is empty.
pub fn variable(assignment: ThinCStr<'_>) -> Option<&[u8]> {
    match split_once(assignment.to_bytes(), b'=') {
        (name @ [_, ..], Some(_)) => Some(name),
        _ => None,
    }
}

/// Sets a variable: replaces its value, or adds it in place of the first `None`. The environment must have
/// room for one more variable.
pub fn set_variable<'a>(environment: &mut [Option<ThinCStr<'a>>], assignment: ThinCStr<'a>) {
    let name = variable(assignment);
    let mut is_set = false;
    for slot in environment {
        match slot {
            // A variable may occur twice: programs differ in which one they use.
            Some(other) if variable(*other) == name => {
                *other = assignment;
                is_set = true;
            }
            Some(_) => {}
            None => {
                if !is_set {
                    *slot = Some(assignment);
                }
                return;
            }
        }
    }
}

/// Copies an environment, with this variable added or replaced. `copy` has one entry more than it, all `None`.
#[must_use]
pub fn copy_with_variable<'a, 'c>(
    environment: CStrings<'a>,
    variable: ThinCStr<'a>,
    copy: &'c mut [Option<ThinCStr<'a>>],
) -> Option<CStrings<'c>> {
    for (slot, variable) in copy.iter_mut().zip(environment.iter()) {
        *slot = Some(variable);
    }
    set_variable(copy, variable);
    CStrings::new(copy)
}

/// The directories that are searched for a command if PATH is not set. Init scripts may run without it.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The value of PATH, or `DEFAULT_PATH`.
#[must_use]
pub fn search_path<'a>(environment: CStrings<'a>) -> &'a [u8] {
    value_of(environment, b"PATH=").unwrap_or(DEFAULT_PATH)
}

/// The value of the first variable that begins with this name and `=`.
#[inline(never)]
pub(crate) fn value_of<'a>(environment: CStrings<'a>, start: &[u8]) -> Option<&'a [u8]> {
    let mut variables = environment.iter();
    variables.find_map(|variable| variable.to_bytes().strip_prefix(start))
}

#[cfg(test)]
mod tests {
    use super::{CStrings, copy_with_variable};

    #[test]
    fn a_copy_ends_where_the_environment_ends() {
        let list = [Some(c"A=1".into()), None, Some(c"B=2".into()), None];
        let mut copy = [None; 5];
        let environment = CStrings::new(&list).unwrap();
        let copy = copy_with_variable(environment, c"C=3".into(), &mut copy).unwrap();
        assert!(copy.iter().eq([c"A=1".into(), c"C=3".into()]), "{copy:?}");
    }
}
