//! The intermediate's watch over the daemon, until there is a verdict, and the original's wait for it.

use crate::channel::Channel;
use crate::progress::Progress;
use crate::protocol::{
    Errno, Event, ExitCode, Goal, Judgement, Nanoseconds, Pid, RECORD_SIZE, Record, SIGKILL,
    SIGTERM, STATUS_SIZE, Verdict, WaitStatus, decode, encode, failed, join,
};
use crate::sys::{self, Datagram, NOTHING, RawFd};
use core::time::Duration;

/// How long a daemon that shall end may take over it before it is killed.
const GRACE: Nanoseconds = 1_000_000_000;

/// How long a daemon that has said that it cannot start may take to end by itself.
const PATIENCE: Nanoseconds = 100_000_000;

/// How often is looked for what nothing would tell.
const PAUSE: Nanoseconds = 1_000_000;

/// How much is read before a death is looked for: a pipe of 64 KiB is read in 16 parts, and a socket holds
/// 10 datagrams by default (net.unix.max_dgram_qlen).
const UNHEARD: u32 = 512;

/// How often the original shows that it waits.
const TICK: Nanoseconds = 1_000_000_000;

/// The record that waits in a pipe: `Some(None)` at its end, and `None` when it is empty.
#[inline(never)]
fn hear(pipe: RawFd) -> Option<Option<Record>> {
    let mut bytes = [0; RECORD_SIZE];
    // The end leaves zeros, which are no record. A pipe gives so few bytes whole.
    sys::read(pipe, &mut bytes).ok()?;
    Some(decode(&bytes))
}

/// The original: waits for the intermediate, and gives its last record and how it ended. What there
/// is to be seen meanwhile is shown.
#[inline(never)]
pub(crate) fn hear_verdict(
    pipe: RawFd,
    intermediate: Pid,
    show: &mut dyn FnMut(Progress<'_>),
) -> (Option<Record>, Result<WaitStatus, Errno>) {
    let began = sys::monotonic_time();
    let (mut now, mut next_tick) = (began, began.saturating_add(TICK));
    let mut ended = None;
    loop {
        let _ = sys::poll(
            &mut [pipe, NOTHING, NOTHING, NOTHING],
            next_tick.saturating_sub(now),
        );
        match hear(pipe) {
            Some(Some(Record::Status(length))) => {
                let mut text = [0; STATUS_SIZE];
                let text = text.get_mut(..length.into()).unwrap_or_default();
                if sys::read(pipe, text).is_ok() {
                    show(Progress::Status(text));
                }
            }
            Some(Some(Record::Created)) => {}
            Some(record) => break (record, ended.unwrap_or_else(|| sys::wait(intermediate))),
            // Killed, and somebody still holds on to its end of the pipe.
            None if ended.is_some() => break (None, ended.unwrap_or(Err(Errno::ECHILD))),
            None => ended = sys::wait_if_ended(intermediate).transpose(),
        }
        now = sys::monotonic_time();
        if now >= next_tick {
            next_tick = now.saturating_add(TICK);
            show(Progress::Waiting(Duration::from_nanos(
                now.saturating_sub(began),
            )));
        }
    }
}

/// The watch over a daemon.
pub(crate) struct Watch<'w, 'a> {
    pub(crate) daemon: Pid,
    pub(crate) session: Pid,
    /// Whether it executes a command, and never closes the pipe otherwise.
    pub(crate) executes: bool,
    /// Where the daemon reports; [`NOTHING`] after end of file.
    pub(crate) report: RawFd,
    /// Where the daemon writes to; closed before the first wait.
    pub(crate) daemon_end: RawFd,
    /// Where the original listens; [`NOTHING`] if this is the original.
    pub(crate) verdict: RawFd,
    /// Has no reader, or can be read, when nobody waits for the daemon any more.
    pub(crate) abandoned: RawFd,
    pub(crate) channel: &'w mut Channel<'a>,
    /// A descriptor that can be read once the daemon may have ended: a pidfd since Linux 5.3; on
    /// older kernels, and where a sandbox refuses that, a signalfd, which also tells when the daemon
    /// is stopped or continued.
    pub(crate) alarm: RawFd,
    /// [`Nanoseconds::MAX`] if it is to be over as soon as it has begun.
    pub(crate) born: Nanoseconds,
    pub(crate) ended: bool,
}

impl Watch<'_, '_> {
    /// Watches the daemon until the goal is reached or missed, and tells the original that it is
    /// reached. A daemon that missed it, or whose original is gone, has ended when this returns.
    #[inline(never)]
    pub(crate) fn judge(&mut self, goal: Goal, time: Nanoseconds) -> Judgement {
        let judgement = self.look_on(goal, time);
        let gone = failed(ExitCode::WaitFailed);
        let runs = Record::Runs(self.daemon);
        let judgement = judgement.and_then(|()| tell(self.verdict, runs).map_err(gone));
        if let Err(error) = judgement {
            self.end(error.code() == ExitCode::Refused);
        }
        judgement
    }

    fn look_on(&mut self, goal: Goal, time: Nanoseconds) -> Judgement {
        let mut verdict = Verdict::new(goal, self.born, time);
        // If this has stopped for the daemon, there is nothing to wait for.
        let mut heard = self.hear().or_else(|| self.see_exec(goal));
        loop {
            let event = match heard.take() {
                Some(event) => event,
                None => self.next_event(verdict.deadline()),
            };
            let now = match goal {
                Goal::Begun => 0,
                Goal::Alive | Goal::Ready => sys::monotonic_time(),
            };
            match verdict.judge(event, now) {
                // What has said that it is ready may be dead by now.
                Some(Ok(())) if goal != Goal::Begun => match self.look() {
                    Some(death) => {
                        return verdict
                            .judge(death, sys::monotonic_time())
                            .unwrap_or(Ok(()));
                    }
                    None => return Ok(()),
                },
                Some(judgement) => return judgement,
                None => {}
            }
        }
    }

    /// Waits for the next thing to happen. What the daemon said comes before its death, its death
    /// before the original's, and all of it before the deadline.
    fn next_event(&mut self, deadline: Nanoseconds) -> Event {
        if let Err(errno) = self.set_alarm() {
            return Event::Said(Record::Failed(failed(ExitCode::ChannelFailed)(errno)));
        }
        loop {
            let left = match deadline {
                Nanoseconds::MAX => deadline,
                _ => deadline.saturating_sub(sys::monotonic_time()),
            };
            let mut ready = [self.report, self.channel.ear(), self.alarm, self.abandoned];
            match sys::poll(&mut ready, left) {
                Ok(()) => {}
                // Whatever it was: everything is looked at, and the time goes on.
                Err(Errno::EINTR) => ready = [NOTHING, NOTHING, self.alarm, NOTHING],
                Err(errno) => {
                    return Event::Said(Record::Failed(failed(ExitCode::WaitFailed)(errno)));
                }
            }
            let [_, _, alarm, abandoned] = ready;
            // A daemon that has died now may have said something just before: so that is read after
            // the poll, whatever the poll said of it.
            let heard = self.hear().or_else(|| self.hear_command());
            match heard {
                // One that asks for time again and again does not hide what else there is.
                Some(Event::Extended(_)) | None => {}
                Some(event) => return event,
            }
            if alarm != NOTHING {
                // Takes a signal off, so that the next poll waits again; a pidfd is not read.
                let _ = sys::read(self.alarm, &mut [0; 256]);
                if let Some(event) = self.look() {
                    return event;
                }
            }
            if abandoned != NOTHING {
                self.abandoned = NOTHING;
                return Event::Abandoned;
            }
            if let Some(event) = heard {
                return event;
            }
            if left == 0 {
                return Event::Deadline;
            }
        }
    }

    /// Before the first wait. If this is the original, it is told to end by a SIGTERM.
    fn set_alarm(&mut self) -> Result<(), Errno> {
        sys::close(self.daemon_end);
        self.daemon_end = NOTHING;
        if self.alarm == NOTHING {
            self.alarm = sys::watch_child(self.daemon)?.into_raw();
            if self.verdict == NOTHING {
                self.abandoned = sys::watch_end().unwrap_or(NOTHING);
            }
        }
        Ok(())
    }

    fn hear(&mut self) -> Option<Event> {
        if let Some(record) = hear(self.report)? {
            return Some(Event::Said(record));
        }
        self.report = NOTHING;
        // Only an exec or its end closes the pipe of what executes a command. Since Linux 7.2 the kernel
        // closes it before the rest of the exec.
        loop {
            // Asked first: what has executed may end at any time, and must be asked before it is reaped.
            let has_ended = sys::has_ended(self.daemon);
            let executed = sys::move_to_group(self.daemon, self.session).is_err();
            if executed || !self.executes {
                return Some(Event::Closed { executed });
            }
            if has_ended {
                return self.look();
            }
            let _ = sys::poll(&mut [NOTHING; 4], PAUSE);
        }
    }

    /// The kernel lets a parent go on that has stopped for an exec a moment before the pipe is closed.
    fn see_exec(&self, goal: Goal) -> Option<Event> {
        let is_seen = goal == Goal::Begun
            && sys::move_to_group(self.daemon, self.session) == Err(Errno::EACCES);
        is_seen.then_some(Event::Closed { executed: true })
    }

    #[inline(never)]
    fn hear_command(&mut self) -> Option<Event> {
        let Self {
            daemon,
            session,
            verdict,
            ..
        } = *self;
        let is_ours = |datagram: &Datagram| is_ours(datagram, daemon, session);
        // As much as may wait there, and not for ever: somebody may go on talking.
        for _ in 0..UNHEARD {
            let event = self
                .channel
                .hear(is_ours, |text| tell_status(verdict, text))?;
            if event.is_some() {
                return event;
            }
        }
        None
    }

    fn look(&mut self) -> Option<Event> {
        match sys::wait_if_ended(self.daemon) {
            Ok(Some(status)) => {
                self.ended = true;
                let lived = sys::monotonic_time().checked_sub(self.born);
                Some(Event::Died {
                    status,
                    milliseconds: lived.map_or(u64::MAX, |lived| lived / 1_000_000),
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

    /// Ends the daemon: asks it, unless it ends by itself, and kills it when that takes too long.
    fn end(&mut self, by_itself: bool) {
        if self.ended || by_itself && self.ends_within(PATIENCE) {
            return;
        }
        let _ = sys::signal(self.daemon, SIGTERM);
        if !self.ends_within(GRACE) {
            // One that cannot be killed is not waited for: it has become another user's.
            let killed = sys::signal(self.daemon, SIGKILL).and_then(|()| sys::wait(self.daemon));
            self.ended = killed.is_ok();
        }
    }

    fn ends_within(&mut self, time: Nanoseconds) -> bool {
        let deadline = sys::monotonic_time().saturating_add(time);
        // Whatever else it says: it may go on talking for ever.
        while !self.ended && sys::monotonic_time() < deadline {
            if self.set_alarm().is_ok() {
                let _ = self.next_event(deadline);
            } else {
                let _ = sys::poll(&mut [NOTHING; 4], PAUSE);
                let _ = self.look();
            }
        }
        self.ended
    }
}

/// Tells the original, which may have stopped listening for a while: so this waits for it. To oneself
/// nothing is to be told.
pub(crate) fn tell(verdict: RawFd, record: Record) -> Result<(), Errno> {
    if verdict == NOTHING {
        return Ok(());
    }
    let message = encode(&record);
    let told = match sys::write(verdict, &message) {
        Err(Errno::EAGAIN) => {
            sys::set_blocking(verdict, false).and_then(|()| sys::write(verdict, &message))
        }
        told => told,
    };
    told.map(drop)
}

/// Whether a datagram comes from the daemon or its descendants: only what it has started, and that has
/// started, is in its session, or in the one that it leads by now.
pub(crate) fn is_ours(datagram: &Datagram, daemon: Pid, session: Pid) -> bool {
    datagram.sender.is_some_and(|sender| {
        let its_session = sys::session_of(sender);
        sender == daemon || its_session == Some(session) || its_session == Some(daemon)
    })
}

/// Tells the original how far the daemon is, if there is room in the pipe: this can be missed.
fn tell_status(verdict: RawFd, text: &[u8]) {
    let mut message = [0; RECORD_SIZE + STATUS_SIZE];
    let record = encode(&Record::Status(text.len() as u8));
    let _ = sys::write(verdict, join(&record, text, &mut message));
}
