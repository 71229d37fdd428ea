//! Terminals.

use linux_raw_sys::ioctl::{TIOCGPGRP, TIOCGWINSZ, TIOCSPGRP};
use syscalls::Sysno;

use super::fd::RawFd;
use super::pid::{getpgid, getpid};
use crate::protocol::{Errno, Pid};

/// `ioctl(fd, TIOCGWINSZ, _)`—Returns the number of columns of a terminal, or 0 if the kernel does not know
/// it. `None` if the descriptor is not a terminal.
#[must_use]
pub fn terminal_width(fd: RawFd) -> Option<usize> {
    let mut size = [0_u16; 4];
    // SAFETY: the kernel writes a winsize to `size`, which is four 16-bit numbers.
    let result = unsafe { attempt!(Sysno::ioctl, fd, TIOCGWINSZ, size.as_mut_ptr()) };
    let [_, columns, ..] = size;
    result.ok().map(|()| columns.into())
}

/// `ioctl(0, TIOCGPGRP, _)`—Returns whether standard input is a terminal whose foreground process group is the caller's.
pub(crate) fn has_terminal() -> bool {
    let mut group: i32 = 0;
    // SAFETY: the kernel writes an int to `group`.
    let got = unsafe { attempt!(Sysno::ioctl, 0, TIOCGPGRP, &raw mut group) };
    got.is_ok() && getpgid(getpid()).is_some_and(|own| own.get() == group)
}

/// `ioctl(0, TIOCSPGRP, _)`—Makes a process group that of the foreground of the terminal. SIGTTOU must be blocked.
pub(crate) fn set_foreground(group: Pid) -> Result<(), Errno> {
    let group = group.get();
    // SAFETY: the kernel reads an int from `group`.
    unsafe { attempt!(Sysno::ioctl, 0, TIOCSPGRP, &raw const group) }
}
