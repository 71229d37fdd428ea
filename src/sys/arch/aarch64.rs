//! aarch64.
//!
//! # Safety
//!
//! [`trampoline`] is the only function; its contract says what it needs.

use core::arch::asm;
use core::ffi::c_void;

pub(crate) use linux_raw_sys::general::stat as RawStat;
// `fstatat` is newfstatat(2) by another name.
use syscalls::Sysno;
pub(crate) use syscalls::Sysno::{
    fstat as FSTAT, fstatat as FSTATAT, getresgid as GETRESGID, getresuid as GETRESUID,
    mmap as MMAP, setgroups as SETGROUPS, setresgid as SETRESGID, setresuid as SETRESUID,
};

/// The bytes that glibc puts in front of each place where a restartable sequence is aborted.
pub(crate) const RSEQ_SIGNATURE: u32 = 0xd428_bc00;

/// The last two arguments of clone(2), the thread-local storage and then the thread id; the latter is not used.
pub(crate) const fn clone_tail(ctid: usize) -> (usize, usize) {
    (0, ctid)
}

/// A socket call: each has a number of its own.
macro_rules! socket_call {
    ($name:ident, $number:ident, $($argument:expr),*) => {
        call!(Sysno::$name, $($argument),*)
    };
}

/// `clone(flags, entry, tid, 0, tid)`. Both processes then call `entry.enter(entry, result)`. A process
/// in which that returns goes on with the parent's stack pointer.
///
/// # Safety
///
/// `entry` must be an `Entry` of `clone_vm`, and below it there must be a stack that no process uses.
/// With CLONE_VM, `enter` must not return in the child.
pub(crate) unsafe fn trampoline(flags: usize, entry: *mut c_void, tid: *mut u32) -> isize {
    let result: isize;
    // SAFETY: the caller's promise. Values that are needed after the call are in registers that the kernel
    // and every function preserve.
    unsafe {
        asm!(
            "mov x20, sp",
            "svc #0",
            "mov x1, x0",
            "mov x0, x21",
            "ldr x9, [x21]",
            "blr x9",
            "mov sp, x20",
            inlateout("x0") flags => result,
            in("x1") entry, in("x2") tid, in("x3") 0, in("x4") tid,
            in("x8") Sysno::clone as usize, in("x21") entry, out("x20") _,
            clobber_abi("C"),
        );
    }
    result
}

/// The entry point of a program without a C library: calls `$enter` with the stack pointer as its argument,
/// on a stack that is aligned as the ABI asks, and marks the outermost frame for debuggers.
#[doc(hidden)]
#[macro_export]
macro_rules! __start {
    ($enter:path) => {
        core::arch::global_asm!(
            ".globl _start",
            "_start:",
            "mov x29, #0",
            "mov x30, #0",
            "mov x0, sp",
            "bl {0}",
            "brk #1",
            sym $enter,
        );
    };
}
