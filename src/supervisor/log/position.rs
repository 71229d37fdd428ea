//! Where the lines of a file begin and end, and where a file ends. Pure.

/// How far a file has been written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The length of the file.
    pub(super) length: u64,
    /// Where the last line begins: at the length, unless the line is unfinished.
    pub(super) line: u64,
}

impl Position {
    /// At the end of a file with this length, which consists of whole lines.
    pub(super) const fn at(length: u64) -> Self {
        Self {
            length,
            line: length,
        }
    }

    /// Whether the last line is unfinished.
    pub(super) const fn is_in_line(self) -> bool {
        self.line != self.length
    }

    /// Notes that these bytes have been written.
    pub(super) fn advance(&mut self, bytes: &[u8]) {
        let lines = whole_lines(bytes).len() as u64;
        if lines > 0 {
            self.line = self.length.saturating_add(lines);
        }
        self.length = self.length.saturating_add(bytes.len() as u64);
    }

    /// How many of these bytes belong into the file, which should not become longer than `limit`, and whether a new
    /// file begins after them.
    ///
    /// The file ends with the last line that fits. A line that has begun is finished, even if it passes the limit:
    /// only one that is longer than `size` is split. From `limit` less `size` on, the file may be written: that is not
    /// zero if it could not be rotated.
    pub(super) fn cut(self, limit: u64, size: u64, bytes: &[u8]) -> (usize, bool) {
        let room = usize::try_from(limit.saturating_sub(self.length)).unwrap_or(usize::MAX);
        if bytes.len() <= room {
            return (bytes.len(), false);
        }
        let fitting = bytes.get(..room).unwrap_or_default();
        let lines = whole_lines(fitting).len();
        if lines > 0 {
            return (lines, true);
        }
        if !self.is_in_line() {
            let is_empty = self.length <= limit.saturating_sub(size);
            return (if is_empty { room } else { 0 }, true);
        }
        let end = self.line.saturating_add(size).max(limit);
        let room = usize::try_from(end.saturating_sub(self.length)).unwrap_or(usize::MAX);
        match first_line(bytes.get(..room).unwrap_or(bytes)) {
            Some(line) => (line.len(), true),
            None if bytes.len() <= room => (bytes.len(), false),
            None => (room, true),
        }
    }
}

/// The bytes up to the last newline, and with it.
pub(super) fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == b'\n');
    let length = end.map_or(0, |end| end.wrapping_add(1));
    bytes.get(..length).unwrap_or_default()
}

/// The first line with its newline; `None` if there is no newline.
pub(super) fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    bytes.get(..=end)
}

/// The number of newlines.
pub(super) fn count_lines(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |count, byte| match byte {
        b'\n' => u32::saturating_add(count, 1),
        _ => count,
    })
}

#[cfg(test)]
mod tests {
    use super::{Position, count_lines, first_line, whole_lines};

    #[test]
    fn lines_are_told_apart() {
        assert_eq!(whole_lines(b"a\nbc\nd"), b"a\nbc\n");
        assert_eq!(whole_lines(b"abc"), b"");
        assert_eq!(whole_lines(b"\n"), b"\n");
        assert_eq!(first_line(b"a\nbc\nd"), Some(&b"a\n"[..]));
        assert_eq!(first_line(b"abc"), None);
        assert_eq!(count_lines(b"a\nbc\nd"), 2);
        assert_eq!(count_lines(b""), 0);
    }

    #[test]
    fn a_position_follows_the_lines() {
        let mut position = Position::at(10);
        assert!(!position.is_in_line());
        position.advance(b"ab");
        assert_eq!((position.length, position.line), (12, 10));
        assert!(position.is_in_line());
        position.advance(b"c\nd");
        assert_eq!((position.length, position.line), (15, 14));
        position.advance(b"\n");
        assert_eq!((position.length, position.line), (16, 16));
    }

    fn cut(length: u64, line: u64, bytes: &[u8]) -> (usize, bool) {
        Position { length, line }.cut(10, 10, bytes)
    }

    #[test]
    fn what_fits_is_written() {
        assert_eq!(cut(0, 0, b"0123456789"), (10, false));
        assert_eq!(cut(7, 7, b"ab\n"), (3, false));
        assert_eq!(cut(10, 10, b""), (0, false));
    }

    #[test]
    fn a_file_ends_with_the_last_line_that_fits() {
        assert_eq!(cut(0, 0, b"012\n45\n789ab"), (7, true));
        assert_eq!(cut(6, 4, b"x\nyy\n"), (2, true));
        assert_eq!(cut(7, 7, b"aaa\n"), (0, true));
        assert_eq!(cut(20, 20, b"aaa\n"), (0, true));
    }

    #[test]
    fn a_line_that_has_begun_is_finished() {
        // Four bytes of it are written: six more may be.
        assert_eq!(cut(9, 5, b"abc\ndef\n"), (4, true));
        assert_eq!(cut(9, 5, b"abcdef"), (6, false));
    }

    #[test]
    fn only_a_line_longer_than_a_file_is_split() {
        assert_eq!(cut(0, 0, b"0123456789ab"), (10, true));
        assert_eq!(cut(9, 5, b"abcdefg"), (6, true));
        assert_eq!(cut(15, 5, b"a"), (0, true));
        assert_eq!(cut(12, 0, b"a\n"), (0, true));
    }

    #[test]
    fn every_cut_makes_progress_where_a_file_cannot_be_rotated() {
        for text in [
            &b"abcdefghijklmnopqrstuvwxyz"[..],
            b"ab\ncdefghijklmnopq\n",
            b"\n\n\n\n",
        ] {
            for line in 0..=30 {
                let mut position = Position { length: 30, line };
                let (mut limit, mut rest, mut rotations) = (10, text, 0);
                while !rest.is_empty() {
                    let (count, rotates) = position.cut(limit, 10, rest);
                    position.advance(&rest[..count]);
                    rest = &rest[count..];
                    if rotates {
                        limit = position.length + 10;
                        rotations += 1;
                    }
                    assert!(rotations < 10);
                }
            }
        }
    }

    /// All texts up to a length, in all pieces: nothing is lost, and only lines longer than a file are split.
    #[test]
    fn no_line_is_torn() {
        let size = 6;
        for number in 0_u32..1 << 12 {
            let text: std::vec::Vec<u8> = (0..12)
                .map(|bit| if number >> bit & 1 == 0 { b'x' } else { b'\n' })
                .collect();
            let longest = text.split(|byte| *byte == b'\n').map(<[u8]>::len).max();
            for piece in [1, 3, 7, 12] {
                let mut files = std::vec![std::vec::Vec::new()];
                let mut position = Position::default();
                for mut bytes in text.chunks(piece) {
                    while !bytes.is_empty() {
                        let (count, rotates) = position.cut(size, size, bytes);
                        files.last_mut().unwrap().extend(&bytes[..count]);
                        position.advance(&bytes[..count]);
                        bytes = &bytes[count..];
                        if rotates {
                            files.push(std::vec::Vec::new());
                            position = Position::default();
                        }
                    }
                }
                assert_eq!(files.concat(), text);
                for file in &files[..files.len() - 1] {
                    assert!(file.len() as u64 <= 2 * size, "{files:?}");
                    let is_whole = file.ends_with(b"\n") || longest >= Some(size as usize);
                    assert!(is_whole, "{files:?}");
                }
            }
        }
    }
}
