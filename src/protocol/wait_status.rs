//! Wait statuses, decoded as by `WIFEXITED` and the other macros of wait(2).

use core::fmt;

use super::signal::Signal;
use crate::text::{Sink, display, write_number};

/// A wait status, the status word of wait4(2): how a process ended.
///
/// `Display` prints `exited with status 3` or `killed by signal 11 (SIGSEGV), core dumped`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WaitStatus(i32);

/// A flag in a status word: the kernel wrote a core dump.
const CORE_DUMPED: u8 = 0x80;

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

    /// The exit status, if the process exited.
    #[must_use]
    pub const fn exit_status(self) -> Option<u8> {
        match self.0.to_le_bytes() {
            [low, status, ..] if low & !CORE_DUMPED == 0 => Some(status),
            _ => None,
        }
    }

    /// The signal that killed the process, if one did.
    #[must_use]
    pub const fn terminating_signal(self) -> Option<Signal> {
        let [low, ..] = self.0.to_le_bytes();
        Signal::new(low & !CORE_DUMPED)
    }

    /// Whether a signal killed the process and the kernel wrote a core dump.
    #[must_use]
    pub const fn core_dumped(self) -> bool {
        let [low, ..] = self.0.to_le_bytes();
        low & CORE_DUMPED != 0 && self.terminating_signal().is_some()
    }

    /// Writes `exited with status 3` or `killed by signal 11 (SIGSEGV), core dumped`.
    pub(crate) fn describe(self, out: &mut Sink<'_>) {
        if let Some(status) = self.exit_status() {
            out(b"exited with status ");
            write_number(status.into(), out);
        } else if let Some(signal) = self.terminating_signal() {
            out(b"killed by signal ");
            write_number(signal.number().into(), out);
            if signal.is_named() {
                out(b" (");
                signal.describe(out);
                out(b")");
            }
            if self.core_dumped() {
                out(b", core dumped");
            }
        } else {
            // Only a process that was stopped or continued has such a status.
            out(b"changed its state");
        }
    }
}

impl fmt::Display for WaitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(f, |out| self.describe(out))
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::{Signal, WaitStatus};

    #[test]
    fn every_word_is_decoded_as_by_libc() {
        for word in 0..=0xffff {
            let status = WaitStatus::from_raw(word);
            assert_eq!(status.as_raw(), word);
            let exited = libc::WIFEXITED(word).then(|| libc::WEXITSTATUS(word) as u8);
            assert_eq!(status.exit_status(), exited, "word {word:#06x}");
            let signal = libc::WIFSIGNALED(word).then(|| libc::WTERMSIG(word) as u8);
            let signal = signal.and_then(Signal::new);
            assert_eq!(status.terminating_signal(), signal, "word {word:#06x}");
            let dumped = signal.is_some() && libc::WCOREDUMP(word);
            assert_eq!(status.core_dumped(), dumped, "word {word:#06x}");
        }
    }

    #[test]
    fn statuses_are_displayed_in_words() {
        for (word, text) in [
            (0x0300, "exited with status 3"),
            (11, "killed by signal 11 (SIGSEGV)"),
            (0x8b, "killed by signal 11 (SIGSEGV), core dumped"),
            (32, "killed by signal 32"),
            (64, "killed by signal 64 (SIGRTMAX)"),
            (0x137f, "changed its state"),
        ] {
            assert_eq!(WaitStatus::from_raw(word).to_string(), text);
        }
    }
}
