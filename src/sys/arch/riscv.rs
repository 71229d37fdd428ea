//! RISC-V, 64 and 32 bits. [`super`] documents the items.

use core::arch::asm;
use core::ffi::c_void;

use syscalls::Sysno;

pub(crate) use Sysno::renameat2 as RENAMEAT;

pub(crate) const SOCKETCALL: Option<Sysno> = None;

pub(crate) const RSEQ_SIGNATURE: u32 = 0xf140_1073;

// Before a0: flags, link and stack, room for a mask, padding to 16 bytes, and ten registers.
pub(crate) const RESULT_IN_CONTEXT: usize = (5 * WORD + 128).next_multiple_of(16) + 10 * WORD;
const WORD: usize = size_of::<usize>();

pub(crate) const FAILURE_IN_CONTEXT: Option<(usize, u64)> = None;

pub(crate) const HANDLER_FLAGS: u32 = 0;

/// # Safety
///
/// As [`super::leave_handler`].
#[inline(always)]
pub(super) const unsafe fn leave_handler(_: *mut c_void) {}

/// The instruction that loads a word.
#[cfg(target_arch = "riscv64")]
macro_rules! load {
    ($operands:literal) => {
        concat!("ld ", $operands)
    };
}
#[cfg(target_arch = "riscv32")]
macro_rules! load {
    ($operands:literal) => {
        concat!("lw ", $operands)
    };
}

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
            "mv s2, sp",
            "ecall",
            "mv a1, a0",
            "mv a0, s3",
            load!("t0, 0(s3)"),
            "jalr t0",
            "mv sp, s2",
            inlateout("a0") flags => result,
            in("a1") entry, in("a2") tid, in("a3") tid, in("a4") tid,
            in("a7") Sysno::clone as usize, in("s3") entry, out("s2") _,
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
            "2: auipc {0}, %got_pcrel_hi(__rseq_offset)",
            load!("{0}, %pcrel_lo(2b)({0})"),
            "3: auipc {1}, %got_pcrel_hi(__rseq_size)",
            load!("{1}, %pcrel_lo(3b)({1})"),
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
        asm!("mv {}, tp", out(reg) pointer, options(nomem, nostack, preserves_flags));
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
            "mv s0, zero",
            "mv a0, sp",
            "andi sp, sp, -16",
            "call {0}",
            "unimp",
            sym $enter,
        );
    };
}
