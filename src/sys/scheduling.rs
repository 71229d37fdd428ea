//! The scheduling of the calling thread, and its resource limits. Each function reads back what it sets, and returns
//! `EPERM` if that differs.

use linux_raw_sys::general::{PRIO_PROCESS, rlimit64};
use syscalls::Sysno;

use super::call::{set_and_verify, verify};
use crate::protocol::Errno;

/// `setpriority(PRIO_PROCESS, 0, nice)`—Sets the nice value.
pub(crate) fn setpriority(nice: i32) -> Result<(), Errno> {
    // The kernel returns no negative numbers: 40 for -20, and 1 for 19.
    let expected = 20_i32.wrapping_sub(nice) as u32;
    let set = (Sysno::setpriority, PRIO_PROCESS, 0, nice as usize);
    // SAFETY: the calls take no pointers.
    unsafe { set_and_verify(set, (Sysno::getpriority, PRIO_PROCESS, 0), expected) }
}

/// `prlimit64(0, resource, {soft, hard}, NULL)`—Sets the limits of a resource.
///
/// Since Linux 2.6.36. `EOVERFLOW` if the kernel has no such limit.
pub(crate) fn setrlimit(resource: u32, soft: u64, hard: u64) -> Result<(), Errno> {
    let limit = rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    let mut read = rlimit64 {
        rlim_cur: !soft,
        rlim_max: !hard,
    };
    // SAFETY: the kernel reads an rlimit64 from `limit`, writes one to `read`, and leaves the null pointers alone.
    unsafe {
        call!(Sysno::prlimit64, 0, resource, &raw const limit, 0)?;
        call!(Sysno::prlimit64, 0, resource, 0, &raw mut read)?;
    }
    // The kernel may take 1 for 0, for RLIMIT_CPU.
    let is_set = read.rlim_cur.max(1) == soft.max(1) && read.rlim_max.max(1) == hard.max(1);
    // A kernel of 32 bits has no larger limit but "unlimited".
    match is_set {
        true => Ok(()),
        false => Err(Errno::EOVERFLOW),
    }
}

/// `sched_setscheduler(0, policy, {priority})`—Sets the scheduling policy.
pub(crate) fn sched_setscheduler(policy: u32, priority: u32) -> Result<(), Errno> {
    let address = &raw const priority as usize;
    let set = (Sysno::sched_setscheduler, 0, policy, address);
    // SAFETY: the kernel reads an int from `priority`.
    unsafe { set_and_verify(set, (Sysno::sched_getscheduler, 0, 0), policy) }?;
    let mut told = u32::MAX;
    // SAFETY: the kernel writes an int to `told`.
    unsafe { attempt!(Sysno::sched_getparam, 0, &raw mut told) }?;
    verify(Ok(told), priority)
}

/// `ioprio_set(IOPRIO_WHO_PROCESS, 0, priority)`—Sets the class and the level of I/O scheduling.
pub(crate) fn ioprio_set(priority: u32) -> Result<(), Errno> {
    const IOPRIO_WHO_PROCESS: u32 = 1;
    let set = (Sysno::ioprio_set, IOPRIO_WHO_PROCESS, 0, priority as usize);
    // SAFETY: the calls take no pointers.
    unsafe { set_and_verify(set, (Sysno::ioprio_get, IOPRIO_WHO_PROCESS, 0), priority) }
}

/// The words of the largest set of CPUs that the kernel may have: 8192 of them.
const MOST: usize = 8192 / usize::BITS as usize;

/// `sched_setaffinity(0, size, cpus)`—Sets the CPUs. The kernel leaves out those that the machine lacks.
///
/// `EINVAL` if none is left.
pub(crate) fn sched_setaffinity(cpus: &[usize]) -> Result<(), Errno> {
    let mut read = [0; MOST];
    // SAFETY: the kernel reads and writes no more than these arrays have room for.
    unsafe {
        attempt!(
            Sysno::sched_setaffinity,
            0,
            size_of_val(cpus),
            cpus.as_ptr()
        )?;
        attempt!(
            Sysno::sched_getaffinity,
            0,
            size_of_val(&read),
            read.as_mut_ptr()
        )?;
    }
    let mut words = read.iter().enumerate();
    let is_inside = words.all(|(index, word)| word & !cpus.get(index).unwrap_or(&0) == 0);
    let is_set = is_inside && read.iter().any(|word| *word != 0);
    verify(Ok(is_set.into()), 1)
}
