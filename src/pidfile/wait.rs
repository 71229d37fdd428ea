//! Waiting: for a process, until a deadline, and for the end of a start.

use core::time::Duration;

use super::owner::{Owner, Pidfile};
use super::process::has_ended;
use crate::protocol::{
    Cause, Errno, Error, ErrorKind, Nanoseconds, Note, Pid, cannot_watch, nanoseconds,
};
use crate::sys::{self, Fd, NO_FD};

/// The interval at which a condition is polled that no descriptor reports.
pub(super) const POLL_INTERVAL: Nanoseconds = 10_000_000;

/// The end of this time from now on.
pub(super) fn deadline(time: Nanoseconds) -> Result<Nanoseconds, Error> {
    let now = sys::monotonic_time().map_err(cannot_watch)?;
    Ok(now.saturating_add(time))
}

/// Waits for the process of the pidfd; without one, for a moment. Returns whether the deadline is still to come.
pub(super) fn wait_before(deadline: Nanoseconds, pidfd: Option<&Fd>) -> Result<bool, Error> {
    let left = deadline.saturating_sub(self::deadline(0)?);
    let (fd, wait) = match pidfd {
        Some(pidfd) => (pidfd.raw(), left),
        None => (NO_FD, left.min(POLL_INTERVAL)),
    };
    match sys::ppoll(&mut [fd, NO_FD, NO_FD, NO_FD], wait) {
        Ok(()) | Err(Errno::EINTR) => Ok(left > 0),
        Err(errno) => Err(cannot_watch(errno)),
    }
}

impl Pidfile<'_> {
    /// Waits while the daemon is being started, and returns what has become of it.
    ///
    /// A daemon holds the lock from its first steps on. Until the outcome of its start is known, the leader of its
    /// session lives: it watches the daemon. A daemon in the
    /// [foreground](crate::DaemonizeOptions::foreground) has no such leader, and counts as started. So does one that
    /// has released its lock, as only that tells whether it is in the foreground.
    ///
    /// ```
    /// use core::time::Duration;
    /// use rawdaemon::{Owner, Pidfile};
    ///
    /// let pidfile = Pidfile::new(c"/run/no/such.pid");
    /// assert_eq!(pidfile.wait_for_start(Duration::from_secs(60))?, Owner::NotRunning);
    /// # Ok::<(), rawdaemon::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`owner`](Self::owner), `TimedOut` if the outcome is not known in time, and `WaitFailed` if a clock
    /// cannot be read or a wait is refused. A timeout of zero means no limit.
    #[inline(never)]
    pub fn wait_for_start(&self, timeout: Duration) -> Result<Owner, Error> {
        let time = match nanoseconds(timeout) {
            0 => Nanoseconds::MAX,
            time => time,
        };
        let deadline = deadline(time)?;
        loop {
            let seen = self.observe()?;
            if seen.is_starting {
                if wait_before(deadline, None)? {
                    continue;
                }
                return Err(Error::new(ErrorKind::TimedOut, Cause::Unknown).with(Note::Other));
            }
            // The session of a daemon in the foreground may be one of another pid namespace, and its leader may
            // never end. After MAINPID=, the process that was started still holds the lock, and is watched.
            let (Owner::Running(_) | Owner::Unlocked(_), Some(holder), true) =
                (seen.owner, seen.holder, seen.is_background)
            else {
                return Ok(seen.owner);
            };
            let Some(watcher) = watcher(holder)? else {
                return Ok(seen.owner);
            };
            let watcher = sys::pidfd_open(watcher).ok();
            if !wait_before(deadline, watcher.as_ref())? {
                return Err(Error::new(ErrorKind::TimedOut, Cause::Unknown).with(Note::Other));
            }
        }
    }
}

/// The process that watches the daemon that was started as this process until the outcome of its start is known.
fn watcher(daemon: Pid) -> Result<Option<Pid>, Error> {
    match sys::getsid(Some(daemon)) {
        Ok(Some(leader)) if leader != daemon && !has_ended(leader) => Ok(Some(leader)),
        Ok(_) | Err(Errno::ESRCH) => Ok(None),
        Err(errno) => Err(cannot_watch(errno)),
    }
}
