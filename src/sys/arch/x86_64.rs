//! x86-64.
//!
//! # Safety
//!
//! [`trampoline`] is the only function; its contract says what it needs.

use core::arch::asm;
use core::ffi::c_void;

pub(crate) use linux_raw_sys::general::stat as RawStat;
use syscalls::Sysno;
pub(crate) use syscalls::Sysno::{
    fstat as FSTAT, getresgid as GETRESGID, getresuid as GETRESUID, mmap as MMAP,
    newfstatat as FSTATAT, setgroups as SETGROUPS, setresgid as SETRESGID, setresuid as SETRESUID,
};

/// The bytes that glibc puts in front of each place where a restartable sequence is aborted.
pub(crate) const RSEQ_SIGNATURE: u32 = 0x5305_3053;

/// The last two arguments of clone(2), the thread id and then the thread-local storage; the latter is not used.
pub(crate) const fn clone_tail(ctid: usize) -> (usize, usize) {
    (ctid, 0)
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
            "mov r12, rsp",
            "syscall",
            "mov rdi, r13",
            "mov rsi, rax",
            "call [r13]",
            "mov rsp, r12",
            inlateout("rax") Sysno::clone as usize => result,
            in("rdi") flags, in("rsi") entry, in("rdx") tid, in("r10") tid, in("r8") 0,
            in("r13") entry, out("r12") _,
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
            "xor %ebp, %ebp",
            "mov %rsp, %rdi",
            "and $-16, %rsp",
            "call {0}",
            "ud2",
            sym $enter,
            options(att_syntax),
        );
    };
}
