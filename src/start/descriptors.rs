//! Closing the descriptors that the daemon inherited.

use crate::protocol::Errno;
use crate::sys::{self, NO_FD, Open, RawFd, ThinCStr};
use crate::text::{parse_number, split_once};

/// The first descriptor above the standard streams.
const FIRST_FD: RawFd = 3;

/// The limit for closing descriptors one by one.
const MAX_FDS: RawFd = 1 << 20;

/// The descriptors that stay open: those that the caller requested, this crate's own, and the files for the
/// standard streams. [`NO_FD`] stands for an unused slot.
#[derive(Clone, Copy)]
pub(super) struct KeptFds<'a> {
    pub(super) requested: &'a [i32],
    pub(super) internal: &'a [RawFd],
    pub(super) streams: &'a [RawFd],
}

impl KeptFds<'_> {
    /// The lowest kept descriptor that is at least `from`; [`NO_FD`] if there is none.
    pub(super) fn next_from(&self, from: RawFd) -> RawFd {
        let mut lowest = NO_FD;
        for fd in self.requested {
            if *fd as RawFd >= from {
                lowest = lowest.min(*fd as RawFd);
            }
        }
        for fd in self.internal.iter().chain(self.streams) {
            if *fd >= from {
                lowest = lowest.min(*fd);
            }
        }
        lowest
    }

    fn close_unless_kept(&self, fd: RawFd) {
        if self.next_from(fd) != fd {
            sys::close(fd);
        }
    }
}

/// Closes every descriptor above 2 except those that are kept.
///
/// It uses close_range(2), which is new in Linux 5.9; if that fails, `/proc/self/fd`; and without `/proc`
/// it closes every number below the soft limit RLIMIT_NOFILE, or below 2^20 if that is less.
pub(super) fn close_all_but(kept: KeptFds<'_>) -> Result<(), Errno> {
    match close_ranges(kept) {
        Ok(()) => Ok(()),
        Err(_) => close_from_proc(kept).or_else(|_| close_below_limit(kept)),
    }
}

/// Closes the ranges before, between and after the kept descriptors.
fn close_ranges(kept: KeptFds<'_>) -> Result<(), Errno> {
    let mut from = FIRST_FD;
    loop {
        let next = kept.next_from(from);
        if next > from {
            sys::close_range(from, next.wrapping_sub(1))?;
        }
        if next == NO_FD {
            return Ok(());
        }
        from = next.wrapping_add(1);
    }
}

/// Closes the descriptors in `/proc/self/fd`.
fn close_from_proc(kept: KeptFds<'_>) -> Result<(), Errno> {
    // The descriptor table may be full: make room for the directory.
    close_below(FIRST_FD + 8, kept);
    let directory = sys::open(ThinCStr::new(c"/proc/self/fd"), Open::Directory)?;
    let mut buffer = [0; 1024];
    loop {
        // The kernel's position in this directory is a descriptor number, so closing those that have been
        // read skips none.
        let length = sys::getdents(directory.raw(), &mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        for name in EntryNames(buffer.get(..length as usize).unwrap_or_default()) {
            let fd = parse_number(name, 10).map_or(0, |fd| fd as RawFd);
            if fd >= FIRST_FD && fd != directory.raw() {
                kept.close_unless_kept(fd);
            }
        }
    }
}

fn close_below_limit(kept: KeptFds<'_>) -> Result<(), Errno> {
    let limit = RawFd::try_from(sys::getrlimit_nofile()?)
        .unwrap_or(MAX_FDS)
        .min(MAX_FDS);
    close_below(limit, kept);
    Ok(())
}

fn close_below(end: RawFd, kept: KeptFds<'_>) {
    for fd in FIRST_FD..end {
        kept.close_unless_kept(fd);
    }
}

/// The names in a buffer of getdents64(2). Each entry has an inode number (8 bytes), an offset (8), the
/// length of the entry (2), a type (1), and the name up to a null byte.
struct EntryNames<'a>(&'a [u8]);

impl<'a> Iterator for EntryNames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let [.., low, high, _] = self.0.first_chunk::<19>()?;
        let length = u16::from_ne_bytes([*low, *high]);
        let (entry, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        Some(split_once(entry.get(19..)?, 0).0)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::EntryNames;

    #[test]
    fn a_truncated_entry_ends_the_list() {
        let entry = |name: &[u8]| {
            let mut entry = Vec::from([0; 16]);
            entry.extend(24_u16.to_ne_bytes());
            entry.push(10);
            entry.extend(name);
            entry.resize(24, 0);
            entry
        };
        let list = [entry(b"."), entry(b"12"), entry(b"7")].concat();
        assert_eq!(
            EntryNames(&list).collect::<Vec<_>>(),
            [&b"."[..], b"12", b"7"]
        );
        for cut in 0..list.len() {
            assert_eq!(EntryNames(&list[..cut]).count(), cut / 24);
        }
        assert_eq!(EntryNames(&[0; 64]).count(), 0);
    }
}
