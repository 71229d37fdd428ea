//! Signalling and stopping the daemon of a pidfile, and never another process.
//!
//! Who the daemon is was asked before, and may have changed by the time of a signal. So the process is
//! held first, by a pidfd; then the kernel is asked again; and if the answer is the same, what is held is
//! the daemon, and what is signalled is what is pinned. Before Linux 5.3, and where a sandbox refuses
//! pidfds, the signal goes to the number: between the second answer and the signal, which is some
//! microseconds, the daemon would have to end, be waited for, and its pid be given to another process.

use core::time::Duration;

use super::group::Group;
use super::lock::remove_after;
use super::owner::{Observation, Owner, Pidfile};
use super::process::{has_ended, is_over, process_with};
use crate::protocol::{
    Cause, Errno, Error, ExitCode, Nanoseconds, Pid, SIGKILL, failed, nanoseconds,
};
use crate::sys::{self, Fd, LockOwner, NO_FD};

/// A signal, and how long the daemon may take to end by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// The signal's number, 1 to 64.
    pub signal: u8,
    /// How long is waited until the next stage.
    pub wait: Duration,
}

/// How often the daemon may be another one when it is looked at again.
const ATTEMPTS: u32 = 100;

/// How often is looked where nothing tells by itself.
const PAUSE: Nanoseconds = 10_000_000;

/// How long the other processes of a group may take to end after a SIGKILL. Those that nobody waits
/// for cannot be told from others.
const MEMBERS: Nanoseconds = 1_000_000_000;

impl Pidfile<'_> {
    /// Sends the daemon a signal, by its number, and returns its pid; `None` when no daemon runs.
    ///
    /// # Errors
    ///
    /// `NoLock` when it is not known to be the daemon that would be signalled (see
    /// [`Owner::Unlocked`] and [`Owner::Unknown`]), `SignalFailed` with the kernel's errno, `EPERM`
    /// mostly, and with `ESRCH` when the daemon has no pid here; otherwise as [`owner`](Self::owner).
    pub fn signal(&self, signal: u8) -> Result<Option<Pid>, Error> {
        let Some(pinned) = self.pin()? else {
            return Ok(None);
        };
        pinned.send(signal)?;
        Ok(Some(pinned.pid))
    }

    /// Ends the daemon, waits until it has ended, removes the pidfile, unless it is another daemon's
    /// by then, and returns the pid that it had; `None` when none runs.
    ///
    /// It gets one signal after the other, until it has ended:
    ///
    /// ```
    /// use core::time::Duration;
    /// use rawdaemon::{Pidfile, Stage};
    ///
    /// let stages = [
    ///     Stage { signal: 15, wait: Duration::from_secs(10) }, // SIGTERM
    ///     Stage { signal: 9, wait: Duration::from_secs(60) }, // SIGKILL
    /// ];
    /// assert_eq!(Pidfile::new(c"/run/no/such.pid").stop(&stages)?, None);
    /// # Ok::<(), rawdaemon::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal), and `StillRunning` when it has not ended by any of them.
    pub fn stop(&self, stages: &[Stage]) -> Result<Option<Pid>, Error> {
        let seen = self.look()?;
        if seen.owner == Owner::Dead {
            remove_after(self.path, seen.named.unwrap_or(Pid::LARGEST));
        }
        let Some(pinned) = self.pin()? else {
            return Ok(None);
        };
        for stage in stages {
            pinned.send(stage.signal)?;
            if pinned.ends_within(stage) {
                remove_after(self.path, pinned.pid);
                return self.stopped(pinned.pid);
            }
        }
        Err(Error::new(ExitCode::StillRunning, Cause::Owner(pinned.pid)))
    }

    /// What has ended may have been a start that had the lock for a moment, and found a daemon without one.
    fn stopped(&self, pid: Pid) -> Result<Option<Pid>, Error> {
        match self.look()?.owner {
            Owner::Unlocked(other) if other != pid => {
                Err(Error::new(ExitCode::NoLock, Cause::Owner(other)))
            }
            _ => Ok(Some(pid)),
        }
    }

    /// The daemon, held, if there is one.
    fn pin(&self) -> Result<Option<PinnedProcess>, Error> {
        for _ in 0..ATTEMPTS {
            let seen = self.look()?;
            let Some(pid) = self.believed(&seen)? else {
                return Ok(None);
            };
            let process = sys::pidfd_open(pid);
            let is_gone = matches!(process, Err(Errno::ESRCH | Errno::EINVAL | Errno::ENOENT));
            if let (false, Some(file)) = (is_gone, seen.file) {
                let again = self.look()?;
                if again.owner == seen.owner && self.believed(&again)? == Some(pid) {
                    let group = match self.process_group {
                        true => Some(Group::of(pid).map_err(failed(ExitCode::SignalFailed))?),
                        false => None,
                    };
                    return Ok(Some(PinnedProcess {
                        pid,
                        is_locked: seen.owner == Owner::Running(pid),
                        file,
                        process: process.ok(),
                        group,
                    }));
                }
            }
            sys::sleep(PAUSE);
        }
        Err(failed(ExitCode::SignalFailed)(Errno::EBUSY))
    }

    /// The process that may be signalled; `None` if there is no daemon.
    fn believed(&self, seen: &Observation) -> Result<Option<Pid>, Error> {
        match seen.owner {
            Owner::NotRunning | Owner::Dead => Ok(None),
            Owner::Running(pid) => Ok(Some(pid)),
            Owner::Unlocked(pid) | Owner::Unknown(pid) if self.trust && seen.is_credible => {
                Ok(Some(pid))
            }
            Owner::Unlocked(pid) | Owner::Unknown(pid) => {
                Err(Error::new(ExitCode::NoLock, Cause::Owner(pid)))
            }
            Owner::Elsewhere => Err(failed(ExitCode::SignalFailed)(Errno::ESRCH)),
        }
    }
}

/// A daemon that cannot become another process.
struct PinnedProcess {
    pid: Pid,
    /// Whether it held the lock on its pidfile.
    is_locked: bool,
    file: Fd,
    /// Its pidfd, if there are any.
    process: Option<Fd>,
    /// Its group, if that is meant.
    group: Option<Group>,
}

impl PinnedProcess {
    /// To a daemon that has ended meanwhile is nothing to be sent.
    fn send(&self, signal: u8) -> Result<(), Error> {
        let sent = match (&self.group, &self.process) {
            (Some(group), _) => group.send(signal),
            (None, Some(process)) => sys::pidfd_send_signal(process, signal),
            (None, None) if self.has_ended() => Ok(()),
            (None, None) => sys::kill(self.pid, signal),
        };
        match sent {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(failed(ExitCode::SignalFailed)(errno)),
        }
    }

    fn ends_within(&self, stage: &Stage) -> bool {
        let deadline = sys::monotonic_time().saturating_add(nanoseconds(stage.wait));
        while !self.has_ended() {
            let now = sys::monotonic_time();
            if now >= deadline {
                return false;
            }
            let left = deadline.saturating_sub(now);
            let _ = match &self.process {
                Some(process) => sys::ppoll(&mut [process.raw(), NO_FD, NO_FD, NO_FD], left),
                None => sys::ppoll(&mut [NO_FD; 4], left.min(PAUSE)),
            };
        }
        let Some(group) = &self.group else {
            return true;
        };
        let enough = sys::monotonic_time().saturating_add(MEMBERS);
        while group.has_members() {
            let now = sys::monotonic_time();
            if stage.signal == SIGKILL && now >= enough {
                return true;
            }
            if now >= deadline {
                return false;
            }
            sys::sleep(PAUSE);
        }
        true
    }

    fn has_ended(&self) -> bool {
        match &self.process {
            Some(process) => is_over(process),
            // The lock ends with the process, and a little before it.
            None if self.is_locked => {
                sys::fcntl_getlk(self.file.raw()) != Ok(LockOwner::Process(self.pid))
            }
            None => {
                has_ended(self.pid)
                    || process_with(self.pid).is_some_and(|process| process.has_ended)
            }
        }
    }
}
