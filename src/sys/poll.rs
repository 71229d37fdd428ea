//! Waiting for descriptors.

use linux_raw_sys::general::{__kernel_old_timespec, POLLIN, pollfd};
use syscalls::Sysno;

use super::fd::{NO_FD, RawFd};
use crate::protocol::{Errno, Nanoseconds, SECOND};

/// How many descriptors [`ppoll`] takes.
const MAX_FDS: usize = 4;

/// `ppoll(fds, n, timeout, NULL, _)`—Waits until a descriptor is readable or at end of file, or until a pipe that
/// is written has no reader; at most for `timeout`.
///
/// Replaces the descriptors that are not ready by [`NO_FD`]. `EINTR` if a signal was handled.
pub(crate) fn ppoll(descriptors: &mut [RawFd; MAX_FDS], timeout: Nanoseconds) -> Result<(), Errno> {
    let mut polled = descriptors.map(|fd| pollfd {
        fd: fd as _,
        events: POLLIN as _,
        revents: 0,
    });
    // The kernel writes the remaining time to it.
    let mut time = __kernel_old_timespec {
        tv_sec: (timeout / SECOND).try_into().unwrap_or(i32::MAX as _),
        tv_nsec: (timeout % SECOND) as _,
    };
    // SAFETY: the kernel reads and writes the pollfds and a timespec, which outlive the call. A null mask
    // changes nothing.
    unsafe {
        call!(
            Sysno::ppoll,
            polled.as_mut_ptr(),
            polled.len(),
            &raw mut time,
            0,
            0
        )
    }?;
    for (fd, one) in descriptors.iter_mut().zip(&polled) {
        if one.revents == 0 {
            *fd = NO_FD;
        }
    }
    Ok(())
}

/// [`ppoll`] without descriptors—Waits for this time, or until a signal is handled.
pub(crate) fn sleep(time: Nanoseconds) {
    let _ = ppoll(&mut [NO_FD; MAX_FDS], time);
}
