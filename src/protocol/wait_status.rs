//! Wait statuses, decoded as by `WIFEXITED` and the other macros of wait(2).

use core::fmt;

use crate::text::{Lines, Sink, display, lines, parse_number, write_number};

/// A wait status, the status word of wait4(2): how a process ended.
///
/// `Display` prints `exited with status 3` or `killed by signal 11 (SIGSEGV), core dumped`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WaitStatus(i32);

/// A decoded [`WaitStatus`]. Signals are numbers, since not all of them have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// The process exited with this status.
    Exited(u8),
    /// A signal killed the process.
    Killed {
        /// The number of the signal.
        signal: u8,
        /// Whether the kernel wrote a core dump.
        core_dumped: bool,
    },
    /// This signal stopped the process.
    Stopped(u8),
    /// The process runs again after a stop.
    Continued,
    /// Linux does not use such a word.
    Unknown,
}

/// The signal that asks a process to end.
pub const SIGTERM: u8 = 15;

/// The signal that kills a process.
pub const SIGKILL: u8 = 9;

/// Parses a signal: a name with or without `SIG`, or a number from 1 to 64.
#[must_use]
pub fn signal(text: &[u8]) -> Option<u8> {
    let name = text.strip_prefix(b"SIG").unwrap_or(text);
    let found = match parse_number(text, 10) {
        Some(number) => number,
        None => NAMES.position(name)? as u64,
    };
    // The kernel has 64 signals, and no signal 0.
    (1..=64).contains(&found).then_some(found as u8)
}

impl WaitStatus {
    /// Makes a wait status of a status word.
    #[must_use]
    pub const fn from_raw(word: i32) -> Self {
        Self(word)
    }

    /// The status word.
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self.0
    }

    /// Decodes the status word.
    #[must_use]
    // Inlined, since most callers use one variant only: this makes the command smaller.
    #[inline(always)]
    pub const fn change(self) -> Change {
        let [low, high, ..] = self.0.to_le_bytes();
        match low & 0x7f {
            0 => Change::Exited(high),
            0x7f if self.0 & 0xffff == 0xffff => Change::Continued,
            0x7f if low == 0x7f => Change::Stopped(high),
            0x7f => Change::Unknown,
            signal => Change::Killed {
                signal,
                core_dumped: low & 0x80 != 0,
            },
        }
    }
}

impl WaitStatus {
    /// Writes `exited with status 3` or `killed by signal 11 (SIGSEGV), core dumped`.
    pub(super) fn describe(self, out: &mut Sink<'_>) {
        let (what, number, signal, is_dumped): (&[u8], u8, u8, bool) = match self.change() {
            Change::Exited(status) => (b"exited with status ", status, 0, false),
            Change::Killed {
                signal,
                core_dumped,
            } => (b"killed by signal ", signal, signal, core_dumped),
            Change::Stopped(signal) => (b"stopped by signal ", signal, signal, false),
            Change::Continued | Change::Unknown => return out(b"changed its state"),
        };
        out(what);
        write_number(number.into(), out);
        let name = NAMES.get(signal.into());
        if !name.is_empty() {
            out(b" (SIG");
            out(name);
            out(b")");
        }
        if is_dumped {
            out(b", core dumped");
        }
    }
}

/// The names of the signals, by their numbers, which are the same on all supported architectures. There
/// is no signal 0.
static NAMES: Lines = lines![""; "HUP"; "INT"; "QUIT"; "ILL"; "TRAP"; "ABRT"; "BUS"; "FPE"; "KILL"; "USR1"; "SEGV"; "USR2"; "PIPE"; "ALRM"; "TERM"; "STKFLT"; "CHLD"; "CONT"; "STOP"; "TSTP"; "TTIN"; "TTOU"; "URG"; "XCPU"; "XFSZ"; "VTALRM"; "PROF"; "WINCH"; "IO"; "PWR"; "SYS";];

impl fmt::Display for WaitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(f, |out| self.describe(out))
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::{Change, SIGKILL, SIGTERM, WaitStatus, signal};

    /// A status word decoded by libc's macros.
    fn decoded_by_libc(word: i32) -> Change {
        if libc::WIFEXITED(word) {
            Change::Exited(libc::WEXITSTATUS(word) as u8)
        } else if libc::WIFSIGNALED(word) {
            Change::Killed {
                signal: libc::WTERMSIG(word) as u8,
                core_dumped: libc::WCOREDUMP(word),
            }
        } else if libc::WIFCONTINUED(word) {
            Change::Continued
        } else if libc::WIFSTOPPED(word) {
            Change::Stopped(libc::WSTOPSIG(word) as u8)
        } else {
            Change::Unknown
        }
    }

    #[test]
    fn every_word_is_decoded_as_by_libc() {
        for word in 0..=0xffff {
            let status = WaitStatus::from_raw(word);
            assert_eq!(status.as_raw(), word);
            assert_eq!(status.change(), decoded_by_libc(word), "word {word:#06x}");
        }
    }

    #[test]
    fn signals_have_the_names_of_libc() {
        let signals = [
            (libc::SIGHUP, "HUP"),
            (libc::SIGKILL, "KILL"),
            (libc::SIGSEGV, "SEGV"),
            (libc::SIGTERM, "TERM"),
            (libc::SIGCHLD, "CHLD"),
            (libc::SIGSTOP, "STOP"),
            (libc::SIGWINCH, "WINCH"),
            (libc::SIGSYS, "SYS"),
        ];
        for (number, name) in signals {
            let killed = WaitStatus::from_raw(number);
            assert_eq!(
                killed.to_string(),
                std::format!("killed by signal {number} (SIG{name})")
            );
        }
        assert_eq!(WaitStatus::from_raw(32).to_string(), "killed by signal 32");
        assert_eq!(WaitStatus::from_raw(64).to_string(), "killed by signal 64");
        assert_eq!(
            WaitStatus::from_raw(0x137f).to_string(),
            "stopped by signal 19 (SIGSTOP)"
        );
    }

    #[test]
    fn signals_are_found_by_name_and_number() {
        for (text, expected) in [
            ("HUP", 1),
            ("SIGHUP", 1),
            ("TERM", 15),
            ("SIGSYS", 31),
            ("9", 9),
            ("64", 64),
        ] {
            assert_eq!(signal(text.as_bytes()), Some(expected), "{text}");
        }
        for text in [
            "", "SIG", "0", "65", "-9", "hup", "HUP ", "SIG9", "265", "HUP\nINT",
        ] {
            assert_eq!(signal(text.as_bytes()), None, "{text}");
        }
        assert_eq!(
            (i32::from(SIGTERM), i32::from(SIGKILL)),
            (libc::SIGTERM, libc::SIGKILL)
        );
    }

    #[test]
    fn statuses_are_displayed_in_words() {
        assert_eq!(
            WaitStatus::from_raw(0x0300).to_string(),
            "exited with status 3"
        );
        assert_eq!(
            WaitStatus::from_raw(11).to_string(),
            "killed by signal 11 (SIGSEGV)"
        );
        assert_eq!(
            WaitStatus::from_raw(0x8b).to_string(),
            "killed by signal 11 (SIGSEGV), core dumped"
        );
    }
}
