//! Locking, writing and removing pidfiles.
//!
//! The daemon holds a lock on its pidfile as long as it lives. The lock shows whether the daemon runs;
//! the pid in the file is for people and other tools. Only the process that holds the lock writes or
//! removes the file. After taking the lock, it checks that the path still names the locked file: the
//! previous owner may have removed it.

use core::mem::ManuallyDrop;

use super::fingerprint::{Match, NO_FINGERPRINT, pid_of};
use super::process::{find_fingerprint, has_ended, match_named, read_pid};
use crate::options::Settings;
use crate::protocol::{
    Cause, Errno, Error, ErrorKind, Nanoseconds, Note, Pid, SECOND, Step, Subject, failed,
};
use crate::sys::{
    self, Fd, LockOwner, Locker, Missing, NO_FD, Open, RawFd, ThinCStr, WORKING_DIRECTORY,
};
use crate::text::{NUMBER_LINE, number_line};

/// The interval at which a file is retried that other processes use.
pub(super) const RETRY_INTERVAL: Nanoseconds = 1_000_000;

/// How often it is retried while a process that was not reaped may be exiting.
const EXIT_ATTEMPTS: u32 = 100;

/// Opens a file, or creates it with this mask. `EEXIST` if another process has just done so.
///
/// Without O_CREAT first: in a sticky directory, the kernel may refuse that for another user's file
/// (fs.protected_regular), to root too.
pub(crate) fn open_or_create(path: ThinCStr<'_>, mask: u32) -> Result<Fd, Errno> {
    match sys::open(path, Open::Lock) {
        Err(Errno::ENOENT) => sys::with_umask(mask, || {
            sys::open_at(WORKING_DIRECTORY, path, Open::Lock, Missing::IsCreatedOnly)
        }),
        file => file,
    }
}

/// Locks the file that is open. `None` if it has been removed, or has a lock that is no daemon's.
pub(super) fn lock_open(path: ThinCStr<'_>, file: Fd, locker: Locker) -> Result<Option<Fd>, Error> {
    // Before the lock: closing the lower descriptor would release it.
    let file = move_out_of_the_way(file);
    // Before the lock: on NFS, the two exclude each other.
    let has_flock = sys::has_flock(file.raw());
    match sys::fcntl_setlk(file.raw(), locker) {
        Ok(()) if !still_names(path, &file)? => Ok(None),
        Ok(()) => match refuse_other_daemon(&file, has_flock) {
            Err(error) if !(has_flock && is_lost(&error, locker)) => Err(error),
            _ => Ok(Some(file)),
        },
        Err(errno) => match holder(&file) {
            // A process that shares its descriptors has the lock now, or it has just been released.
            Ok(LockOwner::Process(pid)) if has_ended(pid) => Ok(None),
            Ok(LockOwner::Process(pid)) => {
                Err(Error::new(ErrorKind::AlreadyRunning, Cause::Owner(pid)))
            }
            Ok(LockOwner::Unknown) => Err(Error::new(ErrorKind::AlreadyRunning, Cause::Unknown)),
            // The owner has just released the lock, or it is a lock for reading.
            Ok(LockOwner::None) if errno == Errno::EAGAIN => Ok(None),
            Ok(LockOwner::None) => Err(pidfile_failed(errno)),
            Err(unknown) => Err(pidfile_failed(unknown)),
        },
    }
}

/// Whether a supervisor finds a daemon whose own supervisor was killed: it has inherited the lock of flock(2), and not
/// the other one. It then adopts it.
fn is_lost(error: &Error, locker: Locker) -> bool {
    matches!(
        (locker, error.cause()),
        (Locker::Starter(_), Cause::Owner(_))
    )
}

/// The daemon that a supervisor that has locked this pidfile adopts, if there is one.
///
/// # Errors
///
/// It is not known whether there is one.
pub(crate) fn adopted(file: RawFd) -> Result<Option<Pid>, Error> {
    if file == NO_FD {
        return Ok(None);
    }
    // The descriptor stays open: closing it would release the lock.
    let file = ManuallyDrop::new(Fd::from_raw(file));
    let named = sys::seek(file.raw(), 0).and_then(|()| named_process(&file));
    match named.map_err(pidfile_failed)? {
        (daemon, Match::Daemon) => Ok(daemon),
        (_, Match::Ended) => Ok(None),
        // The daemon holds this lock.
        _ if sys::flock(file.raw()) == Err(Errno::EAGAIN) => {
            Err(Error::new(ErrorKind::AlreadyRunning, Cause::Unknown))
        }
        _ => Ok(None),
    }
}

/// The daemon that holds the lock, or whose supervisor does; the supervisor, if its daemon does not run.
fn holder(file: &Fd) -> Result<LockOwner, Errno> {
    let lock = sys::fcntl_getlk(file.raw())?;
    if let (LockOwner::Process(supervisor), true) = (lock.owner, lock.is_supervisor()) {
        let daemon = match named_process(file)? {
            (named, Match::Daemon) => named,
            (named, _) => named.filter(|pid| sys::getsid(Some(*pid)) == Ok(Some(supervisor))),
        };
        return Ok(LockOwner::Process(daemon.unwrap_or(supervisor)));
    }
    Ok(lock.owner)
}

/// Moves a descriptor to a number that neither scripts nor shells nor runtimes choose: they take the lowest that is
/// free, 3 to 9, round numbers, 63 and down (process substitutions of bash), and 255 (its script). A table of
/// descriptors up to 255 is small. With fewer descriptors allowed, a lower number must do.
fn move_out_of_the_way(file: Fd) -> Fd {
    for lowest in [241, 113, 33, 13] {
        if let Ok(moved) = sys::dupfd_cloexec(file.raw(), lowest) {
            return Fd::from_raw(moved);
        }
    }
    file
}

/// Fails with `AlreadyRunning` if the daemon of this file runs, although it has no record lock: it has released that,
/// or another program has started it, and holds a lock of flock(2). Any process that may read the file can have that
/// too, so it is no claim if the file names a process that has ended. If it names none, nothing tells the two apart:
/// flock(1) and daemonize(1) leave their files empty, and two daemons would be worse than none.
pub(super) fn refuse_other_daemon(file: &Fd, has_flock: bool) -> Result<(), Error> {
    let cause = match named_process(file).map_err(pidfile_failed)? {
        (Some(pid), Match::Daemon) => Cause::Owner(pid),
        (_, Match::Ended) => return Ok(()),
        _ if has_flock => Cause::Unknown,
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::AlreadyRunning, cause))
}

/// The process that the file names, and what is known of it.
fn named_process(file: &Fd) -> Result<(Option<Pid>, Match), Errno> {
    let stat = sys::fstat(file.raw())?;
    let (pid, is_exact) = read_pid(file.raw())?;
    let found = match pid {
        Some(pid) => match_named(file.raw(), stat, pid)?,
        None => Match::Unseen,
    };
    match found {
        Match::Daemon if !is_exact => Ok((pid, Match::Other)),
        found => Ok((pid, found)),
    }
}

/// Writes a pid and a newline to a pidfile, and tries to add the fingerprint. That fails
/// if another user owns the file, which matters if the lock does not show the process.
#[inline(never)]
pub(crate) fn write(
    file: RawFd,
    pid: Pid,
    fingerprint: u32,
    needs_fingerprint: bool,
) -> Result<(), Error> {
    let mut buffer = [0; NUMBER_LINE];
    let text = number_line(pid.get().into(), &mut buffer);
    sys::ftruncate(file, 0).map_err(pidfile_failed)?;
    // Reading it has moved the offset.
    sys::seek(file, 0).map_err(pidfile_failed)?;
    // A write beyond the limit would end the process by SIGXFSZ, or write a part.
    if sys::getrlimit_fsize() < text.len() as u64 {
        return Err(pidfile_failed(Errno::EFBIG));
    }
    let errno = match sys::write(file, text) {
        Ok(written) if written as usize == text.len() => {
            let stamped = match sys::fstat(file) {
                Ok(stat) if fingerprint != NO_FINGERPRINT => {
                    let second = (stat.mtime() / SECOND).saturating_mul(SECOND);
                    sys::set_mtime(file, second.saturating_add(fingerprint.into()))
                }
                other => other.map(drop),
            };
            return match stamped {
                Err(errno) if needs_fingerprint => Err(pidfile_failed(errno)),
                _ => Ok(()),
            };
        }
        Ok(_) => Errno::ENOSPC,
        Err(errno) => errno,
    };
    // No pid is better than part of one.
    let _ = sys::ftruncate(file, 0);
    Err(pidfile_failed(errno))
}

/// Makes another process the daemon of the pidfile, unless the file names neither. The lock stays that of the process
/// that was started, `holder`; the fingerprint shows the other.
///
/// # Errors
///
/// `AlreadyRunning` if another start has the lock, since the holder has ended.
pub(crate) fn hand_over(
    options: &Settings<'_>,
    holder: Pid,
    from: Pid,
    to: Pid,
) -> Result<(), Error> {
    let Some(path) = options.string(Subject::Pidfile) else {
        return Ok(());
    };
    let file = sys::open(path, Open::Lock).map_err(pidfile_failed)?;
    // If the holder has ended, this keeps other starts away.
    match sys::fcntl_setlk(file.raw(), Locker::Remover) {
        Err(Errno::EAGAIN) => {
            let lock = sys::fcntl_getlk(file.raw()).map_err(pidfile_failed)?;
            if lock.owner != LockOwner::None && lock.owner != LockOwner::Process(holder) {
                return Err(Error::new(ErrorKind::AlreadyRunning, Cause::Unknown));
            }
        }
        locked => locked.map_err(pidfile_failed)?,
    }
    match read_pid(file.raw()).map_err(pidfile_failed)? {
        (Some(pid), true) if pid == from && still_names(path, &file)? => {
            // The lock does not show that process: it needs the fingerprint, if there is one.
            rewrite(file.raw(), to)
        }
        _ => Ok(()),
    }
}

/// Makes another process the daemon of a pidfile that the caller has locked.
pub(crate) fn rewrite(file: RawFd, daemon: Pid) -> Result<(), Error> {
    let fingerprint = find_fingerprint(daemon).map_err(pidfile_failed)?;
    write(file, daemon, fingerprint, true)
}

/// Removes the pidfile of a daemon that has ended: a regular file that contains its pid, or, if the start has
/// created it, is empty. If the pid is not known, that of any process that has ended will do. Returns false, and
/// leaves the file as it is, if another process has locked it, or if it has other contents; true if it is gone.
///
/// # Errors
///
/// `PidfileFailed` if the file cannot be removed, or it is not known whose it is.
pub(super) fn remove_stale(
    path: ThinCStr<'_>,
    daemon: Option<Pid>,
    is_new: bool,
) -> Result<bool, Error> {
    let file = match sys::open(path, Open::Lock) {
        Err(Errno::ENOENT) => return Ok(true),
        file => file.map_err(pidfile_failed)?,
    };
    // The daemon of a supervisor that was killed: it may write its pid yet.
    if daemon.is_none() && sys::has_flock(file.raw()) {
        return Ok(false);
    }
    match sys::fcntl_setlk(file.raw(), Locker::Remover) {
        Err(Errno::EAGAIN) => return Ok(false),
        locked => locked.map_err(pidfile_failed)?,
    }
    if !still_names(path, &file)? {
        return Ok(false);
    }
    // One byte more than the longest pid, to detect longer contents.
    let mut text = [0; NUMBER_LINE + 1];
    let length = sys::read(file.raw(), &mut text).map_err(pidfile_failed)?;
    let text = text.get(..length as usize).unwrap_or_default();
    let is_stale = match (pid_of(text), daemon) {
        (Some(pid), Some(daemon)) => pid == daemon,
        (Some(pid), None) => has_ended(pid),
        (None, _) => text.is_empty() && is_new,
    };
    if is_stale {
        sys::unlink(path).map_err(|errno| {
            // At least, remove the pid from it.
            let _ = sys::ftruncate(file.raw(), 0);
            pidfile_failed(errno)
        })?;
    }
    Ok(is_stale)
}

/// Removes a pidfile that the caller has locked, if it names a process that has ended, or is empty and `may_be_empty`,
/// unless its path names another file by now. Returns whether none is left that the caller has made.
pub(crate) fn remove_locked(path: ThinCStr<'_>, file: RawFd, may_be_empty: bool) -> bool {
    // The descriptor stays open: closing it would release the lock.
    let file = ManuallyDrop::new(Fd::from_raw(file));
    let mut text = [0; NUMBER_LINE + 1];
    let read = sys::seek(file.raw(), 0).and_then(|()| sys::read(file.raw(), &mut text));
    let Ok(length) = read else {
        return false;
    };
    let text = text.get(..length as usize).unwrap_or_default();
    let is_stale = match pid_of(text) {
        Some(pid) => has_ended(pid),
        None => text.is_empty() && may_be_empty,
    };
    if !is_stale {
        return true;
    }
    match still_names(path, &file) {
        Ok(true) if sys::unlink(path).is_err() => {
            // At least, remove the pid from it.
            let _ = sys::ftruncate(file.raw(), 0);
            false
        }
        named => named.is_ok(),
    }
}

/// Whether the pidfile, if any, does not exist yet.
pub(crate) fn is_missing(options: &Settings<'_>) -> bool {
    let path = options.string(Subject::Pidfile);
    path.is_some_and(|path| sys::lstat(path) == Err(Errno::ENOENT))
}

/// Removes the pidfile of a daemon that failed to start, unless the file is another daemon's, or the
/// start failed before it was locked. `is_new` is what [`is_missing`] returned before the start. Returns the error
/// of the start, with a note if the file is left.
pub(crate) fn remove_after_failure(
    options: &Settings<'_>,
    daemon: Option<Pid>,
    error: Error,
    is_new: bool,
) -> Error {
    let Some(path) = options.string(Subject::Pidfile) else {
        return error;
    };
    let step = match error.kind() {
        // These occur before the lock, and after the last step.
        ErrorKind::SignalsFailed | ErrorKind::CloseFailed => None,
        _ => Step::of(&error),
    };
    if step.is_some_and(|step| step < Step::LockPidfile) {
        return error;
    }
    let is_made = error.has(Note::AllSteps) || step.is_some_and(|step| step > Step::LockPidfile);
    // A daemon that has not been reaped may still be exiting.
    let mut attempts = if daemon.is_none() { EXIT_ATTEMPTS } else { 0 };
    loop {
        match remove_stale(path, daemon, is_new) {
            Ok(false) if attempts > 0 => {
                attempts = attempts.saturating_sub(1);
                sys::sleep(RETRY_INTERVAL);
            }
            Err(_) if is_made => return error.with(Note::FileLeft),
            _ => return error,
        }
    }
}

/// Whether a path still names the locked file. Fails unless that is a regular file with one hard link: a
/// user who may create links here could otherwise make this process overwrite another file.
pub(super) fn still_names(path: ThinCStr<'_>, file: &Fd) -> Result<bool, Error> {
    let locked = sys::fstat(file.raw()).map_err(pidfile_failed)?;
    if !locked.is_regular() {
        return Err(Error::new(ErrorKind::PidfileFailed, Cause::NotAFile));
    }
    if locked.has_other_links() {
        return Err(pidfile_failed(Errno::EMLINK));
    }
    match sys::lstat(path) {
        Ok(named) => Ok(named == locked),
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => Err(pidfile_failed(errno)),
    }
}

pub(super) fn pidfile_failed(errno: Errno) -> Error {
    failed(ErrorKind::PidfileFailed)(errno)
}
