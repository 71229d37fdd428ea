//! What differs between word sizes: 64 bits.

use linux_raw_sys::general::__kernel_timespec;
use syscalls::Sysno;

use crate::protocol::Errno;

pub(crate) use linux_raw_sys::general::{
    F_GETLK as F_GETLK_64, F_SETLK as F_SETLK_64, flock as Flock64, stat as RawStat,
    statfs64 as RawStatFs,
};
pub(crate) use syscalls::Sysno::{
    fchown as FCHOWN, fcntl as FCNTL_64, fstat as FSTAT, fstatfs as FSTATFS,
    ftruncate as FTRUNCATE, getgroups as GETGROUPS, getresgid as GETRESGID, getresuid as GETRESUID,
    mmap as MMAP, setgroups as SETGROUPS, setresgid as SETRESGID, setresuid as SETRESUID,
};

pub(crate) fn fstatfs_arguments(status: *mut RawStatFs) -> [usize; 2] {
    [status as usize, 0]
}

pub(crate) type TimeCall = Sysno;

pub(crate) use syscalls::Sysno::{
    clock_gettime as CLOCK_GETTIME, ppoll as PPOLL, rt_sigtimedwait as RT_SIGTIMEDWAIT,
    utimensat as UTIMENSAT,
};

#[inline(always)]
pub(crate) fn call_with_times<const N: usize>(
    number: TimeCall,
    times: &mut [__kernel_timespec; N],
    call: impl Fn(Sysno, usize) -> Result<u32, Errno>,
) -> Result<u32, Errno> {
    call(number, times.as_mut_ptr() as usize)
}
