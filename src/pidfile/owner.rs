//! Who the daemon of a pidfile is: the kernel's word, and where that is missing, second evidence.

use core::ffi::CStr;

use super::fingerprint::Match;
use super::process::{match_of, named_in};
use crate::protocol::{Cause, Errno, Error, ExitCode, Nanoseconds, Pid, failed};
use crate::sys::{self, Fd, LockOwner, Open, Stat, ThinCStr};

/// The pidfile of a daemon, by which it is found, signalled and stopped.
///
/// The daemon is the process that holds the lock on the file (see
/// [`DaemonizeOptions::pidfile`](crate::DaemonizeOptions::pidfile)), by the kernel's word. What stands
/// in the file is not believed. A lock file does as well.
///
/// **A process must not ask about its own pidfile:** the kernel does not tell it its own lock, and drops
/// that lock when the file is closed that was opened to ask (fcntl(2)).
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pidfile<'a> {
    pub(crate) path: ThinCStr<'a>,
    pub(crate) trust: bool,
    pub(crate) process_group: bool,
}

/// What is known of a daemon by its pidfile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Owner {
    /// It does not run, and there is no pidfile.
    NotRunning,
    /// It does not run, and has left its pidfile.
    Dead,
    /// It runs as this process, which holds the lock.
    Running(Pid),
    /// A process without a pid here, in another pid namespace, holds the lock.
    Elsewhere,
    /// It runs as this process, and has given up its lock by closing every descriptor, as sshd does. The
    /// pidfile is dated by this crate, and just when this process was created, so that no other can
    /// have got its pid since. This needs `/proc`, and a clock that was not set since.
    Unlocked(Pid),
    /// Nobody holds the lock, and a process with the pid in the file lives. It may be a daemon that
    /// this crate has not started, or any process that has got the pid of a dead one.
    Unknown(Pid),
}

/// What was seen of a pidfile.
pub(crate) struct Observation {
    pub(crate) owner: Owner,
    /// The file, if there is one.
    pub(crate) file: Option<Fd>,
    /// The pid in it, if the lock does not say who it is.
    pub(crate) named: Option<Pid>,
    /// Whether the process in it is not known to be a wrong one.
    pub(crate) is_credible: bool,
    /// Whether another answer is to be expected in a moment.
    is_changing: bool,
}

impl<'a> Pidfile<'a> {
    /// The pidfile at this path.
    #[must_use]
    pub const fn new(path: &'a CStr) -> Self {
        Self {
            path: ThinCStr::new(path),
            trust: false,
            process_group: false,
        }
    }

    /// Whether a pidfile without a lock is believed: the process that it names is signalled, as other
    /// tools do it. Off by default, since it may be any process that has got the pid of a dead daemon.
    ///
    /// Even then not every file is believed: not one that others than root and the caller may write,
    /// nor one that names process 1, nor one that is older than the process it names, by `/proc` and
    /// a clock that may have been set since.
    #[must_use]
    pub const fn trust(mut self, trust: bool) -> Self {
        self.trust = trust;
        self
    }

    /// Whether the daemon's whole process group is signalled, and not only the daemon itself: its
    /// children too, unless they have left the group.
    ///
    /// It must be a group of the daemon's session, and not of the caller's, or nothing is signalled, and
    /// the error is `EPERM`.
    #[must_use]
    pub const fn process_group(mut self, process_group: bool) -> Self {
        self.process_group = process_group;
        self
    }

    /// Who the daemon is.
    ///
    /// # Errors
    ///
    /// `PidfileFailed` when the file cannot be read, is no regular one, or has several names.
    pub fn owner(&self) -> Result<Owner, Error> {
        Ok(self.look()?.owner)
    }

    /// Looks at the file and at the process that is in it. What is about to end or to begin is looked at
    /// until it has, for a second at most.
    pub(crate) fn look(&self) -> Result<Observation, Error> {
        let mut attempts = ATTEMPTS;
        loop {
            attempts = attempts.saturating_sub(1);
            let seen = self.look_once()?;
            if !seen.is_changing || attempts == 0 {
                return Ok(seen);
            }
            sys::sleep(PAUSE);
        }
    }

    fn look_once(&self) -> Result<Observation, Error> {
        let refused = failed(ExitCode::PidfileFailed);
        let mut seen = Observation {
            owner: Owner::NotRunning,
            file: None,
            named: None,
            is_credible: false,
            is_changing: false,
        };
        let file = match sys::open(self.path, Open::Look) {
            Err(Errno::ENOENT) => return Ok(seen),
            file => file.map_err(&refused)?,
        };
        let about = sys::fstat(file.raw()).map_err(&refused)?;
        if !about.is_regular() {
            return Err(Error::new(ExitCode::PidfileFailed, Cause::NotAFile));
        }
        if about.has_other_names() {
            return Err(refused(Errno::EMLINK));
        }
        seen.owner = match sys::fcntl_getlk(file.raw()).map_err(&refused)? {
            LockOwner::Process(pid) => Owner::Running(pid),
            LockOwner::Unknown => Owner::Elsewhere,
            LockOwner::Nobody => seen.without_lock(&file, about),
        };
        seen.file = Some(file);
        Ok(seen)
    }
}

/// How often, and after what time, a daemon is looked at again that is changing.
const ATTEMPTS: u32 = 100;
const PAUSE: Nanoseconds = 10_000_000;

impl Observation {
    /// Who is in the file, which nobody has locked.
    fn without_lock(&mut self, file: &Fd, about: Stat) -> Owner {
        let (named, is_exact) = named_in(file.raw());
        self.named = named;
        let Some(pid) = named else { return Owner::Dead };
        let found = match_of(pid, about);
        self.is_credible = is_exact && pid.get() != 1 && about.is_safe() && found != Match::Younger;
        // A start may have locked and written it meanwhile.
        self.is_changing =
            found == Match::Ending || sys::fcntl_getlk(file.raw()) != Ok(LockOwner::Nobody);
        match found {
            Match::Ended => Owner::Dead,
            Match::Daemon if is_exact => Owner::Unlocked(pid),
            _ => Owner::Unknown(pid),
        }
    }
}
