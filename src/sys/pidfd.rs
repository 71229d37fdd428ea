//! Descriptors that refer to a process.

use syscalls::Sysno;

use super::fd::Fd;
use crate::protocol::{Errno, Pid};

/// `pidfd_open(pid, 0)`—Creates a descriptor that refers to this process only, and is readable when the process
/// has ended. Since Linux 5.3.
///
/// `ESRCH` if there is no such process, and `EINVAL` or `ENOENT` if the number is that of a thread.
pub(crate) fn pidfd_open(pid: Pid) -> Result<Fd, Errno> {
    // SAFETY: numbers only.
    Fd::above_standard_streams(unsafe { call!(Sysno::pidfd_open, pid.get(), 0) }?)
}

/// `pidfd_send_signal(process, signal, NULL, 0)`—Sends a signal. Since Linux 5.1.
pub(crate) fn pidfd_send_signal(process: &Fd, signal: u8) -> Result<(), Errno> {
    // SAFETY: numbers only. The kernel reads nothing from null.
    unsafe { call!(Sysno::pidfd_send_signal, process.raw(), signal, 0, 0) }.map(drop)
}
