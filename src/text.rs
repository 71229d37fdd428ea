//! Byte strings: output, splitting, numbers, and packed tables. Pure.
//!
//! Output does not use `core::fmt`, whose code is larger than the rest of the command.

/// A function that takes output piece by piece.
pub type Sink<'s> = dyn FnMut(&[u8]) + 's;

/// The size of a buffer for the digits of any number, a sign and a newline.
pub const NUMBER_LINE: usize = 22;

/// Formats a number in decimal, followed by a newline, as in a pidfile.
pub fn number_line(number: i64, buffer: &mut [u8; NUMBER_LINE]) -> &[u8] {
    let mut start = NUMBER_LINE;
    let mut put = |byte| {
        start = start.saturating_sub(1);
        if let Some(slot) = buffer.get_mut(start) {
            *slot = byte;
        }
    };
    put(b'\n');
    let mut rest = number.unsigned_abs();
    loop {
        put(b'0' | (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        put(b'-');
    }
    buffer.get(start..).unwrap_or_default()
}

/// Writes a number in decimal.
pub fn write_number(number: u32, out: &mut Sink<'_>) {
    if let [digits @ .., _] = number_line(number.into(), &mut [0; NUMBER_LINE]) {
        out(digits);
    }
}

/// Splits a text at the first `byte`. The second part is `None` if the text does not contain it.
pub fn split_once(text: &[u8], byte: u8) -> (&[u8], Option<&[u8]>) {
    let mut rest = Some(text);
    (next_field(&mut rest, byte), rest)
}

/// What comes before `end` in a text that ends in it.
///
/// The functions of slices for this, and for prefixes, have a panic that the compiler does not always remove.
pub fn before<'t>(text: &'t [u8], end: &[u8]) -> Option<&'t [u8]> {
    let (head, tail) = text.split_at_checked(text.len().checked_sub(end.len())?)?;
    (tail == end).then_some(head)
}

/// What follows `start` in a text that begins with it.
pub(crate) fn after<'t>(text: &'t [u8], start: &[u8]) -> Option<&'t [u8]> {
    let (head, tail) = text.split_at_checked(start.len())?;
    (head == start).then_some(tail)
}

/// Removes the part up to and including the first `byte` from a text, and returns it without that byte.
/// The last field leaves `None`.
pub fn next_field<'t>(text: &mut Option<&'t [u8]>, byte: u8) -> &'t [u8] {
    let whole = text.take().unwrap_or_default();
    for (index, other) in whole.iter().enumerate() {
        if *other == byte {
            let (before, after) = whole.split_at_checked(index).unwrap_or_default();
            *text = after.split_first().map(|(_, after)| after);
            return before;
        }
    }
    whole
}

/// Copies two texts to `buffer`, one after the other, and returns the copy. It is truncated if `buffer`
/// is too short.
pub fn join<'b>(first: &[u8], second: &[u8], buffer: &'b mut [u8]) -> &'b [u8] {
    concat(&[first, second], buffer)
}

/// [`join`], for any number of texts.
#[inline(never)]
pub(crate) fn concat<'b>(texts: &[&[u8]], buffer: &'b mut [u8]) -> &'b [u8] {
    let mut length = 0_usize;
    for text in texts {
        for byte in *text {
            if let Some(slot) = buffer.get_mut(length) {
                *slot = *byte;
                length = length.saturating_add(1);
            }
        }
    }
    buffer.get(..length).unwrap_or_default()
}

/// A table of short texts, packed as the lines of a single text. An array of `&str` would take 16 bytes
/// more for each entry. C libraries pack the names of errors and signals in the same way.
#[derive(Clone, Copy, Debug)]
pub struct Lines(&'static [u8]);

impl Lines {
    /// Makes a table of a text whose lines all end in a newline. Use the macro `lines!`.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        Self(text.as_bytes())
    }

    /// The same for bytes.
    #[must_use]
    pub const fn of_bytes(text: &'static [u8]) -> Self {
        Self(text)
    }

    /// The line at this index; empty if the index is out of range.
    #[must_use]
    pub fn get(self, index: usize) -> &'static [u8] {
        self.iter().nth(index).unwrap_or_default()
    }

    /// The index of the first line that equals this text.
    #[must_use]
    pub fn position(self, text: &[u8]) -> Option<usize> {
        self.iter().position(|line| line == text)
    }

    /// All lines, without their newlines.
    pub fn iter(self) -> impl Iterator<Item = &'static [u8]> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (line, after) = split_once(rest, b'\n');
            rest = after?;
            Some(line)
        })
    }
}

/// Makes [`Lines`]. Each line ends in `;` and may have several parts, separated by commas.
macro_rules! lines {
    ($($($part:expr),+;)*) => {
        $crate::text::Lines::new(concat!($($($part,)+ "\n",)*))
    };
}
pub(crate) use lines;

/// Parses an unsigned number in a base of at most ten. `None` if the text is empty, has anything but
/// digits, or does not fit.
pub fn parse_number(text: &[u8], base: u8) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        let number = number.checked_mul(base.into())?;
        (digit < base).then_some(number.checked_add(digit.into())?)
    })
}

/// Parses a decimal number, which may have a minus sign. `None` if it is outside the range from `least` to
/// `most`.
pub fn parse_signed(text: &[u8], least: i32, most: i32) -> Option<i32> {
    let number = match text {
        [b'-', digits @ ..] => i32::try_from(parse_number(digits, 10)?)
            .ok()?
            .wrapping_neg(),
        digits => i32::try_from(parse_number(digits, 10)?).ok()?,
    };
    (least <= number && number <= most).then_some(number)
}

/// Implements `Display` with a function that writes to a [`Sink`]. Bytes that are not UTF-8 become U+FFFD.
pub(crate) fn display(
    f: &mut core::fmt::Formatter<'_>,
    write: impl FnOnce(&mut Sink<'_>),
) -> core::fmt::Result {
    let mut result = Ok(());
    write(&mut |piece| {
        for chunk in piece.utf8_chunks() {
            let replacement = if chunk.invalid().is_empty() {
                ""
            } else {
                "\u{fffd}"
            };
            result = result
                .and_then(|()| f.write_str(chunk.valid()))
                .and_then(|()| f.write_str(replacement));
        }
    });
    result
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::{
        Lines, NUMBER_LINE, join, next_field, number_line, parse_number, parse_signed, split_once,
        write_number,
    };

    #[test]
    fn text_is_split_at_the_first_separator() {
        assert_eq!(split_once(b"a=b=c", b'='), (&b"a"[..], Some(&b"b=c"[..])));
        assert_eq!(split_once(b"a=", b'='), (&b"a"[..], Some(&b""[..])));
        assert_eq!(split_once(b"=", b'='), (&b""[..], Some(&b""[..])));
        assert_eq!(split_once(b"a", b'='), (&b"a"[..], None));
        assert_eq!(split_once(b"", b'='), (&b""[..], None));
        let mut rest = Some(&b"a:b"[..]);
        let taken = [0; 3].map(|_| next_field(&mut rest, b':'));
        assert_eq!(taken, [&b"a"[..], b"b", b""]);
    }

    const LINES: Lines = lines!["one ", 1; ""; "three";];

    #[test]
    fn lines_are_indexed_like_an_array() {
        let lines = [0, 1, 2, 3].map(|index| LINES.get(index));
        assert_eq!(lines, [&b"one 1"[..], b"", b"three", b""]);
        assert_eq!(LINES.iter().count(), 3);
        assert_eq!(lines![].iter().count(), 0);
    }

    #[test]
    fn only_a_whole_line_is_found() {
        assert_eq!(LINES.position(b"one 1"), Some(0));
        assert_eq!(LINES.position(b""), Some(1));
        assert_eq!(LINES.position(b"three"), Some(2));
        assert_eq!(
            (LINES.position(b"one"), LINES.position(b"four")),
            (None, None)
        );
    }

    #[test]
    fn joined_text_is_truncated_to_the_buffer() {
        let mut buffer = *b".....";
        assert_eq!(join(b"ab", b"c", &mut buffer), b"abc");
        assert_eq!(&buffer, b"abc..");
        assert_eq!(join(b"abc", b"defg", &mut buffer), b"abcde");
        assert_eq!(join(b"abc", b"", &mut []), b"");
    }

    #[test]
    fn numbers_are_parsed_from_digits_only() {
        assert_eq!(parse_number(b"0", 10), Some(0));
        assert_eq!(parse_number(b"1048576", 10), Some(1_048_576));
        assert_eq!(parse_number(b"18446744073709551615", 10), Some(u64::MAX));
        assert_eq!(parse_number(b"0777", 8), Some(0o777));
        for text in [&b""[..], b".", b"-1", b"+1", b"1a", b"18446744073709551616"] {
            assert_eq!(parse_number(text, 10), None);
        }
        assert_eq!(parse_number(b"8", 8), None);
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for value in [
            0,
            1,
            9,
            10,
            42,
            1234,
            4_194_304,
            u32::MAX.into(),
            i64::MAX,
            i64::MIN,
        ] {
            let line = format!("{value}\n");
            assert_eq!(number_line(value, &mut [0; NUMBER_LINE]), line.as_bytes());
        }
        let mut written = std::vec::Vec::new();
        write_number(1234, &mut |piece| written.extend_from_slice(piece));
        assert_eq!(written, b"1234");
    }

    #[test]
    fn signed_numbers_are_written_and_parsed() {
        for value in [0, 1, -1, 9, -20, 1000, -1000, i32::MAX, -i32::MAX] {
            let line = format!("{value}\n");
            assert_eq!(
                number_line(value.into(), &mut [0; NUMBER_LINE]),
                line.as_bytes()
            );
            let text = line.trim().as_bytes();
            assert_eq!(parse_signed(text, value, value), Some(value));
            assert_eq!(parse_signed(text, i32::MIN, value - 1), None);
            assert_eq!(parse_signed(text, -i32::MAX, i32::MAX), Some(value));
        }
        for text in ["", "-", "--1", "+1", "2147483648", "-2147483648", "1-"] {
            assert_eq!(parse_signed(text.as_bytes(), i32::MIN, i32::MAX), None);
        }
    }
}
