//! The folder of the notification socket. Most clients of sd_notify(3) take NOTIFY_SOCKET for a path, so the socket has
//! one, unless no folder can be made for it.
//!
//! The intermediate makes the folder and removes it. If it was killed, the original removes it: both know its name.

use super::plan::Plan;
use crate::environment::value_of;
use crate::options::Readiness;
use crate::protocol::{Errno, Subject};
use crate::sys::{self, CStrings, NO_FD, RawFd, SOCKET_PATH_SIZE, ThinCStr};
use crate::text::{Lines, NUMBER_LINE, concat, join, lines, number_line};

/// The environment variable that names the socket, up to its value.
pub(super) const VARIABLE: &[u8] = b"NOTIFY_SOCKET=";

/// The size of the variable with its value, which may begin with an `@`, and a null byte.
pub(super) const VARIABLE_SIZE: usize = VARIABLE.len() + 1 + SOCKET_PATH_SIZE;

/// The name of the socket in the folder.
const SOCKET: &[u8] = b"/notify\0";

/// The directories in which the folder may lie, or the variables that name them.
static PLACES: Lines = lines!["/run"; "XDG_RUNTIME_DIR="; "TMPDIR="; "/tmp";];

/// What the processes of a start know of its folder.
#[derive(Clone, Copy)]
pub(super) struct NotifyFolder<'a> {
    /// The command's environment.
    environment: CStrings<'a>,
    /// The user that the daemon becomes.
    user: Option<u32>,
    /// The number in its name; zero if there is no folder. No other start has it, and nobody can foresee it.
    number: i64,
}

impl<'a> NotifyFolder<'a> {
    /// No folder.
    pub(super) const NONE: Self = Self {
        environment: CStrings::EMPTY,
        user: None,
        number: 0,
    };

    /// The folder of a start. From another root directory, its path would not be found.
    pub(super) fn new(plan: &Plan<'_>, environment: CStrings<'a>) -> Self {
        let is_needed =
            plan.readiness == Readiness::Notify && plan.options.string(Subject::Chroot).is_none();
        let number = if is_needed {
            let time = sys::monotonic_time().unwrap_or(0) as i64;
            // A pid has at most 22 bits.
            time << 22 & i64::MAX | i64::from(sys::getpid().get())
        } else {
            0
        };
        Self {
            environment,
            user: plan.credentials.user,
            number,
        }
    }

    /// Makes the folder in the first possible place, and binds the socket there. Returns the length of the variable up
    /// to the folder; 0 if there is no such place. With [`NO_FD`], removes the folder of a start whose intermediate was
    /// killed.
    ///
    /// Only the daemon's user and root can send to the socket. If the daemon is root's, any user can: a daemon often
    /// changes its user before it is ready.
    #[inline(never)]
    pub(super) fn make_or_remove(
        &self,
        socket: RawFd,
        variable: &mut [u8; VARIABLE_SIZE],
    ) -> usize {
        if self.number == 0 {
            return 0;
        }
        // If only the caller needs to reach it: neither is it root, nor does the daemon become another user.
        let is_own = self.user.is_none() && sys::effective_user() != 0;
        for mut place in PLACES.iter() {
            if place.last() == Some(&b'=') {
                // The caller's own directories may be closed to others.
                place = match value_of(self.environment, place) {
                    Some(value) if is_own => value,
                    _ => continue,
                };
            }
            let mut digits = [0; NUMBER_LINE];
            let number = number_line(self.number, &mut digits);
            let text = concat(&[VARIABLE, place, b"/rawdaemon-", number], variable);
            // Without the newline.
            let end = text.len().wrapping_sub(1);
            if place.first() != Some(&b'/') || end.wrapping_add(SOCKET.len()) >= VARIABLE_SIZE {
                continue;
            }
            if socket != NO_FD {
                cut(variable, end);
                if sys::mkdir(path(variable), if is_own { 0o700 } else { 0o711 }).is_err() {
                    continue;
                }
                add_name(variable, end);
                let path = path(variable);
                if sys::bind(socket, Some(path)).is_ok() {
                    if let Some(user @ 1..) = self.user {
                        if sys::lchown(path, user).is_ok() {
                            let _ = sys::chmod(path, 0o600);
                        }
                    }
                    return end;
                }
            }
            remove(variable, end);
        }
        0
    }
}

/// Removes the socket and the folder. `end` is the length of the variable up to the folder. Returns whether nothing is
/// left.
#[inline(never)]
pub(super) fn remove(variable: &mut [u8; VARIABLE_SIZE], end: usize) -> bool {
    add_name(variable, end);
    let unlinked = sys::unlink(path(variable));
    cut(variable, end);
    let is_gone = |removed| matches!(removed, Ok(()) | Err(Errno::ENOENT));
    is_gone(sys::rmdir(path(variable))) && is_gone(unlinked)
}

fn cut(variable: &mut [u8], end: usize) {
    if let Some(byte) = variable.get_mut(end) {
        *byte = 0;
    }
}

fn add_name(variable: &mut [u8], end: usize) {
    join(SOCKET, b"", variable.get_mut(end..).unwrap_or_default());
}

/// The value of the variable.
fn path(variable: &[u8]) -> ThinCStr<'_> {
    let value = variable.get(VARIABLE.len()..).unwrap_or_default();
    ThinCStr::at_start(value).unwrap_or(ThinCStr::new(c""))
}
