//! What differs between the architectures?
//!
//! There is one file for each architecture, with the same items:
//!
//! - `FSTATAT`: the call that is `newfstatat` or `fstatat64` in the manual.
//! - `RENAMEAT`: renameat(2), or renameat2(2) on architectures that are younger than that.
//! - `CTID_BEFORE_TLS`: whether clone(2) takes the address of the thread id before that of the thread-local
//!   storage.
//! - `SOCKETCALL`: socketcall(2), where socket calls of their own came only with Linux 4.3.
//! - `RSEQ_SIGNATURE`: the bytes that glibc puts in front of each abort handler of a restartable sequence.
//! - `RESULT_IN_CONTEXT`: where a signal handler finds the register with the result of a system call, in bytes from
//!   the start of its `ucontext_t`.
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
//! `bits_64` and `bits_32` have the calls and structures that depend on the word size only, and the format of
//! times. A port adds a file here, and a line to `build.rs`, which refuses all other machines.

use core::ffi::c_void;

use linux_raw_sys::general::__kernel_timespec;
use syscalls::Sysno;

use crate::protocol::Errno;

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "x86", path = "x86.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(target_arch = "riscv64", path = "riscv64.rs")]
mod current;

#[cfg_attr(target_pointer_width = "64", path = "bits_64.rs")]
#[cfg_attr(target_pointer_width = "32", path = "bits_32.rs")]
mod bits;

pub(crate) use bits::{
    CLOCK_GETTIME, F_GETLK_64, F_SETLK_64, FCHOWN, FCNTL_64, FSTAT, FSTATFS, FTRUNCATE, Flock64,
    GETGROUPS, GETRESGID, GETRESUID, MMAP, PPOLL, RT_SIGTIMEDWAIT, RawStat, RawStatFs, SETGROUPS,
    SETRESGID, SETRESUID, TimeCall, UTIMENSAT, fstatfs_arguments,
};
pub(crate) use current::{
    CTID_BEFORE_TLS, FSTATAT, HANDLER_FLAGS, RENAMEAT, RESULT_IN_CONTEXT, RSEQ_SIGNATURE,
    SOCKETCALL, rseq_symbols, thread_pointer,
};

/// Makes a call that takes or returns times. `call` gets its number, and the address of times in the kernel's format
/// for that number: 64 bits, or 32 where the kernel or a sandbox knows no other.
pub(crate) fn call_with_times<const N: usize>(
    number: TimeCall,
    times: &mut [__kernel_timespec; N],
    call: impl Fn(Sysno, usize) -> Result<u32, Errno>,
) -> Result<u32, Errno> {
    bits::call_with_times(number, times, call)
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

/// `clone(flags, entry, tid, 0, tid)`, where 0 stands for the thread-local storage; x86_64 takes the last two
/// in the other order. Both processes then call `entry.enter(entry, result)`. A process in which that returns
/// continues with the parent's stack pointer.
///
/// # Safety
///
/// `entry` must be an `Entry` of `clone_vm`, and below it there must be a stack that no process uses.
/// With CLONE_VM, `enter` must not return in the child.
pub(crate) unsafe fn trampoline(flags: usize, entry: *mut c_void, tid: *mut u32) -> isize {
    // SAFETY: the caller's promise.
    unsafe { current::trampoline(flags, entry, tid) }
}
