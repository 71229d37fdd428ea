//! The capabilities of a process, its securebits and no_new_privs.

use linux_raw_sys::general::{_LINUX_CAPABILITY_VERSION_3, CAP_WAKE_ALARM};
use linux_raw_sys::prctl::{
    PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, PR_CAP_AMBIENT_RAISE, PR_CAPBSET_DROP, PR_CAPBSET_READ,
    PR_GET_KEEPCAPS, PR_GET_NO_NEW_PRIVS, PR_GET_SECUREBITS, PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS,
    PR_SET_SECUREBITS,
};
use syscalls::Sysno;

use super::call::verify;
use crate::protocol::Errno;

/// `capget({version 3, 0}, data)`—Returns the effective, the permitted and the inheritable capabilities of the calling
/// thread: the lower words, then the upper ones.
pub(crate) fn capget() -> Result<[[u32; 3]; 2], Errno> {
    let mut header = [_LINUX_CAPABILITY_VERSION_3, 0];
    let mut sets = [[u32::MAX; 3]; 2];
    // SAFETY: the kernel reads and writes a header of two words, and writes two structures of three words to `sets`.
    unsafe { attempt!(Sysno::capget, header.as_mut_ptr(), sets.as_mut_ptr()) }?;
    Ok(sets)
}

/// `capset({version 3, 0}, data)`—Sets the effective and the permitted capabilities of the calling thread, which become
/// the same, and the inheritable ones. Reads them back. The kernel takes from the ambient set what the last two lack.
///
/// `EPERM` if they differ from these afterwards. A sandbox may refuse the call to a process that has these already.
#[inline(never)]
pub(crate) fn capset(permitted: u64, inheritable: u64) -> Result<(), Errno> {
    let half = |shift: u32| {
        let [permitted, inheritable] =
            [permitted, inheritable].map(|set| set.wrapping_shr(shift) as u32);
        [permitted, permitted, inheritable]
    };
    let mut header = [_LINUX_CAPABILITY_VERSION_3, 0];
    let mut wanted = [half(0), half(u32::BITS)];
    // SAFETY: the kernel reads and writes a header of two words, and reads two structures of three words from `wanted`.
    let set = unsafe { attempt!(Sysno::capset, header.as_mut_ptr(), wanted.as_mut_ptr()) };
    match capget()? == wanted {
        true => Ok(()),
        false => set.and(Err(Errno::EPERM)),
    }
}

/// `prctl(PR_CAPBSET_DROP, capability)`—Removes every capability but these from the bounding set. Reads it back.
///
/// `EPERM` without CAP_SETPCAP, if there is one to remove.
pub(crate) fn limit_bounding_set(kept: u64) -> Result<(), Errno> {
    let mut is_over = false;
    // No kernel has this many. Linux 3.2 has 36.
    for capability in 0..=u64::BITS {
        let is_kept = capability < u64::BITS && kept & 1_u64.wrapping_shl(capability) != 0;
        match prctl(PR_CAPBSET_READ, capability, 0) {
            // The kernel has no such capability, and no larger one.
            Err(Errno::EINVAL) if capability > CAP_WAKE_ALARM => is_over = true,
            // A sandbox has answered in its place.
            Ok(_) if is_over => return Err(Errno::EPERM),
            Ok(1) if !is_kept => {
                prctl(PR_CAPBSET_DROP, capability, 0)?;
                verify(prctl(PR_CAPBSET_READ, capability, 0), 0)?;
            }
            Ok(_) => {}
            Err(errno) => return Err(errno),
        }
    }
    match is_over {
        true => Ok(()),
        false => Err(Errno::EPERM),
    }
}

/// `prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)`—Adds capabilities to the ambient set. Reads it back.
///
/// Since Linux 4.3. `EINVAL` before that.
pub(crate) fn raise_ambient(capabilities: u64) -> Result<(), Errno> {
    for capability in 0..u64::BITS {
        if capabilities & 1_u64.wrapping_shl(capability) != 0 {
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)?;
            verify(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability), 1)?;
        }
    }
    Ok(())
}

/// `prctl(PR_SET_KEEPCAPS, keep)`—Sets whether the permitted capabilities survive a change of the user.
pub(crate) fn set_keepcaps(keep: bool) -> Result<(), Errno> {
    let set = prctl(PR_SET_KEEPCAPS, keep.into(), 0);
    // The bit may be locked, and right.
    verify(prctl(PR_GET_KEEPCAPS, 0, 0), keep.into()).map_err(|errno| set.err().unwrap_or(errno))
}

/// `prctl(PR_GET_SECUREBITS)`—Returns the securebits.
pub(crate) fn securebits() -> Result<u32, Errno> {
    prctl(PR_GET_SECUREBITS, 0, 0)
}

/// `prctl(PR_SET_SECUREBITS, bits)`—Sets the securebits. Reads them back.
pub(crate) fn set_securebits(bits: u32) -> Result<(), Errno> {
    prctl(PR_SET_SECUREBITS, bits, 0)?;
    verify(securebits(), bits)
}

/// `prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)`—Keeps execve(2) from granting privileges, irrevocably. Reads it back.
///
/// Since Linux 3.5.
pub(crate) fn set_no_new_privs() -> Result<(), Errno> {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0)?;
    verify(prctl(PR_GET_NO_NEW_PRIVS, 0, 0), 1)
}

/// `prctl(option, one, two, 0, 0)`—For the options above, none of which takes a pointer.
#[inline(never)]
fn prctl(option: u32, one: u32, two: u32) -> Result<u32, Errno> {
    // SAFETY: these options take numbers.
    unsafe { call!(Sysno::prctl, option, one, two, 0, 0) }
}
