//! What a daemon says in a datagram of sd_notify(3).

use super::errno::Errno;
use super::verdict::Event;
use crate::text::{Lines, lines, next_field, parse_number, split_once};

/// The longest status text that is passed on, in bytes. A record and this go through a pipe whole.
pub const STATUS_SIZE: usize = 200;

/// The keys that mean something.
static KEYS: Lines = lines!["READY"; "ERRNO"; "EXTEND_TIMEOUT_USEC"; "STATUS"; "BARRIER";];

/// A datagram, understood: lines of `KEY=VALUE`, of which unknown ones say nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notice<'d> {
    /// `READY=1`
    pub is_ready: bool,
    /// `ERRNO=N`: the daemon fails, for this reason.
    pub errno: Option<Errno>,
    /// `EXTEND_TIMEOUT_USEC=N`: it needs so many microseconds more, from now on.
    pub extension: Option<u64>,
    /// `STATUS=TEXT`, cut to [`STATUS_SIZE`].
    pub status: Option<&'d [u8]>,
    /// `BARRIER=1`: its sender waits until this was received.
    pub is_barrier: bool,
}

impl<'d> Notice<'d> {
    /// Understands a datagram. Of a key that is there twice, the last one counts; `READY=1` and `BARRIER=1`
    /// count wherever they stand.
    ///
    /// The last line need not end in a newline, and one zero byte may follow it; with any other the
    /// datagram is no text, and says nothing. So does the last line of one that was cut off.
    #[must_use]
    pub fn read(datagram: &'d [u8], is_whole: bool) -> Self {
        let mut notice = Self::default();
        let text = match datagram {
            [text @ .., 0] => text,
            text => text,
        };
        if split_once(text, 0).1.is_some() {
            return notice;
        }
        let mut lines = Some(text);
        while lines.is_some() {
            let line = next_field(&mut lines, b'\n');
            if lines.is_some() || is_whole {
                notice.take(line);
            }
        }
        notice
    }

    #[inline(never)]
    fn take(&mut self, line: &'d [u8]) {
        let (key, Some(value)) = split_once(line, b'=') else {
            return;
        };
        match KEYS.position(key) {
            Some(0) => self.is_ready |= value == b"1",
            Some(1) => {
                let number = parse_number(value, 10).and_then(|number| i32::try_from(number).ok());
                self.errno = number.and_then(Errno::new).or(self.errno);
            }
            Some(2) => self.extension = parse_number(value, 10).or(self.extension),
            Some(3) => self.status = Some(beginning(value)),
            Some(_) => self.is_barrier |= value == b"1",
            None => {}
        }
    }

    /// What it means for the start, if anything: a failure more than a success.
    #[must_use]
    pub const fn event(&self) -> Option<Event> {
        match *self {
            Self {
                errno: Some(errno), ..
            } => Some(Event::Refused(errno)),
            Self { is_ready: true, .. } => Some(Event::Ready),
            Self {
                extension: Some(microseconds),
                ..
            } => Some(Event::Extended(microseconds)),
            _ => None,
        }
    }
}

/// As much of a text as is passed on: whole characters, if it is UTF-8.
fn beginning(text: &[u8]) -> &[u8] {
    let Some((mut head, rest)) = text.split_at_checked(STATUS_SIZE) else {
        return text;
    };
    let mut next = rest.first().copied().unwrap_or_default();
    while let ([shorter @ .., last], 0x80..0xc0) = (head, next) {
        (head, next) = (shorter, *last);
    }
    head
}

#[cfg(test)]
mod tests {
    use super::{Errno, Event, Notice, STATUS_SIZE};

    fn event(datagram: &[u8]) -> Option<Event> {
        Notice::read(datagram, true).event()
    }

    #[test]
    fn ready_is_a_whole_line_anywhere() {
        for datagram in [
            &b"READY=1"[..],
            b"READY=1\n",
            b"READY=1\0",
            b"STATUS=up\nREADY=1",
            b"READY=1\nSTATUS=up\nMAINPID=7\n",
            b"\n\nREADY=1\n\n",
            b"READY=0\nREADY=1",
            b"EXTEND_TIMEOUT_USEC=7\nREADY=1",
        ] {
            assert_eq!(event(datagram), Some(Event::Ready), "{datagram:?}");
        }
        for datagram in [
            &b""[..],
            b"XREADY=1",
            b"READY=10",
            b"READY=0",
            b"READY= 1",
            b"READY=1 ",
            b"READY=1\r\n",
            b"READY",
            b"READY=",
            b"STATUS=READY=1",
            b"ready=1",
            b"READY=1\0\n",
            b"X=\0\nREADY=1",
            b"BARRIER=1",
        ] {
            assert_eq!(event(datagram), None, "{datagram:?}");
        }
    }

    #[test]
    fn an_errno_is_a_failure_whatever_else_is_said() {
        let refused = Some(Event::Refused(Errno::ENOENT));
        assert_eq!(event(b"ERRNO=2"), refused);
        assert_eq!(event(b"READY=1\nERRNO=2\nSTATUS=no"), refused);
        for datagram in [&b"ERRNO=0"[..], b"ERRNO=-2", b"ERRNO=4096", b"ERRNO=x"] {
            assert_eq!(event(datagram), None, "{datagram:?}");
        }
    }

    #[test]
    fn more_time_is_in_microseconds() {
        let largest = b"EXTEND_TIMEOUT_USEC=18446744073709551615\n";
        assert_eq!(event(largest), Some(Event::Extended(u64::MAX)));
        assert_eq!(
            event(b"EXTEND_TIMEOUT_USEC=3000"),
            Some(Event::Extended(3000))
        );
        assert_eq!(event(b"EXTEND_TIMEOUT_USEC=18446744073709551616"), None);
    }

    #[test]
    fn a_line_that_was_cut_off_says_nothing() {
        assert_eq!(Notice::read(b"X=1\nREADY=1", false).event(), None);
        let whole = Notice::read(b"READY=1\nX=", false);
        assert_eq!(whole.event(), Some(Event::Ready));
    }

    #[test]
    fn a_status_keeps_whole_characters() {
        let status = |datagram| Notice::read(datagram, true).status;
        assert_eq!(
            status(b"STATUS=half\nSTATUS=all of it\n"),
            Some(&b"all of it"[..])
        );
        assert_eq!(status(b"STATUS="), Some(&b""[..]));
        let text = ["STATUS=x", &"\u{20ac}".repeat(100)].concat();
        let kept = status(text.as_bytes()).unwrap();
        assert_eq!(
            std::str::from_utf8(kept).unwrap(),
            ["x", &"\u{20ac}".repeat(66)].concat()
        );
        let noise = [&b"STATUS="[..], &[0x80; 300]].concat();
        assert!(status(&noise).unwrap().len() <= STATUS_SIZE);
    }
}
