//! When is a daemon started again? Pure.

use core::time::Duration;

use crate::pidfile::Stage;
use crate::protocol::{Nanoseconds, Signal, nanoseconds};
use crate::text::{next_field, parse_number};

/// After which end a daemon is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// After none.
    Nothing,
    /// Not after it has exited with status 0.
    Failure,
    /// After any.
    Everything,
}

/// How a daemon is supervised.
#[derive(Clone, Copy, Debug)]
pub struct Respawn<'a> {
    /// After which end it is started again.
    pub after: After,
    /// The time before the first restart. It doubles with each further one.
    pub delay: Duration,
    /// The longest such time.
    pub longest_delay: Duration,
    /// A run is good if it is longer than this, and than the delay before it. The delay is then the first again.
    pub good_run: Duration,
    /// After how many restarts without a good run the supervisor gives up; 0 for never.
    pub max: u32,
    /// The exit codes after which it is never started again.
    pub final_codes: ExitCodes,
    /// Whether the daemon is ended if its supervisor is killed.
    pub kills_orphan: bool,
    /// How long the daemon may send no `WATCHDOG=1`; zero for no limit.
    pub watchdog: Duration,
    /// The first signal to a daemon that has sent none.
    pub watchdog_signal: Signal,
    /// How the supervisor stops the daemon.
    pub stages: &'a [Stage],
    /// The first of these that are repeated.
    pub first_repeated: usize,
}

impl Respawn<'_> {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        after: After::Failure,
        delay: Duration::from_millis(100),
        longest_delay: Duration::from_secs(60),
        good_run: Duration::from_secs(10),
        max: 10,
        final_codes: ExitCodes::NONE,
        kills_orphan: false,
        watchdog: Duration::ZERO,
        watchdog_signal: Signal::ABRT,
        stages: Stage::TERM_THEN_KILL,
        first_repeated: usize::MAX,
    };
}

impl Default for Respawn<'_> {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A set of exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitCodes([u64; 4]);

impl ExitCodes {
    /// The empty set.
    pub const NONE: Self = Self([0; 4]);

    /// Parses a list of numbers, separated by commas: `126,127`.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut codes = Self::NONE;
        let mut rest = Some(text);
        while rest.is_some() {
            let code = u8::try_from(parse_number(next_field(&mut rest, b','), 10)?).ok()?;
            let (word, bit) = Self::place(code);
            *codes.0.get_mut(word)? |= bit;
        }
        Some(codes)
    }

    pub(super) fn has(&self, code: u8) -> bool {
        let (word, bit) = Self::place(code);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    const fn place(code: u8) -> (usize, u64) {
        (code as usize / 64, 1 << (code % 64))
    }
}

/// What follows the end of a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is started again after this time.
    Restart(Nanoseconds),
    /// Nothing: it has done what it had to do.
    Finish,
    /// Nothing: it has failed too often.
    GiveUp,
}

/// What a supervisor remembers of the runs of its daemon.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// How often the daemon was started again.
    pub(super) restarts: u32,
    /// The failures since the last good run.
    failures: u32,
    /// The last delay; zero after a good run.
    delay: Nanoseconds,
}

impl Tally {
    /// The last delay, in milliseconds.
    pub(super) const fn milliseconds(&self) -> u32 {
        match self.delay / 1_000_000 {
            time @ 0..=0xffff_ffff => time as u32,
            _ => u32::MAX,
        }
    }

    /// Decides what follows a run that took this time, and ended with this exit code, if it has one.
    pub(super) fn judge(
        &mut self,
        respawn: &Respawn<'_>,
        code: Option<u8>,
        lived: Nanoseconds,
    ) -> Next {
        let is_success = code == Some(0);
        if lived >= nanoseconds(respawn.good_run).max(self.delay) {
            (self.failures, self.delay) = (0, 0);
        }
        if respawn.after == After::Nothing || is_success && respawn.after == After::Failure {
            return Next::Finish;
        }
        if code.is_some_and(|code| respawn.final_codes.has(code)) {
            return Next::GiveUp;
        }
        if !is_success {
            self.failures = self.failures.saturating_add(1);
        }
        if respawn.max != 0 && self.failures > respawn.max {
            return Next::GiveUp;
        }
        self.delay = match self.delay {
            0 => nanoseconds(respawn.delay),
            last => last
                .saturating_mul(2)
                .min(nanoseconds(respawn.longest_delay)),
        };
        Next::Restart(self.delay)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::vec::Vec;

    use super::{After, ExitCodes, Next, Respawn, Tally};
    use crate::protocol::{Nanoseconds, SECOND};

    const MS: Nanoseconds = 1_000_000;

    #[test]
    fn the_delay_doubles_up_to_the_longest_and_falls_back_after_a_good_run() {
        let respawn = Respawn {
            max: 0,
            ..Respawn::DEFAULT
        };
        let mut tally = Tally::default();
        let mut fail = |lived| match tally.judge(&respawn, None, lived) {
            Next::Restart(delay) => delay / MS,
            Next::Finish | Next::GiveUp => 0,
        };
        let delays: Vec<_> = (0..12).map(|_| fail(MS)).collect();
        assert_eq!(
            delays,
            [
                100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000
            ]
        );
        // Not as long as the last delay.
        assert_eq!(fail(59 * SECOND), 60000);
        assert_eq!(fail(60 * SECOND), 100);
        assert_eq!(fail(10 * SECOND - 1), 200);
        assert_eq!(fail(10 * SECOND), 100);
    }

    #[test]
    fn the_limit_counts_restarts_without_a_good_run() {
        for max in [1, 2, 10] {
            let respawn = Respawn {
                max,
                ..Respawn::DEFAULT
            };
            let mut tally = Tally::default();
            for lived in [SECOND, 3600 * SECOND] {
                for _ in 0..max {
                    assert!(matches!(
                        tally.judge(&respawn, None, lived),
                        Next::Restart(_)
                    ));
                }
            }
            // The last run was good, and one failure is counted.
            for _ in 1..max {
                assert!(matches!(tally.judge(&respawn, None, 0), Next::Restart(_)));
            }
            assert_eq!(tally.judge(&respawn, None, 0), Next::GiveUp);
        }
    }

    #[test]
    fn a_success_ends_the_supervision_unless_the_daemon_is_always_restarted() {
        let respawn = Respawn::DEFAULT;
        assert_eq!(Tally::default().judge(&respawn, Some(0), 0), Next::Finish);
        let always = Respawn {
            after: After::Everything,
            max: 1,
            delay: Duration::from_millis(1),
            ..respawn
        };
        let mut tally = Tally::default();
        for delay in [1, 2, 4, 8] {
            assert_eq!(tally.judge(&always, Some(0), 0), Next::Restart(delay * MS));
        }
        assert_eq!(tally.judge(&always, Some(1), 0), Next::Restart(16 * MS));
        assert_eq!(tally.judge(&always, Some(1), 0), Next::GiveUp);
    }

    #[test]
    fn some_exit_codes_are_final() {
        for (text, codes) in [
            ("0", &[0][..]),
            ("126,127", &[126, 127]),
            ("63,64,255", &[63, 64, 255]),
        ] {
            let parsed = ExitCodes::parse(text.as_bytes()).unwrap();
            for code in 0..=255 {
                assert_eq!(parsed.has(code), codes.contains(&code), "{text} {code}");
            }
        }
        for bad in ["", "256", "1,", "x", "1-2"] {
            assert_eq!(ExitCodes::parse(bad.as_bytes()), None, "{bad}");
        }
        let respawn = Respawn {
            final_codes: ExitCodes::parse(b"100").unwrap(),
            after: After::Everything,
            ..Respawn::DEFAULT
        };
        let mut tally = Tally::default();
        for code in [Some(99), None, Some(0)] {
            let next = tally.judge(&respawn, code, 0);
            assert!(matches!(next, Next::Restart(_)));
        }
        assert_eq!(tally.judge(&respawn, Some(100), 0), Next::GiveUp);
    }
}
