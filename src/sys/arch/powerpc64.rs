//! PowerPC, 64 bits, little-endian, with the ABI ELFv2. [`super`] documents the items.

use core::arch::asm;
use core::ffi::c_void;

use syscalls::Sysno;

pub(crate) use Sysno::renameat as RENAMEAT;

pub(crate) const SOCKETCALL: Option<Sysno> = None;

pub(crate) const RSEQ_SIGNATURE: u32 = 0x0fe5_000b;

// Before the registers: flags, link and stack, room for a mask, and eight words about the signal.
pub(crate) const RESULT_IN_CONTEXT: usize = 40 + 128 + 8 * 8 + 3 * 8;

/// The summary overflow bit of cr0 is set if a call has failed.
pub(crate) const FAILURE_IN_CONTEXT: Option<(usize, u64)> =
    Some((40 + 128 + 8 * 8 + 38 * 8, 0x1000_0000));

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
    // by every function. The callee may write to the frame below its own, and finds its table of addresses by r12.
    unsafe {
        asm!(
            "mr 14, 1",
            "sc",
            "bns+ 2f",
            "neg 3, 3",
            "2:",
            "mr 4, 3",
            "mr 3, 15",
            "ld 12, 0(15)",
            "mtctr 12",
            "addi 1, 1, -64",
            "std 2, 24(1)",
            "bctrl",
            "ld 2, 24(1)",
            "mr 1, 14",
            inlateout("r3") flags => result,
            in("r4") entry, in("r5") tid, in("r6") tid, in("r7") tid,
            in("r0") Sysno::clone as usize, in("r15") entry, out("r14") _,
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
            "bcl 20, 31, 2f",
            "2:",
            "mflr {0}",
            "addis {0}, {0}, (.TOC.-2b)@ha",
            "addi {0}, {0}, (.TOC.-2b)@l",
            "addis {1}, {0}, __rseq_size@got@ha",
            "ld {1}, __rseq_size@got@l({1})",
            "addis {0}, {0}, __rseq_offset@got@ha",
            "ld {0}, __rseq_offset@got@l({0})",
            out(reg_nonzero) offset, out(reg_nonzero) size, out("lr") _,
            options(readonly, nostack, preserves_flags),
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
        asm!("mr {}, 13", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    pointer
}

#[doc(hidden)]
#[macro_export]
macro_rules! __start {
    ($enter:path) => {
        core::arch::global_asm!(
            ".globl _start",
            ".type _start, @function",
            "_start:",
            "bcl 20, 31, 2f",
            "2:",
            "mflr 2",
            "addis 2, 2, (.TOC.-2b)@ha",
            "addi 2, 2, (.TOC.-2b)@l",
            "mr 3, 1",
            "clrrdi 1, 1, 4",
            "li 0, 0",
            "stdu 0, -64(1)",
            "mtlr 0",
            "bl {0}",
            "nop",
            "trap",
            sym $enter,
        );
    };
}
