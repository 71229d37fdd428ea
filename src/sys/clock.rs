//! Clocks.

use core::mem::MaybeUninit;

use linux_raw_sys::general::{
    __kernel_old_timespec, CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME,
};
use syscalls::Sysno;

use crate::protocol::{Nanoseconds, SECOND};

/// `clock_gettime(CLOCK_MONOTONIC)`—Returns the time since an unspecified start, in nanoseconds.
pub(crate) fn monotonic_time() -> Nanoseconds {
    time(CLOCK_MONOTONIC)
}

/// `CLOCK_REALTIME` minus `CLOCK_BOOTTIME`—Returns the wall-clock time of the boot. `None` if the process is
/// preempted each time between the two readings.
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

/// `clock_gettime(clock)`—Returns nanoseconds; zero after an error.
fn time(clock: u32) -> Nanoseconds {
    let mut time = MaybeUninit::<__kernel_old_timespec>::zeroed();
    // SAFETY: the kernel writes a timespec to `time`. The old call exists on every architecture; with 32 bits,
    // a clock that starts at boot overflows after 68 years of uptime.
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
