//! The first steps of a supervisor, and its last.

use super::context::{Init, Outcome, Supervisor};
use super::log::LogOptions;
use super::logger::Logger;
use super::respawn::Respawn;
use super::state::{read_state, remove_lost_folder, remove_state};
use crate::options::{Credentials, Readiness, Settings, Stdio, Stream};
use crate::pidfile::{self, remove_after_failure, remove_locked};
use crate::protocol::{
    Cause, Errno, Error, ErrorKind, Nanoseconds, Note, Pid, Signal, Subject, cannot_watch, failed,
};
use crate::start::{KeptFds, Supervised, SupervisedStart, close_all_but, is_relative, open_null};
use crate::sys::{self, CStrings, Fd, Locker, NO_FD, Pipe, RawFd, SIGCHLD, ThinCStr};

/// A command that is to be supervised.
#[derive(Clone, Copy, Debug)]
pub struct Supervision<'a> {
    /// The settings of each start.
    pub settings: &'a Settings<'a>,
    /// The ids of the daemon.
    pub credentials: Credentials<'a>,
    /// The path or name of the command, its arguments, and its environment.
    pub command: (ThinCStr<'a>, CStrings<'a>, CStrings<'a>),
    /// When it is started again.
    pub respawn: Respawn<'a>,
    /// Where its output goes.
    pub log: &'a LogOptions<'a>,
    /// Whether the supervisor is an init process.
    pub init: Init,
}

/// How often, and at what interval, the lock of flock(2) is tried: another start may be looking for it.
const FLOCK_ATTEMPTS: u32 = 20;
const FLOCK_INTERVAL: Nanoseconds = 1_000_000;

/// Leads a session, and lets go of what belongs to the caller. Returns the session.
pub(super) fn lead_session(settings: &Settings<'_>, verdict: RawFd) -> Result<Pid, Error> {
    let session = sys::setsid().map_err(failed(ErrorKind::SetsidFailed))?;
    if session.get() == 1 {
        // The caller has called unshare(CLONE_NEWPID): the pids here would mean nothing to it.
        return Err(failed(ErrorKind::FirstForkFailed)(Errno::EINVAL));
    }
    close_all_but(KeptFds {
        first: 3,
        requested: settings.keep.unwrap_or_default(),
        internal: &[verdict],
        streams: &[],
    })
    .map_err(failed(ErrorKind::CloseFailed))?;
    for fd in 0..3 {
        let is_kept = matches!(settings.stream(fd), Stream::Inherit);
        if !is_kept {
            let null = open_null().map_err(failed(ErrorKind::OpenDevNullFailed))?;
            sys::dup3(null.raw(), fd as RawFd).map_err(failed(ErrorKind::StdioFailed))?;
        }
    }
    Ok(session)
}

/// Locks the files, and supervises the command until nothing is left to do.
///
/// # Errors
///
/// That of the first start. Nothing of it is left.
pub(super) fn supervise_with(
    supervision: &Supervision<'_>,
    session: Pid,
    may_setpgid: bool,
    verdict: Pipe,
    is_new: bool,
) -> Result<Outcome, Error> {
    let settings = supervision.settings;
    // Before Linux 3.4, what the daemon leaves goes to init.
    let subreaps = sys::set_child_subreaper();
    if settings.forks && settings.own_pidfile.is_none() {
        // It would not be found when it has gone into the background, and not be ended either.
        subreaps
            .and_then(|()| pidfile::each_process(&mut |_| true))
            .map_err(cannot_watch)?;
    }
    sys::reset_sigaction(SIGCHLD).map_err(failed(ErrorKind::SignalsFailed))?;
    let mut locks = [NO_FD; 2];
    let mut settings = settings.clone();
    let reserved = reserve_notification_fd(&settings);
    let opened = lock(&settings, &mut locks)
        .and_then(|()| refuse_locked(&settings, locks))
        .and_then(|()| Logger::open(supervision.log, &mut settings));
    drop(reserved);
    if supervision.init != Init::No {
        // Streams that do not go to the log.
        for stream in &mut settings.streams {
            stream.get_or_insert(Stdio::inherit());
        }
    }
    let (program, _, environment) = supervision.command;
    if !supervision.settings.has_relative_path() && !is_relative(program, environment) {
        // The file system of the caller's working directory can then be unmounted. If this fails, it stays in use.
        let _ = sys::chdir(ThinCStr::new(c"/"));
    }
    let [pidfile, _] = locks;
    let mut is_cleaned = false;
    let stayed = opened.and_then(|logger| {
        let supervised = Supervised {
            settings: &settings,
            credentials: supervision.credentials,
            command: supervision.command,
            supervision: SupervisedStart {
                pid: sys::getpid(),
                locks,
                is_restart: false,
                logger: None,
                has_terminal: supervision.init != Init::No && sys::has_terminal(),
                abandoning: supervision.init.stops(),
                death_signal: match supervision.respawn.kills_orphan {
                    true => Signal::KILL.number(),
                    false => 0,
                },
            },
            session,
            may_setpgid,
        };
        let mut supervisor =
            Supervisor::new(&supervised, supervision.init, &supervision.respawn, logger)?;
        let adopted = pidfile::adopted(pidfile).map_err(|error| error.about(Subject::Pidfile));
        let stayed = adopted.and_then(|daemon| match daemon {
            // It has not said that it is ready, and can no longer say it.
            Some(daemon) if was_starting(&settings) => {
                let running = Error::new(ErrorKind::AlreadyRunning, Cause::Owner(daemon));
                Err(running.about(Subject::Pidfile))
            }
            daemon => {
                if let Some(path) = settings.string(Subject::Pidfile) {
                    remove_lost_folder(path);
                }
                supervisor.stay(verdict, daemon)
            }
        });
        let stayed = clean_up(&settings, pidfile, is_new, stayed);
        is_cleaned = true;
        for lock in locks {
            // The next start need not wait for what follows.
            sys::close(lock);
        }
        match stayed {
            // The daemon may run, and needs its log.
            Ok(Outcome::Lost(_)) => {}
            Err(_) if supervision.init == Init::Image => supervisor.logger.finish(),
            _ => {
                supervisor.end_all();
                supervisor.logger.finish();
            }
        }
        stayed
    });
    match stayed {
        // It may have been created, and not be locked.
        Err(error) if pidfile == NO_FD => {
            let own = Some(sys::getpid());
            Err(remove_after_failure(&settings, own, error, is_new))
        }
        Err(error) if !is_cleaned => clean_up(&settings, pidfile, is_new, Err(error)),
        stayed => stayed,
    }
}

/// Removes the pidfile and the state, unless they are to show what has happened.
fn clean_up(
    settings: &Settings<'_>,
    pidfile: RawFd,
    is_new: bool,
    stayed: Result<Outcome, Error>,
) -> Result<Outcome, Error> {
    let path = match stayed {
        Ok(Outcome::GaveUp(_) | Outcome::Lost(_)) => None,
        // They are those of a daemon that is not adopted.
        Err(error) if error.kind() == ErrorKind::AlreadyRunning => None,
        _ => settings.string(Subject::Pidfile),
    };
    if let (Some(path), true) = (path, pidfile != NO_FD) {
        remove_state(path);
        if !remove_locked(path, pidfile, is_new || stayed.is_ok()) {
            return stayed.map_err(|error| error.with(Note::FileLeft));
        }
    }
    stayed
}

/// Whether a supervisor was killed while it waited for the daemon's word.
fn was_starting(settings: &Settings<'_>) -> bool {
    let has_word = settings.forks || settings.readiness != Readiness::Executed;
    let path = settings.string(Subject::Pidfile);
    has_word
        && path
            .and_then(read_state)
            .is_some_and(|state| state.is_starting())
}

/// Refuses files that the supervisor opens and closes later, if they are those that it has locked: that would release
/// the lock (fcntl(2)).
fn refuse_locked(settings: &Settings<'_>, locks: [RawFd; 2]) -> Result<(), Error> {
    let [_, output, error] = [0, 1, 2].map(|index| settings.stream(index).path());
    for path in [output, error, settings.own_pidfile].into_iter().flatten() {
        let file = sys::stat(path);
        if file.is_ok() && locks.iter().any(|lock| sys::fstat(*lock) == file) {
            return Err(failed(ErrorKind::PidfileFailed)(Errno::EDEADLK));
        }
    }
    Ok(())
}

/// Takes the number of the notification descriptor, so that no descriptor gets it that the daemon inherits.
fn reserve_notification_fd(settings: &Settings<'_>) -> Option<Fd> {
    let Readiness::Descriptor(number) = settings.readiness else {
        return None;
    };
    sys::dupfd_cloexec(0, number as RawFd)
        .ok()
        .map(Fd::from_raw)
}

/// Locks the lock file and the pidfile.
fn lock(settings: &Settings<'_>, locks: &mut [RawFd; 2]) -> Result<(), Error> {
    let [pidfile, lock_file] = locks;
    // The daemon of a lock file is the supervisor: no file tells another one.
    pidfile::lock(settings, Subject::LockFile, Locker::Daemon, lock_file)?;
    pidfile::lock(settings, Subject::Pidfile, Locker::Starter, pidfile)?;
    for lock in [lock_file, pidfile] {
        if *lock != NO_FD {
            // The daemon inherits this one: it is there even if the supervisor is killed.
            for _ in 0..FLOCK_ATTEMPTS {
                if sys::flock(*lock) != Err(Errno::EAGAIN) {
                    break;
                }
                sys::sleep(FLOCK_INTERVAL);
            }
        }
    }
    Ok(())
}
