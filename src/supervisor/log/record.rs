//! Lines as records, each with a priority and a name. Pure.

use super::position::first_line;
use crate::text::{concat, write_number};

/// The longest record. The kernel refuses one of more than 1024 bytes, older kernels one of more than 976 or 992; RFC
/// 3164 allows 1024 bytes.
pub(super) const RECORD_SIZE: usize = 960;

/// Room for a priority and a name.
const PREFIX_SIZE: usize = 80;

/// The severity `info` (syslog(3)).
const INFO: u32 = 6;

/// The text in front of each record: `<30>web: `.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix {
    text: [u8; PREFIX_SIZE],
    length: usize,
}

impl Prefix {
    pub(super) fn new(facility: u8, name: &[u8]) -> Self {
        let priority = u32::from(facility) << 3 | INFO;
        let mut digits = [0; 4];
        let mut count = 0;
        write_number(priority, &mut |piece| {
            count = concat(&[piece], &mut digits).len()
        });
        // A longer name is cut: the text of the record needs room.
        let name = name.get(..PREFIX_SIZE.wrapping_sub(16)).unwrap_or(name);
        let mut text = [0; PREFIX_SIZE];
        let texts = [
            b"<",
            digits.get(..count).unwrap_or_default(),
            b">",
            name,
            b": ",
        ];
        let length = concat(&texts, &mut text).len();
        Self { text, length }
    }

    /// The record of a text.
    pub(super) fn record<'b>(&self, text: &[u8], buffer: &'b mut [u8]) -> &'b [u8] {
        concat(
            &[self.text.get(..self.length).unwrap_or_default(), text],
            buffer,
        )
    }

    /// The longest text that fits into a record.
    pub(super) const fn room(&self) -> usize {
        RECORD_SIZE.saturating_sub(self.length)
    }
}

/// Passes each line on, without its newline; a longer one than `most` in pieces. Returns how many bytes are left: an
/// unfinished line, which `is_end` passes on too. Empty lines are left out.
pub(super) fn split_lines(
    text: &[u8],
    most: usize,
    is_end: bool,
    put: &mut dyn FnMut(&[u8]),
) -> usize {
    let mut rest = text;
    while !rest.is_empty() {
        let window = rest.get(..=most).unwrap_or(rest);
        let (line, length) = match first_line(window) {
            Some([line @ .., _]) => (line, line.len().wrapping_add(1)),
            _ if window.len() > most => {
                let piece = whole_characters(window.get(..most).unwrap_or_default());
                (piece, piece.len())
            }
            _ if is_end => (rest, rest.len()),
            _ => break,
        };
        if !line.is_empty() {
            put(line);
        }
        rest = rest.get(length.max(1)..).unwrap_or_default();
    }
    rest.len()
}

/// The text without a UTF-8 character that is cut off at its end.
fn whole_characters(text: &[u8]) -> &[u8] {
    let mut end = text.len();
    for byte in text.iter().rev().take(4) {
        match byte {
            // It continues a character.
            0x80..=0xbf => end = end.wrapping_sub(1),
            // A character begins, of two, three or four bytes.
            0xc0.. => {
                let begin = end.wrapping_sub(1);
                let size = match byte {
                    ..0xe0 => 2,
                    ..0xf0 => 3,
                    _ => 4,
                };
                let is_whole = text.len().wrapping_sub(begin) >= size;
                return if is_whole {
                    text
                } else {
                    text.get(..begin).unwrap_or(text)
                };
            }
            _ => return text,
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::{Prefix, RECORD_SIZE, split_lines, whole_characters};

    fn split(text: &str, most: usize, is_end: bool) -> (Vec<String>, usize) {
        let mut lines = Vec::new();
        let left = split_lines(text.as_bytes(), most, is_end, &mut |line| {
            lines.push(core::str::from_utf8(line).unwrap().to_string());
        });
        (lines, left)
    }

    #[test]
    fn a_record_has_a_priority_and_a_name() {
        let mut buffer = [0; RECORD_SIZE];
        let prefix = Prefix::new(3, b"web");
        assert_eq!(prefix.record(b"up", &mut buffer), b"<30>web: up");
        assert_eq!(prefix.room(), RECORD_SIZE - 9);
        let prefix = Prefix::new(23, b"web");
        assert_eq!(prefix.record(b"up", &mut buffer), b"<190>web: up");
        let prefix = Prefix::new(0, &[b'x'; 300]);
        let text = [b'y'; RECORD_SIZE];
        let record = prefix.record(&text[..prefix.room()], &mut buffer);
        assert_eq!(record.len(), RECORD_SIZE);
        assert!(record.starts_with(b"<6>xxx") && record.windows(2).any(|pair| pair == b": "));
    }

    #[test]
    fn each_line_is_a_record() {
        let lines = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            split("one\n\ntwo\nthr", 8, false),
            (lines(&["one", "two"]), 3)
        );
        assert_eq!(
            split("one\n\ntwo\nthr", 8, true),
            (lines(&["one", "two", "thr"]), 0)
        );
        assert_eq!(split("12345678\n9", 8, false), (lines(&["12345678"]), 1));
        assert_eq!(
            split("123456789\n", 8, false),
            (lines(&["12345678", "9"]), 0)
        );
        assert_eq!(split("12345678", 8, false), (lines(&[]), 8));
        assert_eq!(
            split("1234567é9\n", 8, false),
            (lines(&["1234567", "é9"]), 0)
        );
        assert_eq!(split("", 8, true), (lines(&[]), 0));
    }

    #[test]
    fn characters_are_not_cut() {
        for (text, length) in [
            (&b"abc"[..], 3),
            ("aé".as_bytes(), 3),
            (&"aé".as_bytes()[..2], 1),
            (&"a€".as_bytes()[..3], 1),
            ("a€".as_bytes(), 4),
            (&"a😀".as_bytes()[..4], 1),
            (b"\x80\x80\x80\x80\x80", 5),
            (b"", 0),
        ] {
            assert_eq!(whole_characters(text).len(), length, "{text:?}");
        }
        // A first byte alone is passed on.
        assert_eq!(split_lines(b"\xf0\xf0\xf0\xf0", 1, false, &mut |_| ()), 1);
    }
}
