//! Time, and waiting for descriptors.

use core::mem::MaybeUninit;
use core::time::Duration;

use linux_raw_sys::general::{
    __kernel_old_timespec, CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME, POLLIN, pollfd,
};
use syscalls::Sysno;

use super::RawFd;
use crate::protocol::{Errno, Nanoseconds};

pub(super) const SECOND: Nanoseconds = 1_000_000_000;

/// A span in nanoseconds, or the longest there is.
pub(crate) const fn nanoseconds(span: Duration) -> Nanoseconds {
    let whole = span.as_secs().saturating_mul(SECOND);
    whole.saturating_add(span.subsec_nanos() as Nanoseconds)
}

/// `clock_gettime(CLOCK_MONOTONIC)`.
pub(crate) fn monotonic_time() -> Nanoseconds {
    time(CLOCK_MONOTONIC)
}

/// `CLOCK_REALTIME` less `CLOCK_BOOTTIME`: when the machine was started, by what its clock says now.
/// `None` if this process is not let run for a millisecond.
pub(crate) fn time_of_boot() -> Option<Nanoseconds> {
    for _ in 0..10 {
        let before = time(CLOCK_BOOTTIME);
        let now = time(CLOCK_REALTIME);
        if time(CLOCK_BOOTTIME).saturating_sub(before) < SECOND / 1000 {
            return now.checked_sub(before);
        }
    }
    None
}

/// `clock_gettime(clock)`.
#[inline(never)]
fn time(clock: u32) -> Nanoseconds {
    let mut time = MaybeUninit::<__kernel_old_timespec>::zeroed();
    // SAFETY: the kernel writes a timespec to `time`. The old call is on every architecture, and no
    // 32-bit clock that counts from the start runs over in 68 years of uptime.
    let result = unsafe { attempt!(Sysno::clock_gettime, clock, time.as_mut_ptr()) };
    // SAFETY: all zeros is a timespec, and so is what the kernel wrote.
    let time = unsafe { time.assume_init() };
    match result {
        Ok(()) => (time.tv_sec as Nanoseconds)
            .saturating_mul(SECOND)
            .saturating_add(time.tv_nsec as Nanoseconds),
        Err(_) => 0,
    }
}

/// The number of a descriptor that [`poll`] leaves out.
pub(crate) const NOTHING: RawFd = RawFd::MAX; // -1 to the kernel

/// So many descriptors are watched at once.
const WATCHED: usize = 4;

/// `ppoll(fds, n, timeout, NULL, _)`—Waits until one of the descriptors has something to read or is
/// at its end, or, where it is written to, nobody reads any more; for at most `timeout`.
///
/// Leaves those that are ready, and puts [`NOTHING`] in place of the others. A signal ends the wait
/// with `EINTR`.
pub(crate) fn poll(descriptors: &mut [RawFd; WATCHED], timeout: Nanoseconds) -> Result<(), Errno> {
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
            *fd = NOTHING;
        }
    }
    Ok(())
}
