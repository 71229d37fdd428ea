//! Times where the first calls had 32 bits for the seconds.

use linux_raw_sys::general::{__kernel_old_timespec, __kernel_timespec};
use syscalls::Sysno;

use crate::protocol::Errno;

/// A call that takes times: since Linux 5.1, and as it was before.
pub(crate) type TimeCall = [Sysno; 2];

pub(crate) const CLOCK_GETTIME: TimeCall = [Sysno::clock_gettime64, Sysno::clock_gettime];
pub(crate) const PPOLL: TimeCall = [Sysno::ppoll_time64, Sysno::ppoll];
pub(crate) const RT_SIGTIMEDWAIT: TimeCall =
    [Sysno::rt_sigtimedwait_time64, Sysno::rt_sigtimedwait];
pub(crate) const UTIMENSAT: TimeCall = [Sysno::utimensat_time64, Sysno::utimensat];

pub(crate) fn call_with_times<const N: usize>(
    [number, old_number]: TimeCall,
    times: &mut [__kernel_timespec; N],
    call: impl Fn(Sysno, usize) -> Result<u32, Errno>,
) -> Result<u32, Errno> {
    match call(number, times.as_mut_ptr() as usize) {
        // An older kernel does not have it, and an older sandbox does not know it.
        Err(errno) if errno.is_refusal() => {}
        result => return result,
    }
    let mut old_times = times.each_ref().map(|time| __kernel_old_timespec {
        tv_sec: time.tv_sec.try_into().unwrap_or(i32::MAX),
        tv_nsec: time.tv_nsec as _,
    });
    let result = call(old_number, old_times.as_mut_ptr() as usize);
    for (time, old) in times.iter_mut().zip(old_times) {
        time.tv_sec = old.tv_sec.into();
        time.tv_nsec = old.tv_nsec.into();
    }
    result
}
