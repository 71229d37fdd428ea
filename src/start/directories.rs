//! The directories of the options: made before anything is opened in them, and removed if the start fails.
//!
//! The process that creates the daemon does both, since the daemon may lose its privileges and its root directory.
//! Paths are walked component by component, on descriptors. Who may write to a directory of the path, as the daemon's
//! user may, can put another directory in the place of a new one. So the new one has a mode that no other has until its
//! owner is set.

use super::open_file::open_file;
use super::plan::Plan;
use crate::options::MAX_DIRECTORIES;
use crate::protocol::{Errno, Error, ErrorKind, Nanoseconds, Note, Subject, failed};
use crate::sys::{self, Missing, Open, ThinCStr};
use crate::text::{join, next_field};

/// `NAME_MAX`, and a null byte.
const NAME_SIZE: usize = 256;

/// How often, and at which interval, the owner of a directory is looked at that another start may just have made.
const OWNER_ATTEMPTS: u32 = 500;
const OWNER_INTERVAL: Nanoseconds = 1_000_000;

/// The directories that a start has made: for each path, one more than the length of the part that existed, or zero.
pub(super) struct MadeDirectories([usize; MAX_DIRECTORIES]);

impl MadeDirectories {
    pub(super) const NONE: Self = Self([0; MAX_DIRECTORIES]);

    /// Makes the directories for the daemon's user. That user must own those that exist.
    #[inline(never)]
    pub(super) fn make(&mut self, plan: &Plan<'_>) -> Result<(), Error> {
        for (number, made) in self.0.iter_mut().enumerate() {
            let Some(path) = plan.options.directory(number) else {
                break;
            };
            walk(path.to_bytes(), Some((plan, made))).map_err(|errno| {
                let error = failed(ErrorKind::OpenFailed)(errno);
                error.about(Subject::Mkdir).numbered(number)
            })?;
        }
        Ok(())
    }

    /// Removes them after a failure: the later ones first, which may lie in the earlier ones. Those in which something
    /// was put stay, and all of them if a daemon runs that may use them. Returns the error, with a note if one stays
    /// for another reason.
    #[inline(never)]
    pub(super) fn remove(&self, plan: &Plan<'_>, mut error: Error) -> Error {
        if error.kind() == ErrorKind::AlreadyRunning || error.has(Note::StillRuns) {
            return error;
        }
        // Then a path may name a different directory.
        let is_elsewhere =
            plan.options.foreground && plan.options.string(Subject::Chroot).is_some();
        for (number, made) in self.0.iter().enumerate().rev() {
            let path = plan
                .options
                .directory(number)
                .map_or(&[][..], ThinCStr::to_bytes);
            let mut length = path.len();
            while *made > 0 && length >= *made {
                if matches!(path.get(length), None | Some(b'/')) {
                    let removed = match is_elsewhere {
                        true => Err(Errno::EXDEV),
                        false => walk(path.get(..length).unwrap_or_default(), None),
                    };
                    if !matches!(
                        removed,
                        Ok(()) | Err(Errno::ENOENT | Errno::ENOTEMPTY | Errno::EINVAL)
                    ) {
                        error = error.with(Note::FileLeft);
                    }
                }
                length = length.wrapping_sub(1);
            }
        }
        error
    }
}

/// Walks to the directory at this path, makes missing ones, and sets the owner of the last one. Without a plan, removes
/// the last one.
fn walk(mut path: &[u8], mut making: Option<(&Plan<'_>, &mut usize)>) -> Result<(), Errno> {
    let start = if path.first() == Some(&b'/') {
        c"/"
    } else {
        c"."
    };
    while let [before @ .., b'/'] = path {
        path = before;
    }
    let mut directory = sys::open(ThinCStr::new(start), Open::Path)?;
    let mut is_new = false;
    let mut rest = Some(path);
    while let Some(left) = rest {
        let name = next_field(&mut rest, b'/');
        if name.is_empty() {
            continue;
        }
        let mut buffer = [0; NAME_SIZE];
        join(name, &[0], &mut buffer);
        let name = ThinCStr::at_start(&buffer).ok_or(Errno::ENAMETOOLONG)?;
        let at = directory.raw();
        is_new = false;
        match &mut making {
            // What exists is EEXIST, whoever may write here.
            Some((_, made)) => {
                let mode = if rest.is_none() {
                    sys::UNFINISHED
                } else {
                    0o755
                };
                match sys::with_umask(0, || sys::mkdirat(at, name, mode)) {
                    Err(Errno::EEXIST) => {}
                    result => {
                        result?;
                        is_new = true;
                        if **made == 0 {
                            **made = path.len().wrapping_sub(left.len()).wrapping_add(1);
                        }
                    }
                }
            }
            None if rest.is_none() => return sys::rmdir_at(at, name),
            _ => {}
        }
        directory = open_file(at, name, Open::Path)?;
    }
    let Some((plan, _)) = making else {
        return Ok(());
    };
    // A descriptor that fchown(2) takes, and before Linux 3.6 also fstat(2).
    let (this, missing) = (ThinCStr::new(c"."), Missing::Fails);
    let directory = sys::open_at(directory.raw(), this, Open::Directory, missing)?;
    let fd = directory.raw();
    let (user, group) = (plan.credentials.user, plan.credentials.group);
    for _ in 0..OWNER_ATTEMPTS {
        let stat = sys::fstat(fd)?;
        if is_new && stat.is_unfinished() {
            // While it is the caller's: the mode of another user's directory needs CAP_FOWNER.
            sys::fchmod(fd, stat.finished_mode())?;
        } else if !stat.is_owned_by(user) {
            // Another start may have made it just now.
            sys::sleep(OWNER_INTERVAL);
            continue;
        }
        return match is_new {
            true => sys::fchown(fd, user, group),
            false => Ok(()),
        };
    }
    Err(Errno::EEXIST)
}
