//! The status of a file, by fstat(2) and fstatat(2).

use core::mem::MaybeUninit;

use crate::protocol::Errno;
use crate::sys::c_str::ThinCStr;
use crate::sys::fd::RawFd;

#[cfg(target_pointer_width = "64")]
pub(crate) use linux_raw_sys::general::stat as RawStat;
#[cfg(target_pointer_width = "32")]
pub(crate) use linux_raw_sys::general::stat64 as RawStat;

#[cfg(target_pointer_width = "64")]
use syscalls::Sysno::fstat as FSTAT;
#[cfg(target_pointer_width = "32")]
use syscalls::Sysno::fstat64 as FSTAT;

// One call with three names.
#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
use syscalls::Sysno::fstatat as FSTATAT;
#[cfg(target_pointer_width = "32")]
use syscalls::Sysno::fstatat64 as FSTATAT;
#[cfg(any(
    target_arch = "powerpc64",
    target_arch = "s390x",
    target_arch = "x86_64"
))]
use syscalls::Sysno::newfstatat as FSTATAT;

#[inline(always)]
pub(crate) fn fstat(fd: RawFd) -> Result<RawStat, Errno> {
    let mut stat = MaybeUninit::<RawStat>::zeroed();
    // SAFETY: `RawStat` is the structure that the kernel writes for this call.
    unsafe { attempt!(FSTAT, fd, stat.as_mut_ptr()) }?;
    // SAFETY: `stat` was initialized with zeros, which are a valid stat.
    Ok(unsafe { stat.assume_init() })
}

#[inline(always)]
pub(crate) fn stat_at(directory: RawFd, path: ThinCStr<'_>, flags: u32) -> Result<RawStat, Errno> {
    let mut stat = MaybeUninit::<RawStat>::zeroed();
    let (path, address) = (path.as_ptr(), stat.as_mut_ptr());
    // SAFETY: the kernel reads the C string `path`. `RawStat` is the structure that it writes for this call.
    unsafe { call!(FSTATAT, directory, path, address, flags) }?;
    // SAFETY: `stat` was initialized with zeros, which are a valid stat.
    Ok(unsafe { stat.assume_init() })
}
