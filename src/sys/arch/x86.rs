//! x86, 32 bits.
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
pub(crate) const RSEQ_SIGNATURE: u32 = 0x5305_3053;

/// The last two arguments of clone(2), the thread-local storage and then the thread id; the latter is not used.
pub(crate) const fn clone_tail(ctid: usize) -> (usize, usize) {
    (0, ctid)
}

/// A socket call, `socketcall(number, arguments)`: Linux has calls of their own only since 4.3 here.
macro_rules! socket_call {
    ($name:ident, $number:ident, $($argument:expr),*) => {{
        let arguments = [$($argument as usize),*];
        call!(Sysno::socketcall, linux_raw_sys::net::$number, arguments.as_ptr())
    }};
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
            "mov [ecx + 4], esp",
            "int 0x80",
            "mov ebx, ecx",
            "sub esp, 8",
            "push eax",
            "push ebx",
            "call [ebx]",
            "mov esp, [ebx + 4]",
            inlateout("eax") Sysno::clone as usize => result,
            inlateout("ebx") flags => _, in("ecx") entry, in("edx") tid, in("edi") tid,
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
            "mov %esp, %eax",
            "and $-16, %esp",
            "sub $12, %esp",
            "push %eax",
            "call {0}",
            "ud2",
            sym $enter,
            options(att_syntax),
        );
    };
}
