//! The channel over which a command reports that it is ready.

use super::notify_folder::{NotifyFolder, VARIABLE, VARIABLE_SIZE, remove};
use super::pipes::send_progress;
use crate::options::Readiness;
use crate::pidfile::{is_descendant, notifying_child};
use crate::protocol::{Errno, Event, Nanoseconds, Notice, Pid, Record, cannot_watch, encode};
use crate::sys::{self, Fd, Mapping, NO_FD, Pipe, RawFd, ThinCStr};
use crate::text::{join, split_once};

/// The size of the receive buffer. A datagram is at most net.core.wmem_max long, 208 KiB by default
/// (socket(7)).
const DATAGRAM_SIZE: usize = 256 << 10;

/// The channel from the command to the intermediate.
pub(super) enum Channel {
    None,
    /// The s6 protocol: a pipe. The command has its write end, the notification fd, at this number.
    Pipe {
        pipe: Pipe,
        number: RawFd,
    },
    /// The protocol of sd_notify(3): a datagram socket. The command's NOTIFY_SOCKET names it.
    Socket {
        socket: RawFd,
        /// The length of the variable up to the folder of the socket; 0 if it has none of its own.
        folder: usize,
        buffer: Mapping<u8>,
    },
}

/// The write end of the notification pipe, which the command inherits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct NotifyEnd {
    /// [`NO_FD`] if there is no pipe.
    pub(super) writer: RawFd,
    number: RawFd,
}

impl NotifyEnd {
    pub(super) const NONE: Self = Self {
        writer: NO_FD,
        number: NO_FD,
    };

    /// Duplicates it to the number that the command expects, without the close-on-exec flag.
    ///
    /// The verdict pipe may have this number. It gets another one: it must stay open until the exec, since its end
    /// shows the original that the daemon has left the memory.
    pub(super) fn put_in_place(self) -> Result<(), Errno> {
        match self {
            Self::NONE => Ok(()),
            Self { writer, number } if writer == number => sys::clear_cloexec(number),
            Self { writer, number } => match sys::dupfd_cloexec(number, 3) {
                // Mostly, nothing has this number.
                Ok(_) | Err(Errno::EBADF) => sys::dup3(writer, number),
                Err(errno) => Err(errno),
            },
        }
    }
}

impl Channel {
    /// Opens the channel. With a socket, writes `NOTIFY_SOCKET=…` for the command's environment to
    /// `variable`.
    #[inline(never)]
    pub(super) fn open(
        readiness: Readiness<'_>,
        folder: &NotifyFolder<'_>,
        variable: &mut [u8; VARIABLE_SIZE],
    ) -> Result<Self, Errno> {
        match readiness {
            Readiness::Executed => Ok(Self::None),
            Readiness::Descriptor(number) => open_pipe(number as RawFd),
            Readiness::Notify | Readiness::NotifyAbstract => open_socket(None, folder, variable),
            Readiness::NotifyAt(path) => open_socket(Some(path), folder, variable),
        }
    }

    pub(super) const fn notify_end(&self) -> NotifyEnd {
        match *self {
            Self::Pipe { pipe, number } => NotifyEnd {
                writer: pipe.writer,
                number,
            },
            _ => NotifyEnd::NONE,
        }
    }

    /// The descriptor that the intermediate reads from; [`NO_FD`] if there is none.
    pub(super) const fn fd(&self) -> RawFd {
        match self {
            Self::None => NO_FD,
            Self::Pipe { pipe, .. } => pipe.reader,
            Self::Socket { socket, .. } => *socket,
        }
    }

    /// Reads the next message: `None` if there is none, `Some(None)` if it does not affect the start.
    /// Passes what is for people to the original. Datagrams of processes that do not belong to the daemon are ignored.
    pub(super) fn receive(
        &mut self,
        daemon: Pid,
        session: Pid,
        verdict: RawFd,
        main: &mut Pid,
    ) -> Option<Option<Event>> {
        match self {
            Self::None => None,
            Self::Pipe { pipe, .. } => {
                let mut text = [0; 4096];
                let length = match sys::read(pipe.reader, &mut text) {
                    Ok(length) => length,
                    Err(errno) => return unreadable(errno),
                };
                if length == 0 {
                    sys::close(pipe.reader);
                    pipe.reader = NO_FD;
                    return Some(Some(Event::Silent));
                }
                // The protocol ignores text around the newline.
                Some(split_once(&text, b'\n').1.map(|_| Event::Ready))
            }
            Self::Socket { socket, buffer, .. } => {
                let datagram = match sys::recvmsg(*socket, buffer) {
                    Ok(datagram) => datagram,
                    Err(errno) => return unreadable(errno),
                };
                let sender = datagram.sender;
                let Some(sender) = sender.filter(|it| belongs(*it, daemon, session)) else {
                    let pid = sender.map_or(0, |pid| pid.get().unsigned_abs());
                    send_progress(verdict, encode(&Record::Ignored(pid)), b"");
                    return Some(None);
                };
                let text = buffer.get(..datagram.length as usize)?;
                let notice = Notice::parse(text, datagram.is_whole);
                if let Some(errno) = notice.errno {
                    send_progress(verdict, encode(&Record::Errno(errno)), b"");
                }
                if let Some(status) = notice.status {
                    let record = encode(&Record::Status(status.len() as u8));
                    send_progress(verdict, record, status);
                }
                if let Some(pid) = notice
                    .main_pid
                    .filter(|it| *it != session && belongs(*it, daemon, session))
                {
                    *main = pid;
                }
                let event = notice.event();
                // A supervisor keeps the socket.
                if event == Some(Event::Ready) && verdict != NO_FD {
                    await_barrier(*socket, sender, daemon);
                }
                Some(event)
            }
        }
    }

    /// Removes the socket from the file system, unless another process has replaced it. Returns whether none of this
    /// start is left.
    pub(super) fn remove_socket(
        &self,
        readiness: Readiness<'_>,
        variable: &mut [u8; VARIABLE_SIZE],
    ) -> bool {
        match self {
            Self::Socket {
                folder: 0, socket, ..
            } => {
                sys::close(*socket);
                remove_abandoned_socket(readiness)
            }
            Self::Socket { folder, .. } => remove(variable, *folder),
            _ => true,
        }
    }
}

impl Channel {
    /// Closes the channel of a supervisor, and removes its socket. Returns whether none of it is left.
    pub(super) fn close(
        &self,
        readiness: Readiness<'_>,
        variable: &mut [u8; VARIABLE_SIZE],
    ) -> bool {
        if !matches!(self, Self::Socket { folder: 0, .. }) {
            sys::close(self.fd());
        }
        self.remove_socket(readiness, variable)
    }
}

fn open_pipe(number: RawFd) -> Result<Channel, Errno> {
    let mut pipe = sys::pipe()?;
    if pipe.writer != number {
        // The number is now in use, by a descriptor of the caller or by this duplicate, so no descriptor
        // that is opened later can get it.
        let writer = sys::dupfd_cloexec(pipe.writer, number)?;
        sys::close(pipe.writer);
        pipe.writer = writer;
    }
    sys::set_status_flags(pipe.writer, false)?;
    Ok(Channel::Pipe { pipe, number })
}

fn open_socket(
    path: Option<ThinCStr<'_>>,
    folder: &NotifyFolder<'_>,
    variable: &mut [u8; VARIABLE_SIZE],
) -> Result<Channel, Errno> {
    let opened = sys::datagram_socket()?;
    let socket = opened.raw();
    let buffer = Mapping::new(DATAGRAM_SIZE)?;
    // The daemon may run as any user, and must be able to write to the socket.
    let folder = sys::with_umask(0, || match folder.make_or_remove(socket, variable) {
        0 => bind(socket, path).map(|()| 0),
        end => Ok(end),
    })?;
    match path {
        Some(path) => drop(join(VARIABLE, path.to_bytes(), variable)),
        None if folder == 0 => {
            // `@` stands for the null byte of an abstract name (unix(7)).
            let length = join(VARIABLE, b"@", variable).len();
            let name = variable.get_mut(length..).unwrap_or_default();
            sys::getsockname(socket, name)?;
        }
        None => {}
    }
    Ok(Channel::Socket {
        socket: opened.into_raw(),
        folder,
        buffer,
    })
}

/// Binds the socket. Replaces a socket at this path to which no process listens.
fn bind(socket: RawFd, path: Option<ThinCStr<'_>>) -> Result<(), Errno> {
    let bound = sys::bind(socket, path);
    match path {
        Some(old) if bound == Err(Errno::EADDRINUSE) && is_abandoned(old)? => {
            let _ = sys::unlink(old);
            sys::bind(socket, path)
        }
        _ => bound,
    }
}

/// Removes the socket at a path of the caller's, if no process listens to it. Returns false if it may be left.
pub(super) fn remove_abandoned_socket(readiness: Readiness<'_>) -> bool {
    let Readiness::NotifyAt(path) = readiness else {
        return true;
    };
    match is_abandoned(path) {
        Ok(true) => sys::unlink(path).is_ok(),
        abandoned => abandoned.is_ok(),
    }
}

/// Whether the socket at this path is left over from a process that has ended: connect(2) then fails with
/// ECONNREFUSED. A file that is no socket is not.
fn is_abandoned(path: ThinCStr<'_>) -> Result<bool, Errno> {
    match sys::lstat(path) {
        Err(Errno::ENOENT) => return Ok(false),
        file if !file?.is_socket() => return Ok(false),
        _ => {}
    }
    // With SO_PASSCRED, connect(2) binds the socket to an abstract name (unix(7)): do not use the one to
    // be bound.
    let socket = sys::datagram_socket()?;
    match sys::connect(socket.raw(), path) {
        Err(errno) if errno.is_refusal() => Err(errno),
        connected => Ok(connected == Err(Errno::ECONNREFUSED)),
    }
}

/// Whether a process is the daemon or one of its descendants. Only these are members of the start's session, even
/// if their parents have ended; of one that has left the session, its parents tell.
#[inline(never)]
pub(super) fn belongs(sender: Pid, daemon: Pid, session: Pid) -> bool {
    sender == daemon
        || sys::getsid(Some(sender)) == Ok(Some(session))
        || is_descendant(sender, daemon)
}

/// The event of a message that cannot be read; `None` if there is none, or no pipe any more ([`NO_FD`]).
#[inline(never)]
fn unreadable(errno: Errno) -> Option<Option<Event>> {
    match errno {
        Errno::EAGAIN | Errno::EINTR | Errno::EBADF => None,
        errno => Some(Some(Event::Reported(Record::Failed(cannot_watch(errno))))),
    }
}

/// How long the sender of `READY=1` may take to send `BARRIER=1`: the daemon itself, which seldom sends one, and a
/// helper, of which nothing is expected but that and its end.
const BARRIER_TIMEOUT: Nanoseconds = 200_000;
const HELPER_TIMEOUT: Nanoseconds = 200_000_000;

/// Waits for the barrier of a sender that has sent `READY=1`, or for its end.
///
/// `systemd-notify` sends `BARRIER=1` right after `READY=1`, and fails if no process listens
/// (sd_notify_barrier(3)): a script that calls it may then exit. It waits until the descriptor that it passes is
/// closed, which the kernel does with the socket. No process needs to listen after the success, then: it would
/// be adopted by the caller if that is a subreaper, and hold a copy of its memory.
fn await_barrier(socket: RawFd, sender: Pid, daemon: Pid) {
    // Root's systemd-notify gives the pid of its parent for its own.
    let helper = match sender == daemon {
        true => notifying_child(daemon),
        false => Some(sender),
    };
    let (end, time) = match helper.map(sys::pidfd_open) {
        // It has ended.
        Some(Err(Errno::ESRCH)) => return,
        // Before Linux 5.3, its end is not seen.
        Some(end) => (end.ok(), HELPER_TIMEOUT),
        None => (None, BARRIER_TIMEOUT),
    };
    let end = end.as_ref().map_or(NO_FD, Fd::raw);
    let _ = sys::ppoll(&mut [socket, end, NO_FD, NO_FD], time);
}
