//! Clocks.

use linux_raw_sys::general::{__kernel_timespec, CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME};

use super::arch::{CLOCK_GETTIME, call_with_times};
use crate::protocol::{Errno, Nanoseconds, SECOND};

/// `clock_gettime(CLOCK_MONOTONIC, _)`—Returns a time that never goes back.
///
/// Fails if a sandbox refuses the call: one that was made for programs of a C library may, since these read clocks
/// without a call (vdso(7)).
pub(crate) fn monotonic_time() -> Result<Nanoseconds, Errno> {
    time(CLOCK_MONOTONIC)
}

/// `clock_gettime(CLOCK_BOOTTIME, _)`—Returns the time since boot.
pub(crate) fn uptime() -> Result<Nanoseconds, Errno> {
    time(CLOCK_BOOTTIME)
}

/// `clock_gettime(CLOCK_REALTIME, _)`—Returns the time since 1970 by the wall clock.
pub(crate) fn realtime() -> Result<Nanoseconds, Errno> {
    time(CLOCK_REALTIME)
}

/// Returns the time at which the machine was booted, by its present clock: `CLOCK_REALTIME` less
/// `CLOCK_BOOTTIME`. `None` if the process keeps being preempted between the readings, or if the clock shows
/// less than the uptime, as without a real-time clock that was set, or cannot be read.
pub(crate) fn time_of_boot() -> Option<Nanoseconds> {
    for _ in 0..10 {
        let before = time(CLOCK_BOOTTIME).ok()?;
        let now = time(CLOCK_REALTIME).ok()?;
        if time(CLOCK_BOOTTIME).ok()?.saturating_sub(before) < SECOND / 1000 {
            return now.checked_sub(before);
        }
    }
    None
}

/// `clock_gettime(clock, _)`—Returns the time of a clock.
fn time(clock: u32) -> Result<Nanoseconds, Errno> {
    let mut times = [__kernel_timespec {
        tv_sec: 0,
        tv_nsec: 0,
    }];
    // SAFETY: the kernel writes a timespec to this address.
    call_with_times(CLOCK_GETTIME, &mut times, |number, time| unsafe {
        call!(number, clock, time)
    })?;
    let [time] = times;
    // On 32 bits, the seconds are negative after 2038.
    let seconds = Nanoseconds::try_from(time.tv_sec).map_err(|_| Errno::EOVERFLOW)?;
    Ok(seconds
        .saturating_mul(SECOND)
        .saturating_add(time.tv_nsec as Nanoseconds))
}
