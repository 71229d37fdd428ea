//! The intermediate's watch over the daemon, until there is a verdict.

use super::context::Context;
use super::pipes::{read_record, send_status, send_verdict};
use super::readiness::{Channel, is_from_daemon};
use crate::protocol::{
    Errno, Error, Event, ExitCode, Goal, Nanoseconds, Pid, Record, SIGKILL, SIGTERM, Verdict,
    failed,
};
use crate::sys::{self, Datagram, NO_FD, RawFd, SIGCHLD};

/// How long a daemon may take to end after a SIGTERM, before it is killed.
const TERM_TIME: Nanoseconds = 1_000_000_000;

/// How long a daemon that has reported a failure may take to end by itself.
const REFUSAL_TIME: Nanoseconds = 100_000_000;

/// How often the intermediate checks what no descriptor tells.
const CHECK_INTERVAL: Nanoseconds = 1_000_000;

/// How many messages are read before a death is looked for: a pipe of 64 KiB is read in 16 parts, and a
/// socket holds 10 datagrams by default (net.unix.max_dgram_qlen).
const MESSAGES: u32 = 512;

/// The watch over a daemon.
pub(super) struct Watch<'w, 'a> {
    daemon: Pid,
    session: Pid,
    /// Whether the daemon executes a command, and never closes the report pipe otherwise.
    executes: bool,
    goal: Goal,
    time: Nanoseconds,
    /// The end of the report pipe that is read; [`NO_FD`] after end of file.
    report: RawFd,
    /// The daemon's end, which is closed before the first wait.
    daemon_end: RawFd,
    /// The intermediate's end of the verdict pipe; [`NO_FD`] if this is the original.
    verdict: RawFd,
    /// Has no reader, or is readable, when no process waits for the verdict any more.
    abandoned: RawFd,
    channel: &'w mut Channel<'a>,
    /// A descriptor that is readable when the daemon may have ended: a pidfd since Linux 5.3. On older
    /// kernels, and where a sandbox refuses that, it is a signalfd, which also reports stops.
    death: RawFd,
    /// [`Nanoseconds::MAX`] if the watch ends as soon as the daemon has begun.
    born: Nanoseconds,
    has_ended: bool,
}

impl<'w, 'a> Watch<'w, 'a> {
    pub(super) fn new<R>(
        context: &Context<'_, R>,
        session: Pid,
        channel: &'w mut Channel<'a>,
        daemon: Pid,
    ) -> Self {
        let plan = context.shared.plan;
        let verdict = context.shared.verdict.writer;
        Self {
            daemon,
            session,
            executes: plan.executes,
            goal: plan.goal,
            time: plan.time,
            report: context.report.reader,
            daemon_end: context.report.writer,
            verdict,
            abandoned: verdict,
            channel,
            death: NO_FD,
            born: match plan.goal {
                Goal::Begun => Nanoseconds::MAX,
                _ => sys::monotonic_time(),
            },
            has_ended: false,
        }
    }

    /// Whether the daemon has ended, and its status was taken.
    pub(super) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    pub(super) const fn channel(&self) -> &Channel<'a> {
        self.channel
    }

    /// A descriptor that is readable when the daemon may have ended; [`NO_FD`] if the watch never waited.
    pub(super) const fn death(&self) -> RawFd {
        self.death
    }

    /// Whether a datagram comes from the daemon.
    pub(super) fn is_from_daemon(&self, datagram: &Datagram) -> bool {
        is_from_daemon(datagram, self.daemon, self.session)
    }

    /// Watches the daemon until the goal is reached or missed, and reports a success to the original. If the
    /// goal is missed, or the original is gone, the daemon has ended when this returns.
    pub(super) fn run(&mut self) -> Result<(), Error> {
        let judged = self.wait_for_verdict();
        let runs = Record::Runs(self.daemon);
        let judged = judged
            .and_then(|()| send_verdict(self.verdict, runs).map_err(failed(ExitCode::WaitFailed)));
        if let Err(error) = judged {
            self.end_daemon(error.code() == ExitCode::Refused);
        }
        judged
    }

    fn wait_for_verdict(&mut self) -> Result<(), Error> {
        let mut verdict = Verdict::new(self.goal, self.born, self.time);
        // If this process has stopped for the daemon, there is nothing to wait for.
        let mut seen = self.read_report().or_else(|| self.see_exec());
        loop {
            let event = match seen.take() {
                Some(event) => event,
                None => self.next_event(verdict.deadline()),
            };
            let now = match self.goal {
                Goal::Begun => 0,
                Goal::Alive | Goal::Ready => sys::monotonic_time(),
            };
            match verdict.judge(event, now) {
                // A daemon that has said that it is ready may be dead by now.
                Some(Ok(())) if self.goal != Goal::Begun => match self.try_wait() {
                    Some(death) => {
                        return verdict
                            .judge(death, sys::monotonic_time())
                            .unwrap_or(Ok(()));
                    }
                    None => return Ok(()),
                },
                Some(judged) => return judged,
                None => {}
            }
        }
    }

    /// Waits for the next event. A message of the daemon's comes before its death, its death before the
    /// original's, and all of these before the deadline.
    fn next_event(&mut self, deadline: Nanoseconds) -> Event {
        if let Err(errno) = self.prepare_to_wait() {
            return Event::Said(Record::Failed(failed(ExitCode::ChannelFailed)(errno)));
        }
        loop {
            let left = match deadline {
                Nanoseconds::MAX => deadline,
                _ => deadline.saturating_sub(sys::monotonic_time()),
            };
            let mut ready = [self.report, self.channel.fd(), self.death, self.abandoned];
            match sys::ppoll(&mut ready, left) {
                Ok(()) => {}
                // Everything is checked then, whatever the signal was.
                Err(Errno::EINTR) => ready = [NO_FD, NO_FD, self.death, NO_FD],
                Err(errno) => {
                    return Event::Said(Record::Failed(failed(ExitCode::WaitFailed)(errno)));
                }
            }
            let [_, _, death, abandoned] = ready;
            // A daemon that has just died may have sent a message just before: it is read after the poll,
            // whatever the poll returned for it.
            let message = self.read_report().or_else(|| self.read_readiness());
            match message {
                // A daemon that asks for time again and again does not hide the other events.
                Some(Event::Extended(_)) | None => {}
                Some(event) => return event,
            }
            if death != NO_FD {
                // This consumes a signal, so that the next poll waits again. A pidfd is not read.
                let _ = sys::read(self.death, &mut [0; 256]);
                if let Some(event) = self.try_wait() {
                    return event;
                }
            }
            if abandoned != NO_FD {
                self.abandoned = NO_FD;
                return Event::Abandoned;
            }
            if let Some(event) = message {
                return event;
            }
            if left == 0 {
                return Event::Deadline;
            }
        }
    }

    /// Before the first wait. If this is the original, a SIGTERM asks it to end.
    fn prepare_to_wait(&mut self) -> Result<(), Errno> {
        sys::close(self.daemon_end);
        self.daemon_end = NO_FD;
        if self.death == NO_FD {
            let death = sys::pidfd_open(self.daemon).or_else(|_| sys::signalfd(SIGCHLD));
            self.death = death?.into_raw();
            if self.verdict == NO_FD {
                self.abandoned = sys::signalfd(SIGTERM.into()).map_or(NO_FD, sys::Fd::into_raw);
            }
        }
        Ok(())
    }

    fn read_report(&mut self) -> Option<Event> {
        if let Some(record) = read_record(self.report)? {
            return Some(Event::Said(record));
        }
        self.report = NO_FD;
        // Only an exec or its end closes the pipe of a daemon that executes a command. Since Linux 7.2 the
        // kernel closes it before the rest of the exec.
        loop {
            // In this order: a daemon that has executed may end at any time, and the question must be put
            // before it is reaped.
            let has_exited = sys::has_exited(self.daemon);
            let executed = sys::setpgid(self.daemon, self.session).is_err();
            if executed || !self.executes {
                return Some(Event::Closed { executed });
            }
            if has_exited {
                return self.try_wait();
            }
            sys::sleep(CHECK_INTERVAL);
        }
    }

    /// The kernel lets a parent go on that has stopped for an exec a moment before the pipe is closed.
    fn see_exec(&self) -> Option<Event> {
        let is_seen = self.goal == Goal::Begun
            && sys::setpgid(self.daemon, self.session) == Err(Errno::EACCES);
        is_seen.then_some(Event::Closed { executed: true })
    }

    #[inline(never)]
    fn read_readiness(&mut self) -> Option<Event> {
        let Self {
            daemon,
            session,
            verdict,
            ..
        } = *self;
        let is_from_daemon = |datagram: &Datagram| is_from_daemon(datagram, daemon, session);
        // As many as may wait there, and not without end: a process may send for ever.
        for _ in 0..MESSAGES {
            let event = self
                .channel
                .receive(is_from_daemon, |text| send_status(verdict, text))?;
            if event.is_some() {
                return event;
            }
        }
        None
    }

    fn try_wait(&mut self) -> Option<Event> {
        match sys::try_wait(self.daemon) {
            Ok(Some(status)) => {
                self.has_ended = true;
                let lived = sys::monotonic_time().checked_sub(self.born);
                Some(Event::Died {
                    status,
                    milliseconds: lived.map_or(u64::MAX, |lived| lived / 1_000_000),
                })
            }
            Ok(None) => None,
            Err(errno) => {
                self.has_ended = true;
                Some(Event::Said(Record::Failed(failed(ExitCode::WaitFailed)(
                    errno,
                ))))
            }
        }
    }

    /// Ends the daemon: by a SIGTERM, unless it ends by itself, and by a SIGKILL if that takes too long.
    fn end_daemon(&mut self, by_itself: bool) {
        if self.has_ended || by_itself && self.ends_within(REFUSAL_TIME) {
            return;
        }
        let _ = sys::kill(self.daemon, SIGTERM);
        if !self.ends_within(TERM_TIME) {
            // One that cannot be killed is not waited for: it has become another user's.
            let killed = sys::kill(self.daemon, SIGKILL).and_then(|()| sys::waitpid(self.daemon));
            self.has_ended = killed.is_ok();
        }
    }

    fn ends_within(&mut self, time: Nanoseconds) -> bool {
        let deadline = sys::monotonic_time().saturating_add(time);
        // Its messages are ignored: it may send them for ever.
        while !self.has_ended && sys::monotonic_time() < deadline {
            if self.prepare_to_wait().is_ok() {
                let _ = self.next_event(deadline);
            } else {
                sys::sleep(CHECK_INTERVAL);
                let _ = self.try_wait();
            }
        }
        self.has_ended
    }
}
