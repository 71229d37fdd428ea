//! What differs between word sizes: 64 bits.

use linux_raw_sys::general::SEEK_SET;
use syscalls::Sysno;

use crate::protocol::Errno;

pub(crate) use linux_raw_sys::general::{
    F_GETLK as F_GETLK_64, F_SETLK as F_SETLK_64, flock as Flock64, statfs64 as RawStatFs,
};
pub(crate) use syscalls::Sysno::{
    fcntl as FCNTL_64, fstatfs as FSTATFS, ftruncate as FTRUNCATE, mmap as MMAP,
};

pub(crate) fn fstatfs_arguments(status: *mut RawStatFs) -> [usize; 2] {
    [status as usize, 0]
}

#[inline(always)]
pub(crate) fn seek(fd: u32, offset: usize) -> Result<(), Errno> {
    // SAFETY: the call takes no pointers.
    unsafe { attempt!(Sysno::lseek, fd, offset, SEEK_SET) }
}
