//! The schedule of a stop.

use core::time::Duration;

use rawdaemon::internal::next_field;
use rawdaemon::{Signal, Stage};

use super::values;

/// The largest number of signals in `--retry`.
const MAX_STAGES: usize = 8;

/// The signals that a stop sends, and how long it waits after each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// The first `length` of these.
    stages: [Stage; MAX_STAGES],
    length: usize,
    /// Whether only a time was given: the first signal is that of `--signal`.
    is_time: bool,
    /// The first of those that are repeated forever.
    pub(crate) first_repeated: usize,
}

impl Schedule {
    /// The schedule without a stage.
    pub(crate) const EMPTY: Self = Self {
        stages: [Stage::new(Signal::TERM, Duration::ZERO); MAX_STAGES],
        length: 0,
        is_time: false,
        first_repeated: usize::MAX,
    };

    /// A first signal and, after this time, a SIGKILL.
    pub(crate) fn kill_after(signal: Signal, wait: Duration) -> Self {
        let mut schedule = Self::EMPTY;
        let [first, last, ..] = &mut schedule.stages;
        *first = Stage::new(signal, wait);
        *last = Stage::new(Signal::KILL, KILL_TIMEOUT);
        schedule.length = 2;
        schedule
    }

    /// Parses `TERM/10/KILL/5`, or `-TERM/10/forever/-KILL/5` as start-stop-daemon(8) does. `10` alone means
    /// `TERM/10/KILL/10`, or another first signal.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut schedule = Self::EMPTY;
        if let Some(wait) = values::seconds(text) {
            schedule.is_time = true;
            schedule.add(Signal::TERM, wait)?;
            schedule.add(Signal::KILL, wait)?;
            return Some(schedule);
        }
        let mut rest = Some(text);
        while rest.is_some() {
            let signal = match next_field(&mut rest, b'/') {
                b"forever" if schedule.first_repeated == usize::MAX => {
                    schedule.first_repeated = schedule.length;
                    continue;
                }
                [b'-', signal @ ..] | signal => Signal::parse(signal)?,
            };
            schedule.add(signal, values::seconds(next_field(&mut rest, b'/'))?)?;
        }
        // What is repeated must wait: without a pause, it would use all of a CPU.
        let repeated = schedule.stages().get(schedule.first_repeated..);
        let waits = repeated.is_none_or(|stages| stages.iter().any(|stage| !stage.wait.is_zero()));
        waits.then_some(schedule)
    }

    /// The schedule with this first signal, if it has none of its own.
    pub(crate) fn or_signal(mut self, signal: Signal) -> Self {
        if let (true, [first, ..]) = (self.is_time, &mut self.stages) {
            first.signal = signal;
        }
        self
    }

    fn add(&mut self, signal: Signal, wait: Duration) -> Option<()> {
        *self.stages.get_mut(self.length)? = Stage::new(signal, wait);
        self.length = self.length.saturating_add(1);
        Some(())
    }

    pub(crate) fn stages(&self) -> &[Stage] {
        self.stages.get(..self.length).unwrap_or_default()
    }
}

/// How long to wait for the daemon to end after a SIGKILL. It may be waiting for a device.
const KILL_TIMEOUT: Duration = Duration::from_secs(60);
