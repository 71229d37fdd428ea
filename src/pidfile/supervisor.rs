//! The supervisor of a daemon, when that is stopped.

use super::fingerprint::Match;
use super::owner::{Observation, Owner, Pidfile};
use super::process::{fingerprint_of, match_process, pidfd_has_ended, signal_pinned};
use super::wait::{deadline, wait_before};
use crate::protocol::{Cause, Errno, Error, ErrorKind, Nanoseconds, Pid, Signal, failed};
use crate::sys::{self, Fd};

/// A supervisor that does not start its daemon again.
pub(super) struct EndingSupervisor {
    pub(super) pid: Pid,
    /// What it was sent.
    pub(super) signal: Signal,
    /// `None` where there are no pidfds.
    pidfd: Option<Fd>,
    /// Zero without `/proc`.
    fingerprint: u32,
}

/// How long a supervisor may take to end after its daemon: it ends the descendants of that first.
const TIMEOUT: Nanoseconds = 15_000_000_000;

impl Pidfile<'_> {
    /// Asks the supervisor, if there is one, not to start the daemon again, and to end after it.
    #[inline(never)]
    pub(super) fn wind_down(&self, seen: &Observation) -> Result<Option<EndingSupervisor>, Error> {
        let Some(pid) = seen.supervisor else {
            return Ok(None);
        };
        let pidfd = match sys::pidfd_open(pid) {
            Err(Errno::ESRCH | Errno::EINVAL | Errno::ENOENT) => return Ok(None),
            pidfd => pidfd.ok(),
        };
        let fingerprint = fingerprint_of(pid);
        // It is still the same process.
        if self.observe()?.supervisor != Some(pid) {
            return Ok(None);
        }
        // Without a daemon, there is none to be stopped here. To an init process, a SIGTERM may mean something else.
        let signal = match seen.owner {
            Owner::Restarting(_) if pid.get() != 1 => Signal::TERM,
            _ => Signal::WIND_DOWN,
        };
        for signal in [signal, Signal::CONT] {
            let sent = match &pidfd {
                Some(pidfd) => signal_pinned(pidfd, pid, signal),
                None => sys::kill(pid, signal.number()),
            };
            match sent {
                Ok(()) | Err(Errno::ESRCH) => {}
                // It has ended.
                Err(_) if pidfd.as_ref().is_some_and(pidfd_has_ended) => {}
                Err(errno) => return Err(failed(ErrorKind::SignalFailed)(errno)),
            }
        }
        Ok(Some(EndingSupervisor {
            pid,
            signal,
            pidfd,
            fingerprint,
        }))
    }
}

impl EndingSupervisor {
    /// Waits until it has ended, or an init process has let go of the pidfile.
    ///
    /// # Errors
    ///
    /// `StillRunning` if that takes too long.
    pub(super) fn wait(&self, pidfile: &Pidfile<'_>) -> Result<(), Error> {
        let deadline = deadline(TIMEOUT)?;
        loop {
            // The init process of an image goes on.
            let is_init = self.pid.get() == 1;
            if is_init && pidfile.observe()?.supervisor != Some(self.pid) {
                return Ok(());
            }
            let is_gone = match &self.pidfd {
                Some(pidfd) => pidfd_has_ended(pidfd),
                // Its parent may not have reaped it.
                None => matches!(
                    match_process(self.pid, self.fingerprint),
                    Ok(Match::Ended | Match::Other)
                ),
            };
            if is_gone {
                return Ok(());
            }
            if !wait_before(deadline, self.pidfd.as_ref().filter(|_| !is_init))? {
                return Err(Error::new(ErrorKind::StillRunning, Cause::Owner(self.pid)));
            }
        }
    }
}
