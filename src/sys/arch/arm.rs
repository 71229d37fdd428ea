//! arm.
//!
//! # Safety
//!
//! [`trampoline`] is the only function; its contract says what it needs.

use core::arch::asm;
use core::ffi::c_void;

pub(crate) use linux_raw_sys::general::stat64 as RawStat;
// The calls without these suffixes have ids of 16 bits, and offsets of 32.
use syscalls::Sysno;
pub(crate) use syscalls::Sysno::{
    fstat64 as FSTAT, fstatat64 as FSTATAT, getresgid32 as GETRESGID, getresuid32 as GETRESUID,
    mmap2 as MMAP, setgroups32 as SETGROUPS, setresgid32 as SETRESGID, setresuid32 as SETRESUID,
};

/// The bytes that glibc puts in front of each place where a restartable sequence is aborted.
pub(crate) const RSEQ_SIGNATURE: u32 = 0xe7f5_def3;

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
    // r7 has the number of the call, and may be the frame pointer.
    // SAFETY: the caller's promise. Values that are needed after the call are in registers that the kernel
    // and every function preserve.
    unsafe {
        asm!(
            "mov r8, sp",
            "mov r10, r7",
            "mov r7, r12",
            "svc #0",
            "mov r7, r10",
            "mov r1, r0",
            "mov r0, r5",
            "ldr r12, [r5]",
            "blx r12",
            "mov sp, r8",
            inlateout("r0") flags => result,
            in("r1") entry, in("r2") tid, in("r3") 0, in("r4") tid,
            in("r12") Sysno::clone as usize, in("r5") entry, out("r8") _, out("r10") _,
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
            ".arm",
            ".globl _start",
            ".type _start, %function",
            "_start:",
            "mov r11, #0",
            "mov lr, #0",
            "mov r0, sp",
            "bl {0}",
            "udf #0",
            sym $enter,
        );

        /// Named by the unwind tables of arm, which no code reads: neither profile unwinds.
        #[unsafe(no_mangle)]
        const extern "C" fn __aeabi_unwind_cpp_pr0() {}

        /// As above.
        #[unsafe(no_mangle)]
        const extern "C" fn __aeabi_unwind_cpp_pr1() {}
    };
}
