//! The intermediate's watch over the daemon, until there is a verdict.

use crate::daemonize::failed;
use crate::protocol::{
    Errno, Event, ExitCode, Goal, Judgement, Pid, RECORD_SIZE, Record, Verdict, decode,
};
use crate::sys::{self, NOTHING, Nanoseconds, RawFd};

/// How long a daemon that shall end may take over it before it is killed.
const GRACE: Nanoseconds = 1_000_000_000;

/// The record that waits in a pipe: `Some(None)` at its end, and `None` when it is empty.
#[inline(never)]
pub(crate) fn hear(pipe: RawFd) -> Option<Option<Record>> {
    let mut bytes = [0; RECORD_SIZE];
    // The end leaves zeros, which are no record. A pipe gives so few bytes whole.
    sys::read(pipe, &mut bytes).ok()?;
    Some(decode(&bytes))
}

/// Watches a daemon until the goal is reached or missed. A daemon that missed it has ended when
/// this returns.
#[inline(never)]
pub(crate) fn watch(
    daemon: Pid,
    session: Pid,
    report: RawFd,
    goal: Goal,
    time: Nanoseconds,
) -> Judgement {
    let born = sys::monotonic_time();
    let alarm = sys::watch_child(daemon).map_err(|errno| {
        kill(daemon);
        failed(ExitCode::ChannelFailed)(errno)
    })?;
    let mut watch = Watch {
        daemon,
        session,
        report,
        alarm: alarm.into_raw(),
        born,
        deadline: born.saturating_add(time),
        ended: false,
    };
    let mut verdict = Verdict::new(goal);
    loop {
        let event = watch.next_event();
        if let Some(judgement) = verdict.judge(event) {
            if judgement.is_err() {
                watch.end();
            }
            return judgement;
        }
    }
}

#[inline(never)]
fn kill(daemon: Pid) {
    sys::kill(daemon);
    let _ = sys::wait(daemon);
}

struct Watch {
    daemon: Pid,
    session: Pid,
    /// [`NOTHING`] after end of file.
    report: RawFd,
    /// A descriptor that can be read once the daemon may have ended: a pidfd since Linux 5.3; on
    /// older kernels, and where a sandbox refuses that, a signalfd, which also tells when the daemon
    /// is stopped or continued.
    alarm: RawFd,
    born: Nanoseconds,
    deadline: Nanoseconds,
    ended: bool,
}

impl Watch {
    /// Waits for the next thing to happen. What the daemon said comes before its death, and its
    /// death before the deadline.
    fn next_event(&mut self) -> Event {
        loop {
            let left = self.deadline.saturating_sub(sys::monotonic_time());
            let alarmed = match sys::poll([self.report, self.alarm], left) {
                Ok([false, false]) => return Event::Deadline,
                // A daemon that has died now may have said something just before: so the pipe is
                // read after the poll.
                Ok([_, alarmed]) => alarmed,
                Err(Errno::EINTR) => continue,
                Err(errno) => {
                    return Event::Said(Record::Failed(failed(ExitCode::WaitFailed)(errno)));
                }
            };
            if let Some(event) = self.hear() {
                return event;
            }
            if alarmed {
                // Takes a signal off, so that the next poll waits again; a pidfd is not read.
                let _ = sys::read(self.alarm, &mut [0; 256]);
                if let Some(event) = self.look() {
                    return event;
                }
            }
        }
    }

    fn hear(&mut self) -> Option<Event> {
        if let Some(record) = hear(self.report)? {
            return Some(Event::Said(record));
        }
        self.report = NOTHING;
        Some(Event::Closed {
            executed: sys::has_executed(self.daemon, self.session),
        })
    }

    fn look(&mut self) -> Option<Event> {
        match sys::wait_if_ended(self.daemon) {
            Ok(Some(status)) => {
                self.ended = true;
                let lived = sys::monotonic_time().saturating_sub(self.born);
                Some(Event::Died {
                    status,
                    milliseconds: lived / 1_000_000,
                })
            }
            Ok(None) => None,
            Err(errno) => {
                self.ended = true;
                Some(Event::Said(Record::Failed(failed(ExitCode::WaitFailed)(
                    errno,
                ))))
            }
        }
    }

    /// Ends the daemon: asks it, and kills it when that takes too long.
    fn end(&mut self) {
        if self.ended {
            return;
        }
        sys::ask_to_end(self.daemon);
        self.deadline = sys::monotonic_time().saturating_add(GRACE);
        loop {
            let event = self.next_event();
            if self.ended {
                return;
            }
            if matches!(event, Event::Deadline | Event::Said(Record::Failed(_))) {
                return kill(self.daemon);
            }
        }
    }
}
