//! Output: lines on standard error, and what a user has asked for on standard output.

use rawdaemon::internal::{Packed, packed, write_number};

use crate::os::{STDERR, STDOUT, SUCCESS, write_all};

/// Writes a line that contains this text.
pub(crate) fn write_line(text: Packed) {
    let mut line = Line::new();
    line.say(text);
    line.end();
}

/// The escape sequence that erases from the cursor to the end of the line (EL of ECMA-48).
pub(crate) const ERASE_TO_END: &[u8] = b"\x1b[K";

/// A line for standard error, or text for standard output. It is written with one write(2). A line that is longer
/// than the buffer takes several.
pub(crate) struct Line {
    bytes: [u8; 2048],
    length: usize,
}

impl Line {
    /// Text for standard output, which must fit in the buffer.
    pub(crate) fn empty() -> Self {
        Self {
            bytes: [0; 2048],
            length: 0,
        }
    }

    /// A line for standard error.
    pub(crate) fn new() -> Self {
        let mut line = Self::empty();
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

    /// Adds constant text.
    #[inline(never)]
    pub(crate) fn say(&mut self, text: Packed) {
        text.write(&mut |piece| self.add(piece));
    }

    /// Adds a byte as it is.
    pub(crate) fn push(&mut self, byte: u8) {
        if self.length == self.bytes.len() {
            self.flush();
        }
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = byte;
            self.length = self.length.saturating_add(1);
        }
    }

    fn text(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn flush(&mut self) {
        let _ = write_all(STDERR, self.text());
        self.length = 0;
    }

    /// Replaces the line on the terminal with the first `width` bytes of this line.
    pub(crate) fn redraw(&self, width: usize) {
        let line = self.text();
        let line = line.get(..width).unwrap_or(line);
        let _ = write_all(STDERR, b"\r");
        let _ = write_all(STDERR, line);
        let _ = write_all(STDERR, ERASE_TO_END);
    }

    pub(crate) fn add_number(&mut self, number: u32) {
        write_number(number, &mut |digits| self.add(digits));
    }

    /// Ends the line and writes it.
    pub(crate) fn end(&mut self) {
        self.push(b'\n');
        self.flush();
    }

    /// Writes the text to standard output, and empties it. Returns `failure`, after a line, if it cannot be written.
    pub(crate) fn print(&mut self, failure: u8) -> u8 {
        let printed = write_all(STDOUT, self.text());
        self.length = 0;
        let Err(errno) = printed else {
            return SUCCESS;
        };
        let mut line = Self::new();
        line.say(packed!("cannot write to standard output: "));
        errno.describe(&mut |piece| line.add(piece));
        line.end();
        failure
    }
}
