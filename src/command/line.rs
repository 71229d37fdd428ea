//! Lines on standard error.

use rawdaemon::internal::write_number;

use crate::os::{STDERR, write_all};

/// Writes a line that contains this text.
pub(crate) fn write_line(text: &[u8]) {
    let mut line = Line::new();
    line.add(text);
    line.end();
}

/// The escape sequence that erases from the cursor to the end of the line (EL of ECMA-48).
pub(crate) const ERASE_TO_END: &[u8] = b"\x1b[K";

/// A line for standard error. It is written with one write(2), unless it is longer than the buffer.
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

    /// Adds text. A `?` replaces each control character, because a path may contain any bytes.
    pub(crate) fn add(&mut self, text: &[u8]) {
        let mut previous = 0;
        for byte in text {
            // U+0080 to U+009F are control characters too. Some terminals execute them.
            let is_control =
                byte.is_ascii_control() || previous == 0xc2 && matches!(byte, 0x80..0xa0);
            self.push(if is_control { b'?' } else { *byte });
            previous = *byte;
        }
    }

    fn push(&mut self, byte: u8) {
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

    /// Replaces the line on the terminal with the first `width` bytes of this line.
    pub(crate) fn redraw(&self, width: usize) {
        let line = self.bytes.get(..self.length).unwrap_or_default();
        write_all(STDERR, b"\r");
        write_all(STDERR, line.get(..width).unwrap_or(line));
        write_all(STDERR, ERASE_TO_END);
    }

    pub(crate) fn add_number(&mut self, number: u32) {
        write_number(number, &mut |digits| self.add(digits));
    }

    /// Ends the line and writes it.
    pub(crate) fn end(&mut self) {
        self.push(b'\n');
        self.flush();
    }
}
