//! LoongArch, 64 bits. [`super`] documents the items.

use core::arch::asm;
use core::ffi::c_void;

use syscalls::Sysno;

pub(crate) use Sysno::renameat2 as RENAMEAT;

pub(crate) const SOCKETCALL: Option<Sysno> = None;

/// glibc registers no area on this architecture.
pub(crate) const RSEQ_SIGNATURE: u32 = 0;

// Before a0: flags, link and stack, room for a mask, padding, the program counter, and four registers.
pub(crate) const RESULT_IN_CONTEXT: usize = 40 + 128 + 8 + 8 + 4 * 8;

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
            "move $s1, $sp",
            "syscall 0",
            "move $a1, $a0",
            "move $a0, $s2",
            "ld.d $t0, $s2, 0",
            "jirl $ra, $t0, 0",
            "move $sp, $s1",
            inlateout("$a0") flags => result,
            in("$a1") entry, in("$a2") tid, in("$a3") tid, in("$a4") tid,
            in("$a7") Sysno::clone as usize, in("$s2") entry, out("$s1") _,
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
            "pcalau12i {0}, %got_pc_hi20(__rseq_offset)",
            "ld.d {0}, {0}, %got_pc_lo12(__rseq_offset)",
            "pcalau12i {1}, %got_pc_hi20(__rseq_size)",
            "ld.d {1}, {1}, %got_pc_lo12(__rseq_size)",
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
        asm!("move {}, $tp", out(reg) pointer, options(nomem, nostack, preserves_flags));
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
            "move $fp, $zero",
            "move $ra, $zero",
            "move $a0, $sp",
            "bstrins.d $sp, $zero, 3, 0",
            "bl {0}",
            "break 0",
            sym $enter,
        );
    };
}
