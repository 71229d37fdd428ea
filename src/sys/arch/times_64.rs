//! Times whose seconds have 64 bits, in the only calls that there are.

use linux_raw_sys::general::__kernel_timespec;
use syscalls::Sysno;

use crate::protocol::Errno;

pub(crate) type TimeCall = Sysno;

#[cfg(target_pointer_width = "64")]
pub(crate) use syscalls::Sysno::{
    clock_gettime as CLOCK_GETTIME, ppoll as PPOLL, rt_sigtimedwait as RT_SIGTIMEDWAIT,
    utimensat as UTIMENSAT,
};
#[cfg(target_pointer_width = "32")]
pub(crate) use syscalls::Sysno::{
    clock_gettime64 as CLOCK_GETTIME, ppoll_time64 as PPOLL,
    rt_sigtimedwait_time64 as RT_SIGTIMEDWAIT, utimensat_time64 as UTIMENSAT,
};

#[inline(always)]
pub(crate) fn call_with_times<const N: usize>(
    number: TimeCall,
    times: &mut [__kernel_timespec; N],
    call: impl Fn(Sysno, usize) -> Result<u32, Errno>,
) -> Result<u32, Errno> {
    call(number, times.as_mut_ptr() as usize)
}
