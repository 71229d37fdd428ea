//! Waiting for descriptors.

use linux_raw_sys::general::{__kernel_old_timespec, POLLIN, pollfd};
use syscalls::Sysno;

use super::fd::{NO_FD, RawFd};
use crate::protocol::{Errno, Nanoseconds, SECOND};

/// So many descriptors are watched at once.
const WATCHED: usize = 4;

/// `ppoll(fds, n, timeout, NULL, _)`—Waits until one of the descriptors has something to read or is
/// at its end, or, where it is written to, nobody reads any more; for at most `timeout`.
///
/// Leaves those that are ready, and puts [`NO_FD`] in place of the others. A signal ends the wait
/// with `EINTR`.
pub(crate) fn ppoll(descriptors: &mut [RawFd; WATCHED], timeout: Nanoseconds) -> Result<(), Errno> {
    let mut polled = descriptors.map(|fd| pollfd {
        fd: fd as _,
        events: POLLIN as _,
        revents: 0,
    });
    // The kernel writes the time that is left to the timespec, so it gets one of its own.
    let mut time = __kernel_old_timespec {
        tv_sec: (timeout / SECOND).try_into().unwrap_or(i32::MAX as _),
        tv_nsec: (timeout % SECOND) as _,
    };
    // SAFETY: the kernel reads and writes two pollfds and a timespec, which outlive the call; a
    // null mask is none.
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

/// `ppoll(NULL, 0, time, NULL, _)`—Waits for this time, or until a signal is handled.
pub(crate) fn sleep(time: Nanoseconds) {
    let _ = ppoll(&mut [NO_FD; WATCHED], time);
}
