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
    /// The socket lies in a folder of its own, which is removed when the start is over: in `/run`, or, for a user who
    /// cannot write there, in the XDG_RUNTIME_DIR or TMPDIR of the command's environment or in `/tmp`. If no folder can
    /// be made, and with another root directory, this is [`NotifyAbstract`](Self::NotifyAbstract).
    ///
    /// Only the daemon's user and root can send to it. If the daemon is root's, any user can, since the daemon may
    /// change its user before it is ready.
    ///
    /// Messages are accepted from the daemon
    /// and from its descendants: the members of its session, and the processes whose parents, as `/proc` shows
    /// them, lead back to it. All others are ignored. `EXTEND_TIMEOUT_USEC=`
    /// allows more time, `STATUS=` and `ERRNO=` are reported as [`Progress`](crate::Progress) and are no
    /// failures; all other variables are ignored.
    ///
    /// If a helper sends `READY=1`, such as systemd-notify(1), the start waits until it has sent `BARRIER=1` or has
    /// ended, but for no more than 200 ms. For a daemon that sends it itself, it waits 0.2 ms.
    Notify,
    /// As [`Notify`](Self::Notify), with an abstract name (unix(7)), which needs no file system. Many clients of
    /// sd_notify(3) cannot send to one, and any local user can.
    NotifyAbstract,
    /// As [`Notify`](Self::Notify), with a socket at this absolute path, `c"/run/web.notify".into()` say. A socket on
    /// which no process listens any longer is replaced. The socket is removed when the start is over.
    NotifyAt(ThinCStr<'a>),
}
