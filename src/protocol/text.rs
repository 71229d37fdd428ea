//! Plain text, said in pieces: without the machinery of `core::fmt`, which is larger than the rest
//! of the command.

/// Takes text, piece after piece.
pub type Say<'s> = dyn FnMut(&[u8]) + 's;

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
pub fn say_number(number: u32, say: &mut Say<'_>) {
    if let [digits @ .., _] = number_line(number.into(), &mut [0; NUMBER_LINE]) {
        say(digits);
    }
}

/// What comes before the first such byte, and what follows it if it is there.
#[inline(never)]
pub(crate) fn cut(text: &[u8], byte: u8) -> (&[u8], Option<&[u8]>) {
    let mut rest = Some(text);
    (take(&mut rest, byte), rest)
}

/// Takes off a text what comes before the first such byte, and the byte; nothing is left of a text
/// without it.
#[inline(never)]
pub(crate) fn take<'t>(text: &mut Option<&'t [u8]>, byte: u8) -> &'t [u8] {
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
#[inline(never)]
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

/// The line of `text` with this index; empty if there is none.
#[inline(never)]
#[must_use]
pub fn line(text: &[u8], index: usize) -> &[u8] {
    let mut lines = Some(text);
    let mut before = index;
    while before > 0 && lines.is_some() {
        take(&mut lines, b'\n');
        before = before.saturating_sub(1);
    }
    take(&mut lines, b'\n')
}

/// The index of the first such line of `text`.
#[inline(never)]
pub(crate) fn index_of(line: &[u8], text: &[u8]) -> Option<usize> {
    let mut index = 0_usize;
    let mut lines = Some(text);
    while lines.is_some() {
        if take(&mut lines, b'\n') == line {
            return Some(index);
        }
        index = index.saturating_add(1);
    }
    None
}

/// The number that these digits are, to a base of at most ten; `None` for anything else.
#[inline(never)]
pub(crate) fn number(text: &[u8], base: u8) -> Option<u64> {
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
pub(crate) fn signed_number(text: &[u8], least: i32, most: i32) -> Option<i32> {
    let number = match text {
        [b'-', digits @ ..] => i32::try_from(number(digits, 10)?).ok()?.wrapping_neg(),
        digits => i32::try_from(number(digits, 10)?).ok()?,
    };
    (least <= number && number <= most).then_some(number)
}

/// Lets `Display` say what [`Say`] takes; what is not UTF-8 shows as U+FFFD.
pub(super) fn display(
    f: &mut core::fmt::Formatter<'_>,
    tell: impl FnOnce(&mut Say<'_>),
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
        NUMBER_LINE, cut, index_of, join, line, number, number_line, say_number, signed_number,
        take,
    };

    #[test]
    fn text_is_cut_at_the_first_such_byte() {
        assert_eq!(cut(b"a=b=c", b'='), (&b"a"[..], Some(&b"b=c"[..])));
        assert_eq!(cut(b"a=", b'='), (&b"a"[..], Some(&b""[..])));
        assert_eq!(cut(b"=", b'='), (&b""[..], Some(&b""[..])));
        assert_eq!(cut(b"a", b'='), (&b"a"[..], None));
        assert_eq!(cut(b"", b'='), (&b""[..], None));
        let mut rest = Some(&b"a:b"[..]);
        let taken = [0; 3].map(|_| take(&mut rest, b':'));
        assert_eq!(taken, [&b"a"[..], b"b", b""]);
        let lines = [0, 1, 2, 3].map(|index| line(b"one 1\n\nthree", index));
        assert_eq!(lines, [&b"one 1"[..], b"", b"three", b""]);
    }

    #[test]
    fn a_line_is_found_as_a_whole() {
        let index = |line| index_of(line, b"one 1\n\nthree");
        assert_eq!(index(b"one 1"), Some(0));
        assert_eq!(index(b""), Some(1));
        assert_eq!(index(b"three"), Some(2));
        assert_eq!((index(b"one"), index(b"four")), (None, None));
    }

    #[test]
    fn what_has_no_room_is_left_out() {
        let mut room = *b".....";
        assert_eq!(join(b"ab", b"c", &mut room), b"abc");
        assert_eq!(&room, b"abc..");
        assert_eq!(join(b"abc", b"defg", &mut room), b"abcde");
        assert_eq!(join(b"abc", b"", &mut []), b"");
    }

    #[test]
    fn only_digits_are_a_number() {
        assert_eq!(number(b"0", 10), Some(0));
        assert_eq!(number(b"1048576", 10), Some(1_048_576));
        assert_eq!(number(b"18446744073709551615", 10), Some(u64::MAX));
        assert_eq!(number(b"0777", 8), Some(0o777));
        for text in [&b""[..], b".", b"-1", b"+1", b"1a", b"18446744073709551616"] {
            assert_eq!(number(text, 10), None);
        }
        assert_eq!(number(b"8", 8), None);
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
        say_number(1234, &mut |piece| said.extend_from_slice(piece));
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
            assert_eq!(signed_number(text, value, value), Some(value));
            assert_eq!(signed_number(text, i32::MIN, value - 1), None);
            assert_eq!(signed_number(text, -i32::MAX, i32::MAX), Some(value));
        }
        for text in ["", "-", "--1", "+1", "2147483648", "-2147483648", "1-"] {
            assert_eq!(signed_number(text.as_bytes(), i32::MIN, i32::MAX), None);
        }
    }
}
