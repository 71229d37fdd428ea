//! What differs between word sizes: 32 bits. The calls without these suffixes have 32-bit offsets.

use linux_raw_sys::general::SEEK_SET;
#[cfg(not(target_arch = "riscv32"))]
use syscalls::Sysno::_llseek as LLSEEK;
#[cfg(target_arch = "riscv32")]
use syscalls::Sysno::llseek as LLSEEK;
use syscalls::{Sysno, syscall};

use crate::protocol::Errno;

pub(crate) use linux_raw_sys::general::{
    F_GETLK64 as F_GETLK_64, F_SETLK64 as F_SETLK_64, flock64 as Flock64, statfs64 as RawStatFs,
};
pub(crate) use syscalls::Sysno::{fcntl64 as FCNTL_64, fstatfs64 as FSTATFS};

/// The arguments of `FSTATFS` after the descriptor.
pub(crate) fn fstatfs_arguments(status: *mut RawStatFs) -> [usize; 2] {
    [size_of::<RawStatFs>(), status as usize]
}

/// `_llseek(fd, 0, offset, _, SEEK_SET)`
pub(crate) fn seek(fd: u32, offset: usize) -> Result<(), Errno> {
    let mut position = 0_u64;
    // SAFETY: the kernel writes 64 bits to `position`.
    unsafe { call!(LLSEEK, fd, 0, offset, &raw mut position, SEEK_SET) }.map(drop)
}

/// `ftruncate64(fd, length)`. The length is in two registers, as a 64-bit number is for functions: on arm and mips, the
/// first one has an even number.
pub(crate) fn ftruncate(fd: u32, length: u64) -> Result<(), Errno> {
    let (low, high) = (length as u32, (length >> 32) as u32);
    let (first, second) = match cfg!(target_endian = "big") {
        true => (high, low),
        false => (low, high),
    };
    let arguments = match cfg!(any(target_arch = "arm", target_arch = "mips")) {
        true => [0, first, second],
        false => [first, second, 0],
    };
    let [second, third, fourth] = arguments;
    // SAFETY: the call takes no pointers.
    unsafe { call!(Sysno::ftruncate64, fd, second, third, fourth) }.map(drop)
}

/// `mmap(NULL, size, protection, flags, -1, 0)`
///
/// # Safety
///
/// The flags must not include MAP_FIXED.
#[inline(always)]
pub(crate) unsafe fn mmap(
    size: usize,
    protection: u32,
    flags: u32,
) -> Result<usize, syscalls::Errno> {
    // SAFETY: the kernel maps memory that is not in use.
    unsafe { syscall!(Sysno::mmap2, 0, size, protection, flags, usize::MAX, 0) }
}
