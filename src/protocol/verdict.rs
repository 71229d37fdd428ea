//! The verdict: whether the daemon runs, from what the intermediate saw and what the caller asked
//! for.

use super::{Cause, Error, ExitCode, Record, WaitStatus};

/// What the caller asked for. A daemon has begun when its command was executed, or, without a
/// command, when all its steps are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The daemon has begun.
    Begun,
    /// The daemon has begun and is still alive at the deadline.
    Alive,
}

/// What the intermediate saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The daemon says that it has done its steps, that it is ready, or that one of its steps
    /// failed.
    Said(Record),
    /// End of file on the close-on-exec pipe.
    Closed {
        /// Whether that was by an exec. A death, and a daemon that closes the pipe itself, look the
        /// same on the pipe.
        executed: bool,
    },
    /// The daemon ended.
    Died {
        /// How it ended.
        status: WaitStatus,
        /// How long it had lived.
        milliseconds: u64,
    },
    /// The time is over.
    Deadline,
}

/// The end of the watch: the daemon runs, or the start failed.
pub type Judgement = Result<(), Error>;

/// The watch over a daemon, as a state and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    goal: Goal,
    begun: bool,
}

impl Verdict {
    /// A watch that has seen nothing yet.
    #[must_use]
    pub const fn new(goal: Goal) -> Self {
        Self { goal, begun: false }
    }

    /// Takes one event in; `None` as long as the truth is not known. The first judgement ends the
    /// watch.
    #[must_use]
    pub fn judge(&mut self, event: Event) -> Option<Judgement> {
        match event {
            Event::Said(Record::Failed(error)) => Some(Err(error)),
            Event::Said(Record::Runs(_)) => Some(Ok(())),
            Event::Said(Record::SetUp) | Event::Closed { executed: true } => {
                self.begun = true;
                (self.goal == Goal::Begun).then_some(Ok(()))
            }
            Event::Closed { executed: false } => None,
            Event::Died {
                status,
                milliseconds,
            } => Some(Err(Error::of_death(status, milliseconds))),
            Event::Deadline if self.begun => Some(Ok(())),
            Event::Deadline => Some(Err(Error::new(ExitCode::TimedOut, Cause::Unknown))),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{Event, Goal, Judgement, Verdict};
    use crate::protocol::{Cause, Errno, Error, ExitCode, Pid, Record, WaitStatus};

    const SET_UP: Event = Event::Said(Record::SetUp);
    const REFUSED: Error = Error::new(ExitCode::ChdirFailed, Cause::Errno(Errno::ENOENT));
    const FAILED: Event = Event::Said(Record::Failed(REFUSED));
    const EXECUTED: Event = Event::Closed { executed: true };
    const CLOSED: Event = Event::Closed { executed: false };
    const DIED: Event = Event::Died {
        status: WaitStatus::from_raw(0x300),
        milliseconds: 7,
    };

    fn judged(goal: Goal, events: &[Event]) -> Option<Judgement> {
        let mut verdict = Verdict::new(goal);
        events.iter().find_map(|event| verdict.judge(*event))
    }

    fn code(judgement: Option<Judgement>) -> Option<ExitCode> {
        judgement.map(|judgement| judgement.map_or_else(|error| error.code(), |()| ExitCode::Ok))
    }

    #[test]
    fn the_table_of_the_design() {
        use ExitCode::{ChdirFailed, DaemonDied, Ok, TimedOut};
        use Goal::{Alive, Begun};
        let ready: Event = Event::Said(Record::Runs(Pid::new(7).unwrap()));
        let table: &[(Goal, &[Event], Option<ExitCode>)] = &[
            (Alive, &[], None),
            (Alive, &[ready], Some(Ok)),
            (Alive, &[SET_UP], None),
            (Alive, &[SET_UP, ready], Some(Ok)),
            (Alive, &[SET_UP, Event::Deadline], Some(Ok)),
            (Alive, &[SET_UP, CLOSED, Event::Deadline], Some(Ok)),
            (Alive, &[SET_UP, CLOSED, DIED], Some(DaemonDied)),
            (Alive, &[SET_UP, DIED], Some(DaemonDied)),
            (Alive, &[EXECUTED], None),
            (Alive, &[EXECUTED, Event::Deadline], Some(Ok)),
            (Alive, &[EXECUTED, DIED], Some(DaemonDied)),
            (Alive, &[FAILED], Some(ChdirFailed)),
            (Alive, &[DIED], Some(DaemonDied)),
            (Alive, &[CLOSED, Event::Deadline], Some(TimedOut)),
            (Alive, &[Event::Deadline], Some(TimedOut)),
            (Begun, &[SET_UP], Some(Ok)),
            (Begun, &[EXECUTED], Some(Ok)),
            (Begun, &[CLOSED], None),
            (Begun, &[CLOSED, DIED], Some(DaemonDied)),
            (Begun, &[FAILED], Some(ChdirFailed)),
            (Begun, &[FAILED, EXECUTED], Some(ChdirFailed)),
            (Begun, &[Event::Deadline], Some(TimedOut)),
        ];
        for (goal, events, expected) in table {
            assert_eq!(
                code(judged(*goal, events)),
                *expected,
                "{goal:?} {events:?}"
            );
        }
    }

    #[test]
    fn a_death_is_told_as_it_was() {
        let status = WaitStatus::from_raw(0x300);
        let cause = Cause::Died {
            status,
            after: Some(Duration::from_millis(7)),
        };
        let expected = Some(Err(Error::new(ExitCode::DaemonDied, cause)));
        assert_eq!(judged(Goal::Alive, &[EXECUTED, DIED]), expected);
    }
}
