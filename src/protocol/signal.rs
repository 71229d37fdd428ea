//! Signals.

use core::fmt;
use core::num::NonZeroU8;

use linux_raw_sys::general as raw;

use crate::text::{Lines, Sink, display, lines, parse_number, write_number};

/// A signal (signal(7)).
///
/// `Display` prints `SIGTERM`, or the number if the signal has no name.
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
const LARGEST: u8 = 64;

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

/// The names of the signals, by their numbers, which are the same on all supported architectures. There
/// is no signal 0.
static NAMES: Lines = lines![""; "HUP"; "INT"; "QUIT"; "ILL"; "TRAP"; "ABRT"; "BUS"; "FPE"; "KILL"; "USR1"; "SEGV"; "USR2"; "PIPE"; "ALRM"; "TERM"; "STKFLT"; "CHLD"; "CONT"; "STOP"; "TSTP"; "TTIN"; "TTOU"; "URG"; "XCPU"; "XFSZ"; "VTALRM"; "PROF"; "WINCH"; "IO"; "PWR"; "SYS";];

impl Signal {
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

    /// Parses a signal: a name with or without `SIG`, or a number from 1 to 64.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let name = text.strip_prefix(b"SIG").unwrap_or(text);
        let number = match parse_number(text, 10) {
            Some(number) => number,
            None => NAMES.position(name)? as u64,
        };
        Self::new(u8::try_from(number).ok()?)
    }

    /// The name without `SIG`; empty if there is none.
    pub(super) fn name(self) -> &'static [u8] {
        NAMES.get(self.number().into())
    }

    /// Writes the text of `Display`.
    #[doc(hidden)]
    pub fn describe(self, out: &mut Sink<'_>) {
        match self.name() {
            [] => write_number(self.number().into(), out),
            name => {
                out(b"SIG");
                out(name);
            }
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
        assert_eq!(Signal::new(34).unwrap().to_string(), "34");
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
        ] {
            assert_eq!(Signal::parse(text.as_bytes()), Signal::new(expected));
        }
        for text in [
            "", "SIG", "0", "65", "-9", "hup", "HUP ", "SIG9", "265", "HUP\nINT",
        ] {
            assert_eq!(Signal::parse(text.as_bytes()), None, "{text}");
        }
    }
}
