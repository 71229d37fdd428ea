//! Signals.

use core::fmt;
use core::num::NonZeroU8;

use linux_raw_sys::general as raw;

use crate::text::{Lines, Sink, after, display, lines, parse_number, split_once, write_number};

/// A signal (signal(7)).
///
/// `Display` prints `SIGTERM`, and a real-time signal as kill(1) does: `SIGRTMIN+3`, `SIGRTMAX-1`. A signal without a
/// name is its number: C libraries keep 32 and 33 for themselves.
///
/// ```
/// use rawdaemon::Signal;
///
/// assert_eq!(Signal::new(15), Some(Signal::TERM));
/// assert_eq!(Signal::TERM.to_string(), "SIGTERM");
/// assert_eq!(Signal::new(0), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signal(NonZeroU8);

/// The largest signal number.
const LARGEST: u8 = if raw::_NSIG == 64 { 64 } else { 127 };

/// The first and the last real-time signal of programs. For the kernel they begin at 32, but C libraries keep two.
const RTMIN: u8 = 34;
const RTMAX: u8 = LARGEST;

/// The first real-time signal of the kernel.
const FIRST_UNNAMED: u8 = 32;

/// The first real-time signal that is named by the last one.
const MIDDLE: u8 = 50;

macro_rules! signals {
    ($($name:ident = $number:ident,)*) => {
        impl Signal {
            $(
                #[doc = concat!("`", stringify!($number), "`.")]
                pub const $name: Self = match Self::new(raw::$number as u8) {
                    Some(signal) => signal,
                    None => Self(NonZeroU8::MAX),
                };
            )*
        }
    };
}

signals! {
    HUP = SIGHUP,
    INT = SIGINT,
    QUIT = SIGQUIT,
    ILL = SIGILL,
    TRAP = SIGTRAP,
    ABRT = SIGABRT,
    BUS = SIGBUS,
    FPE = SIGFPE,
    KILL = SIGKILL,
    USR1 = SIGUSR1,
    SEGV = SIGSEGV,
    USR2 = SIGUSR2,
    PIPE = SIGPIPE,
    ALRM = SIGALRM,
    TERM = SIGTERM,
    CHLD = SIGCHLD,
    CONT = SIGCONT,
    STOP = SIGSTOP,
    TSTP = SIGTSTP,
    TTIN = SIGTTIN,
    TTOU = SIGTTOU,
    URG = SIGURG,
    XCPU = SIGXCPU,
    XFSZ = SIGXFSZ,
    VTALRM = SIGVTALRM,
    PROF = SIGPROF,
    WINCH = SIGWINCH,
    IO = SIGIO,
    PWR = SIGPWR,
    SYS = SIGSYS,
}

/// The names of the signals, by their numbers, which are the same on all supported architectures but mips. There
/// is no signal 0. Those of real-time signals follow.
static NAMES: Lines = if raw::SIGUSR1 == 10 {
    lines![""; "HUP"; "INT"; "QUIT"; "ILL"; "TRAP"; "ABRT"; "BUS"; "FPE"; "KILL"; "USR1"; "SEGV"; "USR2"; "PIPE"; "ALRM"; "TERM"; "STKFLT"; "CHLD"; "CONT"; "STOP"; "TSTP"; "TTIN"; "TTOU"; "URG"; "XCPU"; "XFSZ"; "VTALRM"; "PROF"; "WINCH"; "IO"; "PWR"; "SYS"; "RTMIN"; "RTMAX";]
} else {
    lines![""; "HUP"; "INT"; "QUIT"; "ILL"; "TRAP"; "ABRT"; "EMT"; "FPE"; "KILL"; "BUS"; "SEGV"; "SYS"; "PIPE"; "ALRM"; "TERM"; "USR1"; "USR2"; "CHLD"; "PWR"; "WINCH"; "URG"; "IO"; "STOP"; "TSTP"; "CONT"; "TTIN"; "TTOU"; "VTALRM"; "PROF"; "XCPU"; "XFSZ"; "RTMIN"; "RTMAX";]
};

/// Where the names of real-time signals are in [`NAMES`].
const RTMIN_NAME: usize = 32;
const RTMAX_NAME: usize = 33;

/// The size of the longest name, and some room.
const LONGEST_NAME: usize = 16;

impl Signal {
    /// By this one, a stop asks a supervisor not to start the daemon again: SIGRTMIN+10, which means nothing to others.
    #[doc(hidden)]
    pub const WIND_DOWN: Self = match Self::new(44) {
        Some(signal) => signal,
        None => Self::TERM,
    };

    /// The signal with this number. `None` unless it is from 1 to 64.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        match NonZeroU8::new(number) {
            Some(nonzero) if number <= LARGEST => Some(Self(nonzero)),
            _ => None,
        }
    }

    /// The number of the signal.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0.get()
    }

    /// Parses a signal: a name with or without `SIG`, in capital or small letters, or a number from 1 to 64.
    /// Real-time signals are `RTMIN`, `RTMIN+1` and so on, and `RTMAX`, `RTMAX-1` and so on.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut buffer = [0; LONGEST_NAME];
        for (capital, letter) in buffer.iter_mut().zip(text) {
            *capital = letter.to_ascii_uppercase();
        }
        let text = buffer.get(..text.len())?;
        let number = parse_number(text, 10).or_else(|| Self::named(text))?;
        Self::new(u8::try_from(number).ok()?)
    }

    /// The number of the signal with this name in capital letters.
    fn named(text: &[u8]) -> Option<u64> {
        let name = after(text, b"SIG").unwrap_or(text);
        let (name, above) = split_once(name, b'+');
        let (name, below) = split_once(name, b'-');
        let offset = match above.or(below) {
            Some(digits) => parse_number(digits, 10)?,
            None => 0,
        };
        match (NAMES.position(name)?, above, below) {
            (RTMIN_NAME, _, None) => Some(u64::from(RTMIN).saturating_add(offset)),
            (RTMAX_NAME, None, _) => {
                let number = u64::from(RTMAX).saturating_sub(offset);
                (number >= RTMIN.into()).then_some(number)
            }
            (number, None, None) => Some(number as u64),
            _ => None,
        }
    }

    /// Whether the signal has a name.
    pub(super) const fn is_named(self) -> bool {
        !matches!(self.number(), FIRST_UNNAMED..RTMIN)
    }

    /// Writes the text of `Display`.
    #[doc(hidden)]
    pub fn describe(self, out: &mut Sink<'_>) {
        let number = self.number();
        if !self.is_named() {
            return write_number(number.into(), out);
        }
        // Real-time signals are counted from the nearer end.
        let (name, sign, offset): (_, &[u8], _) = match number {
            0..FIRST_UNNAMED => (number.into(), b"", 0),
            FIRST_UNNAMED..MIDDLE => (RTMIN_NAME, b"+", number.saturating_sub(RTMIN)),
            _ => (RTMAX_NAME, b"-", RTMAX.saturating_sub(number)),
        };
        out(b"SIG");
        out(NAMES.get(name));
        if offset > 0 {
            out(sign);
            write_number(offset.into(), out);
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(f, |out| self.describe(out))
    }
}

/// The same as `Display`.
impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::Signal;

    #[test]
    fn constants_have_the_names_of_the_kernel() {
        for (signal, number, name) in [
            (Signal::HUP, libc::SIGHUP, "SIGHUP"),
            (Signal::KILL, libc::SIGKILL, "SIGKILL"),
            (Signal::SEGV, libc::SIGSEGV, "SIGSEGV"),
            (Signal::TERM, libc::SIGTERM, "SIGTERM"),
            (Signal::CHLD, libc::SIGCHLD, "SIGCHLD"),
            (Signal::STOP, libc::SIGSTOP, "SIGSTOP"),
            (Signal::WINCH, libc::SIGWINCH, "SIGWINCH"),
            (Signal::SYS, libc::SIGSYS, "SIGSYS"),
        ] {
            assert_eq!(i32::from(signal.number()), number);
            assert_eq!(signal.to_string(), name);
        }
        for (number, name) in [
            (32, "32"),
            (33, "33"),
            (34, "SIGRTMIN"),
            (35, "SIGRTMIN+1"),
            (49, "SIGRTMIN+15"),
            (50, "SIGRTMAX-14"),
            (63, "SIGRTMAX-1"),
            (64, "SIGRTMAX"),
        ] {
            assert_eq!(Signal::new(number).unwrap().to_string(), name);
        }
        assert_eq!((Signal::new(0), Signal::new(65)), (None, None));
    }

    #[test]
    fn signals_are_parsed_by_name_and_number() {
        for (text, expected) in [
            ("HUP", 1),
            ("SIGHUP", 1),
            ("TERM", 15),
            ("SIGSYS", 31),
            ("9", 9),
            ("64", 64),
            ("hup", 1),
            ("sigusr1", 10),
            ("Sigterm", 15),
            ("RTMIN", 34),
            ("SIGRTMIN+0", 34),
            ("rtmin+3", 37),
            ("RTMIN+30", 64),
            ("RTMAX", 64),
            ("sigrtmax-1", 63),
            ("RTMAX-30", 34),
        ] {
            assert_eq!(
                Signal::parse(text.as_bytes()),
                Signal::new(expected),
                "{text}"
            );
        }
        for number in 1..=64 {
            let signal = Signal::new(number).unwrap();
            assert_eq!(Signal::parse(signal.to_string().as_bytes()), Some(signal));
        }
        for text in [
            "",
            "SIG",
            "0",
            "65",
            "-9",
            "HUP ",
            "SIG9",
            "265",
            "HUP\nINT",
            "RTMIN+31",
            "RTMAX-31",
            "RTMIN-1",
            "RTMAX+1",
            "RTMIN+",
            "RTMIN+1-1",
            "TERM+1",
            "+1",
            "-1",
            "SIGRTMIN+00000001",
            "RTMIN+18446744073709551615",
        ] {
            assert_eq!(Signal::parse(text.as_bytes()), None, "{text}");
        }
    }
}
