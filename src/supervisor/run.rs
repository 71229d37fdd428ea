//! What follows an event of a daemon that runs? Pure.

use super::context::Request;
use super::events::Event;
use crate::protocol::{Event as Message, Nanoseconds, WaitStatus};

/// A run of the daemon.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// How long the daemon may be silent; 0 for no limit.
    limit: Nanoseconds,
    /// When it has been silent for too long.
    pub(super) deadline: Nanoseconds,
    /// Whether the daemon goes into the background: another process may take its place.
    forks: bool,
}

/// What the supervisor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// It waits for the next event.
    Wait,
    /// It looks for the process that has taken the place of the daemon. If there is none, the run is over.
    FindSuccessor,
    /// The run is over.
    End(Option<WaitStatus>),
    /// It stops the daemon.
    Stop,
    /// It ends a daemon that has been silent for too long.
    Abort,
}

impl Run {
    /// A run that begins now.
    pub(super) const fn new(limit: Nanoseconds, now: Nanoseconds, forks: bool) -> Self {
        let mut run = Self {
            limit,
            deadline: Nanoseconds::MAX,
            forks,
        };
        run.restart_watchdog(now);
        run
    }

    const fn restart_watchdog(&mut self, now: Nanoseconds) {
        if self.limit != 0 {
            self.deadline = now.saturating_add(self.limit);
        }
    }

    /// Decides what follows an event. `now` is the time after the wait.
    pub(super) fn judge(&mut self, event: Event, request: Request, now: Nanoseconds) -> Act {
        match event {
            Event::Ended(Some(status))
                if self.forks && request == Request::None && status.exit_status() == Some(0) =>
            {
                return Act::FindSuccessor;
            }
            Event::Ended(status) => return Act::End(status),
            // Whatever else there is: the stop ends it.
            _ if request == Request::Stop => return Act::Stop,
            Event::Heard(Message::Watchdog { is_alive: false }) => return Act::Abort,
            Event::Heard(Message::Watchdog { is_alive: true }) => self.restart_watchdog(now),
            Event::Heard(Message::Extended(microseconds)) if self.limit != 0 => {
                let end = now.saturating_add(microseconds.saturating_mul(1000));
                self.deadline = self.deadline.max(end);
            }
            Event::Heard(_) | Event::Other | Event::Timeout => {}
        }
        match now >= self.deadline {
            true => Act::Abort,
            false => Act::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Act, Run};
    use crate::protocol::{Event as Message, Nanoseconds, WaitStatus};
    use crate::supervisor::context::Request;
    use crate::supervisor::events::Event;

    const ALIVE: Event = Event::Heard(Message::Watchdog { is_alive: true });
    const SUCCESS: Event = Event::Ended(Some(WaitStatus::from_raw(0)));

    #[test]
    fn a_daemon_must_be_heard_of() {
        let mut run = Run::new(10, 100, false);
        assert_eq!(run.judge(ALIVE, Request::None, 109), Act::Wait);
        assert_eq!(run.deadline, 119);
        assert_eq!(run.judge(Event::Other, Request::None, 118), Act::Wait);
        let extended = Event::Heard(Message::Extended(1));
        assert_eq!(run.judge(extended, Request::None, 118), Act::Wait);
        assert_eq!(run.deadline, 1118);
        assert_eq!(run.judge(ALIVE, Request::None, 1117), Act::Wait);
        // A flood of other events does not hide it.
        assert_eq!(run.judge(Event::Other, Request::None, 1127), Act::Abort);
        assert_eq!(run.judge(Event::Timeout, Request::Finish, 1127), Act::Abort);
        let trigger = Event::Heard(Message::Watchdog { is_alive: false });
        for limit in [0, 10] {
            let mut run = Run::new(limit, 0, false);
            assert_eq!(run.judge(trigger, Request::None, 0), Act::Abort);
        }
        let mut run = Run::new(0, 0, false);
        for event in [ALIVE, extended, Event::Other, Event::Timeout] {
            assert_eq!(
                run.judge(event, Request::None, Nanoseconds::MAX - 1),
                Act::Wait
            );
        }
    }

    #[test]
    fn a_stop_counts_whatever_comes_with_it() {
        let mut run = Run::new(10, 0, true);
        let trigger = Event::Heard(Message::Watchdog { is_alive: false });
        for event in [Event::Other, Event::Timeout, ALIVE, trigger] {
            assert_eq!(run.judge(event, Request::Stop, 99), Act::Stop);
        }
        let ended = Act::End(Some(WaitStatus::from_raw(0)));
        for request in [Request::Finish, Request::Stop] {
            assert_eq!(run.judge(SUCCESS, request, 0), ended);
        }
    }

    #[test]
    fn only_a_daemon_that_goes_into_the_background_has_a_successor() {
        let mut run = Run::new(0, 0, true);
        assert_eq!(run.judge(SUCCESS, Request::None, 0), Act::FindSuccessor);
        for raw in [9, 0x100] {
            let status = Some(WaitStatus::from_raw(raw));
            let act = run.judge(Event::Ended(status), Request::None, 0);
            assert_eq!(act, Act::End(status));
        }
        assert_eq!(
            run.judge(Event::Ended(None), Request::None, 0),
            Act::End(None)
        );
        let mut run = Run::new(0, 0, false);
        let ended = Act::End(Some(WaitStatus::from_raw(0)));
        assert_eq!(run.judge(SUCCESS, Request::None, 0), ended);
    }
}
