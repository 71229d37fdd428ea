//! Unix domain sockets (unix(7)).

use core::ffi::c_int;
use core::mem::MaybeUninit;

use linux_raw_sys::general::{__kernel_old_timeval, O_CLOEXEC, O_NONBLOCK, iovec};
use linux_raw_sys::net::{
    AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_TRUNC, SCM_CREDENTIALS, SO_PASSCRED, SO_SNDTIMEO_OLD,
    SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, cmsghdr, msghdr, sockaddr_un, ucred,
};
use syscalls::Sysno;

use super::arch::SOCKETCALL;
use super::c_str::ThinCStr;
use super::fd::{Fd, RawFd};
use crate::protocol::{Errno, Pid};
use crate::text::join;

/// A socket call, with its own number or by socketcall(2).
macro_rules! socket_call {
    ($name:ident, $subcall:ident, $($argument:expr),*) => {
        match SOCKETCALL {
            Some(number) => {
                let arguments = [$($argument as usize),*];
                call!(number, linux_raw_sys::net::$subcall, arguments.as_ptr())
            }
            None => call!(Sysno::$name, $($argument),*),
        }
    };
}

/// The longest path of a socket, with the zero byte at its end: `sizeof(sun_path)`.
pub(crate) const SOCKET_PATH_SIZE: usize = 108;

/// The offset of the path in a `sockaddr_un`.
const PATH_OFFSET: usize = core::mem::offset_of!(sockaddr_un, sun_path);

const _: () = assert!(size_of::<sockaddr_un>() == PATH_OFFSET + SOCKET_PATH_SIZE);

/// The address of a socket: the bytes of a `sockaddr_un`.
#[derive(Clone, Copy)]
#[repr(C, align(2))]
struct Address {
    family: u16,
    path: [u8; SOCKET_PATH_SIZE],
}

const _: () = assert!(size_of::<Address>() == size_of::<sockaddr_un>());

impl Address {
    /// An address without a path. A constant would add all its zeros to the command.
    #[inline(never)]
    fn none() -> Self {
        Self {
            family: AF_UNIX as u16,
            path: [0; SOCKET_PATH_SIZE],
        }
    }

    /// Sets the path. `ENAMETOOLONG` if there is no room for it and for the zero byte at its end.
    fn set(&mut self, path: ThinCStr<'_>) -> Result<(), Errno> {
        if join(path.to_bytes(), b"", &mut self.path).len() == SOCKET_PATH_SIZE {
            return Err(Errno::ENAMETOOLONG);
        }
        Ok(())
    }
}

/// `socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)` and `setsockopt(SO_PASSCRED)`—Creates a
/// socket that receives the credentials of each sender.
pub(crate) fn datagram_socket() -> Result<Fd, Errno> {
    let kind = SOCK_DGRAM | O_CLOEXEC | O_NONBLOCK;
    // SAFETY: numbers only.
    let socket = unsafe { socket_call!(socket, SYS_SOCKET, AF_UNIX, kind, 0) };
    let socket = Fd::above_standard_streams(socket?)?;
    let yes: c_int = 1;
    // SAFETY: the kernel reads an int.
    unsafe {
        socket_call!(
            setsockopt,
            SYS_SETSOCKOPT,
            socket.raw(),
            SOL_SOCKET,
            SO_PASSCRED,
            &raw const yes,
            size_of::<c_int>()
        )
    }?;
    Ok(socket)
}

/// `socket(AF_UNIX, type | SOCK_CLOEXEC, 0)` and `setsockopt(SO_SNDTIMEO)`—Creates a stream or datagram socket, on
/// which [`connect`] and [`send`] wait for this time at most.
pub(crate) fn client_socket(is_stream: bool, microseconds: u32) -> Result<Fd, Errno> {
    let kind = if is_stream { SOCK_STREAM } else { SOCK_DGRAM } | O_CLOEXEC;
    // SAFETY: numbers only.
    let socket = unsafe { socket_call!(socket, SYS_SOCKET, AF_UNIX, kind, 0) };
    let socket = Fd::above_standard_streams(socket?)?;
    let time = __kernel_old_timeval {
        tv_sec: 0,
        tv_usec: microseconds as _,
    };
    // SAFETY: the kernel reads a timeval.
    unsafe {
        socket_call!(
            setsockopt,
            SYS_SETSOCKOPT,
            socket.raw(),
            SOL_SOCKET,
            SO_SNDTIMEO_OLD,
            &raw const time,
            size_of::<__kernel_old_timeval>()
        )
    }?;
    Ok(socket)
}

/// `socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, _)`—Creates two sockets that are connected to each
/// other.
pub(crate) fn socketpair() -> Result<[Fd; 2], Errno> {
    let kind = SOCK_STREAM | O_CLOEXEC | O_NONBLOCK;
    let mut ends = [0_u32; 2];
    // SAFETY: the kernel writes two ints to `ends`.
    unsafe {
        socket_call!(
            socketpair,
            SYS_SOCKETPAIR,
            AF_UNIX,
            kind,
            0,
            ends.as_mut_ptr()
        )
    }?;
    let [first, second] = ends.map(Fd::above_standard_streams);
    Ok([first?, second?])
}

/// `sendmsg(socket, message, MSG_NOSIGNAL)`—Sends bytes on a connected socket, and returns their number. Without
/// `waits`, `EAGAIN` if there is no room.
pub(crate) fn send(socket: RawFd, bytes: &[u8], waits: bool) -> Result<u32, Errno> {
    let flags = MSG_NOSIGNAL | if waits { 0 } else { MSG_DONTWAIT };
    let mut iov = iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len() as _,
    };
    let message = message(&mut iov, core::ptr::null_mut(), 0);
    loop {
        // SAFETY: the kernel reads a msghdr, an iovec and the bytes.
        match unsafe { socket_call!(sendmsg, SYS_SENDMSG, socket, &raw const message, flags) } {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// A message with one buffer, and room for control messages.
fn message(iov: &mut iovec, control: *mut Control, size: usize) -> msghdr {
    msghdr {
        msg_name: core::ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: core::ptr::from_mut(iov).cast(),
        msg_iovlen: 1,
        msg_control: control.cast(),
        msg_controllen: size as _,
        msg_flags: 0,
    }
}

/// `bind(socket, address, length)`—Binds to this path; without one, to an abstract name of five hexadecimal
/// digits that the kernel chooses (unix(7), 'Autobind feature').
pub(crate) fn bind(socket: RawFd, path: Option<ThinCStr<'_>>) -> Result<(), Errno> {
    let mut address = Address::none();
    let mut length = PATH_OFFSET;
    if let Some(path) = path {
        address.set(path)?;
        length = size_of::<Address>();
    }
    // SAFETY: the kernel reads `length` bytes of `address`.
    unsafe { socket_call!(bind, SYS_BIND, socket, &raw const address, length) }.map(drop)
}

/// `connect(socket, address, length)`—Connects to this path. `ECONNREFUSED` if no process has the socket that is
/// there open.
pub(crate) fn connect(socket: RawFd, path: ThinCStr<'_>) -> Result<(), Errno> {
    let mut address = Address::none();
    address.set(path)?;
    let length = size_of::<Address>();
    // SAFETY: the kernel reads `length` bytes of `address`.
    unsafe { socket_call!(connect, SYS_CONNECT, socket, &raw const address, length) }.map(drop)
}

/// `getsockname(socket, address, length)`—Copies the abstract name, without the zero byte before it, to `name`.
pub(crate) fn getsockname(socket: RawFd, name: &mut [u8]) -> Result<(), Errno> {
    let mut address = Address::none();
    let mut length = size_of::<Address>() as c_int;
    // SAFETY: the kernel writes at most `length` bytes to `address`, and an int to `length`.
    unsafe {
        socket_call!(
            getsockname,
            SYS_GETSOCKNAME,
            socket,
            &raw mut address,
            &raw mut length
        )
    }?;
    let [_, abstract_name @ ..] = &address.path;
    join(abstract_name, b"", name);
    Ok(())
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram {
    pub(crate) length: u32,
    /// False if it was longer than the buffer.
    pub(crate) is_whole: bool,
    /// `None` if the kernel does not name the sender, or it has no pid in this namespace.
    pub(crate) sender: Option<Pid>,
}

/// Room for the sender's credentials only.
#[repr(C)]
struct Control {
    header: cmsghdr,
    credentials: ucred,
}

/// The size of the room up to the sender's pid, which comes first. qemu's user-mode emulation uses double the
/// room that it gets, and would let in descriptors that must not fit.
const CONTROL_SIZE: usize = core::mem::offset_of!(Control, credentials) + size_of::<c_int>();

/// `recvmsg(socket, message, 0)`—Receives a datagram, again after `EINTR`. The kernel closes descriptors that
/// come with it, since there is no room for them (cmsg(3), `MSG_CTRUNC`).
pub(crate) fn recvmsg(socket: RawFd, buffer: &mut [u8]) -> Result<Datagram, Errno> {
    let mut control = MaybeUninit::<Control>::zeroed();
    let mut iov = iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len() as _,
    };
    let mut message = message(&mut iov, control.as_mut_ptr(), CONTROL_SIZE);
    let length = loop {
        // SAFETY: the kernel reads and writes a msghdr, writes at most `buffer.len()` bytes to
        // `buffer` and at most a `Control` to `control`.
        match unsafe { socket_call!(recvmsg, SYS_RECVMSG, socket, &raw mut message, 0) } {
            Err(Errno::EINTR) => {}
            result => break result?,
        }
    };
    // SAFETY: all zeros is a `Control`, and so is what the kernel wrote.
    let Control {
        header,
        credentials,
    } = unsafe { control.assume_init() };
    let is_named = (header.cmsg_level, header.cmsg_type) == (SOL_SOCKET as _, SCM_CREDENTIALS as _);
    Ok(Datagram {
        length,
        is_whole: message.msg_flags & MSG_TRUNC == 0,
        sender: Pid::new(credentials.pid as i32).filter(|_| is_named),
    })
}
