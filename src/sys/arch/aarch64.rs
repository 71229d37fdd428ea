//! AArch64. [`super`] documents the items.

use core::arch::asm;
use core::ffi::c_void;

use syscalls::Sysno;

pub(crate) use Sysno::fstatat as FSTATAT;

pub(crate) const CTID_BEFORE_TLS: bool = false;

pub(crate) const SOCKETCALL: Option<Sysno> = None;

pub(crate) const RSEQ_SIGNATURE: u32 = 0xd428_bc00;

/// # Safety
///
/// As [`super::trampoline`].
#[inline(always)]
pub(super) unsafe fn trampoline(flags: usize, entry: *mut c_void, tid: *mut u32) -> isize {
    let result: isize;
    // SAFETY: the caller's promise. The registers that are used after the call are preserved by the kernel and
    // by every function.
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
