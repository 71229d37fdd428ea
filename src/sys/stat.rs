//! The identity, type, owner and age of a file.

use linux_raw_sys::general::{
    AT_SYMLINK_NOFOLLOW, S_IFCHR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK, S_IRWXG, S_IRWXO,
    S_ISGID, S_ISVTX, S_IWGRP, S_IWOTH,
};

use super::arch::{self, RawStat};
use super::c_str::ThinCStr;
use super::credentials::effective_user;
use super::fd::RawFd;
use super::file::WORKING_DIRECTORY;
use crate::protocol::{Errno, Nanoseconds, SECOND};

/// The mode of a directory whose owner is not set yet: no other has it.
pub(crate) const UNFINISHED: u32 = 0o1700;

/// The status of a file. Two of them are equal if they are of the same file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    device: u64,
    inode: u64,
    mode: u32,
    links: u32,
    owner: u32,
    group: u32,
    length: u64,
    /// The number of the device, if this is one.
    number: u64,
    mtime: Nanoseconds,
    is_dated: bool,
}

impl PartialEq for Stat {
    fn eq(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

impl Stat {
    #[allow(
        clippy::unnecessary_cast,
        reason = "some of the fields are narrower on some architectures"
    )]
    fn from_raw(stat: &RawStat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            mode: stat.st_mode as u32,
            links: stat.st_nlink as u32,
            owner: stat.st_uid as u32,
            group: stat.st_gid as u32,
            length: stat.st_size as u64,
            number: stat.st_rdev as u64,
            // Before 1970, it is negative. On 32 bits the field has no sign.
            mtime: Nanoseconds::try_from(stat.st_mtime as i64)
                .unwrap_or(0)
                .saturating_mul(SECOND)
                .saturating_add(stat.st_mtime_nsec as Nanoseconds),
            is_dated: stat.st_mtime_nsec != stat.st_ctime_nsec,
        }
    }

    /// Whether this is a regular file.
    pub(crate) const fn is_regular(self) -> bool {
        self.mode & S_IFMT == S_IFREG
    }

    /// Whether this is a symbolic link.
    pub(crate) const fn is_link(self) -> bool {
        self.mode & S_IFMT == S_IFLNK
    }

    /// Whether this is the null device: the character device 1:3.
    pub(crate) const fn is_null_device(self) -> bool {
        self.mode & S_IFMT == S_IFCHR && self.number == 0x103
    }

    /// Whether this is a pipe.
    pub(crate) const fn is_fifo(self) -> bool {
        self.mode & S_IFMT == S_IFIFO
    }

    /// Whether this is a socket.
    pub(crate) const fn is_socket(self) -> bool {
        self.mode & S_IFMT == S_IFSOCK
    }

    /// Whether the file has more than one hard link.
    pub(crate) const fn has_other_links(self) -> bool {
        self.links > 1
    }

    /// Whether only root and the effective user may write to the file.
    pub(crate) fn is_safe(self) -> bool {
        self.mode & (S_IWGRP | S_IWOTH) == 0 && self.is_ours()
    }

    /// Whether the file belongs to root or to the effective user.
    pub(crate) fn is_ours(self) -> bool {
        self.owner == 0 || self.owner == effective_user()
    }

    /// Whether the effective user is root, and this is a symbolic link of another user's, which root should not follow.
    ///
    /// The owner of the root directory counts as root: it could exchange everything. In a user namespace, that may be a
    /// user without a number, as is the owner of the links in `/dev`.
    pub(crate) fn is_foreign_link(self) -> bool {
        self.is_link()
            && self.owner != 0
            && effective_user() == 0
            && lstat(ThinCStr::new(c"/")).is_ok_and(|root| self.owner != root.owner)
    }

    /// Whether the effective user has made this directory with the mode [`UNFINISHED`].
    pub(crate) fn is_unfinished(self) -> bool {
        self.mode & (S_ISVTX | S_IRWXG | S_IRWXO) == S_ISVTX && self.is_owned_by(None)
    }

    /// The mode of the directory once its owner is set. It keeps the set-group-ID bit of the one above it.
    pub(crate) const fn finished_mode(self) -> u32 {
        0o755 | self.mode & S_ISGID
    }

    /// Whether this user owns the file; `None` stands for the effective user.
    pub(crate) fn is_owned_by(self, user: Option<u32>) -> bool {
        self.owner == user.unwrap_or_else(effective_user)
    }

    /// The user id of the owner.
    pub(crate) const fn owner(self) -> u32 {
        self.owner
    }

    /// The group id.
    pub(crate) const fn group(self) -> u32 {
        self.group
    }

    /// The permissions.
    pub(crate) const fn permissions(self) -> u32 {
        self.mode & !S_IFMT
    }

    /// The length of the file.
    pub(crate) const fn length(self) -> u64 {
        self.length
    }

    /// Whether the owner of the file has chosen its time of modification (utimensat(2)): a write(2) sets that and the
    /// time of the last change to the same.
    pub(crate) const fn is_dated(self) -> bool {
        self.is_dated
    }

    /// The time of the last modification, by the clock at that time.
    pub(crate) const fn mtime(self) -> Nanoseconds {
        self.mtime
    }
}

/// `fstat(fd, _)`—Returns the status of an open file.
pub(crate) fn fstat(fd: RawFd) -> Result<Stat, Errno> {
    Ok(Stat::from_raw(&arch::fstat(fd)?))
}

/// `fstatat(AT_FDCWD, path, _, AT_SYMLINK_NOFOLLOW)`—Returns the status of a file, and of a symbolic link
/// itself. `ENOENT` if the file does not exist.
pub(crate) fn lstat(path: ThinCStr<'_>) -> Result<Stat, Errno> {
    lstat_at(WORKING_DIRECTORY, path)
}

/// `fstatat(directory, path, _, AT_SYMLINK_NOFOLLOW)`—As [`lstat`], in this directory.
pub(crate) fn lstat_at(directory: RawFd, path: ThinCStr<'_>) -> Result<Stat, Errno> {
    let stat = arch::stat_at(directory, path, AT_SYMLINK_NOFOLLOW)?;
    Ok(Stat::from_raw(&stat))
}

/// `fstatat(AT_FDCWD, path, _, 0)`—Returns the status of a file, or of that to which a symbolic link leads.
pub(crate) fn stat(path: ThinCStr<'_>) -> Result<Stat, Errno> {
    Ok(Stat::from_raw(&arch::stat_at(WORKING_DIRECTORY, path, 0)?))
}
