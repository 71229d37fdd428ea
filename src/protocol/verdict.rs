//! The verdict: whether the start is a success. It follows from what the intermediate observes and from
//! what the caller asked for.

use core::time::Duration;

use super::error::{Cause, Error, Note};
use super::exit_code::ErrorKind;
use super::record::Record;
use super::wait_status::WaitStatus;

/// A point in time or a duration, in nanoseconds. The largest is 584 years.
pub type Nanoseconds = u64;

/// A second in nanoseconds.
pub(crate) const SECOND: Nanoseconds = 1_000_000_000;

/// A duration in nanoseconds; the largest value if it is longer than that.
#[inline(never)]
pub(crate) const fn nanoseconds(time: Duration) -> Nanoseconds {
    let whole = time.as_secs().saturating_mul(SECOND);
    whole.saturating_add(time.subsec_nanos() as Nanoseconds)
}

/// How long to wait for the death of a daemon that has closed its notification pipe: a process that ends
/// closes its descriptors a moment before its death can be observed.
pub const EXIT_GRACE: Nanoseconds = 50_000_000;

/// The goal of a start, as the caller sets it. A daemon has begun when it has executed its command, or,
/// without a command, when it has taken all its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The daemon has begun.
    Begun,
    /// The daemon has begun in time, and is still alive when the same time has passed again.
    Alive,
    /// The daemon has reported that it is ready.
    Ready,
}

/// An observation of the intermediate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The daemon has reported that it has taken its steps, that it is ready, or that a step failed.
    Reported(Record),
    /// End of file on the report pipe.
    Closed {
        /// Whether an exec closed the pipe. The death of the daemon, and a daemon that closes the pipe
        /// itself, look the same on the pipe.
        executed: bool,
    },
    /// The command has reported that it is ready.
    Ready,
    /// End of file on the notification pipe, without a report that the command is ready.
    Silent,
    /// The command needs this many microseconds more.
    Extended(u64),
    /// The command has reported that it is alive, or asks its supervisor to end it.
    Watchdog {
        /// Whether it is alive.
        is_alive: bool,
    },
    /// The daemon ended.
    Died {
        /// How it ended.
        status: WaitStatus,
        /// How long it had lived; `u64::MAX` if not known.
        milliseconds: u64,
    },
    /// No process waits for the verdict any longer: the original was killed.
    Abandoned,
    /// The time has expired.
    Deadline,
}

impl Event {
    /// Whether the verdict depends on the time of this event.
    #[must_use]
    pub const fn is_timed(&self) -> bool {
        matches!(
            self,
            Self::Reported(Record::SetUp) | Self::Closed { .. } | Self::Silent | Self::Extended(_)
        )
    }
}

/// The state of the watch over a daemon.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    goal: Goal,
    born: Nanoseconds,
    time: Nanoseconds,
    deadline: Nanoseconds,
    /// The daemon has taken all its steps, and there is no command to execute.
    set_up: bool,
    begun: bool,
    /// The daemon has closed its notification pipe, so it cannot become ready.
    silent: bool,
}

impl Verdict {
    /// Starts a watch over a daemon that was created at `born`. `time` is how long the goal may take,
    /// and for [`Goal::Alive`] also how long the daemon must stay alive.
    #[must_use]
    pub const fn new(goal: Goal, born: Nanoseconds, time: Nanoseconds) -> Self {
        Self {
            goal,
            born,
            time,
            deadline: born.saturating_add(time),
            set_up: false,
            begun: false,
            silent: false,
        }
    }

    /// When the time expires, and [`Event::Deadline`] is due.
    #[must_use]
    pub const fn deadline(&self) -> Nanoseconds {
        self.deadline
    }

    /// Whether the daemon has executed its command, or taken all its steps.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.begun
    }

    /// Takes the next event, and returns the verdict; `None` as long as there is none. The first verdict is
    /// final. `now` is the time of an event that [is timed](Event::is_timed).
    #[must_use]
    pub fn judge(&mut self, event: Event, now: Nanoseconds) -> Option<Result<(), Error>> {
        match event {
            Event::Reported(Record::Failed(error)) => return Some(Err(error)),
            Event::Reported(Record::Runs(_)) | Event::Ready => return Some(Ok(())),
            Event::Reported(Record::SetUp) => {
                self.set_up = true;
                self.mark_begun(now);
            }
            Event::Closed { .. } if self.set_up => self.mark_silent(now),
            Event::Closed { executed: true } => self.mark_begun(now),
            Event::Closed { executed: false } | Event::Watchdog { .. } => {}
            Event::Silent => self.mark_silent(now),
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
                return Some(self.failed(Error::new(ErrorKind::WaitFailed, Cause::Unknown)));
            }
            Event::Deadline if self.silent => {
                return Some(self.failed(Error::new(ErrorKind::Refused, Cause::Silent)));
            }
            Event::Deadline if self.begun && self.goal != Goal::Ready => return Some(Ok(())),
            Event::Deadline => {
                let late = self.deadline.saturating_sub(self.born);
                return Some(self.failed(Error::of_lateness(late / 1_000_000)));
            }
            Event::Reported(
                Record::Executes
                | Record::Created
                | Record::Status(_)
                | Record::Errno(_)
                | Record::Ignored(_),
            ) => {}
        }
        (self.goal == Goal::Begun && self.begun).then_some(Ok(()))
    }

    /// The error, marked if the daemon has taken all its steps.
    fn failed(&self, error: Error) -> Result<(), Error> {
        Err(if self.begun {
            error.with(Note::AllSteps)
        } else {
            error
        })
    }

    fn mark_begun(&mut self, now: Nanoseconds) {
        if self.goal == Goal::Alive && !self.begun {
            self.deadline = now.saturating_add(self.time);
        }
        self.begun = true;
    }

    /// The daemon can no longer become ready, and may be about to end: its death would be the better
    /// reason.
    fn mark_silent(&mut self, now: Nanoseconds) {
        if self.goal == Goal::Ready && !self.silent {
            self.silent = true;
            self.deadline = self.deadline.min(now.saturating_add(EXIT_GRACE));
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{EXIT_GRACE, Event, Goal, Verdict};
    use crate::protocol::{Cause, Errno, Error, ErrorKind, Note, Pid, Record, WaitStatus};

    const SET_UP: Event = Event::Reported(Record::SetUp);
    const REFUSED: Error = Error::new(ErrorKind::ChdirFailed, Cause::Errno(Errno::ENOENT));
    const FAILED: Event = Event::Reported(Record::Failed(REFUSED));
    const EXECUTED: Event = Event::Closed { executed: true };
    const CLOSED: Event = Event::Closed { executed: false };
    const DIED: Event = Event::Died {
        status: WaitStatus::from_raw(0x300),
        milliseconds: 7,
    };

    fn verdict(goal: Goal, events: &[Event]) -> Option<Result<(), Error>> {
        let mut verdict = Verdict::new(goal, 0, 1000);
        events.iter().find_map(|event| verdict.judge(*event, 7))
    }

    /// The verdict with the kind of the error only.
    type Outcome = Option<Result<(), ErrorKind>>;

    fn kind(verdict: Option<Result<(), Error>>) -> Outcome {
        verdict.map(|verdict| verdict.map_err(|error| error.kind()))
    }

    #[test]
    fn verdicts_follow_from_goal_and_events() {
        use ErrorKind::{ChdirFailed, DaemonDied, Refused, TimedOut, WaitFailed};
        use Goal::{Alive, Begun, Ready};
        let ready: Event = Event::Reported(Record::Runs(Pid::new(7).unwrap()));
        let table: &[(Goal, &[Event], Outcome)] = &[
            (Alive, &[], None),
            (Alive, &[ready], Some(Ok(()))),
            (Alive, &[SET_UP], None),
            (Alive, &[SET_UP, ready], Some(Ok(()))),
            (Alive, &[SET_UP, Event::Deadline], Some(Ok(()))),
            (Alive, &[SET_UP, CLOSED, Event::Deadline], Some(Ok(()))),
            (Alive, &[SET_UP, CLOSED, DIED], Some(Err(DaemonDied))),
            (Alive, &[SET_UP, DIED], Some(Err(DaemonDied))),
            (Alive, &[EXECUTED], None),
            (Alive, &[EXECUTED, Event::Deadline], Some(Ok(()))),
            (Alive, &[EXECUTED, DIED], Some(Err(DaemonDied))),
            (Alive, &[FAILED], Some(Err(ChdirFailed))),
            (Alive, &[DIED], Some(Err(DaemonDied))),
            (Alive, &[CLOSED, Event::Deadline], Some(Err(TimedOut))),
            (Alive, &[Event::Deadline], Some(Err(TimedOut))),
            (Begun, &[SET_UP], Some(Ok(()))),
            (Begun, &[EXECUTED], Some(Ok(()))),
            (Begun, &[CLOSED], None),
            (Begun, &[CLOSED, DIED], Some(Err(DaemonDied))),
            (Begun, &[FAILED], Some(Err(ChdirFailed))),
            (Begun, &[FAILED, EXECUTED], Some(Err(ChdirFailed))),
            (Begun, &[Event::Deadline], Some(Err(TimedOut))),
            (Ready, &[SET_UP], None),
            (Ready, &[SET_UP, ready], Some(Ok(()))),
            (Ready, &[SET_UP, CLOSED], None),
            (Ready, &[SET_UP, CLOSED, DIED], Some(Err(DaemonDied))),
            (
                Ready,
                &[SET_UP, CLOSED, Event::Deadline],
                Some(Err(Refused)),
            ),
            (Ready, &[SET_UP, Event::Deadline], Some(Err(TimedOut))),
            (Ready, &[EXECUTED], None),
            (Ready, &[EXECUTED, Event::Deadline], Some(Err(TimedOut))),
            (Ready, &[EXECUTED, Event::Ready], Some(Ok(()))),
            (
                Ready,
                &[EXECUTED, Event::Silent, DIED],
                Some(Err(DaemonDied)),
            ),
            (
                Ready,
                &[EXECUTED, Event::Silent, Event::Deadline],
                Some(Err(Refused)),
            ),
            (Ready, &[EXECUTED, Event::Abandoned], Some(Err(WaitFailed))),
            (Ready, &[EXECUTED, DIED], Some(Err(DaemonDied))),
            (Ready, &[FAILED], Some(Err(ChdirFailed))),
        ];
        for (goal, events, expected) in table {
            assert_eq!(
                kind(verdict(*goal, events)),
                *expected,
                "{goal:?} {events:?}"
            );
        }
    }

    #[test]
    fn a_death_is_reported_with_status_and_time() {
        let status = WaitStatus::from_raw(0x300);
        let cause = Cause::Died {
            status,
            after: Some(Duration::from_millis(7)),
        };
        let expected = Error::new(ErrorKind::DaemonDied, cause);
        assert_eq!(verdict(Goal::Alive, &[DIED]), Some(Err(expected)));
        assert_eq!(verdict(Goal::Alive, &[EXECUTED, DIED]), Some(Err(expected)));
    }

    #[test]
    fn a_failure_after_the_exec_is_one_after_all_steps() {
        let took_all_steps = |events: &[Event]| {
            let failure = verdict(Goal::Ready, events).and_then(Result::err);
            failure.unwrap().has(Note::AllSteps)
        };
        for failure in [
            &[DIED][..],
            &[Event::Abandoned],
            &[Event::Silent, Event::Deadline],
            &[Event::Deadline],
        ] {
            assert!(!took_all_steps(failure), "{failure:?}");
            let late = [&[EXECUTED], failure].concat();
            assert!(took_all_steps(&late), "{late:?}");
        }
    }

    #[test]
    fn time_starts_again_at_the_exec() {
        let mut verdict = Verdict::new(Goal::Alive, 1_000, 8_000);
        assert_eq!(verdict.judge(CLOSED, 2_000), None);
        assert_eq!(verdict.deadline(), 9_000);
        assert_eq!(verdict.judge(EXECUTED, 3_000), None);
        assert_eq!(verdict.deadline(), 11_000);
        assert_eq!(verdict.judge(EXECUTED, 4_000), None);
        assert_eq!(verdict.deadline(), 11_000);
    }

    #[test]
    fn time_is_extended_and_cut_when_the_pipe_is_closed() {
        let mut verdict = Verdict::new(Goal::Ready, 1_000, 8_000);
        assert_eq!(verdict.judge(Event::Extended(2), 1_000), None);
        assert_eq!(
            verdict.deadline(),
            9_000,
            "an extension never shortens the time"
        );
        assert_eq!(verdict.judge(Event::Extended(20), 1_000), None);
        assert_eq!(verdict.deadline(), 21_000);
        assert_eq!(verdict.judge(Event::Extended(u64::MAX), 1_000), None);
        assert_eq!(verdict.deadline(), u64::MAX);
        assert_eq!(verdict.judge(Event::Silent, 30_000), None);
        assert_eq!(verdict.deadline(), 30_000 + EXIT_GRACE);
        assert_eq!(verdict.judge(Event::Extended(u64::MAX), 30_000), None);
        assert_eq!(verdict.judge(Event::Silent, 40_000), None);
        assert_eq!(verdict.deadline(), 30_000 + EXIT_GRACE);
    }

    #[test]
    fn a_late_daemon_had_all_the_time_that_it_has_asked_for() {
        let mut verdict = Verdict::new(Goal::Ready, 1_000, 8_000_000);
        assert_eq!(verdict.judge(Event::Extended(20_000), 1_000_000), None);
        let late = Cause::Late(Duration::from_millis(20));
        let late = Error::new(ErrorKind::TimedOut, late);
        assert_eq!(verdict.judge(Event::Deadline, 0), Some(Err(late)));
    }
}
