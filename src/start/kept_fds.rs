//! Which descriptors stay open, and which numbers between them are closed. Pure.

use crate::sys::{NO_FD, RawFd};
use crate::text::split_once;

/// The first descriptor above the standard streams.
pub(super) const FIRST_FD: RawFd = 3;

/// The descriptors that stay open: those that the caller requested, this crate's own, and the files for the
/// standard streams. `NO_FD` stands for an unused slot.
#[derive(Clone, Copy, Debug)]
pub struct KeptFds<'a> {
    /// The lowest descriptor that is not kept in any case.
    pub first: RawFd,
    /// Those that the caller requested.
    pub requested: &'a [i32],
    /// This crate's own.
    pub internal: &'a [RawFd],
    /// The files for the standard streams.
    pub streams: &'a [RawFd],
}

impl KeptFds<'_> {
    /// The lowest kept descriptor that is at least `from`; [`NO_FD`] if there is none.
    #[must_use]
    pub fn next_from(&self, from: RawFd) -> RawFd {
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

    /// Calls `close` with the first and the last number of each range before, between and after the kept
    /// descriptors, in ascending order. Those below `first` are in none.
    ///
    /// # Errors
    ///
    /// The first error of `close`.
    pub fn each_range<E>(
        &self,
        mut close: impl FnMut(RawFd, RawFd) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut from = self.first;
        loop {
            let next = self.next_from(from);
            if next > from {
                close(from, next.wrapping_sub(1))?;
            }
            if next == NO_FD {
                return Ok(());
            }
            from = next.wrapping_add(1);
        }
    }
}

/// The names in a buffer of getdents64(2). Each entry has an inode number (8 bytes), an offset (8), the
/// length of the entry (2), a type (1), and the name up to a null byte.
#[derive(Clone, Debug)]
pub struct EntryNames<'a>(pub &'a [u8]);

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
