//! Plain text, said in pieces: without the machinery of `core::fmt`, which is larger than the rest
//! of the command.

/// Takes text, piece after piece.
pub type Sink<'s> = dyn FnMut(&[u8]) + 's;

/// Room for the digits of any number, a sign and a newline.
pub(crate) const NUMBER_LINE: usize = 22;

/// The number in decimal digits as a line of its own, which is what files of one number have.
pub(crate) fn number_line(number: i64, buffer: &mut [u8; NUMBER_LINE]) -> &[u8] {
    let mut start = NUMBER_LINE;
    let mut put = |byte| {
        start = start.saturating_sub(1);
        if let Some(place) = buffer.get_mut(start) {
            *place = byte;
        }
    };
    put(b'\n');
    let mut left = number.unsigned_abs();
    loop {
        put(b'0' | (left % 10) as u8);
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if number < 0 {
        put(b'-');
    }
    buffer.get(start..).unwrap_or_default()
}

/// Says a number in decimal digits.
pub fn write_number(number: u32, out: &mut Sink<'_>) {
    if let [digits @ .., _] = number_line(number.into(), &mut [0; NUMBER_LINE]) {
        out(digits);
    }
}

/// What comes before the first such byte, and what follows it if it is there.
pub fn split_once(text: &[u8], byte: u8) -> (&[u8], Option<&[u8]>) {
    let mut rest = Some(text);
    (next_field(&mut rest, byte), rest)
}

/// Takes off a text what comes before the first such byte, and the byte; nothing is left of a text
/// without it.
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

/// Puts one text and then another one to `room`, as far as there is any; gives what it has of them.
pub fn join<'r>(first: &[u8], second: &[u8], room: &'r mut [u8]) -> &'r [u8] {
    let mut length = 0_usize;
    for text in [first, second] {
        for byte in text {
            if let Some(place) = room.get_mut(length) {
                *place = *byte;
                length = length.saturating_add(1);
            }
        }
    }
    room.get(..length).unwrap_or_default()
}

/// Short texts, packed as the lines of one. An array of `&str` is 16 bytes larger for each of them;
/// C libraries pack the names of errors and signals in the same way.
#[derive(Clone, Copy, Debug)]
pub struct Lines(&'static str);

impl Lines {
    /// The lines of this text, each of which ends in a newline. The macro `lines!` makes it.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        Self(text)
    }

    /// The line at this index; empty if there is none.
    #[must_use]
    pub fn get(self, index: usize) -> &'static [u8] {
        self.iter().nth(index).unwrap_or_default()
    }

    /// The index of the first line that is this text.
    #[must_use]
    pub fn position(self, text: &[u8]) -> Option<usize> {
        self.iter().position(|line| line == text)
    }

    /// All lines, without their newlines.
    pub fn iter(self) -> impl Iterator<Item = &'static [u8]> {
        let mut rest = self.0.as_bytes();
        core::iter::from_fn(move || {
            let (line, after) = split_once(rest, b'\n');
            rest = after?;
            Some(line)
        })
    }
}

/// Makes [`Lines`] of texts; the parts of each one are separated by commas, and `;` ends it.
macro_rules! lines {
    ($($($part:expr),+;)*) => {
        $crate::text::Lines::new(concat!($($($part,)+ "\n",)*))
    };
}
pub(crate) use lines;

/// The number that these digits are, to a base of at most ten; `None` for anything else.
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

/// The number that these digits are, after a minus sign if there is one, in this range.
pub fn parse_signed(text: &[u8], least: i32, most: i32) -> Option<i32> {
    let number = match text {
        [b'-', digits @ ..] => i32::try_from(parse_number(digits, 10)?)
            .ok()?
            .wrapping_neg(),
        digits => i32::try_from(parse_number(digits, 10)?).ok()?,
    };
    (least <= number && number <= most).then_some(number)
}

/// Lets `Display` say what [`Sink`] takes; what is not UTF-8 shows as U+FFFD.
pub(crate) fn display(
    f: &mut core::fmt::Formatter<'_>,
    tell: impl FnOnce(&mut Sink<'_>),
) -> core::fmt::Result {
    let mut result = Ok(());
    tell(&mut |piece| {
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
    fn text_is_split_at_the_first_such_byte() {
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
    fn lines_are_like_an_array() {
        let lines = [0, 1, 2, 3].map(|index| LINES.get(index));
        assert_eq!(lines, [&b"one 1"[..], b"", b"three", b""]);
        assert_eq!(LINES.iter().count(), 3);
        assert_eq!(lines![].iter().count(), 0);
    }

    #[test]
    fn a_line_is_found_as_a_whole() {
        assert_eq!(LINES.position(b"one 1"), Some(0));
        assert_eq!(LINES.position(b""), Some(1));
        assert_eq!(LINES.position(b"three"), Some(2));
        assert_eq!(
            (LINES.position(b"one"), LINES.position(b"four")),
            (None, None)
        );
    }

    #[test]
    fn text_is_cut_where_the_room_ends() {
        let mut room = *b".....";
        assert_eq!(join(b"ab", b"c", &mut room), b"abc");
        assert_eq!(&room, b"abc..");
        assert_eq!(join(b"abc", b"defg", &mut room), b"abcde");
        assert_eq!(join(b"abc", b"", &mut []), b"");
    }

    #[test]
    fn only_digits_are_a_number() {
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
    fn numbers_are_decimal() {
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
        let mut said = std::vec::Vec::new();
        write_number(1234, &mut |piece| said.extend_from_slice(piece));
        assert_eq!(said, b"1234");
    }

    #[test]
    fn a_number_may_have_a_sign() {
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
