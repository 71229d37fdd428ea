//! Lines on standard error.

use rawdaemon::internal::write_number;

use crate::os::{STDERR, write_all};

/// Writes one line.
pub(crate) fn write_line(text: &[u8]) {
    let mut line = Line::new();
    line.add(text);
    line.end();
}

/// Erases the rest of a terminal's line: ECMA-48's EL.
pub(crate) const ERASE: &[u8] = b"\x1b[K";

/// A line for standard error, written by one write(2) unless it is longer than the buffer.
pub(crate) struct Line {
    bytes: [u8; 512],
    length: usize,
}

impl Line {
    pub(crate) fn new() -> Self {
        let mut line = Self {
            bytes: [0; 512],
            length: 0,
        };
        line.add(b"rawdaemon: ");
        line
    }

    /// Adds text, with `?` in place of control characters: a path may contain any bytes.
    pub(crate) fn add(&mut self, piece: &[u8]) {
        let mut before = 0;
        for byte in piece {
            // U+0080 to U+009F are control characters too, and commands to some terminals.
            let is_control =
                byte.is_ascii_control() || before == 0xc2 && matches!(byte, 0x80..0xa0);
            self.put(if is_control { b'?' } else { *byte });
            before = *byte;
        }
    }

    fn put(&mut self, byte: u8) {
        if self.length == self.bytes.len() {
            self.flush();
        }
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = byte;
            self.length = self.length.saturating_add(1);
        }
    }

    fn flush(&mut self) {
        write_all(STDERR, self.bytes.get(..self.length).unwrap_or_default());
        self.length = 0;
    }

    /// Replaces the line on the terminal by this one, cut to so many columns.
    pub(crate) fn show(&self, width: usize) {
        let all = self.bytes.get(..self.length).unwrap_or_default();
        write_all(STDERR, b"\r");
        write_all(STDERR, all.get(..width).unwrap_or(all));
        write_all(STDERR, ERASE);
    }

    /// Adds a number.
    pub(crate) fn add_number(&mut self, number: u32) {
        write_number(number, &mut |digits| self.add(digits));
    }

    /// Ends the line and writes it.
    pub(crate) fn end(&mut self) {
        self.put(b'\n');
        self.flush();
    }
}
