//! The entries of a directory.

use syscalls::Sysno;

use super::fd::RawFd;
use crate::protocol::Errno;
use crate::text::split_once;

/// `getdents64(fd, buffer, size)`—Reads entries of a directory, and returns the number of bytes; 0 at its end.
pub(crate) fn getdents(fd: RawFd, buffer: &mut [u8]) -> Result<u32, Errno> {
    // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`.
    unsafe { call!(Sysno::getdents64, fd, buffer.as_mut_ptr(), buffer.len()) }
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
