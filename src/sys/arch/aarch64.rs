//! AArch64, little- and big-endian. [`super`] documents the items.

use core::arch::asm;
use core::ffi::c_void;

use syscalls::Sysno;

pub(crate) use Sysno::renameat as RENAMEAT;

pub(crate) const SOCKETCALL: Option<Sysno> = None;

/// An instruction. These are little-endian, whatever data are.
pub(crate) const RSEQ_SIGNATURE: u32 = u32::from_le(0xd428_bc00);

// Before x0: flags, link and stack, room for a mask, padding, and the address of a fault.
pub(crate) const RESULT_IN_CONTEXT: usize = 40 + 128 + 8 + 8;

pub(crate) const FAILURE_IN_CONTEXT: Option<(usize, u64)> = None;

pub(crate) const HANDLER_FLAGS: u32 = 0;

/// # Safety
///
/// As [`super::leave_handler`].
#[inline(always)]
pub(super) const unsafe fn leave_handler(_: *mut c_void) {}

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
            in("x1") entry, in("x2") tid, in("x3") tid, in("x4") tid,
            in("x8") Sysno::clone as usize, in("x21") entry, out("x20") _,
            clobber_abi("C"),
        );
    }
    result
}

pub(crate) fn rseq_symbols() -> [usize; 2] {
    let (offset, size): (usize, usize);
    // SAFETY: the block reads the program's table of addresses.
    unsafe {
        asm!(
            ".weak __rseq_offset",
            ".weak __rseq_size",
            "adrp {0}, :got:__rseq_offset",
            "ldr {0}, [{0}, :got_lo12:__rseq_offset]",
            "adrp {1}, :got:__rseq_size",
            "ldr {1}, [{1}, :got_lo12:__rseq_size]",
            out(reg) offset, out(reg) size,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    [offset, size]
}

/// # Safety
///
/// As [`super::thread_pointer`].
pub(crate) unsafe fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: the block reads a register.
    unsafe {
        asm!("mrs {}, tpidr_el0", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    pointer
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
