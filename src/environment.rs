//! The environment of a command: finding, setting and adding variables. Pure.

use crate::protocol::Pid;
use crate::sys::{CStrings, ThinCStr};
use crate::text::{Lines, after, lines, parse_number, split_once};

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

/// The variables of a user's session: they name its sockets, folders, display and terminal, its mailbox and tickets, and
/// who became root in it. Another user may not open these, or must not: a daemon would fail at them, or leave files in
/// the home directory of the user who started it. One that ends in `_` stands for all that begin with it.
///
/// pam_systemd(8), pam_tmpdir(8), login(1), ssh(1), agents, terminal multiplexers and desktops set them; sudo(8) and
/// doas(1) set their own. sudo(8) also takes away variables that make a program load code: it protects a program that has
/// more rights than its caller. A daemon has fewer, so these stay.
static OF_SESSION: Lines = lines![
    "DBUS_"; "DISPLAY"; "DOAS_"; "GPG_"; "ICEAUTHORITY"; "KRB5CCNAME"; "MAIL"; "SSH_"; "STY"; "SUDO_"; "TEMP"; "TEMPDIR";
    "TMP"; "TMPDIR"; "TMUX"; "TMUX_"; "WAYLAND_"; "XAUTHORITY"; "XDG_";
];

/// Whether a variable with this name is one of a user's session. `XDG_DATA_DIRS` and `XDG_CONFIG_DIRS` are not: they name
/// folders of the system.
#[must_use]
pub fn is_of_session(name: &[u8]) -> bool {
    let length = split_once(name, b'_').0.len().saturating_add(1);
    OF_SESSION
        .position(name.get(..length).unwrap_or(name))
        .is_some()
        && !name.ends_with(b"_DIRS")
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
    variables.find_map(|variable| after(variable.to_bytes(), start))
}

/// How many descriptors, from 3 on, a supervisor has opened for the process with this pid: socket activation
/// (sd_listen_fds(3)). Zero if LISTEN_PID names another process.
#[must_use]
#[inline(never)]
pub fn listen_fds(environment: CStrings<'_>, pid: Pid) -> u32 {
    let number = |start| {
        parse_number(value_of(environment, start)?, 10)?
            .try_into()
            .ok()
    };
    match number(b"LISTEN_PID=") {
        Some(number) if number == pid.get().unsigned_abs() => {}
        _ => return 0,
    }
    number(b"LISTEN_FDS=").unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{CStrings, ThinCStr, copy_with_variable, is_of_session, listen_fds};
    use crate::protocol::Pid;

    #[test]
    fn descriptors_are_opened_for_one_process() {
        let count = |variables: &[&'static core::ffi::CStr]| {
            let mut list = [None; 4];
            for (slot, variable) in list.iter_mut().zip(variables) {
                *slot = Some(ThinCStr::new(variable));
            }
            listen_fds(CStrings::new(&list).unwrap(), Pid::new(77).unwrap())
        };
        assert_eq!(count(&[c"LISTEN_FDS=2", c"LISTEN_PID=77"]), 2);
        for variables in [
            &[c"LISTEN_FDS=2"][..],
            &[c"LISTEN_PID=77"],
            &[c"LISTEN_FDS=2", c"LISTEN_PID=78"],
            &[c"LISTEN_FDS=2", c"LISTEN_PID="],
            &[c"LISTEN_FDS=2", c"LISTEN_PID=77x"],
            &[c"LISTEN_FDS=2", c"LISTEN_PID=4294967373"],
            &[c"LISTEN_FDS=-1", c"LISTEN_PID=77"],
            &[c"LISTEN_FDS=4294967296", c"LISTEN_PID=77"],
            &[c"LISTEN_FDS=0", c"LISTEN_PID=77"],
            &[c"XLISTEN_FDS=2", c"LISTEN_PID=77"],
        ] {
            assert_eq!(count(variables), 0, "{variables:?}");
        }
    }

    #[test]
    fn a_variable_of_a_session_is_told_from_its_neighbours() {
        for name in [
            "MAIL",
            "XDG_RUNTIME_DIR",
            "XDG_SESSION_ID",
            "SSH_AUTH_SOCK",
            "SUDO_USER",
            "TMPDIR",
            "TMUX_PANE",
        ] {
            assert!(is_of_session(name.as_bytes()), "{name}");
        }
        for name in [
            "MAILTO",
            "XDG_CONFIG_DIRS",
            "TMPDIR_",
            "MAIL_TO",
            "SSH",
            "_",
            "",
        ] {
            assert!(!is_of_session(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_copy_ends_where_the_environment_ends() {
        let list = [Some(c"A=1".into()), None, Some(c"B=2".into()), None];
        let mut copy = [None; 5];
        let environment = CStrings::new(&list).unwrap();
        let copy = copy_with_variable(environment, c"C=3".into(), &mut copy).unwrap();
        assert!(copy.iter().eq([c"A=1".into(), c"C=3".into()]), "{copy:?}");
    }
}
