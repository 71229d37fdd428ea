//! What a process may do and have: user and groups, root directory, limits.

use linux_raw_sys::general::{PRIO_PROCESS, rlimit64};
use linux_raw_sys::prctl::PR_SET_NO_NEW_PRIVS;
use syscalls::Sysno;

use super::strings::ThinCStr;
use crate::protocol::Errno;

// The calls of 32-bit machines without these names know ids of 16 bits only.
#[cfg(target_pointer_width = "64")]
use Sysno::{
    getresgid as GETRESGID, getresuid as GETRESUID, setgroups as SETGROUPS, setresgid as SETRESGID,
    setresuid as SETRESUID,
};
#[cfg(target_pointer_width = "32")]
use Sysno::{
    getresgid32 as GETRESGID, getresuid32 as GETRESUID, setgroups32 as SETGROUPS,
    setresgid32 as SETRESGID, setresuid32 as SETRESUID,
};

/// `setgroups(groups)`
pub(crate) fn set_groups(groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: the kernel reads that many ids.
    unsafe { attempt!(SETGROUPS, groups.len(), groups.as_ptr()) }
}

/// `setresgid(group, group, group)`, checked by getresgid(2).
pub(crate) fn set_group(group: u32) -> Result<(), Errno> {
    set_ids(SETRESGID, GETRESGID, group)
}

/// `setresuid(user, user, user)`, checked by getresuid(2).
pub(crate) fn set_user(user: u32) -> Result<(), Errno> {
    set_ids(SETRESUID, GETRESUID, user)
}

/// Sets the real, the effective and the saved id, and looks whether that is what they are. The
/// largest number, by which the calls mean 'unchanged', is thereby refused.
fn set_ids(set: Sysno, get: Sysno, id: u32) -> Result<(), Errno> {
    let mut ids = [0; 3];
    let [real, effective, saved] = &mut ids;
    // SAFETY: numbers only; and the kernel writes three ids.
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

/// `getresuid(_, &user, _)`—The user by whom permissions are checked; root if it cannot be asked.
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

/// `chroot(path)`; the working directory stays where it is.
pub(crate) fn change_root(path: ThinCStr<'_>) -> Result<(), Errno> {
    // SAFETY: the kernel reads the string `path`.
    unsafe { attempt!(Sysno::chroot, path.as_ptr()) }
}

/// `setpriority(PRIO_PROCESS, 0, niceness)`
pub(crate) fn set_niceness(niceness: i32) -> Result<(), Errno> {
    // SAFETY: numbers only.
    unsafe { attempt!(Sysno::setpriority, PRIO_PROCESS, 0, niceness) }
}

/// `prlimit64(0, resource, {soft, hard}, NULL)`—Since Linux 2.6.36.
pub(crate) fn set_limit(resource: u32, soft: u64, hard: u64) -> Result<(), Errno> {
    let limit = rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: the kernel reads a rlimit64, and writes none to null.
    unsafe { call!(Sysno::prlimit64, 0, resource, &raw const limit, 0) }.map(drop)
}

/// `prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)`—Since Linux 3.5.
pub(crate) fn forbid_new_privileges() -> Result<(), Errno> {
    // SAFETY: numbers only.
    unsafe { call!(Sysno::prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.map(drop)
}
