//! Replacing a pidfile that another process has locked for reading.
//!
//! Any process that may read a file can lock it for reading, and so keep a daemon from locking it. Such a lock is no
//! claim: the start makes a new file, locks it before others may read it, and gives it the name of the old one.

use super::fingerprint::pid_of;
use super::lock::{lock_open, open_or_create, pidfile_failed, refuse_other_daemon, still_names};
use crate::protocol::{Errno, Error};
use crate::sys::{self, Fd, Locker, Open, PATH_SIZE, ThinCStr};
use crate::text::{NUMBER_LINE, concat};

/// Replaces the pidfile by a new one that is locked. `None` if it is not locked for reading any more, or has other
/// contents than a pid: those of a lock file are kept.
///
/// The lock of the new file decides between several starts.
pub(super) fn replace(path: ThinCStr<'_>, locker: Locker) -> Result<Option<Fd>, Error> {
    let mut buffer = [0; PATH_SIZE];
    concat(&[path.to_bytes(), b".new"], &mut buffer);
    let new_path = ThinCStr::at_start(&buffer).ok_or(pidfile_failed(Errno::ENAMETOOLONG))?;
    let new = open_or_create(new_path, 0o077).map_err(pidfile_failed)?;
    let Some(new) = lock_open(new_path, new, locker)? else {
        return Ok(None);
    };
    let replaced = give_name(&new, new_path, path);
    if replaced != Ok(true) {
        let _ = sys::unlink(new_path);
    }
    Ok(replaced?.then_some(new))
}

fn give_name(new: &Fd, new_path: ThinCStr<'_>, path: ThinCStr<'_>) -> Result<bool, Error> {
    let old = sys::open(path, Open::Lock).map_err(pidfile_failed)?;
    // Before the lock: on NFS, the two exclude each other.
    let has_flock = sys::has_flock(old.raw());
    // Until the end, no other start can lock the old file, or remove it.
    sys::fcntl_setlk(old.raw(), Locker::Replacer).map_err(pidfile_failed)?;
    let mut text = [0; NUMBER_LINE + 1];
    let length = sys::read(old.raw(), &mut text).map_err(pidfile_failed)?;
    let text = text.get(..length as usize).unwrap_or_default();
    let is_pidfile = text.is_empty() || pid_of(text).is_some();
    let is_private = sys::fstat(new.raw()).is_ok_and(|stat| stat.is_safe());
    if !is_pidfile || !is_private || !still_names(path, &old)? {
        return Ok(false);
    }
    sys::seek(old.raw(), 0).map_err(pidfile_failed)?;
    refuse_other_daemon(&old, has_flock)?;
    sys::rename(new_path, path).map_err(pidfile_failed)?;
    // It has the name now: nothing may fail any more.
    let _ = sys::fchmod(new.raw(), 0o644);
    Ok(true)
}
