//! The pidfile: locked by the daemon as long as it lives, and never believed.
//!
//! The lock says whether the daemon runs; the text is for people and other tools. Whoever holds the
//! lock may write the file and remove it. Whoever has just got the lock looks whether the path
//! still names the file that is locked: the owner before may have removed it meanwhile.

use crate::daemonize::failed;
use crate::protocol::{Cause, DIGITS, Errno, Error, ExitCode, Pid, digits};
use crate::sys::{self, Fd, Locker, NOTHING, Nanoseconds, Open, Owner, RawFd, ThinCStr};

/// How often, and after what time, a file is tried again that others are removing.
const ATTEMPTS: u32 = 1000;
const PAUSE: Nanoseconds = 1_000_000;

/// Opens the file, creates it if need be with mode 0644, and locks it. Its text stays as it is.
///
/// The descriptor must stay open: closing it would give up the lock.
pub(crate) fn lock(path: ThinCStr<'_>) -> Result<RawFd, Error> {
    for _ in 0..ATTEMPTS {
        let mask = sys::set_umask(0);
        let file = sys::open(path, Open::Lock);
        sys::set_umask(mask);
        let file = file.map_err(refused)?;
        if sys::lock(file.raw(), Locker::Daemon).map_err(refused)? {
            if is_still_at(path, &file)? {
                return Ok(file.into_raw());
            }
        } else {
            match sys::lock_owner(file.raw()).map_err(refused)? {
                Owner::Process(pid) => {
                    return Err(Error::new(ExitCode::AlreadyRunning, Cause::Owner(pid)));
                }
                Owner::Unknown => {
                    return Err(Error::new(ExitCode::AlreadyRunning, Cause::Unknown));
                }
                Owner::Nobody => {}
            }
        }
        let _ = sys::poll([NOTHING; 2], PAUSE);
    }
    Err(refused(Errno::EBUSY))
}

/// Makes the text of a locked file this pid and a newline.
pub(crate) fn write(file: RawFd, pid: Pid) -> Result<(), Error> {
    let mut buffer = [0; TEXT_SIZE];
    let text = text_of(pid, &mut buffer);
    sys::truncate(file).map_err(refused)?;
    let errno = match sys::write(file, text) {
        Ok(written) if written as usize == text.len() => return Ok(()),
        Ok(_) => Errno::ENOSPC,
        Err(errno) => errno,
    };
    // Half a pid is worse than none.
    let _ = sys::truncate(file);
    Err(refused(errno))
}

/// Leaves a file locked until the program that is to be executed ends.
pub(crate) fn keep_across_exec(file: RawFd) -> Result<(), Error> {
    sys::keep_across_exec(file).map_err(refused)
}

/// Removes what a daemon has left that failed to start: a regular file with its pid, or with
/// nothing. A file that another process has locked meanwhile, or that has other text, is not
/// touched; nor is a device, which reads as empty too.
pub(crate) fn remove_after(path: ThinCStr<'_>, daemon: Pid) {
    let Ok(file) = sys::open(path, Open::LockExisting) else {
        return;
    };
    if sys::lock(file.raw(), Locker::Cleaner) != Ok(true) || is_still_at(path, &file) != Ok(true) {
        return;
    }
    let mut expected = [0; TEXT_SIZE];
    // One byte more, so that a longer text is seen to be longer.
    let mut found = [0; TEXT_SIZE + 1];
    if let Ok(length) = sys::read(file.raw(), &mut found) {
        if length == 0 || found.get(..length as usize) == Some(text_of(daemon, &mut expected)) {
            let _ = sys::unlink(path);
        }
    }
}

/// Whether a path still names the file that is locked, which must be a regular one.
#[inline(never)]
fn is_still_at(path: ThinCStr<'_>, file: &Fd) -> Result<bool, Error> {
    let locked = sys::file_of(file.raw()).map_err(refused)?;
    if !locked.is_regular {
        return Err(Error::new(ExitCode::PidfileFailed, Cause::NotAFile));
    }
    match sys::file_at(path) {
        Ok(named) => Ok(named == locked),
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => Err(refused(errno)),
    }
}

fn refused(errno: Errno) -> Error {
    failed(ExitCode::PidfileFailed)(errno)
}

/// Room for the digits and a newline.
const TEXT_SIZE: usize = DIGITS + 1;

/// The pid in decimal digits, and a newline.
fn text_of(pid: Pid, buffer: &mut [u8; TEXT_SIZE]) -> &[u8] {
    let (number, newline) = buffer.split_at_mut(DIGITS);
    newline.fill(b'\n');
    let length = match number.first_chunk_mut() {
        Some(number) => digits(pid.get().unsigned_abs().into(), number).len(),
        None => 0,
    };
    buffer
        .get(DIGITS.saturating_sub(length)..)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::{Pid, TEXT_SIZE, text_of};

    #[test]
    fn a_pid_is_written_in_decimal() {
        for number in [1, 9, 10, 42, 1234, 4_194_304, i32::MAX] {
            let mut buffer = [0; TEXT_SIZE];
            assert_eq!(
                text_of(Pid::new(number).unwrap(), &mut buffer),
                format!("{number}\n").as_bytes()
            );
        }
    }
}
