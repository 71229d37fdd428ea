//! Descriptors that stand for processes.

use syscalls::Sysno;

use super::fd::Fd;
use crate::protocol::{Errno, Pid};

/// `pidfd_open(pid, 0)`—Creates a descriptor that stands for this process, and for no later process with the
/// same pid. poll(2) reports it as readable once the process has ended.
///
/// Since Linux 5.3. `ESRCH` if the process does not exist; `EINVAL` or `ENOENT` if the number is the id of a
/// thread.
pub(crate) fn pidfd_open(pid: Pid) -> Result<Fd, Errno> {
    // SAFETY: the call takes no pointers.
    Fd::above_standard_streams(unsafe { call!(Sysno::pidfd_open, pid.get(), 0) }?)
}

/// `pidfd_send_signal(process, signal, NULL, 0)`—Sends a signal to the process that a descriptor stands for.
///
/// Since Linux 5.1.
pub(crate) fn pidfd_send_signal(process: &Fd, signal: u8) -> Result<(), Errno> {
    // SAFETY: the kernel reads no siginfo through the null pointer.
    unsafe { call!(Sysno::pidfd_send_signal, process.raw(), signal, 0, 0) }.map(drop)
}
