//! The status of a file, by statx(2): the other calls came with Linux 6.11, or never.

use core::mem::MaybeUninit;

use linux_raw_sys::general::{AT_EMPTY_PATH, STATX_BASIC_STATS, statx as Statx};
use syscalls::Sysno;

use crate::protocol::Errno;
use crate::sys::c_str::ThinCStr;
use crate::sys::fd::RawFd;

/// The fields of a `stat` that this crate reads.
pub(crate) struct RawStat {
    pub(crate) st_dev: u64,
    pub(crate) st_ino: u64,
    pub(crate) st_mode: u32,
    pub(crate) st_nlink: u32,
    pub(crate) st_uid: u32,
    pub(crate) st_gid: u32,
    pub(crate) st_size: u64,
    pub(crate) st_rdev: u64,
    pub(crate) st_mtime: i64,
    pub(crate) st_mtime_nsec: u32,
    pub(crate) st_ctime_nsec: u32,
}

pub(crate) fn fstat(fd: RawFd) -> Result<RawStat, Errno> {
    statx(fd, ThinCStr::new(c""), AT_EMPTY_PATH)
}

pub(crate) fn stat_at(directory: RawFd, path: ThinCStr<'_>, flags: u32) -> Result<RawStat, Errno> {
    statx(directory, path, flags)
}

/// `statx(directory, path, flags, STATX_BASIC_STATS, _)`
fn statx(directory: RawFd, path: ThinCStr<'_>, flags: u32) -> Result<RawStat, Errno> {
    let mut status = MaybeUninit::<Statx>::zeroed();
    let (path, address) = (path.as_ptr(), status.as_mut_ptr());
    let (number, mask) = (Sysno::statx, STATX_BASIC_STATS);
    // SAFETY: the kernel reads the C string `path`, and writes a statx.
    unsafe { call!(number, directory, path, flags, mask, address) }?;
    // SAFETY: `status` was initialized with zeros, which are a valid statx.
    let status = unsafe { status.assume_init() };
    Ok(RawStat {
        st_dev: device(status.stx_dev_major, status.stx_dev_minor),
        st_ino: status.stx_ino,
        st_mode: status.stx_mode.into(),
        st_nlink: status.stx_nlink,
        st_uid: status.stx_uid,
        st_gid: status.stx_gid,
        st_size: status.stx_size,
        st_rdev: device(status.stx_rdev_major, status.stx_rdev_minor),
        st_mtime: status.stx_mtime.tv_sec,
        st_mtime_nsec: status.stx_mtime.tv_nsec,
        st_ctime_nsec: status.stx_ctime.tv_nsec,
    })
}

/// The number of a device as fstat(2) gives it.
fn device(major: u32, minor: u32) -> u64 {
    let [major, minor] = [major, minor].map(u64::from);
    minor & 0xff | (major & 0xfff) << 8 | (minor & !0xff) << 12
}
