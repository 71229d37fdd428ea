//! The progress of a start, for `spawn_with_progress`.

use core::time::Duration;

use crate::protocol::{Errno, Pid};

/// The progress of a start, as
/// [`DaemonizeOptions::spawn_with_progress`](crate::DaemonizeOptions::spawn_with_progress) reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'p> {
    /// The time that the original has waited so far. Reported about once a second.
    Waiting(Duration),
    /// The daemon's status text (`STATUS=`, see sd_notify(3)), cut to at most 200 bytes. It is not
    /// validated: it need not be UTF-8 and may contain control characters.
    Status(&'p [u8]),
    /// An error that the daemon, or a helper of it, has met (`ERRNO=`, see sd_notify(3)). It is no failure by itself.
    Errno(Errno),
    /// A message to NOTIFY_SOCKET that does not count: its sender is not known to be the daemon or a descendant of
    /// it. It may have ended. `None` if it is a process of another pid namespace.
    Ignored(Option<Pid>),
}

/// A function that gets the progress of a start; `None` without one.
pub type Show<'s> = Option<&'s mut dyn FnMut(Progress<'_>)>;
