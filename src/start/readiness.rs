//! How a command reports that it is ready: the intermediate's end of the channel and the daemon's.

use crate::options::Readiness;
use crate::protocol::{Errno, Event, Nanoseconds, Notice, Pid};
use crate::sys::{self, Datagram, Mapping, NO_FD, Pipe, RawFd, SOCKET_PATH_SIZE, Stat, ThinCStr};
use crate::text::{join, split_once};

/// The variable that names the socket. An abstract name begins with `@` in it.
const VARIABLE: &[u8] = b"NOTIFY_SOCKET=@";

/// Room for the variable, its value, and a zero byte.
pub(super) const VARIABLE_SIZE: usize = VARIABLE.len() + SOCKET_PATH_SIZE;

/// Room for a datagram: none is longer than net.core.wmem_max, 208 KiB by default (socket(7)).
const DATAGRAM_SIZE: usize = 256 << 10;

/// A channel from the command to the intermediate, if there is one.
pub(super) enum Channel<'a> {
    None,
    /// The s6 protocol: a pipe. The command finds its writing end at this number.
    Pipe {
        pipe: Pipe,
        number: RawFd,
    },
    /// The protocol of sd_notify(3): a socket, which a variable names to the command.
    Socket {
        socket: RawFd,
        /// Its path, and the file that was there when it was bound.
        path: Option<(ThinCStr<'a>, Stat)>,
        buffer: Mapping<u8>,
    },
}

/// The daemon's end of a notification pipe, which the command inherits.
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

    /// Makes it the descriptor that the command expects.
    pub(super) fn put_in_place(self) -> Result<(), Errno> {
        match self {
            Self::NONE => Ok(()),
            Self { writer, number } if writer == number => sys::clear_cloexec(number),
            Self { writer, number } => sys::dup3(writer, number),
        }
    }
}

impl<'a> Channel<'a> {
    /// Opens the channel. `variable` gets the variable for the command's environment, if there is one.
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

    /// The descriptor that the intermediate reads; [`NO_FD`] if there is none.
    pub(super) const fn fd(&self) -> RawFd {
        match self {
            Self::None => NO_FD,
            Self::Pipe { pipe, .. } => pipe.reader,
            Self::Socket { socket, .. } => *socket,
        }
    }

    /// The next message: `None` if there is none, and `Some(None)` if it does not matter to the start.
    ///
    /// A datagram is ignored unless it `is_from_daemon`. `show` gets a status text.
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
                // Text before and after the newline is ignored.
                Some(split_once(&text, b'\n').1.map(|_| Event::Ready))
            }
            Self::Socket { socket, buffer, .. } => {
                let datagram = sys::recvmsg(*socket, buffer).ok()?;
                if !is_from_daemon(&datagram) {
                    return Some(None);
                }
                let text = buffer.get(..datagram.length as usize)?;
                let notice = Notice::read(text, datagram.is_whole);
                if let Some(status) = notice.status {
                    show(status);
                }
                Some(notice.event())
            }
        }
    }

    /// Removes the socket from its path, unless another launcher has taken the path.
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
        // From here on the number is taken, by the caller or by this copy: no descriptor that is opened later
        // can get it.
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
    // The daemon must be able to write to it as any user.
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

/// How often, and after what time, a path is tried again at which a process listens: the listener of a
/// daemon that has just ended may be about to end too.
const ATTEMPTS: u32 = 100;
const PAUSE: Nanoseconds = 1_000_000;

fn bind(socket: RawFd, path: Option<ThinCStr<'_>>) -> Result<(), Errno> {
    let mut bound = sys::bind(socket, path);
    for _ in 0..ATTEMPTS {
        let (Err(Errno::EADDRINUSE), Some(old)) = (bound, path) else {
            break;
        };
        if is_abandoned(old)? {
            let _ = sys::unlink(old);
        } else {
            sys::sleep(PAUSE);
        }
        bound = sys::bind(socket, path);
    }
    bound
}

/// Whether this is the socket of a launcher that was killed. A launcher that waits would accept a connection.
fn is_abandoned(path: ThinCStr<'_>) -> Result<bool, Errno> {
    // connect(2) gives a socket with SO_PASSCRED a name (unix(7)), so this takes another socket.
    let socket = sys::datagram_socket()?;
    // If the file is gone by now, bind(2) is tried again too.
    Ok(sys::lstat(path).is_ok_and(|file| file.is_socket())
        && sys::connect(socket.raw(), path) == Err(Errno::ECONNREFUSED))
}

/// Whether a datagram comes from the daemon or from a descendant of it: only these are in its session, or in
/// a session that it leads by now.
pub(super) fn is_from_daemon(datagram: &Datagram, daemon: Pid, session: Pid) -> bool {
    datagram.sender.is_some_and(|sender| {
        let sender_session = sys::getsid(Some(sender));
        sender == daemon || sender_session == Some(session) || sender_session == Some(daemon)
    })
}
