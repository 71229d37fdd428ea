//! The supervisor: starts the daemon, waits until it ends, and starts it again.

use super::context::{Init, Outcome, Request, Supervisor};
use super::events::Event;
use super::respawn::Next;
use super::run::{Act, Run};
use crate::protocol::{
    Cause, Errno, Error, ErrorKind, Nanoseconds, Note, Pid, Record, Signal, WaitStatus,
    cannot_watch, encode, failed, nanoseconds,
};
use crate::start::{Running, find_forked, send_verdict};
use crate::sys::{self, NO_FD, Pipe};

/// How long a daemon that has missed its watchdog may take to end after the first signal.
const ABORT_TIMEOUT: Nanoseconds = 5_000_000_000;

impl Supervisor<'_> {
    /// Supervises the daemon until nothing is left to do.
    ///
    /// # Errors
    ///
    /// That of the first start.
    pub(super) fn stay(&mut self, verdict: Pipe, adopted: Option<Pid>) -> Result<Outcome, Error> {
        let first = match adopted {
            Some(daemon) => self.adopt(daemon, verdict),
            None => {
                self.tell_start();
                self.supervised.start(verdict, false, self.logger.pid)
            }
        };
        let mut started = match first {
            Ok(running) => Ok(running),
            Err(error) => {
                return Err(match self.end_rest(None, self.init != Init::Image) {
                    true => error,
                    false => error.with(Note::StillRuns),
                });
            }
        };
        sys::close(verdict.writer);
        self.tell(0, None, started.as_ref().ok());
        self.hold_lock();
        loop {
            // A request may have come during the start. A stop of an init process may have seen no daemon then.
            self.is_told = self.read_signals(started.as_ref().ok());
            if self.init != Init::No && self.request == Request::Finish {
                self.request = Request::Stop;
            }
            let (error, lived) = match started {
                Ok(mut running) => self.run(&mut running),
                Err(error) => {
                    self.end_rest(None, false);
                    (error, 0)
                }
            };
            let is_unwatched = error.kind() == ErrorKind::WaitFailed && error.has(Note::Other);
            if is_unwatched || error.has(Note::StillRuns) {
                // The daemon runs, or may run: a second one must not be started.
                self.give_up(&error);
                return Ok(Outcome::Lost(error));
            }
            self.empty_pidfile();
            let next = match self.request {
                Request::None => self.tally.judge(self.respawn, code_of(&error), lived),
                _ => Next::Finish,
            };
            let Next::Restart(delay) = next else {
                if next == Next::Finish {
                    return Ok(Outcome::Ended(error));
                }
                self.give_up(&error);
                return Ok(Outcome::GaveUp(error));
            };
            if let Err(errno) = self.pause(delay, &error) {
                let error = cannot_watch(errno);
                self.give_up(&error);
                return Ok(Outcome::GaveUp(error));
            }
            if self.request != Request::None {
                return Ok(Outcome::Ended(error));
            }
            self.logger.renew();
            for lock in self.supervised.supervision.locks {
                // A daemon that was adopted has held it until now.
                let _ = sys::flock(lock);
            }
            self.tell_start();
            self.tally.restarts = self.tally.restarts.saturating_add(1);
            started = self.supervised.start(Pipe::NONE, true, self.logger.pid);
            if started.is_ok() {
                self.tell(0, Some(&error), started.as_ref().ok());
            }
        }
    }

    /// Takes a daemon whose supervisor was killed.
    fn adopt(&self, daemon: Pid, verdict: Pipe) -> Result<Running, Error> {
        let running = Running::adopt(daemon)?;
        // The state must not be that of the killed supervisor when the launcher has ended.
        self.tell(0, None, Some(&running));
        send_verdict(verdict.writer, encode(&Record::Runs(daemon)))
            .map_err(failed(ErrorKind::WaitFailed))?;
        Ok(running)
    }

    /// Waits while the daemon runs, and stops it on request. Returns how it ended, and how long it has run.
    fn run(&mut self, running: &mut Running) -> (Error, Nanoseconds) {
        let time = || sys::monotonic_time().unwrap_or(0);
        let born = time();
        let settings = self.supervised.settings;
        let limit = match running.fd() {
            // A daemon that was adopted has no channel.
            NO_FD => 0,
            _ => nanoseconds(self.respawn.watchdog),
        };
        let mut run = Run::new(limit, born, settings.forks);
        // A request may have come during the start.
        let mut event = Ok(Event::Other);
        let status = loop {
            let act = match event {
                Ok(event) => run.judge(event, self.request, time()),
                Err(errno) => break Err(errno),
            };
            match act {
                Act::Wait => {}
                Act::Stop => break self.stop(running),
                Act::Abort => break self.abort(running),
                Act::End(status) => break Ok(status),
                Act::FindSuccessor => match find_forked(settings.own_pidfile, self.logger.pid) {
                    Ok(Some(main)) => running.follow(main, self.supervised),
                    _ => break Ok(Some(WaitStatus::from_raw(0))),
                },
            }
            event = self.wait(Some(running), run.deadline);
        };
        let lived = time().saturating_sub(born);
        running.close_channel(self.supervised);
        if status.is_ok() {
            // That may take long, and the daemon has ended.
            self.empty_pidfile();
            self.take_terminal();
            self.end_rest(Some(running), false);
        }
        running.close_end();
        let error = match status {
            Ok(Some(status)) => Error::of_death(status, lived / 1_000_000),
            Ok(None) => Error::new(ErrorKind::DaemonDied, Cause::Unknown),
            Err(errno) => cannot_watch(errno),
        };
        (error, lived)
    }

    /// Stops the daemon by the schedule.
    fn stop(&mut self, running: &mut Running) -> Result<Option<WaitStatus>, Errno> {
        let stages = self.respawn.stages;
        let mut rest = stages.iter();
        while let Some(stage) = rest.next() {
            running.signal(stage.signal);
            if stage.signal != Signal::KILL {
                // A process that is stopped handles no signal.
                running.signal(Signal::CONT);
            }
            if let Some(ended) = self.ends_within(running, nanoseconds(stage.wait))? {
                return Ok(ended);
            }
            if rest.len() == 0 {
                rest = stages
                    .get(self.respawn.first_repeated..)
                    .unwrap_or_default()
                    .iter();
            }
        }
        // It may be waiting for a device.
        loop {
            if let Some(ended) = self.ends_within(running, Nanoseconds::MAX)? {
                return Ok(ended);
            }
        }
    }

    /// Ends a daemon that has missed its watchdog.
    fn abort(&mut self, running: &mut Running) -> Result<Option<WaitStatus>, Errno> {
        for (signal, time) in [
            (self.respawn.watchdog_signal, ABORT_TIMEOUT),
            (Signal::KILL, Nanoseconds::MAX),
        ] {
            running.signal(signal);
            if let Some(ended) = self.ends_within(running, time)? {
                return Ok(ended);
            }
        }
        Ok(None)
    }

    /// Waits for the end of the daemon. `None` if that takes longer.
    fn ends_within(
        &mut self,
        running: &mut Running,
        time: Nanoseconds,
    ) -> Result<Option<Option<WaitStatus>>, Errno> {
        let deadline = sys::monotonic_time()?.saturating_add(time);
        loop {
            match self.wait(Some(running), deadline)? {
                Event::Ended(status) => return Ok(Some(status)),
                Event::Heard(_) | Event::Other if sys::monotonic_time()? < deadline => {}
                _ => return Ok(None),
            }
        }
    }

    /// Waits for this time, or until there is a request.
    fn pause(&mut self, delay: Nanoseconds, last: &Error) -> Result<(), Errno> {
        let due = sys::monotonic_time()?.saturating_add(delay);
        self.tell(due, Some(last), None);
        while self.request == Request::None && self.wait(None, due)? != Event::Timeout {}
        Ok(())
    }
}

/// The exit code of a daemon that has exited, or of a start that has failed.
fn code_of(error: &Error) -> Option<u8> {
    match error.cause() {
        Cause::Died { status, .. } if error.kind() == ErrorKind::DaemonDied => status.exit_status(),
        _ if error.kind() == ErrorKind::DaemonDied => None,
        _ => Some(error.exit_code()),
    }
}
