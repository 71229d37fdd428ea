//! The datagrams of sd_notify(3).

use super::errno::Errno;
use super::pid::Pid;
use super::verdict::Event;
use crate::text::{Lines, lines, next_field, parse_number, split_once};

/// The longest status text that is passed on, in bytes. Together with a record it is written to a pipe
/// atomically.
pub const STATUS_SIZE: usize = 200;

/// The keys that are not ignored.
static KEYS: Lines =
    lines!["READY"; "ERRNO"; "EXTEND_TIMEOUT_USEC"; "MAINPID"; "STATUS"; "WATCHDOG";];

/// A parsed datagram: lines of `KEY=VALUE`. Unknown keys are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notice<'d> {
    /// `READY=1`
    pub is_ready: bool,
    /// `ERRNO=N`: the daemon, or a helper of it, has met this error.
    pub errno: Option<Errno>,
    /// `EXTEND_TIMEOUT_USEC=N`: the daemon needs this many microseconds more, from now on.
    pub extension: Option<u64>,
    /// `MAINPID=N`: this process is the daemon.
    pub main_pid: Option<Pid>,
    /// `STATUS=TEXT`, truncated to [`STATUS_SIZE`].
    pub status: Option<&'d [u8]>,
    /// `WATCHDOG=1`: the daemon is alive. False for `WATCHDOG=trigger`: it asks to be ended.
    pub watchdog: Option<bool>,
}

impl<'d> Notice<'d> {
    /// Parses a datagram. If a key is repeated, the last one applies. `READY=1` applies even if
    /// another value follows.
    ///
    /// The last line need not end in a newline, and a zero byte may follow it. A datagram with any other
    /// zero byte is ignored. If the datagram was truncated (not `is_whole`), its last line is ignored.
    #[must_use]
    pub fn parse(datagram: &'d [u8], is_whole: bool) -> Self {
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
                notice.parse_line(line);
            }
        }
        notice
    }

    #[inline(never)]
    fn parse_line(&mut self, line: &'d [u8]) {
        let (key, Some(value)) = split_once(line, b'=') else {
            return;
        };
        match KEYS.position(key) {
            Some(0) => self.is_ready |= value == b"1",
            Some(1) => self.errno = small_number(value).and_then(Errno::new).or(self.errno),
            Some(2) => self.extension = parse_number(value, 10).or(self.extension),
            Some(3) => self.main_pid = small_number(value).and_then(Pid::new).or(self.main_pid),
            Some(4) => self.status = Some(truncate(value)),
            Some(_) => match value {
                b"1" => self.watchdog = Some(true),
                b"trigger" => self.watchdog = Some(false),
                _ => {}
            },
            None => {}
        }
    }

    /// The meaning of the datagram for the verdict, if it has one.
    #[must_use]
    pub const fn event(&self) -> Option<Event> {
        match *self {
            Self { is_ready: true, .. } => Some(Event::Ready),
            Self {
                extension: Some(microseconds),
                ..
            } => Some(Event::Extended(microseconds)),
            Self {
                watchdog: Some(is_alive),
                ..
            } => Some(Event::Watchdog { is_alive }),
            _ => None,
        }
    }
}

fn small_number(value: &[u8]) -> Option<i32> {
    i32::try_from(parse_number(value, 10)?).ok()
}

/// Truncates a text to [`STATUS_SIZE`]. Does not split a character of UTF-8.
fn truncate(text: &[u8]) -> &[u8] {
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
        Notice::parse(datagram, true).event()
    }

    #[test]
    fn ready_is_a_whole_line_at_any_position() {
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
    fn an_errno_is_no_event() {
        let errno = |datagram| Notice::parse(datagram, true).errno;
        for datagram in [&b"ERRNO=2"[..], b"ERRNO=5\nERRNO=2\nERRNO=x"] {
            assert_eq!(event(datagram), None, "{datagram:?}");
            assert_eq!(errno(datagram), Some(Errno::ENOENT), "{datagram:?}");
        }
        let both = b"READY=1\nERRNO=2\nSTATUS=half";
        assert_eq!(event(both), Some(Event::Ready));
        assert_eq!(errno(both), Some(Errno::ENOENT));
        for datagram in [&b"ERRNO=0"[..], b"ERRNO=-2", b"ERRNO=4096", b"ERRNO=x"] {
            assert_eq!(errno(datagram), None, "{datagram:?}");
        }
    }

    #[test]
    fn the_watchdog_is_heard() {
        assert_eq!(
            event(b"WATCHDOG=1"),
            Some(Event::Watchdog { is_alive: true })
        );
        assert_eq!(
            event(b"WATCHDOG=trigger\n"),
            Some(Event::Watchdog { is_alive: false })
        );
        assert_eq!(event(b"READY=1\nWATCHDOG=1"), Some(Event::Ready));
    }

    #[test]
    fn lines_for_a_service_manager_are_ignored() {
        for datagram in [
            &b"WATCHDOG_USEC=20000000"[..],
            b"WATCHDOG=2",
            b"FDSTORE=1\nFDNAME=web",
            b"FDSTOREREMOVE=1\nFDNAME=web",
            b"NOTIFYACCESS=all",
            b"RELOADING=1\nMONOTONIC_USEC=7",
            b"STOPPING=1",
            b"BUSERROR=org.freedesktop.DBus.Error.TimedOut",
            b"EXIT_STATUS=3",
            b"X_WEB_REQUESTS=7",
        ] {
            assert_eq!(Notice::parse(datagram, true), Notice::default());
        }
    }

    #[test]
    fn an_extension_is_in_microseconds() {
        let largest = b"EXTEND_TIMEOUT_USEC=18446744073709551615\n";
        assert_eq!(event(largest), Some(Event::Extended(u64::MAX)));
        assert_eq!(
            event(b"EXTEND_TIMEOUT_USEC=3000"),
            Some(Event::Extended(3000))
        );
        assert_eq!(event(b"EXTEND_TIMEOUT_USEC=18446744073709551616"), None);
    }

    #[test]
    fn a_truncated_line_is_ignored() {
        assert_eq!(Notice::parse(b"X=1\nREADY=1", false).event(), None);
        let whole = Notice::parse(b"READY=1\nX=", false);
        assert_eq!(whole.event(), Some(Event::Ready));
    }

    #[test]
    fn a_status_is_truncated_between_characters() {
        let status = |datagram| Notice::parse(datagram, true).status;
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
