//! The watch over the daemon: the intermediate waits for events until there is a verdict.

use super::context::{Context, SupervisedStart, Watched};
use super::forked::find_forked;
use super::pipes::{read_record, send_verdict, wait_until_released};
use super::readiness::{Channel, belongs};
use crate::options::Settings;
use crate::pidfile::{hand_over, rewrite};
use crate::protocol::{
    Cause, Errno, Error, ErrorKind, Event, Goal, Nanoseconds, Note, Pid, Record, Signal, Verdict,
    cannot_watch, encode, failed, nanoseconds,
};
use crate::sys::{self, Fd, NO_FD, RawFd, SIGCHLD, SignalSet, Stack};

/// How often the intermediate polls a condition that no descriptor reports.
const CHECK_INTERVAL: Nanoseconds = 1_000_000;

/// How often it looks for what a daemon has left, and the unit in which it counts the time to the end.
pub(super) const END_INTERVAL: Nanoseconds = 10_000_000;

/// How often it looks for it at least.
const LOOK_INTERVAL: Nanoseconds = 200_000_000;

/// How many messages are read in a row before other events are checked. A full pipe (64 KiB) takes 16
/// reads, and a socket queues 10 datagrams by default (net.unix.max_dgram_qlen).
const MAX_MESSAGES: u32 = 512;

/// The watch over a daemon.
pub(super) struct Watch<'w> {
    options: &'w Settings<'w>,
    pub(super) daemon: Pid,
    /// The process that is watched: the daemon, or a descendant that it has named by `MAINPID=`.
    pub(super) main: Pid,
    /// The process that the pidfile names: the daemon, or `None` after it has named another one.
    named: Option<Pid>,
    session: Pid,
    /// Whether the daemon executes a command. If so, only its exec or its end closes the report pipe.
    executes: bool,
    /// Whether setpgid(2) can be asked whether it has executed it.
    may_setpgid: bool,
    /// Whether it has reported that only the exec follows.
    is_executing: bool,
    goal: Goal,
    timeout: Nanoseconds,
    /// The read end of the report pipe; [`NO_FD`] after end of file.
    report: RawFd,
    /// The intermediate's copy of the write end, which it closes before the first wait.
    report_writer: RawFd,
    /// The write end of the verdict pipe; [`NO_FD`] in the original.
    verdict: RawFd,
    /// The signals that abandon it there, and in a supervisor.
    abandoning: SignalSet,
    /// A signalfd for these; [`NO_FD`] in an intermediate.
    asked: RawFd,
    /// What a supervisor has, if there is one.
    pub(super) supervision: Option<SupervisedStart>,
    /// Whether the process that was started has gone into the background: the process that is the daemon now is looked
    /// for.
    pub(super) forked: bool,
    /// The process that was found at the last look, and the time to the next one.
    seen: Option<Pid>,
    look_interval: Nanoseconds,
    channel: &'w mut Channel,
    /// Readable when the daemon may have ended: a pidfd, or, before Linux 5.3 and where a sandbox refuses
    /// pidfds, a signalfd for SIGCHLD, which also reports stops. [`NO_FD`] before the first wait.
    pub(super) death: RawFd,
    /// When the daemon starts its steps at the latest: it may wait for a lock before.
    started: Nanoseconds,
    /// When the daemon is created; [`Nanoseconds::MAX`] with [`Goal::Begun`], which needs no clock.
    born: Nanoseconds,
    /// Whether the daemon has been reaped, or is no longer a child.
    pub(super) has_ended: bool,
    /// Whether this process has reaped it.
    pub(super) is_reaped: bool,
    /// How it has ended, if this process has seen it.
    died: Option<Event>,
}

impl<'w> Watch<'w> {
    pub(super) fn new<R>(
        context: &Context<'w, R>,
        session: Pid,
        channel: &'w mut Channel,
        daemon: Pid,
        born: Nanoseconds,
    ) -> Self {
        let plan = context.shared.plan;
        let verdict = context.shared.verdict.writer;
        let supervision = context.shared.supervision;
        let of_original = SignalSet::of(Signal::TERM.number().into());
        Self {
            options: plan.options,
            daemon,
            main: daemon,
            named: Some(daemon),
            session,
            executes: plan.executes,
            may_setpgid: context.shared.may_setpgid,
            is_executing: false,
            goal: plan.goal,
            timeout: plan.timeout,
            report: context.report.reader,
            report_writer: context.report.writer,
            verdict,
            asked: NO_FD,
            abandoning: supervision.map_or(of_original, |it| it.abandoning),
            supervision,
            forked: false,
            seen: None,
            look_interval: END_INTERVAL,
            channel,
            death: NO_FD,
            started: born.saturating_add(nanoseconds(plan.options.lock_timeout)),
            born,
            has_ended: false,
            is_reaped: false,
            died: None,
        }
    }

    /// Waits until the daemon no longer uses this process's memory.
    pub(super) fn wait_until_released(&mut self, stack: &Stack) {
        if self.is_reaped {
            stack.mark_released();
        }
        if stack.in_use() {
            self.close_report_writer();
            wait_until_released(stack, self.report);
        }
    }

    /// Watches the daemon until there is a verdict, and reports a success to the original. On an error,
    /// which includes the death of the original, the daemon has ended when this returns, unless the error says
    /// that it still runs.
    #[inline(never)]
    pub(super) fn run(&mut self) -> Result<(), Error> {
        let judged = self.reach_verdict();
        let runs = encode(&Record::Runs(self.main));
        let judged = judged
            .and_then(|()| send_verdict(self.verdict, runs).map_err(failed(ErrorKind::WaitFailed)));
        judged.map_err(|error| {
            let has_ended = self.end_main();
            self.end_daemon(error.kind() == ErrorKind::Refused);
            self.end_group();
            match self.has_ended && has_ended {
                true => error,
                false => error.with(Note::StillRuns),
            }
        })
    }

    fn reach_verdict(&mut self) -> Result<(), Error> {
        let mut verdict = Verdict::new(self.goal, self.started, self.timeout);
        // If this process was stopped until the exec, there is nothing to wait for.
        let mut first = self.read_report().or_else(|| self.detect_exec());
        loop {
            let event = match first.take() {
                Some(event) => event,
                None => self.next_event(verdict.deadline()).map_err(cannot_watch)?,
            };
            let now = match self.goal {
                Goal::Alive | Goal::Ready if event.is_timed() => {
                    sys::monotonic_time().map_err(cannot_watch)?
                }
                _ => 0,
            };
            let is_restart = self.supervision.is_some_and(|it| it.is_restart);
            match verdict.judge(event, now) {
                // Its supervisor stops it, and gives it the time that it needs.
                Some(Err(_)) if event == Event::Abandoned && is_restart && verdict.has_begun() => {
                    return Ok(());
                }
                // It may have ended just now. Its own word counts, whatever comes after it.
                Some(Ok(())) if matches!(event, Event::Deadline) => match self.try_wait() {
                    Some(death) => return verdict.judge(death, 0).unwrap_or(Ok(())),
                    None => return Ok(()),
                },
                Some(judged) => return judged,
                None => {}
            }
        }
    }

    /// Waits for the next event. Of several, it returns a message of the daemon first, then its death, then the death of
    /// the original, and the deadline last. Fails if a call that it needs is refused.
    #[inline(never)]
    fn next_event(&mut self, deadline: Nanoseconds) -> Result<Event, Errno> {
        self.prepare_to_wait()?;
        loop {
            let mut left = match deadline {
                Nanoseconds::MAX => deadline,
                _ => deadline.saturating_sub(sys::monotonic_time()?),
            };
            if self.forked {
                if let Some(event) = self.find_forked() {
                    return Ok(event);
                }
                left = left.min(self.look_interval);
                self.look_interval = self.look_interval.saturating_mul(2).min(LOOK_INTERVAL);
            }
            // ppoll(2) reports the verdict pipe when no process waits for the verdict.
            let channel = self.channel.fd();
            let mut ready = [self.report, channel, self.death, self.verdict, self.asked];
            match sys::ppoll(&mut ready, left) {
                // ppoll(2) has reported nothing. The signal may be the daemon's SIGCHLD: check whether it
                // has ended.
                Err(Errno::EINTR) => ready = [NO_FD, NO_FD, self.death, NO_FD, NO_FD],
                polled => polled?,
            }
            let [_, _, death, verdict, asked] = ready;
            // Read the messages even if none was reported: a daemon that ended during the poll may have
            // sent one just before.
            let message = self.read_report().or_else(|| self.read_readiness());
            match message {
                // Repeated requests for more time must not hide the other events.
                Some(Event::Extended(_)) | None => {}
                Some(event) => return Ok(event),
            }
            if death != NO_FD {
                if let Some(event) = self.try_wait() {
                    match event {
                        Event::Died { status, .. }
                            if self.options.forks && status.exit_status() == Some(0) =>
                        {
                            self.forked = true;
                            sys::close(self.death);
                            self.death = NO_FD;
                        }
                        event => return Ok(event),
                    }
                }
            }
            let is_first = self.supervision.is_some_and(|it| !it.is_restart);
            if asked != NO_FD && is_first && self.main == self.daemon {
                // The launcher learns its exit status.
                self.end_daemon(false);
                return Ok(self.died.unwrap_or(Event::Abandoned));
            }
            if verdict != NO_FD || asked != NO_FD {
                return Ok(Event::Abandoned);
            }
            if let Some(event) = message {
                return Ok(event);
            }
            if left == 0 {
                return Ok(Event::Deadline);
            }
        }
    }

    /// Follows the process that the daemon has left in the background, if it is known which one. If it has left none,
    /// it has ended.
    fn find_forked(&mut self) -> Option<Event> {
        let logger = self.supervision?.logger;
        match find_forked(self.options.own_pidfile, logger) {
            Err(errno) => Some(Event::Reported(Record::Failed(cannot_watch(errno)))),
            // A daemon that forks twice leaves its first child for a moment: of an only child, two looks are needed.
            Ok(Some(main)) if self.options.own_pidfile.is_none() && self.seen != Some(main) => {
                self.seen = Some(main);
                None
            }
            Ok(Some(main)) => self.follow(main).or(Some(Event::Ready)),
            Ok(None) => loop {
                match sys::try_wait_any() {
                    Ok(Some(_)) => {}
                    Err(Errno::ECHILD) => {
                        let died = Error::new(ErrorKind::DaemonDied, Cause::Unknown);
                        return Some(Event::Reported(Record::Failed(died.with(Note::AllSteps))));
                    }
                    _ => return None,
                }
            },
        }
    }

    /// Prepares the descriptors for the first wait. In the original, a SIGTERM abandons the start.
    pub(super) fn prepare_to_wait(&mut self) -> Result<(), Errno> {
        self.close_report_writer();
        if self.death == NO_FD && !self.forked {
            let death =
                sys::pidfd_open(self.daemon).or_else(|_| sys::signalfd(SignalSet::of(SIGCHLD)));
            self.death = death?.into_raw();
            if self.asked == NO_FD && (self.verdict == NO_FD || self.supervision.is_some()) {
                self.asked = sys::signalfd(self.abandoning).map_or(NO_FD, Fd::into_raw);
            }
        }
        Ok(())
    }

    fn close_report_writer(&mut self) {
        sys::close(self.report_writer);
        self.report_writer = NO_FD;
    }

    fn read_report(&mut self) -> Option<Event> {
        if let Some(record) = read_record(self.report)? {
            self.is_executing |= record == Record::Executes;
            return Some(Event::Reported(record));
        }
        self.report = NO_FD;
        // The pipe of a daemon that executes a command is closed by its exec or its end. Since Linux 7.2
        // the exec closes it before setpgid(2) shows the exec, so poll for either.
        loop {
            // In this order: a daemon that has executed may end at any time, and setpgid(2) must be
            // called before it is reaped.
            let has_exited = sys::has_exited(self.daemon);
            let executed = match self.may_setpgid {
                true => matches!(sys::setpgid(self.daemon), Err(Errno::EACCES | Errno::EPERM)),
                // A policy refuses the question, so the daemon's report counts.
                false => self.is_executing,
            };
            if executed || !self.executes {
                return Some(Event::Closed { executed });
            }
            // If waitid(2) is refused, wait4(2) tells as much, since the daemon has not executed.
            if has_exited != Ok(false) {
                if let Some(event) = self.try_wait() {
                    return Some(event);
                }
            }
            sys::sleep(CHECK_INTERVAL);
        }
    }

    /// Detects an exec whose end of file is still to come: the kernel resumes a parent that was stopped
    /// until the exec shortly before it closes the pipe.
    #[inline(never)]
    fn detect_exec(&self) -> Option<Event> {
        let has_executed = self.goal == Goal::Begun
            && self.may_setpgid
            && sys::setpgid(self.daemon) == Err(Errno::EACCES);
        has_executed.then_some(Event::Closed { executed: true })
    }

    #[inline(never)]
    fn read_readiness(&mut self) -> Option<Event> {
        let Self {
            daemon,
            session,
            verdict,
            ..
        } = *self;
        // A process may send messages forever, so the number is limited.
        for _ in 0..MAX_MESSAGES {
            let mut main = self.main;
            let event = self.channel.receive(daemon, session, verdict, &mut main)?;
            let event = self.follow(main).or(event);
            // That counts only once the start is over.
            let event = event.filter(|event| !matches!(event, Event::Watchdog { .. }));
            if event.is_some() {
                return event;
            }
        }
        None
    }

    /// Watches this process from now on, and makes it the daemon of the pidfile. Without pidfds (before Linux 5.3), the
    /// daemon stays the same.
    #[inline(never)]
    fn follow(&mut self, main: Pid) -> Option<Event> {
        if main == self.main {
            return None;
        }
        let from = self.main;
        let moved = match sys::pidfd_open(main) {
            Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)) => {
                Err(cannot_watch(errno))
            }
            // The end of a child is seen without.
            Err(_) if !self.forked => return None,
            // Its pid may have been given to another process before this.
            Ok(_) if !self.forked && !belongs(main, self.daemon, self.session) => return None,
            pidfd => {
                sys::close(self.death);
                self.death = pidfd.map_or(NO_FD, Fd::into_raw);
                self.main = main;
                self.named = None;
                match self.supervision.map(|it| it.locks) {
                    None => hand_over(self.options, self.daemon, from, main),
                    Some([NO_FD, _]) => Ok(()),
                    Some([pidfile, _]) => rewrite(pidfile, main),
                }
            }
        };
        let error = moved.err()?.with(Note::AllSteps);
        Some(Event::Reported(Record::Failed(error)))
    }

    /// What is known of a daemon whose start is a success.
    pub(super) const fn watched(&self) -> Watched {
        Watched {
            daemon: self.daemon,
            main: self.main,
            main_end: if self.named.is_none() {
                self.death
            } else {
                NO_FD
            },
        }
    }

    /// Closes what the watch has opened, for a process that goes on, except for the pidfd that
    /// [`watched`](Self::watched) has returned, if that `is_used`.
    pub(super) fn close(&mut self, is_used: bool) {
        self.close_report_writer();
        if self.named.is_some() || !is_used {
            sys::close(self.death);
        }
        sys::close(self.asked);
    }

    /// The process that the pidfile names; `None` if that is one that the daemon has named.
    pub(super) const fn named(&self) -> Option<Pid> {
        self.named
    }

    /// Reaps the daemon if it has ended.
    pub(super) fn try_wait(&mut self) -> Option<Event> {
        if self.main != self.daemon {
            // The process is no child of this one.
            let mut ready = [self.death, NO_FD, NO_FD, NO_FD];
            let has_ended = sys::ppoll(&mut ready, 0).is_ok() && ready != [NO_FD; 4];
            let died = Error::new(ErrorKind::DaemonDied, Cause::Unknown).with(Note::AllSteps);
            return has_ended.then_some(Event::Reported(Record::Failed(died)));
        }
        // This consumes the signal of a signalfd, so that the next poll waits. A pidfd cannot be read.
        let _ = sys::read(self.death, &mut [0; 256]);
        match sys::try_wait(self.daemon) {
            Ok(Some(status)) => {
                self.has_ended = true;
                self.is_reaped = true;
                let now = sys::monotonic_time();
                let lived = now.ok().and_then(|now| now.checked_sub(self.born));
                self.died = Some(Event::Died {
                    status,
                    milliseconds: lived.map_or(u64::MAX, |lived| lived / 1_000_000),
                });
                self.died
            }
            Ok(None) => None,
            Err(errno) => {
                self.has_ended = errno == Errno::ECHILD;
                Some(Event::Reported(Record::Failed(cannot_watch(errno))))
            }
        }
    }
}
