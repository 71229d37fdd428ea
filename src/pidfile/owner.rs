//! Which process is the daemon of a pidfile: the lock owner, or else the process that the file names, if it has the
//! fingerprint.

use super::fingerprint::Match;
use super::process::{is_younger, match_named, match_process, read_pid, recorded_fingerprint};
use crate::options::{CStrArg, IntoCStr};
use crate::protocol::{Cause, Errno, Error, ErrorKind, Nanoseconds, Pid, Subject, failed};
use crate::sys::{self, Fd, Lock, LockOwner, Open, Stat, ThinCStr};

/// A daemon's pidfile: finds the daemon, signals it and stops it.
///
/// The daemon is the process that holds the record lock on the file (see
/// [`DaemonizeOptions::pidfile`](crate::DaemonizeOptions::pidfile)); the kernel reports its pid (`F_GETLK`, see
/// fcntl(2)). Without that, it is the process that the file names. Either must have the fingerprint of the daemon: a
/// hash of the start time since boot and the boot id, which the length of the lock has, and the nanoseconds of the
/// file's modification time. Without `/proc`, a lock alone counts, but not on a file system whose locks may come from
/// another machine. The pid in the file alone is not trusted. The supervisor of the command (`rawdaemon --respawn`) holds
/// the lock in place of its daemon, which the file names. The path may also be that of a
/// [`lock_file`](crate::DaemonizeOptions::lock_file).
///
/// A process that asks for its own pidfile gets the error `PidfileFailed` with `EDEADLK`, and keeps a
/// descriptor for the file open: closing it would release the lock (fcntl(2)). Before Linux 3.15 the kernel does
/// not tell that the lock is the process's own: such a process must not ask.
///
/// ```
/// use rawdaemon::{Owner, Pidfile};
///
/// match Pidfile::new(c"/run/no/such.pid").owner()? {
///     Owner::Running(pid) => println!("running as {pid}"),
///     other => println!("{other:?}"),
/// }
/// # Ok::<(), rawdaemon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pidfile<'a> {
    path: CStrArg<'a>,
    pub(super) trust: bool,
    pub(super) process_group: bool,
}

/// The state of the daemon of a pidfile, as [`Pidfile::owner`] determines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Owner {
    /// The daemon does not run, and the pidfile does not exist.
    NotRunning,
    /// The daemon does not run, but its pidfile exists.
    Dead,
    /// The daemon runs as this process, which holds the lock.
    Running(Pid),
    /// The daemon runs in another pid namespace, or on another machine: the process that holds the lock has no pid
    /// here.
    Elsewhere,
    /// The daemon runs as this process, and has released its lock by closing every descriptor, as sshd
    /// does. It is recognised by its fingerprint, which needs `/proc`.
    Unlocked(Pid),
    /// The daemon does not run at this moment. Its supervisor, this process, starts it again after a delay, or is just
    /// starting or stopping it: see `--respawn` of the command.
    Restarting(Pid),
    /// This process holds the lock, or has the pid in the file, but is not known to be the daemon. It may be a daemon
    /// that this crate did not start, or an unrelated process that has been given the pid of a dead daemon.
    Unknown(Pid),
}

/// The state of a pidfile and its daemon at one moment.
pub(super) struct Observation {
    pub(super) owner: Owner,
    /// The open file, if it exists.
    pub(super) file: Option<Fd>,
    /// The pid in the file.
    pub(super) named_pid: Option<Pid>,
    /// The process that holds the lock. After `MAINPID=`, it may be another one than the daemon.
    pub(super) holder: Option<Pid>,
    /// The supervisor of the daemon, which holds the lock in its place, and whether its first start is not over.
    pub(super) supervisor: Option<Pid>,
    pub(super) is_starting: bool,
    /// Whether [`Pidfile::trust`] applies: nothing shows that the pid in the file is wrong.
    pub(super) is_plausible: bool,
    /// Whether a daemon is just starting or exiting, so that the state will change in a moment.
    is_changing: bool,
    /// Whether the lock is that of a daemon that was not started in the foreground.
    pub(super) is_background: bool,
}

impl<'a> Pidfile<'a> {
    /// The pidfile at this path.
    #[must_use]
    pub fn new(path: impl IntoCStr<'a>) -> Self {
        Self {
            path: path.into_arg(),
            trust: false,
            process_group: false,
        }
    }

    /// Whether to trust the pid in a pidfile that no process has locked, as other tools do. If so,
    /// [`signal`](Self::signal) and [`stop`](Self::stop) also act on [`Owner::Unknown`]. Off by default: the process may be an unrelated one that has been given the
    /// pid of a dead daemon.
    ///
    /// A file is never trusted if it contains anything but a pid, if it names process 1, if a user other
    /// than root and the caller owns it or may write to it, or if it is older than the process that it
    /// names, according to `/proc` and a clock that may have been set since.
    #[must_use]
    pub const fn trust(mut self, trust: bool) -> Self {
        self.trust = trust;
        self
    }

    /// Whether to signal the daemon's process group and not only the daemon: this includes its children,
    /// unless they have left the group. Off by default.
    ///
    /// The group must belong to the daemon's session, which must not be the caller's. Otherwise no
    /// process is signalled, and the error is `SignalFailed` with `EPERM`.
    #[must_use]
    pub const fn process_group(mut self, process_group: bool) -> Self {
        self.process_group = process_group;
        self
    }

    /// Determines whether the daemon runs, and its pid. While a daemon is just starting or exiting, this
    /// waits for up to one second.
    ///
    /// # Errors
    ///
    /// `PidfileFailed`: with the errno if the file cannot be opened or its lock cannot be read, with
    /// [`Cause::NotAFile`] if it is not a regular file, and with `EMLINK` if it has more than one hard
    /// link, with `EDEADLK` if the calling process itself is the daemon. A file that does not exist is not an
    /// error. `Usage` if the path is empty or contains a zero byte.
    pub fn owner(&self) -> Result<Owner, Error> {
        Ok(self.observe()?.owner)
    }

    /// As [`owner`](Self::owner), for the command: also returns the supervisor, if there is one.
    #[doc(hidden)]
    pub fn owner_and_supervisor(&self) -> Result<(Owner, Option<Pid>), Error> {
        let seen = self.observe()?;
        Ok((seen.owner, seen.supervisor))
    }

    /// The path. `Usage` if it is empty or contains a zero byte.
    pub(super) fn path(&self) -> Result<ThinCStr<'_>, Error> {
        match self.path.get() {
            path if path.first_byte() != 0 => Ok(path),
            _ => Err(failed(ErrorKind::Usage)(Errno::EINVAL).about(Subject::Pidfile)),
        }
    }

    /// Observes the file and its daemon. If the state is changing, observes it again, for up to a second.
    pub(super) fn observe(&self) -> Result<Observation, Error> {
        let mut attempts = ATTEMPTS;
        loop {
            attempts = attempts.saturating_sub(1);
            let seen = self.observe_once()?;
            if !seen.is_changing || attempts == 0 {
                return Ok(seen);
            }
            sys::sleep(POLL_INTERVAL);
        }
    }

    #[inline(never)]
    fn observe_once(&self) -> Result<Observation, Error> {
        let pidfile_failed = failed(ErrorKind::PidfileFailed);
        let mut seen = Observation {
            owner: Owner::NotRunning,
            file: None,
            named_pid: None,
            holder: None,
            supervisor: None,
            is_starting: false,
            is_plausible: false,
            is_changing: false,
            is_background: false,
        };
        let file = match sys::open(self.path()?, Open::LockQuery) {
            Err(Errno::ENOENT) => return Ok(seen),
            file => file.map_err(&pidfile_failed)?,
        };
        let lock = sys::fcntl_getlk(file.raw());
        if lock.is_ok_and(|lock| lock.owner == LockOwner::Process(sys::getpid())) {
            // Closing it would release the lock.
            let _ = file.into_raw();
            return Err(pidfile_failed(Errno::EDEADLK));
        }
        let stat = sys::fstat(file.raw()).map_err(&pidfile_failed)?;
        if !stat.is_regular() {
            return Err(Error::new(ErrorKind::PidfileFailed, Cause::NotAFile));
        }
        if stat.has_other_links() {
            return Err(pidfile_failed(Errno::EMLINK));
        }
        let lock = lock.map_err(&pidfile_failed)?;
        seen.owner = seen
            .find_owner(&file, stat, lock)
            .map_err(&pidfile_failed)?;
        seen.is_background = lock.is_background();
        seen.file = Some(file);
        Ok(seen)
    }
}

/// How often, and at what interval, a changing state is observed.
const ATTEMPTS: u32 = 100;
const POLL_INTERVAL: Nanoseconds = 10_000_000;

impl Observation {
    /// Determines the owner of a file with this status and this lock.
    fn find_owner(&mut self, file: &Fd, stat: Stat, lock: Lock) -> Result<Owner, Errno> {
        if lock.owner == LockOwner::Unknown {
            return Ok(Owner::Elsewhere);
        }
        let (named_pid, is_exact) = read_pid(file.raw())?;
        self.named_pid = named_pid;
        let found = match named_pid {
            // The lock of a daemon without a supervisor is enough.
            Some(pid) if lock.owner == LockOwner::Process(pid) => {
                match_process(pid, recorded_fingerprint(stat))?
            }
            Some(pid) => match_named(file.raw(), stat, pid)?,
            None => Match::Ended,
        };
        if let (LockOwner::Process(supervisor), true) = (lock.owner, lock.is_supervisor()) {
            let daemon = named_pid.filter(|_| is_exact);
            return self.find_supervised(file, lock, supervisor, daemon.map(|pid| (pid, found)));
        }
        if let LockOwner::Process(pid) = lock.owner {
            self.holder = Some(pid);
        }
        // A start may have locked the file that does not know of this daemon yet.
        if let (Some(pid), Match::Daemon, true) = (named_pid, found, is_exact) {
            return Ok(match self.holder == named_pid {
                true => Owner::Running(pid),
                false => Owner::Unlocked(pid),
            });
        }
        if let Some(pid) = self.holder {
            let found = match_process(pid, lock.fingerprint())?;
            return Ok(match found {
                Match::Daemon => Owner::Running(pid),
                _ if sys::has_remote_locks(file.raw()) => Owner::Unknown(pid),
                // Where there is no fingerprint, the lock alone counts, whatever the time of the file says: a process
                // that can make such a lock can also make one with any length, or take that time away by a write.
                Match::Unseen | Match::Ending => Owner::Running(pid),
                // Another process has the lock now, with all descriptors of the daemon (clone(2), CLONE_FILES).
                Match::Ended => Owner::Dead,
                Match::Other => Owner::Unknown(pid),
            });
        }
        let Some(pid) = named_pid else {
            return Ok(Owner::Dead);
        };
        self.is_plausible = is_exact && pid.get() != 1 && stat.is_safe() && !is_younger(pid, stat)?;
        // A start may have locked and written the file in the meantime.
        let lock = sys::fcntl_getlk(file.raw());
        self.is_changing =
            found == Match::Ending || !lock.is_ok_and(|lock| lock.owner == LockOwner::None);
        Ok(match found {
            Match::Ended => Owner::Dead,
            _ => Owner::Unknown(pid),
        })
    }

    /// Determines the owner of a file that this supervisor has locked, and that names this daemon.
    fn find_supervised(
        &mut self,
        file: &Fd,
        lock: Lock,
        supervisor: Pid,
        named: Option<(Pid, Match)>,
    ) -> Result<Owner, Errno> {
        match match_process(supervisor, lock.fingerprint())? {
            Match::Daemon => {}
            Match::Unseen | Match::Ending if !sys::has_remote_locks(file.raw()) => {}
            found => {
                // It has ended since it was seen to hold the lock.
                self.is_changing = found == Match::Ended;
                return Ok(Owner::Unknown(supervisor));
            }
        }
        self.supervisor = Some(supervisor);
        self.is_starting = lock.is_starter();
        Ok(match named {
            Some((pid, Match::Daemon)) => Owner::Running(pid),
            // The supervisor empties the file when the daemon has ended, but the daemon's user may own it.
            Some((pid, Match::Unseen)) if sys::getsid(Some(pid)) == Ok(Some(supervisor)) => {
                Owner::Running(pid)
            }
            Some((pid, Match::Unseen)) => {
                // Or it has just ended.
                self.is_changing = true;
                Owner::Unknown(pid)
            }
            _ => Owner::Restarting(supervisor),
        })
    }
}
