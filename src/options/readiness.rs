//! How a command reports that it is ready.

use crate::sys::ThinCStr;

/// How a command reports that it is ready, for
/// [`DaemonizeOptions::ready`](crate::DaemonizeOptions::ready).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readiness<'a> {
    /// It does not report: the command is ready as soon as it has been executed.
    #[default]
    Executed,
    /// By a notification fd, the protocol of s6, dinit and OpenRC. The command has the writing end of a
    /// pipe open as this descriptor, which must be above 2, and writes a newline to it. Text before the
    /// newline is ignored. If every writer closes the pipe without a newline, the start fails at once: with
    /// `DaemonDied` if the daemon also ends, else with `Refused`.
    Descriptor(i32),
    /// By sd_notify(3): the command sends `READY=1` to the datagram socket that NOTIFY_SOCKET names.
    ///
    /// The name is abstract (unix(7)) and needs no file system. Messages are accepted from the daemon
    /// and from its descendants: the members of its session, and the processes whose parents, as `/proc` shows
    /// them, lead back to it. All others are ignored. `EXTEND_TIMEOUT_USEC=`
    /// allows more time, `STATUS=` and `ERRNO=` are reported as [`Progress`](crate::Progress) and are no
    /// failures; all other variables are ignored.
    ///
    /// If a helper sends `READY=1`, such as systemd-notify(1), the start waits until it has sent `BARRIER=1` or has
    /// ended, but for no more than 200 ms. For a daemon that sends it itself, it waits 0.2 ms.
    Notify,
    /// As [`Notify`](Self::Notify), with a socket at this absolute path, `c"/run/web.notify".into()` say: for a command in another network
    /// namespace, where abstract names are not visible. A socket on which no process listens any longer is
    /// replaced. The socket is removed when the start is over.
    NotifyAt(ThinCStr<'a>),
}
