//! The attributes of a file.

use core::mem::MaybeUninit;

use linux_raw_sys::general::{
    AT_FDCWD, AT_SYMLINK_NOFOLLOW, S_IFMT, S_IFREG, S_IFSOCK, S_IWGRP, S_IWOTH,
};

use super::arch::{FSTAT, FSTATAT, RawStat};
use super::c_str::ThinCStr;
use super::credentials::effective_user;
use super::fd::RawFd;
use crate::protocol::{Errno, Nanoseconds, SECOND};

/// The attributes of a file. Two are equal if they are of the same file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    device: u64,
    inode: u64,
    mode: u32,
    names: u32,
    owner: u32,
    written: Nanoseconds,
}

impl PartialEq for Stat {
    fn eq(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

impl Stat {
    #[allow(
        clippy::unnecessary_cast,
        reason = "the fields are narrower on some architectures"
    )]
    fn of(stat: &RawStat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            mode: stat.st_mode as u32,
            names: stat.st_nlink as u32,
            owner: stat.st_uid as u32,
            written: (stat.st_mtime as Nanoseconds)
                .saturating_mul(SECOND)
                .saturating_add(stat.st_mtime_nsec as Nanoseconds),
        }
    }

    pub(crate) const fn is_regular(self) -> bool {
        self.mode & S_IFMT == S_IFREG
    }

    pub(crate) const fn is_socket(self) -> bool {
        self.mode & S_IFMT == S_IFSOCK
    }

    pub(crate) const fn has_other_names(self) -> bool {
        self.names > 1
    }

    /// Whether only root and the caller may write the file.
    pub(crate) fn is_safe(self) -> bool {
        self.mode & (S_IWGRP | S_IWOTH) == 0 && (self.owner == 0 || self.owner == effective_user())
    }

    /// The modification time.
    pub(crate) const fn written(self) -> Nanoseconds {
        self.written
    }
}

/// `fstat(fd, stat)`—Returns the attributes of an open file.
pub(crate) fn fstat(fd: RawFd) -> Result<Stat, Errno> {
    let mut stat = MaybeUninit::<RawStat>::zeroed();
    // SAFETY: the kernel writes a stat of the kind that belongs to the call.
    unsafe { attempt!(FSTAT, fd, stat.as_mut_ptr()) }?;
    // SAFETY: all zeros is a stat, and so is what the kernel wrote.
    Ok(Stat::of(&unsafe { stat.assume_init() }))
}

/// `fstatat(AT_FDCWD, path, stat, AT_SYMLINK_NOFOLLOW)`—Returns the attributes of the file at a path, or of the
/// symbolic link there.
pub(crate) fn lstat(path: ThinCStr<'_>) -> Result<Stat, Errno> {
    let mut stat = MaybeUninit::<RawStat>::zeroed();
    // SAFETY: the kernel reads the string `path`, and writes a stat of the kind that belongs to the call.
    unsafe {
        call!(
            FSTATAT,
            AT_FDCWD,
            path.as_ptr(),
            stat.as_mut_ptr(),
            AT_SYMLINK_NOFOLLOW
        )
    }?;
    // SAFETY: all zeros is a stat, and so is what the kernel wrote.
    Ok(Stat::of(&unsafe { stat.assume_init() }))
}
