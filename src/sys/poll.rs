//! Waiting for descriptors.

use linux_raw_sys::general::{__kernel_timespec, POLLIN, pollfd};

use super::arch::{PPOLL, call_with_times};
use super::fd::{NO_FD, RawFd};
use crate::protocol::{Errno, Nanoseconds, SECOND};

/// The largest number of descriptors that [`ppoll`] watches.
const MAX_FDS: usize = 5;

/// `ppoll(fds, length, timeout, NULL, 0)`—Waits until one of the descriptors is ready, for at most `timeout`.
///
/// A descriptor is ready when it is readable or at its end, or when it is the write end of a pipe whose read
/// end is closed. Replaces the descriptors that are not ready with [`NO_FD`]. `EINTR` if a signal handler
/// interrupts the wait.
pub(crate) fn ppoll(descriptors: &mut [RawFd], timeout: Nanoseconds) -> Result<(), Errno> {
    let mut polled = [const {
        pollfd {
            fd: NO_FD as _,
            events: POLLIN as _,
            revents: 0,
        }
    }; MAX_FDS];
    for (polled, fd) in polled.iter_mut().zip(&*descriptors) {
        polled.fd = *fd as _;
    }
    // The kernel writes the remaining time to the timespec.
    let mut time = [__kernel_timespec {
        tv_sec: (timeout / SECOND) as _,
        tv_nsec: (timeout % SECOND) as _,
    }];
    let (first, count) = (polled.as_mut_ptr(), descriptors.len().min(MAX_FDS));
    // SAFETY: the kernel reads and writes `count` pollfds in `polled`, which has as many and a timespec in `time`. It
    // reads no mask through the null pointer.
    call_with_times(PPOLL, &mut time, |number, time| unsafe {
        call!(number, first, count, time, 0, 0)
    })?;
    for (fd, polled) in descriptors.iter_mut().zip(&polled) {
        if polled.revents == 0 {
            *fd = NO_FD;
        }
    }
    Ok(())
}

/// `ppoll(NULL, 0, time, NULL, 0)`—Waits for this time, or until a signal handler has run.
pub(crate) fn sleep(time: Nanoseconds) {
    let _ = ppoll(&mut [], time);
}
