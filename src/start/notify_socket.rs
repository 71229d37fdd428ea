//! Where the notification socket lies. By default that is a folder of its own, since most clients of sd_notify(3) take
//! NOTIFY_SOCKET for a path.
//!
//! The intermediate makes the folder and removes it. If it was killed, the original does: both know the number in the
//! name of the folder.

use super::plan::Plan;
use crate::environment::value_of;
use crate::protocol::Errno;
use crate::sys::{self, CStrings, Fd, SOCKET_PATH_SIZE, ThinCStr};
use crate::text::{NUMBER_LINE, concat, join, number_line};

/// The environment variable that names the socket, up to its value.
pub(super) const VARIABLE: &[u8] = b"NOTIFY_SOCKET=";

/// The variable with its value, which may begin with `@`, and a null byte.
pub(super) type Variable = [u8; VARIABLE.len() + 1 + SOCKET_PATH_SIZE];

/// The name of the socket in its folder.
const SOCKET: &[u8] = b"/notify\0";

/// What the processes of a start know of its folder.
#[derive(Clone, Copy)]
pub(super) struct PrivateFolder<'a> {
    plan: &'a Plan<'a>,
    environment: CStrings<'a>,
    /// No other start of this boot has the same number, and nobody can foresee it.
    number: u64,
}

impl<'a> PrivateFolder<'a> {
    /// `time` is the time of this start, or zero if it needs no folder.
    pub(super) fn new(plan: &'a Plan<'a>, environment: CStrings<'a>, time: u64) -> Self {
        Self {
            plan,
            environment,
            // A pid has 22 bits at most.
            number: time.wrapping_shl(22) | sys::getpid().get().unsigned_abs(),
        }
    }
}
