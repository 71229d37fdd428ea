//! The user, the groups and the root directory of a process.

use syscalls::Sysno;

use super::arch::{FCHOWN, GETGROUPS, GETRESGID, GETRESUID, SETGROUPS, SETRESGID, SETRESUID};
use super::c_str::ThinCStr;
use super::fd::RawFd;
use crate::protocol::Errno;

/// `setgroups(count, groups)`—Sets the supplementary groups, unless the process has these.
///
/// A user namespace may refuse the call. That is no failure if the process has no groups but these and `group`, which
/// it gets as its own.
pub(crate) fn setgroups(groups: &[u32], group: Option<u32>) -> Result<(), Errno> {
    if has_groups(groups, u32::MAX) {
        return Ok(());
    }
    // SAFETY: the kernel reads `groups.len()` ids from `groups`.
    match unsafe { attempt!(SETGROUPS, groups.len(), groups.as_ptr()) } {
        Err(_) if has_groups(groups, group.unwrap_or(u32::MAX)) => Ok(()),
        result => result,
    }
}

/// What the kernel tells in place of an id that the user namespace has no number for (user_namespaces(7)). An id that
/// reads so may be another one.
const OVERFLOW_ID: u32 = 65534;

/// The largest number of the caller's groups that are compared.
const MAX_COMPARED: usize = 64;

/// `getgroups(size, list)`—Returns whether the supplementary groups are these. Both may lack `ignored`. False if there
/// are too many to tell, or if one of them may be another.
#[inline(never)]
fn has_groups(groups: &[u32], ignored: u32) -> bool {
    let mut current = [0; MAX_COMPARED];
    // SAFETY: the kernel writes as many ids to `current` as it has room for.
    let count = unsafe { call!(GETGROUPS, current.len(), current.as_mut_ptr()) };
    let Some(current) = count.ok().and_then(|count| current.get(..count as usize)) else {
        return false;
    };
    if current.contains(&OVERFLOW_ID) {
        return false;
    }
    [[groups, current], [current, groups]]
        .iter()
        .all(|[some, others]| {
            let mut some = some.iter();
            some.all(|group| *group == ignored || others.iter().any(|other| other == group))
        })
}

/// `setresgid(group, group, group)`—Sets the real, the effective and the saved group, unless they are that. Checks the
/// result with getresgid(2).
pub(crate) fn setresgid(group: u32) -> Result<(), Errno> {
    set_all_ids(SETRESGID, GETRESGID, group).map(drop)
}

/// `setresuid(user, user, user)`—Sets the real, the effective and the saved user, unless they are that. Checks the
/// result with getresuid(2). Returns whether they have changed.
pub(crate) fn setresuid(user: u32) -> Result<bool, Errno> {
    set_all_ids(SETRESUID, GETRESUID, user)
}

/// Sets the real, the effective and the saved id. `EINVAL` if they differ from `id` afterwards: the calls take the
/// largest number as "leave unchanged".
#[inline(never)]
fn set_all_ids(set: Sysno, get: Sysno, id: u32) -> Result<bool, Errno> {
    for is_set in [false, true] {
        let mut ids = [0; 3];
        let [real, effective, saved] = &mut ids;
        // SAFETY: the kernel writes three ids to `ids`.
        unsafe { attempt!(get, &raw mut *real, &raw mut *effective, &raw mut *saved) }?;
        if ids == [id; 3] && (is_set || id != OVERFLOW_ID) {
            return Ok(is_set);
        }
        if !is_set {
            // SAFETY: the call takes no pointers.
            unsafe { attempt!(set, id, id, id) }?;
        }
    }
    Err(Errno::EINVAL)
}

/// `getresuid(_, _, _)`—Returns the effective user, or root if the call fails.
#[must_use]
pub fn effective_user() -> u32 {
    let mut ids = [0; 3];
    let [real, effective, saved] = &mut ids;
    // SAFETY: the kernel writes three ids to `ids`.
    let _ = unsafe {
        attempt!(
            GETRESUID,
            &raw mut *real,
            &raw mut *effective,
            &raw mut *saved
        )
    };
    let [_, effective, _] = ids;
    effective
}

/// `fchown(fd, user, group)`—Changes the owner and the group of a file. `None` leaves them unchanged.
pub(crate) fn fchown(fd: RawFd, user: Option<u32>, group: Option<u32>) -> Result<(), Errno> {
    let (user, group) = (user.unwrap_or(u32::MAX), group.unwrap_or(u32::MAX));
    // SAFETY: the call takes no pointers.
    unsafe { attempt!(FCHOWN, fd, user, group) }
}

/// `chroot(path)`—Changes the root directory, but not the working directory.
pub(crate) fn chroot(path: ThinCStr<'_>) -> Result<(), Errno> {
    // SAFETY: the kernel reads the C string `path`.
    unsafe { attempt!(Sysno::chroot, path.as_ptr()) }
}
