//! Closing what the daemon inherited.

use crate::protocol::Errno;
use crate::sys::{self, NO_FD, Open, RawFd, ThinCStr};
use crate::text::{parse_number, split_once};

/// The first descriptor that is not a standard stream.
const FIRST: RawFd = 3;

/// How far the last resort goes.
const FARTHEST: RawFd = 1 << 20;

/// The descriptors that stay open: those that the caller wants, and some of this crate's own, as far as
/// there are any.
#[derive(Clone, Copy)]
pub(crate) struct Kept<'a> {
    pub(crate) listed: &'a [i32],
    pub(crate) own: &'a [RawFd],
}

impl Kept<'_> {
    /// The lowest one that is not below `from`; [`NO_FD`] if there is none.
    pub(crate) fn next(&self, from: RawFd) -> RawFd {
        let mut lowest = NO_FD;
        for fd in self.listed {
            if *fd as RawFd >= from {
                lowest = lowest.min(*fd as RawFd);
            }
        }
        for fd in self.own {
            if *fd >= from {
                lowest = lowest.min(*fd);
            }
        }
        lowest
    }

    fn close_unless_kept(&self, fd: RawFd) {
        if self.next(fd) != fd {
            sys::close(fd);
        }
    }
}

/// Closes every descriptor above 2 but those that are kept.
///
/// `close_range` does it on Linux 5.9 and later; `/proc/self/fd` where that is missing or
/// forbidden; and without `/proc` one number after the other, up to the soft limit of RLIMIT_NOFILE
/// or a million, whichever is less.
pub(crate) fn close_all_but(kept: Kept<'_>) -> Result<(), Errno> {
    match close_between(kept) {
        Ok(()) => Ok(()),
        Err(_) => close_listed(kept).or_else(|_| close_counted(kept)),
    }
}

/// Closes what lies between, below and above those that are kept.
fn close_between(kept: Kept<'_>) -> Result<(), Errno> {
    let mut from = FIRST;
    loop {
        let next = kept.next(from);
        if next > from {
            sys::close_range(from, next.wrapping_sub(1))?;
        }
        if next == NO_FD {
            return Ok(());
        }
        from = next.wrapping_add(1);
    }
}

/// Closes what `/proc/self/fd` names.
fn close_listed(kept: Kept<'_>) -> Result<(), Errno> {
    // The table may be full, and the directory needs a place.
    close_numbers(FIRST + 8, kept);
    let directory = sys::open(ThinCStr::new(c"/proc/self/fd"), Open::Directory)?;
    let mut buffer = [0; 1024];
    loop {
        // The kernel goes through this directory by number, so that closing what has been read
        // skips nothing.
        let length = sys::getdents(directory.raw(), &mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        for name in Names(buffer.get(..length as usize).unwrap_or_default()) {
            let fd = parse_number(name, 10).map_or(0, |fd| fd as RawFd);
            if fd >= FIRST && fd != directory.raw() {
                kept.close_unless_kept(fd);
            }
        }
    }
}

fn close_counted(kept: Kept<'_>) -> Result<(), Errno> {
    let limit = RawFd::try_from(sys::getrlimit_nofile()?)
        .unwrap_or(FARTHEST)
        .min(FARTHEST);
    close_numbers(limit, kept);
    Ok(())
}

fn close_numbers(end: RawFd, kept: Kept<'_>) {
    for fd in FIRST..end {
        kept.close_unless_kept(fd);
    }
}

/// The names in what getdents64(2) gives: entries of inode (8 bytes), offset (8), length of the
/// entry (2), type (1), and the name up to a zero byte.
struct Names<'a>(&'a [u8]);

impl<'a> Iterator for Names<'a> {
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

    use super::Names;

    #[test]
    fn entries_that_are_cut_off_end_the_list() {
        let entry = |name: &[u8]| {
            let mut entry = Vec::from([0; 16]);
            entry.extend(24_u16.to_ne_bytes());
            entry.push(10);
            entry.extend(name);
            entry.resize(24, 0);
            entry
        };
        let list = [entry(b"."), entry(b"12"), entry(b"7")].concat();
        assert_eq!(Names(&list).collect::<Vec<_>>(), [&b"."[..], b"12", b"7"]);
        for cut in 0..list.len() {
            assert_eq!(Names(&list[..cut]).count(), cut / 24);
        }
        assert_eq!(Names(&[0; 64]).count(), 0);
    }
}
