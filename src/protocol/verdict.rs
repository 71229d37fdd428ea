//! The verdict: whether the daemon runs, from what the intermediate saw and what the caller asked
//! for.

use core::time::Duration;

use super::errno::Errno;
use super::error::{Cause, Error};
use super::exit_code::ExitCode;
use super::record::Record;
use super::wait_status::WaitStatus;

/// A time or a span of it, in nanoseconds: 584 years fit.
pub type Nanoseconds = u64;

/// A second in nanoseconds.
pub(crate) const SECOND: Nanoseconds = 1_000_000_000;

/// A time in nanoseconds, or the longest there is.
pub(crate) const fn nanoseconds(time: Duration) -> Nanoseconds {
    let whole = time.as_secs().saturating_mul(SECOND);
    whole.saturating_add(time.subsec_nanos() as Nanoseconds)
}

/// How long a daemon that has closed its line may take to be dead: a process that ends closes its
/// descriptors a little before that can be seen.
pub const MOMENT: Nanoseconds = 50_000_000;

/// What the caller asked for. A daemon has begun when its command was executed, or, without a
/// command, when all its steps are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The daemon has begun.
    Begun,
    /// The daemon has begun in time, and is still alive that time later.
    Alive,
    /// The daemon has said that it is ready.
    Ready,
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
    /// The command says that it is ready.
    Ready,
    /// End of file on the command's readiness pipe, and it had not said that it is ready.
    Silent,
    /// The command says that it cannot start.
    Refused(Errno),
    /// The command needs so many microseconds more.
    Extended(u64),
    /// The daemon ended.
    Died {
        /// How it ended.
        status: WaitStatus,
        /// How long it had lived; `u64::MAX` if that is not known.
        milliseconds: u64,
    },
    /// Nobody waits for the verdict any more: the original was killed.
    Abandoned,
    /// The time is over.
    Deadline,
}

/// The watch over a daemon, as a state and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    goal: Goal,
    time: Nanoseconds,
    deadline: Nanoseconds,
    /// All steps are done, and no command is to be executed.
    set_up: bool,
    begun: bool,
    silent: bool,
}

impl Verdict {
    /// A watch over a daemon that was `born` then, which has seen nothing yet.
    #[must_use]
    pub const fn new(goal: Goal, born: Nanoseconds, time: Nanoseconds) -> Self {
        Self {
            goal,
            time,
            deadline: born.saturating_add(time),
            set_up: false,
            begun: false,
            silent: false,
        }
    }

    /// When [`Event::Deadline`] comes.
    #[must_use]
    pub const fn deadline(&self) -> Nanoseconds {
        self.deadline
    }

    /// Takes in one event, which was seen `now`; `None` as long as the truth is not known. The first
    /// judgement ends the watch.
    #[must_use]
    pub fn judge(&mut self, event: Event, now: Nanoseconds) -> Option<Result<(), Error>> {
        match event {
            Event::Said(Record::Failed(error)) => return Some(Err(error)),
            Event::Said(Record::Runs(_)) | Event::Ready => return Some(Ok(())),
            Event::Said(Record::SetUp) => {
                self.set_up = true;
                self.begin(now);
            }
            Event::Closed { .. } if self.set_up => self.fall_silent(now),
            Event::Closed { executed: true } => self.begin(now),
            Event::Closed { executed: false } => {}
            Event::Silent => self.fall_silent(now),
            Event::Refused(errno) => {
                return Some(self.failed(Error::new(ExitCode::Refused, Cause::Errno(errno))));
            }
            Event::Extended(microseconds) => {
                let end = now.saturating_add(microseconds.saturating_mul(1000));
                if !self.silent {
                    self.deadline = self.deadline.max(end);
                }
            }
            Event::Died {
                status,
                milliseconds,
            } => return Some(self.failed(Error::of_death(status, milliseconds))),
            Event::Abandoned => {
                return Some(self.failed(Error::new(ExitCode::WaitFailed, Cause::Unknown)));
            }
            Event::Deadline if self.silent => {
                return Some(self.failed(Error::new(ExitCode::Refused, Cause::Silent)));
            }
            Event::Deadline if self.begun && self.goal != Goal::Ready => return Some(Ok(())),
            Event::Deadline => {
                return Some(self.failed(Error::new(ExitCode::TimedOut, Cause::Unknown)));
            }
            Event::Said(Record::Created | Record::Status(_)) => {}
        }
        (self.goal == Goal::Begun && self.begun).then_some(Ok(()))
    }

    /// The error, with what is known of the daemon's steps.
    const fn failed(&self, error: Error) -> Result<(), Error> {
        Err(if self.begun {
            error.after_all_steps()
        } else {
            error
        })
    }

    fn begin(&mut self, now: Nanoseconds) {
        if self.goal == Goal::Alive && !self.begun {
            self.deadline = now.saturating_add(self.time);
        }
        self.begun = true;
    }

    /// Who has closed the line will never be ready, and may be about to end.
    fn fall_silent(&mut self, now: Nanoseconds) {
        if self.goal == Goal::Ready && !self.silent {
            self.silent = true;
            self.deadline = self.deadline.min(now.saturating_add(MOMENT));
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{Event, Goal, MOMENT, Verdict};
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

    fn judged(goal: Goal, events: &[Event]) -> Option<Result<(), Error>> {
        let mut verdict = Verdict::new(goal, 0, 1000);
        events.iter().find_map(|event| verdict.judge(*event, 7))
    }

    fn code(judgement: Option<Result<(), Error>>) -> Option<ExitCode> {
        judgement.map(|judgement| judgement.map_or_else(|error| error.code(), |()| ExitCode::Ok))
    }

    #[test]
    fn the_table_of_the_design() {
        use ExitCode::{ChdirFailed, DaemonDied, Ok, Refused, TimedOut, WaitFailed};
        use Goal::{Alive, Begun, Ready};
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
            (Ready, &[SET_UP], None),
            (Ready, &[SET_UP, ready], Some(Ok)),
            (Ready, &[SET_UP, CLOSED], None),
            (Ready, &[SET_UP, CLOSED, DIED], Some(DaemonDied)),
            (Ready, &[SET_UP, CLOSED, Event::Deadline], Some(Refused)),
            (Ready, &[SET_UP, Event::Deadline], Some(TimedOut)),
            (Ready, &[EXECUTED], None),
            (Ready, &[EXECUTED, Event::Deadline], Some(TimedOut)),
            (Ready, &[EXECUTED, Event::Ready], Some(Ok)),
            (Ready, &[EXECUTED, Event::Silent, DIED], Some(DaemonDied)),
            (
                Ready,
                &[EXECUTED, Event::Silent, Event::Deadline],
                Some(Refused),
            ),
            (
                Ready,
                &[EXECUTED, Event::Refused(Errno::EPERM)],
                Some(Refused),
            ),
            (Ready, &[EXECUTED, Event::Abandoned], Some(WaitFailed)),
            (Ready, &[EXECUTED, DIED], Some(DaemonDied)),
            (Ready, &[FAILED], Some(ChdirFailed)),
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
        let expected = Error::new(ExitCode::DaemonDied, cause);
        assert_eq!(judged(Goal::Alive, &[DIED]), Some(Err(expected)));
        let executed = Some(Err(expected.after_all_steps()));
        assert_eq!(judged(Goal::Alive, &[EXECUTED, DIED]), executed);
    }

    #[test]
    fn life_is_watched_from_the_exec_on() {
        let mut verdict = Verdict::new(Goal::Alive, 1_000, 8_000);
        assert_eq!(verdict.judge(CLOSED, 2_000), None);
        assert_eq!(verdict.deadline(), 9_000);
        assert_eq!(verdict.judge(EXECUTED, 3_000), None);
        assert_eq!(verdict.deadline(), 11_000);
        assert_eq!(verdict.judge(EXECUTED, 4_000), None);
        assert_eq!(verdict.deadline(), 11_000);
    }

    #[test]
    fn time_is_added_and_ends_soon_when_the_line_is_closed() {
        let mut verdict = Verdict::new(Goal::Ready, 1_000, 8_000);
        assert_eq!(verdict.judge(Event::Extended(2), 1_000), None);
        assert_eq!(verdict.deadline(), 9_000, "it had more than that");
        assert_eq!(verdict.judge(Event::Extended(20), 1_000), None);
        assert_eq!(verdict.deadline(), 21_000);
        assert_eq!(verdict.judge(Event::Extended(u64::MAX), 1_000), None);
        assert_eq!(verdict.deadline(), u64::MAX);
        assert_eq!(verdict.judge(Event::Silent, 30_000), None);
        assert_eq!(verdict.deadline(), 30_000 + MOMENT);
        assert_eq!(verdict.judge(Event::Extended(u64::MAX), 30_000), None);
        assert_eq!(verdict.judge(Event::Silent, 40_000), None);
        assert_eq!(verdict.deadline(), 30_000 + MOMENT);
    }
}
