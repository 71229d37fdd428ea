//! Claiming a pidfile or a lock file for a start: a loop until it is locked, or another daemon is found.

use super::fingerprint::NO_FINGERPRINT;
use super::lock::{RETRY_INTERVAL, lock_open, open_or_create, pidfile_failed};
use super::process::fingerprint_of;
use super::replace::replace;
use crate::options::Settings;
use crate::protocol::{Cause, Errno, Error, ErrorKind, Nanoseconds, Subject, nanoseconds};
use crate::sys::{self, Fd, Locker, RawFd, ThinCStr};

/// How often a file is retried that other processes are removing.
const ATTEMPTS: u32 = 1000;

/// After how many of these attempts its lock is taken for that of a reader.
const READER_ATTEMPTS: u32 = 50;

/// How often a start that waits for a lock tries again.
const WAIT_INTERVAL: Nanoseconds = 10_000_000;

/// Opens this file of the options, if any, and locks it. Creates it with mode 0644 if it does not exist, and
/// does not change its contents. If another process is the daemon of the file, waits for up to the lock timeout.
/// Returns the fingerprint of the calling process, for [`write`].
///
/// The descriptor must stay open: closing it releases the lock.
pub(crate) fn lock(
    options: &Settings<'_>,
    subject: Subject,
    locker: fn(u32) -> Locker,
    locked: &mut RawFd,
) -> Result<u32, Error> {
    let Some(path) = options.string(subject) else {
        return Ok(NO_FINGERPRINT);
    };
    let fingerprint = fingerprint_of(sys::getpid());
    let locker = locker(fingerprint);
    let mut left = nanoseconds(options.lock_timeout);
    loop {
        match lock_once(path, locker) {
            Err(error) if error.kind() == ErrorKind::AlreadyRunning && left > 0 => {
                let wait = left.min(WAIT_INTERVAL);
                sys::sleep(wait);
                left = left.saturating_sub(wait);
            }
            Ok(file) => {
                *locked = file.into_raw();
                return Ok(fingerprint);
            }
            Err(error) => return Err(error.about(subject)),
        }
    }
}

fn lock_once(path: ThinCStr<'_>, locker: Locker) -> Result<Fd, Error> {
    for attempt in 1..=ATTEMPTS {
        let file = match open_or_create(path, 0) {
            Err(Errno::EEXIST) => continue,
            file => file,
        };
        let file = file.map_err(|errno| match errno {
            Errno::EISDIR => Error::new(ErrorKind::PidfileFailed, Cause::NotAFile),
            errno => pidfile_failed(errno),
        })?;
        if let Some(file) = lock_open(path, file, locker)? {
            return Ok(file);
        }
        if attempt % READER_ATTEMPTS == 0 {
            match replace(path, locker) {
                Ok(Some(file)) => return Ok(file),
                Err(error) if error.kind() == ErrorKind::AlreadyRunning => return Err(error),
                // It may be another one now.
                _ => {}
            }
        }
        sys::sleep(RETRY_INTERVAL);
    }
    Err(pidfile_failed(Errno::EBUSY))
}
