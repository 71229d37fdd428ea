//! The user and the groups of a process, its root directory, and its limits.

use linux_raw_sys::general::{PRIO_PROCESS, rlimit64};
use linux_raw_sys::prctl::PR_SET_NO_NEW_PRIVS;
use syscalls::Sysno;

use super::arch::{GETRESGID, GETRESUID, SETGROUPS, SETRESGID, SETRESUID};
use super::c_str::ThinCStr;
use crate::protocol::Errno;

/// `setgroups(size, groups)`—Sets the supplementary groups.
pub(crate) fn setgroups(groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: the kernel reads that many ids.
    unsafe { attempt!(SETGROUPS, groups.len(), groups.as_ptr()) }
}

/// `setresgid(group, group, group)`—Sets the real, effective and saved group, and verifies them with
/// getresgid(2).
pub(crate) fn setresgid(group: u32) -> Result<(), Errno> {
    set_ids(SETRESGID, GETRESGID, group)
}

/// `setresuid(user, user, user)`—Sets the real, effective and saved user, and verifies them with getresuid(2).
pub(crate) fn setresuid(user: u32) -> Result<(), Errno> {
    set_ids(SETRESUID, GETRESUID, user)
}

/// Sets three ids to one value, and verifies them. `EINVAL` if they differ: for the largest number, which
/// leaves them unchanged.
fn set_ids(set: Sysno, get: Sysno, id: u32) -> Result<(), Errno> {
    let mut ids = [0; 3];
    let [real, effective, saved] = &mut ids;
    // SAFETY: the first call takes numbers only, and in the second one the kernel writes three ids.
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

/// `getresuid(real, effective, saved)`—Returns the effective user; root after an error.
pub(super) fn effective_user() -> u32 {
    let mut ids = [0; 3];
    let [real, effective, saved] = &mut ids;
    // SAFETY: the kernel writes three ids.
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

/// `chroot(path)`—Changes the root directory, and leaves the working directory.
pub(crate) fn chroot(path: ThinCStr<'_>) -> Result<(), Errno> {
    // SAFETY: the kernel reads the string `path`.
    unsafe { attempt!(Sysno::chroot, path.as_ptr()) }
}

/// `setpriority(PRIO_PROCESS, 0, niceness)`—Sets the niceness of the caller.
pub(crate) fn setpriority(niceness: i32) -> Result<(), Errno> {
    // SAFETY: numbers only.
    unsafe { attempt!(Sysno::setpriority, PRIO_PROCESS, 0, niceness) }
}

/// `prlimit64(0, resource, {soft, hard}, NULL)`—Sets a resource limit of the caller. Since Linux 2.6.36.
pub(crate) fn setrlimit(resource: u32, soft: u64, hard: u64) -> Result<(), Errno> {
    let limit = rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: the kernel reads a rlimit64, and writes none to null.
    unsafe { call!(Sysno::prlimit64, 0, resource, &raw const limit, 0) }.map(drop)
}

/// `prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)`—Denies new privileges to the caller and its descendants. Since Linux
/// 3.5.
pub(crate) fn set_no_new_privs() -> Result<(), Errno> {
    // SAFETY: numbers only.
    unsafe { call!(Sysno::prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.map(drop)
}
