//! MIPS, 32 bits, little- and big-endian, with the ABI o32. [`super`] documents the items.
//!
//! The blocks with a call save the return address ($31) and the global pointer ($28): neither can be an operand, and the
//! callee changes both. No register for floats is listed, because no function that is called here computes with them.

use core::arch::asm;
use core::ffi::{c_int, c_void};

use linux_raw_sys::general::kernel_sigset_t;
use syscalls::Sysno;

pub(crate) use Sysno::renameat as RENAMEAT;

pub(crate) const SOCKETCALL: Option<Sysno> = None;

pub(crate) const RSEQ_SIGNATURE: u32 = 0x0350_000d;

// Before $2: flags, link, stack and padding, a mask, the status and the program counter, and two registers of 64 bits.
pub(crate) const RESULT_IN_CONTEXT: usize = 24 + 16 + 2 * 8;

/// $7 is set if a call has failed.
pub(crate) const FAILURE_IN_CONTEXT: Option<(usize, u64)> = Some((24 + 16 + 7 * 8, 1));

pub(crate) const HANDLER_FLAGS: u32 = 0;

/// linux-raw-sys has another order.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct RawSigAction {
    pub(crate) sa_flags: u32,
    pub(crate) sa_handler_kernel: Option<unsafe extern "C" fn(c_int)>,
    sa_mask: kernel_sigset_t,
}

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
    // The fifth argument of the system call is on the stack. A function may write to the four words above its own
    // stack pointer.
    // SAFETY: the caller's promise. The registers that are used after the call are preserved by the kernel and
    // by every function.
    unsafe {
        asm!(
            "move $19, $29",
            "move $20, $31",
            "move $21, $28",
            "addiu $29, $29, -32",
            "sw $6, 16($29)",
            "syscall",
            "beqz $7, 2f",
            "negu $2, $2",
            "2:",
            "move $4, $22",
            "move $5, $2",
            "lw $25, 0($22)",
            "addiu $29, $29, -16",
            "jalr $25",
            "move $29, $19",
            "move $31, $20",
            "move $28, $21",
            inlateout("$2") Sysno::clone as usize => result,
            inlateout("$4") flags => _, inlateout("$5") entry => _,
            inlateout("$6") tid => _, inlateout("$7") tid => _,
            in("$22") entry, out("$19") _, out("$20") _, out("$21") _,
            lateout("$3") _, lateout("$8") _, lateout("$9") _, lateout("$10") _, lateout("$11") _,
            lateout("$12") _, lateout("$13") _, lateout("$14") _, lateout("$15") _,
            lateout("$24") _, lateout("$25") _,
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
            "move $25, $31",
            "bal 2f",
            "2:",
            "lui $24, %hi(_gp_disp)",
            "addiu $24, $24, %lo(_gp_disp)",
            "addu $24, $24, $31",
            "move $31, $25",
            "lw $2, %got(__rseq_offset)($24)",
            "lw $3, %got(__rseq_size)($24)",
            out("$2") offset, out("$3") size, out("$24") _, out("$25") _,
            options(nostack),
        );
    }
    [offset, size]
}

/// # Safety
///
/// As [`super::thread_pointer`].
pub(crate) unsafe fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: the block reads a register. The kernel emulates this instruction, with $3, where it is missing.
    unsafe {
        asm!(
            ".set push",
            ".set mips32r2",
            "rdhwr $3, $29",
            ".set pop",
            out("$3") pointer,
            options(nomem, nostack, preserves_flags),
        );
    }
    pointer
}

#[doc(hidden)]
#[macro_export]
macro_rules! __start {
    ($enter:path) => {
        core::arch::global_asm!(
            // Linkers expect the first name on this architecture.
            ".globl __start",
            ".globl _start",
            ".ent _start",
            "__start:",
            "_start:",
            "move $30, $0",
            "move $31, $0",
            "move $4, $29",
            "li $8, -8",
            "and $29, $29, $8",
            "addiu $29, $29, -16",
            "lui $25, %hi({0})",
            "addiu $25, $25, %lo({0})",
            "jr $25",
            "nop",
            ".end _start",
            sym $enter,
        );
    };
}
