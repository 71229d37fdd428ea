//! What differs between the architectures?
//!
//! There is one file for each architecture, with the same items:
//!
//! - `RENAMEAT`: renameat(2), or renameat2(2) on architectures that are younger than that.
//! - `SOCKETCALL`: socketcall(2), where socket calls of their own came only with Linux 4.3.
//! - `RSEQ_SIGNATURE`: the bytes that glibc puts in front of each abort handler of a restartable sequence.
//! - `RESULT_IN_CONTEXT`: where a signal handler finds the register with the result of a system call, in bytes from
//!   the start of its `ucontext_t`.
//! - `FAILURE_IN_CONTEXT`: where the handler finds what says that a call has failed, and these bits. The result is then
//!   the error itself, in 64 bits, and not a negative number.
//! - `HANDLER_FLAGS`: the flags that every handler needs (sigaction(2)).
//! - `leave_handler`: the end of a handler, where the kernel provides no code to which it could return.
//! - `rseq_symbols`: the addresses of `__rseq_offset` and `__rseq_size`; zero where the C library does not define
//!   them. The references are weak, so a program without glibc links.
//! - `thread_pointer`: the thread pointer of the ABI. The C library must have set it up: otherwise the architectures
//!   that keep it in memory have none.
//! - `trampoline`: the asm block of [`trampoline`].
//! - `__start!`: the entry point of a program without a C library. It calls a function with the stack pointer
//!   as its argument, on a stack that is aligned as the ABI requires, and marks the outermost frame for
//!   debuggers. `entry!` uses it.
//!
//! What several architectures have in common is in pairs of files, of which each takes one:
//!
//! - `bits_64` and `bits_32`: the calls and structures that depend on the word size.
//! - `ids_32` and `ids_16`: the calls with user and group ids, of which the first ones had 16 bits or not.
//! - `times_64` and `times_32`: the calls with times, whose first ones had 32 bits or not.
//! - `fstat` and `statx`: the status of a file.
//! - `wait4` and `waitid`: the wait for a child.
//!
//! A port adds a file here, a line to `build.rs`, which refuses all other machines, and one to `tests/machines/run`.

use core::ffi::c_void;

use linux_raw_sys::general::__kernel_timespec;
use syscalls::Sysno;

use crate::protocol::Errno;

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "x86", path = "x86.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(target_arch = "loongarch64", path = "loongarch64.rs")]
#[cfg_attr(target_arch = "mips", path = "mips.rs")]
#[cfg_attr(target_arch = "powerpc64", path = "powerpc64.rs")]
#[cfg_attr(
    any(target_arch = "riscv64", target_arch = "riscv32"),
    path = "riscv.rs"
)]
#[cfg_attr(target_arch = "s390x", path = "s390x.rs")]
mod current;

#[cfg_attr(target_pointer_width = "64", path = "bits_64.rs")]
#[cfg_attr(target_pointer_width = "32", path = "bits_32.rs")]
mod bits;

#[cfg_attr(any(target_arch = "arm", target_arch = "x86"), path = "ids_16.rs")]
#[cfg_attr(not(any(target_arch = "arm", target_arch = "x86")), path = "ids_32.rs")]
mod ids;

#[cfg_attr(
    any(target_arch = "arm", target_arch = "mips", target_arch = "x86"),
    path = "times_32.rs"
)]
#[cfg_attr(
    not(any(target_arch = "arm", target_arch = "mips", target_arch = "x86")),
    path = "times_64.rs"
)]
mod times;

#[cfg_attr(
    any(target_arch = "loongarch64", target_arch = "riscv32"),
    path = "statx.rs"
)]
#[cfg_attr(
    not(any(target_arch = "loongarch64", target_arch = "riscv32")),
    path = "fstat.rs"
)]
mod status;

#[cfg_attr(target_arch = "riscv32", path = "waitid.rs")]
#[cfg_attr(not(target_arch = "riscv32"), path = "wait4.rs")]
mod wait;

pub(crate) use bits::{
    F_GETLK_64, F_SETLK_64, FCNTL_64, FSTATFS, Flock64, RawStatFs, fstatfs_arguments, ftruncate,
    mmap, seek,
};
#[cfg(target_arch = "mips")]
pub(crate) use current::RawSigAction;
pub(crate) use current::{
    FAILURE_IN_CONTEXT, HANDLER_FLAGS, RENAMEAT, RESULT_IN_CONTEXT, RSEQ_SIGNATURE, SOCKETCALL,
    rseq_symbols, thread_pointer,
};
#[cfg(not(target_arch = "mips"))]
pub(crate) use linux_raw_sys::general::kernel_sigaction as RawSigAction;

pub(crate) use ids::{FCHOWN, GETGROUPS, GETRESGID, GETRESUID, SETGROUPS, SETRESGID, SETRESUID};
pub(crate) use status::{RawStat, fstat, stat_at};
pub(crate) use times::{CLOCK_GETTIME, PPOLL, RT_SIGTIMEDWAIT, TimeCall, UTIMENSAT};
pub(crate) use wait::wait4;

/// Makes a call that takes or returns times. `call` gets its number, and the address of times in the kernel's format
/// for that number: 64 bits, or 32 where the kernel or a sandbox knows no other.
pub(crate) fn call_with_times<const N: usize>(
    number: TimeCall,
    times: &mut [__kernel_timespec; N],
    call: impl Fn(Sysno, usize) -> Result<u32, Errno>,
) -> Result<u32, Errno> {
    times::call_with_times(number, times, call)
}

/// The arguments of clone(2) for a child on a copy of the caller's stack.
pub(crate) const fn clone_arguments(flags: u32) -> [u32; 2] {
    match cfg!(target_arch = "s390x") {
        true => [0, flags],
        false => [flags, 0],
    }
}

/// The cause of a signal: a word of the first three of its siginfo_t.
#[inline(always)]
pub(crate) const fn cause(info: &[i32; 3]) -> i32 {
    let [_, second, third] = *info;
    match cfg!(target_arch = "mips") {
        true => second,
        false => third,
    }
}

/// The code, the pid and the status in the siginfo_t of a child that has ended, which consists of these words.
#[inline(always)]
pub(crate) fn code_and_status(info: &[i32; 32]) -> (i32, i32, i32) {
    // On mips, the code comes before an error number. Where pointers have 64 bits, padding precedes the pid, the user
    // and the status.
    match (size_of::<usize>(), info) {
        (4, [_, code, _, pid, _, status, ..]) if cfg!(target_arch = "mips") => {
            (*code, *pid, *status)
        }
        (4, [_, _, code, pid, _, status, ..]) | (_, [_, _, code, _, pid, _, status, ..]) => {
            (*code, *pid, *status)
        }
    }
}

/// Ends a signal handler, unless it may simply return.
///
/// # Safety
///
/// `context` must be the third argument of the handler, which must own nothing.
#[inline(always)]
pub(crate) unsafe fn leave_handler(context: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { current::leave_handler(context) }
}

/// `clone(flags, entry, tid, tid, tid)`. Which of the last two is the address of the thread-local storage depends on
/// the architecture. Without CLONE_SETTLS, the kernel does not read it. Both processes then call
/// `entry.enter(entry, result)`. A process in which that returns continues with the parent's stack pointer.
///
/// # Safety
///
/// `entry` must be an `Entry` of `clone_vm`, and below it there must be a stack that no process uses.
/// With CLONE_VM, `enter` must not return in the child.
pub(crate) unsafe fn trampoline(flags: usize, entry: *mut c_void, tid: *mut u32) -> isize {
    // SAFETY: the caller's promise.
    unsafe { current::trampoline(flags, entry, tid) }
}
