//! Terminals.

use linux_raw_sys::ioctl::TIOCGWINSZ;
use syscalls::Sysno;

use super::fd::RawFd;

/// `ioctl(fd, TIOCGWINSZ, size)`—Returns the number of columns of a terminal, zero if it is unknown. `None` if this
/// is not a terminal.
#[must_use]
pub fn terminal_width(fd: RawFd) -> Option<usize> {
    let mut rows_and_columns = [0_u16; 4];
    // SAFETY: the kernel writes a winsize, which is four numbers of 16 bits.
    let known = unsafe { attempt!(Sysno::ioctl, fd, TIOCGWINSZ, rows_and_columns.as_mut_ptr()) };
    let [_, columns, ..] = rows_and_columns;
    known.ok().map(|()| columns.into())
}
