//! The user, the groups, the root directory and the limits of a process.

use linux_raw_sys::general::{PRIO_PROCESS, rlimit64};
use linux_raw_sys::prctl::PR_SET_NO_NEW_PRIVS;
use syscalls::Sysno;

use super::arch::{FCHOWN, GETRESGID, GETRESUID, SETGROUPS, SETRESGID, SETRESUID};
use super::c_str::ThinCStr;
use super::fd::RawFd;
use crate::protocol::Errno;

/// `setgroups(count, groups)`—Sets the supplementary groups.
pub(crate) fn setgroups(groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: the kernel reads `groups.len()` ids from `groups`.
    unsafe { attempt!(SETGROUPS, groups.len(), groups.as_ptr()) }
}

/// `setresgid(group, group, group)`—Sets the real, the effective and the saved group. Checks the result with
/// getresgid(2).
pub(crate) fn setresgid(group: u32) -> Result<(), Errno> {
    set_all_ids(SETRESGID, GETRESGID, group)
}

/// `setresuid(user, user, user)`—Sets the real, the effective and the saved user. Checks the result with
/// getresuid(2).
pub(crate) fn setresuid(user: u32) -> Result<(), Errno> {
    set_all_ids(SETRESUID, GETRESUID, user)
}

/// Sets the real, the effective and the saved id, and reads them back. `EINVAL` if they differ from `id`: the
/// calls take the largest number as "leave unchanged".
fn set_all_ids(set: Sysno, get: Sysno, id: u32) -> Result<(), Errno> {
    let mut ids = [0; 3];
    let [real, effective, saved] = &mut ids;
    // SAFETY: the first call takes no pointers. With the second, the kernel writes three ids to `ids`.
    unsafe {
        attempt!(set, id, id, id)?;
        attempt!(get, &raw mut *real, &raw mut *effective, &raw mut *saved)?;
    }
    if ids == [id; 3] {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

/// `getresuid(_, _, _)`—Returns the effective user, or root if the call fails.
pub(crate) fn effective_user() -> u32 {
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
