//! The pidfile: locked by the daemon as long as it lives, and never believed.
//!
//! The lock says whether the daemon runs; the text is for people and other tools. Whoever holds the
//! lock may write the file and remove it. Whoever has just got the lock looks whether the path
//! still names the file that is locked: the owner before may have removed it meanwhile.

use super::fingerprint::pid_of;
use super::process::unlocked_daemon;
use crate::options::DaemonizeOptions;
use crate::protocol::{Cause, Errno, Error, ExitCode, Nanoseconds, Pid, Subject, failed};
use crate::sys::{self, Fd, LockOwner, Locker, Open, RawFd, ThinCStr};
use crate::text::{NUMBER_LINE, number_line};

/// How often, and after what time, a file is tried again that others are removing.
const ATTEMPTS: u32 = 1000;
const PAUSE: Nanoseconds = 1_000_000;

/// Opens the file, if there is a path, creates it if need be with mode 0644, and locks it. Its text
/// stays as it is.
///
/// The descriptor must stay open: closing it would give up the lock.
pub(crate) fn lock(path: Option<ThinCStr<'_>>, locked: &mut RawFd) -> Result<(), Error> {
    let Some(path) = path else { return Ok(()) };
    for _ in 0..ATTEMPTS {
        let mask = sys::umask(0);
        let file = sys::open(path, Open::Lock);
        sys::umask(mask);
        let file = file.map_err(refused)?;
        if sys::fcntl_setlk(file.raw(), Locker::Daemon).map_err(refused)? {
            if is_still_at(path, &file)? {
                refuse_unlocked(&file)?;
                *locked = file.into_raw();
                return Ok(());
            }
        } else {
            match sys::fcntl_getlk(file.raw()).map_err(refused)? {
                LockOwner::Process(pid) => {
                    return Err(Error::new(ExitCode::AlreadyRunning, Cause::Owner(pid)));
                }
                LockOwner::Unknown => {
                    return Err(Error::new(ExitCode::AlreadyRunning, Cause::Unknown));
                }
                LockOwner::Nobody => {}
            }
        }
        sys::sleep(PAUSE);
    }
    Err(refused(Errno::EBUSY))
}

/// A daemon that has given up its lock and runs is one that is running.
fn refuse_unlocked(file: &Fd) -> Result<(), Error> {
    let about = sys::fstat(file.raw()).map_err(refused)?;
    match unlocked_daemon(file, about) {
        Some(pid) => Err(Error::new(ExitCode::AlreadyRunning, Cause::Owner(pid))),
        None => Ok(()),
    }
}

/// Makes the text of a locked file this pid and a newline, and dates it if it can be: who may write a
/// file may not always do that.
pub(crate) fn write(file: RawFd, pid: Pid, date: Option<Nanoseconds>) -> Result<(), Error> {
    let mut buffer = [0; NUMBER_LINE];
    let text = number_line(pid.get().into(), &mut buffer);
    sys::ftruncate(file).map_err(refused)?;
    // It has been read.
    sys::rewind(file).map_err(refused)?;
    let errno = match sys::write(file, text) {
        Ok(written) if written as usize == text.len() => {
            if let Some(date) = date {
                let _ = sys::set_mtime(file, date);
            }
            return Ok(());
        }
        Ok(_) => Errno::ENOSPC,
        Err(errno) => errno,
    };
    // Half a pid is worse than none.
    let _ = sys::ftruncate(file);
    Err(refused(errno))
}

/// Removes what a daemon has left that failed to start: a regular file with its pid, or with
/// nothing. A file that another process has locked meanwhile, or that has other text, is not
/// touched; nor is a device, which reads as empty too.
pub(crate) fn remove_after(path: ThinCStr<'_>, daemon: Pid) {
    let Ok(file) = sys::open(path, Open::LockExisting) else {
        return;
    };
    if sys::fcntl_setlk(file.raw(), Locker::Cleaner) != Ok(true)
        || is_still_at(path, &file) != Ok(true)
    {
        return;
    }
    // One byte more, so that a longer text is seen to be longer.
    let mut found = [0; NUMBER_LINE + 1];
    if let Ok(length) = sys::read(file.raw(), &mut found) {
        let found = found.get(..length as usize).unwrap_or_default();
        if found.is_empty() || pid_of(found) == Some(daemon) {
            // Where it may not be removed, at least no pid stays in it.
            let _ = sys::unlink(path).or_else(|_| sys::ftruncate(file.raw()));
        }
    }
}

/// Removes the pidfile that a daemon has left which failed to start, unless it is another's, or the
/// daemon did not come so far.
pub(crate) fn remove_failed(options: &DaemonizeOptions<'_>, daemon: Pid, error: Error) {
    let Some(path) = options.path(Subject::Pidfile) else {
        return;
    };
    if !matches!(
        error.code(),
        ExitCode::AlreadyRunning | ExitCode::OpenFailed | ExitCode::OpenDevNullFailed
    ) {
        remove_after(path, daemon);
    }
}

/// Whether a path still names the file that is locked, which must be a regular one, and
/// have no other name: whoever may make links here could have us overwrite what is not theirs.
fn is_still_at(path: ThinCStr<'_>, file: &Fd) -> Result<bool, Error> {
    let locked = sys::fstat(file.raw()).map_err(refused)?;
    if !locked.is_regular() {
        return Err(Error::new(ExitCode::PidfileFailed, Cause::NotAFile));
    }
    if locked.has_other_names() {
        return Err(refused(Errno::EMLINK));
    }
    match sys::lstat(path) {
        Ok(named) => Ok(named == locked),
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => Err(refused(errno)),
    }
}

fn refused(errno: Errno) -> Error {
    failed(ExitCode::PidfileFailed)(errno)
}
