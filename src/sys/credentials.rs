//! The user, the groups, the root directory and the limits of a process.

use linux_raw_sys::general::{_LINUX_CAPABILITY_VERSION_3, PRIO_PROCESS, rlimit64};
use linux_raw_sys::prctl::PR_SET_NO_NEW_PRIVS;
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

/// `capset({version 3, 0}, _)`—Sets the effective, the permitted and the inheritable capabilities of the calling thread,
/// and reads them back with capget(2). The kernel takes from the ambient set what the last two lack.
///
/// `EPERM` if they differ from these afterwards. A sandbox may refuse the call to a process that has these already.
#[inline(never)]
pub(crate) fn capset(capabilities: u64) -> Result<(), Errno> {
    let (low, high) = (capabilities as u32, (capabilities >> 32) as u32);
    let mut header = [_LINUX_CAPABILITY_VERSION_3, 0];
    let mut wanted = [[low; 3], [high; 3]];
    let mut sets = [[0; 3]; 2];
    // SAFETY: the kernel reads and writes a header of two words, reads two structures of three words from
    // `wanted`, and writes two to `sets`.
    let set = unsafe { attempt!(Sysno::capset, header.as_mut_ptr(), wanted.as_mut_ptr()) };
    // SAFETY: as before.
    unsafe { attempt!(Sysno::capget, header.as_mut_ptr(), sets.as_mut_ptr()) }?;
    match sets == wanted {
        true => Ok(()),
        false => set.and(Err(Errno::EPERM)),
    }
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

/// `setpriority(PRIO_PROCESS, 0, nice)`—Sets the nice value of the calling thread.
pub(crate) fn setpriority(nice: i32) -> Result<(), Errno> {
    // SAFETY: the call takes no pointers.
    unsafe { attempt!(Sysno::setpriority, PRIO_PROCESS, 0, nice) }
}

/// `prlimit64(0, resource, {soft, hard}, NULL)`—Sets the limits of a resource.
///
/// Since Linux 2.6.36.
pub(crate) fn setrlimit(resource: u32, soft: u64, hard: u64) -> Result<(), Errno> {
    let limit = rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: the kernel reads an rlimit64 from `limit`, and writes nothing through the null pointer.
    unsafe { call!(Sysno::prlimit64, 0, resource, &raw const limit, 0) }.map(drop)
}

/// `prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)`—Keeps execve(2) from granting privileges, irrevocably.
///
/// Since Linux 3.5.
pub(crate) fn set_no_new_privs() -> Result<(), Errno> {
    // SAFETY: the call takes no pointers.
    unsafe { call!(Sysno::prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.map(drop)
}
