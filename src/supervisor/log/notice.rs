//! The log's own lines. Pure.

use crate::packed::packed;
use crate::protocol::Errno;
use crate::text::{concat, write_number};

/// Room for the longest of them.
const NOTICE_SIZE: usize = 128;

/// A line of the log's own, with its newline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Notice {
    text: [u8; NOTICE_SIZE],
    length: usize,
}

impl Notice {
    /// `rawdaemon: 7 lines dropped`
    pub(super) fn of_dropped(lines: u32) -> Self {
        let mut notice = Self::new();
        write_number(lines, &mut |piece| notice.put(piece));
        packed!(" lines dropped\n").write(&mut |piece| notice.put(piece));
        notice
    }

    /// `rawdaemon: cannot rotate the log: Permission denied (EACCES)`
    pub(super) fn of_rotation(errno: Errno) -> Self {
        let mut notice = Self::new();
        packed!("cannot rotate the log: ").write(&mut |piece| notice.put(piece));
        errno.describe(&mut |piece| notice.put(piece));
        notice.put(b"\n");
        notice
    }

    fn new() -> Self {
        let mut notice = Self {
            text: [0; NOTICE_SIZE],
            length: 0,
        };
        packed!("rawdaemon: ").write(&mut |piece| notice.put(piece));
        notice
    }

    /// Appends as much as fits.
    fn put(&mut self, piece: &[u8]) {
        let room = self.text.get_mut(self.length..).unwrap_or_default();
        let count = concat(&[piece], room).len();
        self.length = self.length.saturating_add(count);
    }

    /// The line, with its newline.
    pub(super) fn line(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Notice;
    use crate::protocol::Errno;

    #[test]
    fn notices_are_lines() {
        let notice = Notice::of_dropped(u32::MAX);
        assert_eq!(notice.line(), b"rawdaemon: 4294967295 lines dropped\n");
        let notice = Notice::of_rotation(Errno::EILSEQ);
        let text = std::string::String::from_utf8_lossy(notice.line()).into_owned();
        assert!(
            text.starts_with("rawdaemon: cannot rotate the log: Invalid"),
            "{text}"
        );
        assert!(text.ends_with("(EILSEQ)\n"), "{text}");
    }
}
