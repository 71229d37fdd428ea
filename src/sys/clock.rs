//! Clocks.

use core::mem::MaybeUninit;

use linux_raw_sys::general::{
    __kernel_old_timespec, CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME,
};
use syscalls::Sysno;

use crate::protocol::{Nanoseconds, SECOND};

/// `clock_gettime(CLOCK_MONOTONIC, _)`—Returns a time that never goes back.
pub(crate) fn monotonic_time() -> Nanoseconds {
    time(CLOCK_MONOTONIC)
}

/// Returns the time at which the machine was booted, by its present clock: `CLOCK_REALTIME` less
/// `CLOCK_BOOTTIME`. `None` if the process keeps being preempted between the readings, or if the clock shows
/// less than the uptime, as without a real-time clock that was set.
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

/// `clock_gettime(clock, _)`—Returns the time of a clock, or 0 if the call fails.
fn time(clock: u32) -> Nanoseconds {
    let mut time = MaybeUninit::<__kernel_old_timespec>::zeroed();
    // Every supported architecture has this call. On those with 32 bits, the seconds are 32 bits too: the
    // clocks that start at boot last for 68 years of uptime, `CLOCK_REALTIME` lasts until 2038.
    // SAFETY: the kernel writes a timespec to `time`.
    let result = unsafe { attempt!(Sysno::clock_gettime, clock, time.as_mut_ptr()) };
    // SAFETY: `time` was initialized with zeros, which are a valid timespec.
    let time = unsafe { time.assume_init() };
    match result {
        Ok(()) => (time.tv_sec as Nanoseconds)
            .saturating_mul(SECOND)
            .saturating_add(time.tv_nsec as Nanoseconds),
        Err(_) => 0,
    }
}
