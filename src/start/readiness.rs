//! The channel over which a command reports that it is ready.

use crate::options::Readiness;
use crate::protocol::{Errno, Event, Nanoseconds, Notice, Pid};
use crate::sys::{self, Datagram, Mapping, NO_FD, Pipe, RawFd, SOCKET_PATH_SIZE, Stat, ThinCStr};
use crate::text::{join, split_once};

/// The environment variable that names the socket. `@` stands for the null byte of an abstract name
/// (unix(7)).
const VARIABLE: &[u8] = b"NOTIFY_SOCKET=@";

/// The size of the variable with its value and a null byte.
pub(super) const VARIABLE_SIZE: usize = VARIABLE.len() + SOCKET_PATH_SIZE;

/// The size of the receive buffer. A datagram is at most net.core.wmem_max long, 208 KiB by default
/// (socket(7)).
const DATAGRAM_SIZE: usize = 256 << 10;

/// The channel from the command to the intermediate.
pub(super) enum Channel<'a> {
    None,
    /// The s6 protocol: a pipe. The command has its write end, the notification fd, at this number.
    Pipe {
        pipe: Pipe,
        number: RawFd,
    },
    /// The protocol of sd_notify(3): a datagram socket. The command's NOTIFY_SOCKET names it.
    Socket {
        socket: RawFd,
        /// Its path, and the file that bind(2) created there; `None` with an abstract name.
        path: Option<(ThinCStr<'a>, Stat)>,
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

impl<'a> Channel<'a> {
    /// Opens the channel. With a socket, writes `NOTIFY_SOCKET=…` for the command's environment to
    /// `variable`.
    #[inline(never)]
    pub(super) fn open(
        readiness: Readiness<'a>,
        variable: &mut [u8; VARIABLE_SIZE],
    ) -> Result<Self, Errno> {
        match readiness {
            Readiness::Executed => Ok(Self::None),
            Readiness::Descriptor(number) => open_pipe(number as RawFd),
            Readiness::Notify => open_socket(None, variable),
            Readiness::NotifyAt(path) => open_socket(Some(path), variable),
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
    /// Passes a status text to `show`. Datagrams for which `is_from_daemon` is false are ignored.
    pub(super) fn receive(
        &mut self,
        is_from_daemon: impl Fn(&Datagram) -> bool,
        show: impl FnOnce(&[u8]),
    ) -> Option<Option<Event>> {
        match self {
            Self::None => None,
            Self::Pipe { pipe, .. } => {
                let mut text = [0; 4096];
                let length = sys::read(pipe.reader, &mut text).ok()?;
                if length == 0 {
                    pipe.reader = NO_FD;
                    return Some(Some(Event::Silent));
                }
                // The protocol ignores text around the newline.
                Some(split_once(&text, b'\n').1.map(|_| Event::Ready))
            }
            Self::Socket { socket, buffer, .. } => {
                let datagram = sys::recvmsg(*socket, buffer).ok()?;
                if !is_from_daemon(&datagram) {
                    return Some(None);
                }
                let text = buffer.get(..datagram.length as usize)?;
                let notice = Notice::parse(text, datagram.is_whole);
                if let Some(status) = notice.status {
                    show(status);
                }
                Some(notice.event())
            }
        }
    }

    /// Removes the socket from the file system, unless another process has replaced it.
    pub(super) fn remove_socket(&self) {
        match self {
            Self::Socket {
                path: Some((path, file)),
                ..
            } if sys::lstat(*path) == Ok(*file) => {
                let _ = sys::unlink(*path);
            }
            _ => {}
        }
    }
}

fn open_pipe<'a>(number: RawFd) -> Result<Channel<'a>, Errno> {
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

fn open_socket<'a>(
    path: Option<ThinCStr<'a>>,
    variable: &mut [u8; VARIABLE_SIZE],
) -> Result<Channel<'a>, Errno> {
    let socket = sys::datagram_socket()?.into_raw();
    let buffer = Mapping::new(DATAGRAM_SIZE)?;
    // The daemon may run as any user, and must be able to write to the socket.
    let mask = sys::umask(0);
    let bound = bind(socket, path);
    sys::umask(mask);
    bound?;
    let path = match path {
        Some(path) => {
            let name = VARIABLE.split_last().map_or(VARIABLE, |(_, name)| name);
            join(name, path.to_bytes(), variable);
            Some((path, sys::lstat(path)?))
        }
        None => {
            join(VARIABLE, b"", variable);
            let name = variable.get_mut(VARIABLE.len()..).unwrap_or_default();
            sys::getsockname(socket, name)?;
            None
        }
    };
    Ok(Channel::Socket {
        socket,
        path,
        buffer,
    })
}

/// How often, and at what interval, bind(2) is retried while a process listens at the path. It may be the
/// barrier listener of a daemon that has just ended, which is about to exit.
const ATTEMPTS: u32 = 100;
const RETRY_INTERVAL: Nanoseconds = 1_000_000;

fn bind(socket: RawFd, path: Option<ThinCStr<'_>>) -> Result<(), Errno> {
    let mut bound = sys::bind(socket, path);
    for _ in 0..ATTEMPTS {
        let (Err(Errno::EADDRINUSE), Some(old)) = (bound, path) else {
            break;
        };
        if is_abandoned(old)? {
            let _ = sys::unlink(old);
        } else {
            sys::sleep(RETRY_INTERVAL);
        }
        bound = sys::bind(socket, path);
    }
    bound
}

/// Whether the socket at this path is left over from a process that was killed: connect(2) then fails
/// with ECONNREFUSED.
fn is_abandoned(path: ThinCStr<'_>) -> Result<bool, Errno> {
    // With SO_PASSCRED, connect(2) binds the socket to an abstract name (unix(7)): do not use the one to
    // be bound.
    let socket = sys::datagram_socket()?;
    // If the file has been removed in the meantime, this is false, and bind(2) is retried.
    Ok(sys::lstat(path).is_ok_and(|file| file.is_socket())
        && sys::connect(socket.raw(), path) == Err(Errno::ECONNREFUSED))
}

/// Whether a datagram comes from the daemon or one of its descendants: only these are members of the
/// start's session or, if the daemon has called setsid(2), of the daemon's own.
pub(super) fn is_from_daemon(datagram: &Datagram, daemon: Pid, session: Pid) -> bool {
    datagram.sender.is_some_and(|sender| {
        let sender_session = sys::getsid(Some(sender));
        sender == daemon || sender_session == Some(session) || sender_session == Some(daemon)
    })
}
