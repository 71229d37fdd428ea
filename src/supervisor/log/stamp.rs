//! Times in front of lines. Pure.

use super::options::LogTime;
use crate::protocol::{Errno, Nanoseconds, SECOND};

/// Room for the longest stamp.
const STAMP_SIZE: usize = 32;

/// The seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// A time, in the form in which it stands in front of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    text: [u8; STAMP_SIZE],
    length: usize,
}

impl Stamp {
    /// `2026-11-29T18:17:57.123Z ` or `[  123.456789] `, as the kernel's log has it. `- ` if the clock cannot be read.
    pub(super) fn new(kind: LogTime, time: Result<Nanoseconds, Errno>) -> Self {
        let mut stamp = Self {
            text: [0; STAMP_SIZE],
            length: 0,
        };
        match (kind, time) {
            (LogTime::None, _) => {}
            (_, Err(_)) => stamp.put(b"- "),
            (LogTime::Utc, Ok(time)) => stamp.put_date(time),
            (LogTime::Boot, Ok(time)) => {
                stamp.put(b"[");
                stamp.put_number(time / SECOND, 5, b' ');
                stamp.put(b".");
                stamp.put_number(time % SECOND / 1000, 6, b'0');
                stamp.put(b"] ");
            }
        }
        stamp
    }

    pub(super) fn text(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or_default()
    }

    fn put(&mut self, text: &[u8]) {
        for byte in text {
            if let Some(slot) = self.text.get_mut(self.length) {
                *slot = *byte;
                self.length = self.length.saturating_add(1);
            }
        }
    }

    /// Appends a number, with as many of this byte before it as it has fewer digits than `width`.
    fn put_number(&mut self, number: u64, width: u32, fill: u8) {
        let mut unit = 10_u64.saturating_pow(width.saturating_sub(1));
        while number / 10 >= unit {
            unit = unit.saturating_mul(10);
        }
        while unit > 0 {
            let digit = match number < unit && unit > 1 {
                true => fill,
                false => b'0' | (number.checked_div(unit).unwrap_or(0) % 10) as u8,
            };
            self.put(&[digit]);
            unit /= 10;
        }
    }

    /// Appends the date and the time since 1970.
    fn put_date(&mut self, time: Nanoseconds) {
        let seconds = time / SECOND;
        let (year, month, day) = date(seconds / DAY);
        for (number, width, after) in [
            (year, 4, b"-"),
            (month, 2, b"-"),
            (day, 2, b"T"),
            (seconds % DAY / 3600, 2, b":"),
            (seconds % 3600 / 60, 2, b":"),
            (seconds % 60, 2, b"."),
            (time % SECOND / 1_000_000, 3, b"Z"),
        ] {
            self.put_number(number, width, b'0');
            self.put(after);
        }
        self.put(b" ");
    }
}

/// The year, the month and the day, so many days after the first of January 1970.
fn date(days: u64) -> (u64, u64, u64) {
    // Years that begin in March have the leap day at their end. 400 of them have 146,097 days.
    let days = days.saturating_add(719_468);
    let (era, day) = (days / 146_097, days % 146_097);
    let leap_days = (day / 36_524)
        .wrapping_sub(day / 1460)
        .wrapping_sub(day / 146_096);
    let year = day.wrapping_add(leap_days) / 365;
    let before = (year.wrapping_mul(365))
        .wrapping_add(year / 4)
        .wrapping_sub(year / 100);
    let day = day.wrapping_sub(before);
    // Five months have 153 days, from March and from August on.
    let month = day.wrapping_mul(5).wrapping_add(2) / 153;
    let first = month.wrapping_mul(153).wrapping_add(2) / 5;
    let is_next_year = month > 9;
    let year = era
        .wrapping_mul(400)
        .wrapping_add(year)
        .wrapping_add(is_next_year.into());
    let month = month.wrapping_add(if is_next_year {
        3_u64.wrapping_sub(12)
    } else {
        3
    });
    (year, month, day.wrapping_sub(first).wrapping_add(1))
}

/// Puts times in front of lines, which come in pieces.
#[derive(Debug)]
pub(super) struct Stamper {
    /// Whether a line has begun that has not ended.
    pub(super) is_in_line: bool,
}

impl Stamper {
    /// Copies lines to a buffer, with the stamp in front of each, until there are no more or the buffer is full.
    /// Returns how many bytes were taken, and how many of the buffer are filled. The buffer must have room for more
    /// than a stamp.
    pub(super) fn fill(&mut self, stamp: &Stamp, text: &[u8], buffer: &mut [u8]) -> (usize, usize) {
        let size = buffer.len();
        let (mut rest, mut room) = (text, buffer);
        while !rest.is_empty() {
            if !self.is_in_line {
                let stamp = stamp.text();
                // One byte more: a stamp is never alone.
                if room.len() <= stamp.len() {
                    break;
                }
                room = copy(stamp, room);
                self.is_in_line = true;
            }
            if room.is_empty() {
                break;
            }
            let piece = rest.get(..room.len()).unwrap_or(rest);
            let line = super::position::first_line(piece);
            self.is_in_line = line.is_none();
            let line = line.unwrap_or(piece);
            room = copy(line, room);
            rest = rest.get(line.len()..).unwrap_or_default();
        }
        let taken = text.len().wrapping_sub(rest.len());
        (taken, size.wrapping_sub(room.len()))
    }
}

/// Copies a text to a buffer that has room for it, and returns what remains of the buffer.
fn copy<'b>(text: &[u8], buffer: &'b mut [u8]) -> &'b mut [u8] {
    let (head, tail) = buffer.split_at_mut_checked(text.len()).unwrap_or_default();
    if head.len() == text.len() {
        head.copy_from_slice(text);
    }
    tail
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::{LogTime, Stamp, Stamper, date};
    use crate::protocol::{Errno, SECOND};

    fn stamp(kind: LogTime, time: u64) -> String {
        String::from_utf8_lossy(Stamp::new(kind, Ok(time)).text()).to_string()
    }

    #[test]
    fn times_are_in_utc_or_since_boot() {
        let utc = |time| stamp(LogTime::Utc, time);
        assert_eq!(utc(0), "1970-01-01T00:00:00.000Z ");
        assert_eq!(
            utc(951_782_399 * SECOND + 999_999_999),
            "2000-02-28T23:59:59.999Z "
        );
        assert_eq!(utc(951_782_400 * SECOND), "2000-02-29T00:00:00.000Z ");
        assert_eq!(utc(4_107_542_399 * SECOND), "2100-02-28T23:59:59.000Z ");
        assert_eq!(utc(4_107_542_400 * SECOND), "2100-03-01T00:00:00.000Z ");
        assert_eq!(utc(1_796_062_677 * SECOND), "2026-11-30T18:17:57.000Z ");
        let boot = |time| stamp(LogTime::Boot, time);
        assert_eq!(boot(0), "[    0.000000] ");
        assert_eq!(boot(123 * SECOND + 45_678_900), "[  123.045678] ");
        assert_eq!(boot(u64::MAX), "[18446744073.709551] ");
        assert_eq!(stamp(LogTime::None, 7), "");
        let unknown = Stamp::new(LogTime::Utc, Err(Errno::EPERM));
        assert_eq!(unknown.text(), b"- ");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..200_000 {
            assert_eq!(date(days), (year, month, day), "{days}");
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 if is_leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > last {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }

    #[test]
    fn every_line_has_one_stamp() {
        let stamp = Stamp::new(LogTime::Boot, Ok(5 * SECOND));
        let mark = "[    5.000000] ";
        let text = "one\n\nthree, a longer line\nfour";
        let lines: Vec<String> = text.lines().map(|line| format!("{mark}{line}")).collect();
        let expected = lines.join("\n");
        for size in mark.len() + 1..200 {
            for piece in 1..text.len() {
                let mut stamper = Stamper { is_in_line: false };
                let mut written = Vec::new();
                for mut rest in text.as_bytes().chunks(piece) {
                    while !rest.is_empty() {
                        let mut buffer = std::vec![0; size];
                        let (taken, filled) = stamper.fill(&stamp, rest, &mut buffer);
                        assert!(filled > 0);
                        rest = &rest[taken..];
                        written.extend_from_slice(&buffer[..filled]);
                    }
                }
                assert_eq!(String::from_utf8_lossy(&written), expected);
            }
        }
    }

    #[test]
    fn a_line_that_had_begun_has_no_stamp() {
        let stamp = Stamp::new(LogTime::Boot, Ok(0));
        let mut stamper = Stamper { is_in_line: true };
        let mut buffer = [0; 64];
        let (taken, filled) = stamper.fill(&stamp, b"end\nnext", &mut buffer);
        assert_eq!(
            (taken, &buffer[..filled]),
            (8, &b"end\n[    0.000000] next"[..])
        );
    }
}
