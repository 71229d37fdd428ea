//! Terminals.

use linux_raw_sys::ioctl::TIOCGWINSZ;
use syscalls::Sysno;

use super::fd::RawFd;

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
