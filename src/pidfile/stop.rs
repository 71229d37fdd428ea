//! Signalling and stopping the daemon of a pidfile, and never another process.
//!
//! The daemon may end between the lookup and the signal, and its pid may be reused. So the process is
//! pinned by a pidfd, and the pidfile is looked up again: if the answer is the same, the pidfd refers to
//! the daemon, and the signal goes to the pidfd. Before Linux 5.3, and where a sandbox refuses pidfds,
//! the signal goes to the pid, after a third look. To hit another process, the daemon must then end and be
//! reaped, and its pid be reused, in the few microseconds between that and the signal.

use core::time::Duration;

use super::fingerprint::Match;
use super::group::Group;
use super::lock::remove_stale;
use super::owner::{Observation, Owner, Pidfile};
use super::process::{fingerprint_of, match_process, pidfd_has_ended};
use super::wait::{self, POLL_INTERVAL, wait_before};
use crate::protocol::{
    Cause, Errno, Error, ErrorKind, Nanoseconds, Note, Pid, Signal, Subject, failed, nanoseconds,
};
use crate::sys::{self, Fd, LockOwner};

/// A stage of a stop: a signal to send, and how long to wait for the daemon to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stage {
    /// The signal.
    pub signal: Signal,
    /// How long to wait for the daemon to end before the next stage.
    pub wait: Duration,
}

impl Stage {
    /// A SIGTERM, and after ten seconds a SIGKILL. A killed daemon may take up to a minute to end: it may be
    /// waiting for a device.
    pub const TERM_THEN_KILL: &[Self] = &[
        Self::new(Signal::TERM, Duration::from_secs(10)),
        Self::new(Signal::KILL, Duration::from_secs(60)),
    ];

    /// A stage with this signal and this time to wait.
    #[must_use]
    pub const fn new(signal: Signal, wait: Duration) -> Self {
        Self { signal, wait }
    }
}

/// How often the lookup is repeated if the daemon changes.
const ATTEMPTS: u32 = 100;

/// How long to wait for the other members of a process group after a SIGKILL. Without `/proc`, a zombie that no process
/// reaps remains a member.
const GROUP_TIMEOUT: Nanoseconds = 1_000_000_000;

impl Pidfile<'_> {
    /// Sends a signal to the daemon, and returns its pid; `None` if no daemon runs, or its supervisor is
    /// about to start it again. Without a signal, only checks that the daemon may be signalled.
    ///
    /// # Errors
    ///
    /// Those of [`owner`](Self::owner), and:
    ///
    /// - `NoLock`: the process is not known to be the daemon ([`Owner::Unknown`]), and [`trust`](Self::trust) is off
    ///   or does not apply.
    /// - `SignalFailed` with `ESRCH`: the daemon runs in another pid namespace ([`Owner::Elsewhere`]).
    /// - `SignalFailed` with `EBUSY`: the daemon of the pidfile keeps changing.
    /// - `SignalFailed` with any other errno: kill(2) failed, usually with `EPERM`.
    pub fn signal(&self, signal: impl Into<Option<Signal>>) -> Result<Option<Pid>, Error> {
        let Some(pinned) = self.pin()? else {
            return Ok(None);
        };
        pinned.send(signal.into())?;
        Ok(Some(pinned.pid))
    }

    /// Stops the daemon: signals it, waits until it has ended, removes its pidfile, and returns the pid
    /// that it had; `None` if no daemon runs. A pidfile that another daemon has locked in the meantime is
    /// not removed. If the daemon is dead but its pidfile exists, this only removes the file, if
    /// the file contains a pid.
    ///
    /// A supervisor of the daemon does not start it again, and ends after it: this waits for that, too. If the daemon
    /// does not run at this moment, the pid is that of the supervisor.
    ///
    /// After `MAINPID=`, the daemon is another process than the one that was started. If that still holds the lock when
    /// the daemon has ended, it is stopped, too.
    ///
    /// The stages are taken in order until the daemon has ended. A SIGCONT follows each signal but SIGKILL, so that a
    /// daemon that is stopped can handle it:
    ///
    /// ```
    /// use core::time::Duration;
    /// use rawdaemon::{Pidfile, Signal, Stage};
    ///
    /// let pidfile = Pidfile::new(c"/run/no/such.pid");
    /// assert_eq!(pidfile.stop(Stage::TERM_THEN_KILL)?, None);
    /// let patient = [Stage::new(Signal::INT, Duration::from_secs(300))];
    /// assert_eq!(pidfile.stop(&patient)?, None);
    /// # Ok::<(), rawdaemon::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`signal`](Self::signal), and:
    ///
    /// - `StillRunning`: the daemon has not ended after the last stage, or its supervisor not within 15 seconds after it.
    /// - `PidfileFailed` about [`Subject::Pidfile`](crate::Subject::Pidfile): the daemon has ended, but its pidfile
    ///   cannot be removed. If possible, it is empty now.
    /// - `WaitFailed`: a clock cannot be read, or a wait is refused. Nothing is signalled without a clock.
    pub fn stop(&self, stages: &[Stage]) -> Result<Option<Pid>, Error> {
        self.stop_and_repeat(stages, stages.len())
    }

    /// As [`stop`](Self::stop), but repeats the stages from this index on until the daemon has ended. One of them should
    /// have a time to wait.
    ///
    /// # Errors
    ///
    /// Those of [`stop`](Self::stop), without `StillRunning` if there is a stage with this index.
    pub fn stop_and_repeat(
        &self,
        stages: &[Stage],
        first_repeated: usize,
    ) -> Result<Option<Pid>, Error> {
        Ok(self.stop_by(stages, first_repeated)?.map(|(pid, _)| pid))
    }

    /// [`stop_and_repeat`](Self::stop_and_repeat), for the command: also returns the last signal that was sent.
    #[doc(hidden)]
    pub fn stop_by(
        &self,
        stages: &[Stage],
        first_repeated: usize,
    ) -> Result<Option<(Pid, Signal)>, Error> {
        let seen = self.observe()?;
        let supervisor = self.wind_down(&seen)?;
        if let (Owner::Dead, Some(daemon)) = (seen.owner, seen.named_pid) {
            // If this fails, the daemon is still dead.
            let _ = remove_stale(self.path()?, Some(daemon), false);
        }
        let Some(mut pinned) = self.pin()? else {
            return match supervisor {
                // Its daemon did not run.
                Some(supervisor) => {
                    supervisor.wait(self)?;
                    Ok(Some((supervisor.pid, supervisor.signal)))
                }
                None => Ok(None),
            };
        };
        let daemon = pinned.pid;
        let mut rest = stages.iter();
        while let Some(stage) = rest.next() {
            // Before the signal: without a clock, nothing is done.
            let deadline = wait::deadline(nanoseconds(stage.wait))?;
            loop {
                pinned.send(Some(stage.signal))?;
                if stage.signal != Signal::KILL {
                    // A process that is stopped handles no signal.
                    let _ = pinned.send(Some(Signal::CONT));
                }
                if !pinned.ends_before(deadline, stage.signal)? {
                    break;
                }
                match self.pin() {
                    // The daemon was named by MAINPID=, and the process that was started holds the lock.
                    Ok(Some(starter)) if pinned.holder == Some(starter.pid) => pinned = starter,
                    // The same, but the daemon has removed its pidfile.
                    _ if pinned.is_held_by_another() => {
                        let starter = pinned.holder.map_or(Cause::Unknown, Cause::Owner);
                        return Err(Error::new(ErrorKind::StillRunning, starter));
                    }
                    _ => {
                        if let Some(supervisor) = &supervisor {
                            supervisor.wait(self)?;
                        }
                        return Ok(self.remove(daemon)?.map(|pid| (pid, stage.signal)));
                    }
                }
            }
            if rest.len() == 0 {
                rest = stages.get(first_repeated..).unwrap_or_default().iter();
            }
        }
        Err(Error::new(
            ErrorKind::StillRunning,
            Cause::Owner(pinned.pid),
        ))
    }

    /// Removes the pidfile of the daemon that has been stopped.
    ///
    /// If the file is not this daemon's, the process that has ended may have been a second start that held the lock
    /// for a moment, before it found a running daemon without a lock. Fails with `NoLock` if so.
    fn remove(&self, pid: Pid) -> Result<Option<Pid>, Error> {
        let removed = remove_stale(self.path()?, Some(pid), false);
        if removed != Ok(true) {
            if let Owner::Unlocked(other) = self.observe()?.owner {
                if other != pid {
                    return Err(Error::new(ErrorKind::NoLock, Cause::Owner(other)));
                }
            }
        }
        match removed {
            Ok(_) => Ok(Some(pid)),
            Err(error) => Err(error.about(Subject::Pidfile).with(Note::Other)),
        }
    }

    /// Removes an empty pidfile that a supervisor has left, for the command.
    #[doc(hidden)]
    pub fn remove_empty(&self) -> Result<(), Error> {
        remove_stale(self.path()?, None, true).map(drop)
    }

    /// Finds the daemon and pins it; `None` if no daemon runs.
    fn pin(&self) -> Result<Option<PinnedProcess>, Error> {
        for _ in 0..ATTEMPTS {
            let seen = self.observe()?;
            let Some(pid) = self.target(&seen)? else {
                return Ok(None);
            };
            let pidfd = sys::pidfd_open(pid);
            let is_gone = matches!(pidfd, Err(Errno::ESRCH | Errno::EINVAL | Errno::ENOENT));
            let fingerprint = fingerprint_of(pid);
            if let (false, Some(file)) = (is_gone, seen.file) {
                let again = self.observe()?;
                if again.owner == seen.owner && self.target(&again)? == Some(pid) {
                    let group = match self.process_group {
                        true => Some(Group::of(pid).map_err(failed(ErrorKind::SignalFailed))?),
                        false => None,
                    };
                    return Ok(Some(PinnedProcess {
                        pid,
                        holder: seen.holder,
                        file,
                        pidfd: pidfd.ok(),
                        fingerprint,
                        group,
                    }));
                }
            }
            sys::sleep(POLL_INTERVAL);
        }
        Err(failed(ErrorKind::SignalFailed)(Errno::EBUSY))
    }

    /// The process that may be signalled; `None` if no daemon runs.
    fn target(&self, seen: &Observation) -> Result<Option<Pid>, Error> {
        match seen.owner {
            Owner::NotRunning | Owner::Dead | Owner::Restarting(_) => Ok(None),
            Owner::Running(pid) | Owner::Unlocked(pid) => Ok(Some(pid)),
            Owner::Unknown(pid) if self.trust && seen.is_plausible => Ok(Some(pid)),
            Owner::Unknown(pid) => Err(Error::new(ErrorKind::NoLock, Cause::Owner(pid))),
            Owner::Elsewhere => Err(failed(ErrorKind::SignalFailed)(Errno::ESRCH)),
        }
    }
}

/// A daemon that has been looked up twice, and its pidfd.
struct PinnedProcess {
    pid: Pid,
    /// The process that held the lock on the pidfile.
    holder: Option<Pid>,
    file: Fd,
    /// `None` where there are no pidfds.
    pidfd: Option<Fd>,
    /// Zero without `/proc`.
    fingerprint: u32,
    /// Its process group, if that is to be signalled.
    group: Option<Group>,
}

impl PinnedProcess {
    /// Sends a signal, or checks that one may be sent. Does nothing if the daemon has ended.
    fn send(&self, signal: Option<Signal>) -> Result<(), Error> {
        let signal = signal.map_or(0, Signal::number);
        let sent = match (&self.group, &self.pidfd) {
            (Some(group), _) => group.send(signal),
            // A sandbox may allow pidfds, but not this call.
            (None, pidfd) => match pidfd.as_ref().map(|it| sys::pidfd_send_signal(it, signal)) {
                Some(sent @ (Ok(()) | Err(Errno::ESRCH))) => sent,
                _ if self.has_ended() => Ok(()),
                _ => sys::kill(self.pid, signal),
            },
        };
        match sent {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(failed(ErrorKind::SignalFailed)(errno)),
        }
    }

    /// Waits for the daemon to end, and then for its process group if that is signalled. Returns whether they have
    /// ended before the deadline. After a SIGKILL, it waits for the group for [`GROUP_TIMEOUT`] at most.
    fn ends_before(&self, deadline: Nanoseconds, signal: Signal) -> Result<bool, Error> {
        while !self.has_ended() {
            if !wait_before(deadline, self.pidfd.as_ref())? {
                return Ok(false);
            }
        }
        let Some(group) = &self.group else {
            return Ok(true);
        };
        let is_killed = signal == Signal::KILL;
        let deadline = match is_killed {
            true => deadline.min(wait::deadline(GROUP_TIMEOUT)?),
            false => deadline,
        };
        while group.has_members() {
            if !wait_before(deadline, None)? {
                return Ok(is_killed);
            }
        }
        Ok(true)
    }

    /// Whether the process that held the lock, and is not this one, has it still.
    fn is_held_by_another(&self) -> bool {
        self.holder.is_some_and(|holder| {
            let lock = sys::fcntl_getlk(self.file.raw());
            holder != self.pid && lock.is_ok_and(|lock| lock.owner == LockOwner::Process(holder))
        })
    }

    fn has_ended(&self) -> bool {
        let found = match &self.pidfd {
            Some(pidfd) => return pidfd_has_ended(pidfd),
            None => match_process(self.pid, self.fingerprint),
        };
        match found {
            // The kernel releases the lock when the process exits, shortly before it has ended.
            Ok(Match::Unseen) if self.holder == Some(self.pid) => {
                let lock = sys::fcntl_getlk(self.file.raw());
                // An error is no answer.
                lock.is_ok_and(|lock| lock.owner != LockOwner::Process(self.pid))
            }
            found => matches!(found, Ok(Match::Ended | Match::Other)),
        }
    }
}
