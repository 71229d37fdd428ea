//! The line by which a command says that it is ready: the intermediate's end and the daemon's.

use crate::options::Readiness;
use crate::protocol::{Errno, Event, Nanoseconds, Notice, cut, join};
use crate::sys::{self, Datagram, FileId, NOTHING, Pipe, RawFd, Room, SOCKET_PATH_SIZE, ThinCStr};

/// The name of the variable that names the socket, and how an abstract name begins in it.
const VARIABLE: &[u8] = b"NOTIFY_SOCKET=@";

/// Room for the variable, its value, and a zero byte.
pub(crate) const VARIABLE_SIZE: usize = VARIABLE.len() + SOCKET_PATH_SIZE;

/// Room for a datagram: none is longer than net.core.wmem_max, 208 KiB by default (socket(7)).
const DATAGRAM_SIZE: usize = 256 << 10;

/// A line from the command to the intermediate, if there is one.
pub(crate) enum Channel<'a> {
    None,
    /// The s6 protocol: a pipe, whose writing end the command finds at this descriptor.
    Pipe {
        pipe: Pipe,
        place: RawFd,
    },
    /// The protocol of sd_notify(3): a socket, which the command finds by a variable.
    Socket {
        socket: RawFd,
        /// Where it is, and what it is there.
        path: Option<(ThinCStr<'a>, FileId)>,
        buffer: Room<u8>,
    },
}

/// The daemon's end of a pipe, which it holds on to until it executes the command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct DaemonEnd {
    /// [`NOTHING`] if there is no pipe.
    pub(crate) writer: RawFd,
    place: RawFd,
}

impl DaemonEnd {
    pub(crate) const NONE: Self = Self {
        writer: NOTHING,
        place: NOTHING,
    };

    /// Puts it in its place, which nothing else can have from then on.
    pub(crate) fn put_in_place(self) -> Result<(), Errno> {
        match self {
            Self::NONE => Ok(()),
            Self { writer, place } if writer == place => sys::keep_across_exec(place),
            Self { writer, place } => sys::move_to(writer, place),
        }
    }
}

impl<'a> Channel<'a> {
    /// Opens the line. `variable` becomes what the command's environment gets, if anything.
    #[inline(never)]
    pub(crate) fn open(
        readiness: Readiness<'a>,
        variable: &mut [u8; VARIABLE_SIZE],
    ) -> Result<Self, Errno> {
        match readiness {
            Readiness::Executed => Ok(Self::None),
            Readiness::Descriptor(place) => open_pipe(place as RawFd),
            Readiness::Notify => open_socket(None, variable),
            Readiness::NotifyAt(path) => open_socket(Some(path), variable),
        }
    }

    pub(crate) const fn daemon_end(&self) -> DaemonEnd {
        match *self {
            Self::Pipe { pipe, place } => DaemonEnd {
                writer: pipe.writer,
                place,
            },
            _ => DaemonEnd::NONE,
        }
    }

    /// What the intermediate listens at.
    pub(crate) const fn ear(&self) -> RawFd {
        match self {
            Self::None => NOTHING,
            Self::Pipe { pipe, .. } => pipe.reader,
            Self::Socket { socket, .. } => *socket,
        }
    }

    /// The next that the command has said: `None` when there is nothing, and `Some(None)` when that says
    /// nothing of the start.
    ///
    /// A datagram counts only if its sender `is_ours`. `show` gets the text of a status.
    pub(crate) fn hear(
        &mut self,
        is_ours: impl Fn(&Datagram) -> bool,
        show: impl FnOnce(&[u8]),
    ) -> Option<Option<Event>> {
        match self {
            Self::None => None,
            Self::Pipe { pipe, .. } => {
                let mut text = [0; 4096];
                let length = sys::read(pipe.reader, &mut text).ok()?;
                if length == 0 {
                    pipe.reader = NOTHING;
                    return Some(Some(Event::Silent));
                }
                // Whatever stands before or behind it.
                Some(cut(&text, b'\n').1.map(|_| Event::Ready))
            }
            Self::Socket { socket, buffer, .. } => {
                let datagram = sys::receive(*socket, buffer).ok()?;
                if !is_ours(&datagram) {
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

    /// Nobody hears any more. A path that another launcher has taken is left to it.
    pub(crate) fn end(&self) {
        match self {
            Self::Socket {
                path: Some((path, file)),
                ..
            } if sys::file_at(*path) == Ok(*file) => {
                let _ = sys::unlink(*path);
            }
            _ => {}
        }
    }
}

fn open_pipe<'a>(place: RawFd) -> Result<Channel<'a>, Errno> {
    let mut pipe = sys::pipe()?;
    if pipe.writer != place {
        // Now this number is taken, by the caller already or by this: so nothing that is opened later
        // lies there.
        let writer = sys::copy(pipe.writer, place)?;
        sys::close(pipe.writer);
        pipe.writer = writer;
    }
    sys::set_blocking(pipe.writer, false)?;
    Ok(Channel::Pipe { pipe, place })
}

fn open_socket<'a>(
    path: Option<ThinCStr<'a>>,
    variable: &mut [u8; VARIABLE_SIZE],
) -> Result<Channel<'a>, Errno> {
    let socket = sys::datagram_socket()?.into_raw();
    let buffer = Room::new(DATAGRAM_SIZE)?;
    // Whoever the daemon runs as must be able to write to it.
    let mask = sys::set_umask(0);
    let bound = bind(socket, path);
    sys::set_umask(mask);
    bound?;
    let path = match path {
        Some(path) => {
            let name = VARIABLE.split_last().map_or(VARIABLE, |(_, name)| name);
            join(name, path.to_bytes(), variable);
            Some((path, sys::file_at(path)?))
        }
        None => {
            join(VARIABLE, b"", variable);
            let name = variable.get_mut(VARIABLE.len()..).unwrap_or_default();
            sys::abstract_name(socket, name)?;
            None
        }
    };
    Ok(Channel::Socket {
        socket,
        path,
        buffer,
    })
}

/// How often, and after what time, a path is tried again at which somebody listens: the listener of a
/// daemon that has just ended may be about to go.
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
            let _ = sys::poll(&mut [NOTHING; 4], PAUSE);
        }
        bound = sys::bind(socket, path);
    }
    bound
}

/// Whether this is the socket of a launcher that was killed. One that still waits would answer.
fn is_abandoned(path: ThinCStr<'_>) -> Result<bool, Errno> {
    // To connect gives a socket a name of its own (unix(7), SO_PASSCRED), so it takes another one.
    let socket = sys::datagram_socket()?;
    // What is gone by now is tried again too.
    Ok(sys::file_at(path).is_ok_and(|file| file.is_socket())
        && sys::connect(socket.raw(), path) == Err(Errno::ECONNREFUSED))
}
