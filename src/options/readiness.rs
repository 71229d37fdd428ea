//! How a command says that it is ready.

use crate::sys::ThinCStr;

/// How a command says that it is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readiness<'a> {
    /// Not at all: it has been executed.
    #[default]
    Executed,
    /// It writes a newline, whatever stands before it, to this descriptor, a pipe, which is above 2:
    /// the protocol of s6, dinit and OpenRC. Closing it without is a failure at once.
    Descriptor(i32),
    /// It sends `READY=1` to the datagram socket that NOTIFY_SOCKET names: sd_notify(3). The name is
    /// an abstract one (unix(7)), and needs no file system. Only the daemon and its descendants in its
    /// session are heard. After success a process of this crate's listens on for `BARRIER=1`, for at most
    /// five seconds. `ERRNO=`, `EXTEND_TIMEOUT_USEC=`, `STATUS=` and `BARRIER=1` mean what they
    /// mean there.
    Notify,
    /// As [`Notify`](Self::Notify), with a socket at this absolute path, for a command with a network
    /// namespace of its own, which abstract names do not reach. A socket that nobody listens at any
    /// more is replaced; it is removed when the start is over.
    NotifyAt(ThinCStr<'a>),
}
