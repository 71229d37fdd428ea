//! What differs between word sizes: 64 bits.

use linux_raw_sys::general::SEEK_SET;
use syscalls::{Sysno, syscall};

use crate::protocol::Errno;

pub(crate) use linux_raw_sys::general::{
    F_GETLK as F_GETLK_64, F_SETLK as F_SETLK_64, flock as Flock64, statfs64 as RawStatFs,
};
pub(crate) use syscalls::Sysno::{fcntl as FCNTL_64, fstatfs as FSTATFS};

pub(crate) fn fstatfs_arguments(status: *mut RawStatFs) -> [usize; 2] {
    [status as usize, 0]
}

#[inline(always)]
pub(crate) fn seek(fd: u32, offset: usize) -> Result<(), Errno> {
    // SAFETY: the call takes no pointers.
    unsafe { attempt!(Sysno::lseek, fd, offset, SEEK_SET) }
}

#[inline(always)]
pub(crate) fn ftruncate(fd: u32, length: u64) -> Result<(), Errno> {
    // SAFETY: the call takes no pointers.
    unsafe { attempt!(Sysno::ftruncate, fd, length) }
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
    let arguments = [0, size, protection as usize, flags as usize, usize::MAX, 0];
    if cfg!(target_arch = "s390x") {
        // SAFETY: the kernel maps memory that is not in use. It reads the arguments, which do not fit into registers.
        return unsafe { syscall!(Sysno::mmap, arguments.as_ptr()) };
    }
    // SAFETY: the kernel maps memory that is not in use.
    unsafe { syscall!(Sysno::mmap, 0, size, protection, flags, usize::MAX, 0) }
}
