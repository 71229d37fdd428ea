//! Arm, 32 bits. [`super`] documents the items.

use core::arch::asm;
use core::ffi::c_void;

use syscalls::Sysno;

pub(crate) use Sysno::renameat as RENAMEAT;

pub(crate) const SOCKETCALL: Option<Sysno> = None;

pub(crate) const RSEQ_SIGNATURE: u32 = 0xe7f5_def3;

// Before r0: flags, link and stack, and three words about a fault.
pub(crate) const RESULT_IN_CONTEXT: usize = 20 + 12;

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
    // r7 has the number of the call, and may be the frame pointer.
    // SAFETY: the caller's promise. The registers that are used after the call are preserved by the kernel and
    // by every function.
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
            in("r1") entry, in("r2") tid, in("r3") tid, in("r4") tid,
            in("r12") Sysno::clone as usize, in("r5") entry, out("r8") _, out("r10") _,
            clobber_abi("C"),
        );
    }
    result
}

pub(crate) fn rseq_symbols() -> [usize; 2] {
    let (offset, size): (usize, usize);
    // Each word is the distance from itself to an entry of the table.
    // SAFETY: the block reads the program's table of addresses.
    unsafe {
        asm!(
            ".weak __rseq_offset",
            ".weak __rseq_size",
            "b 4f",
            ".balign 4",
            "2: .word __rseq_offset(GOT_PREL)",
            "3: .word __rseq_size(GOT_PREL)",
            "4:",
            "adr {2}, 2b",
            "ldr {0}, [{2}]",
            "ldr {0}, [{2}, {0}]",
            "adr {2}, 3b",
            "ldr {1}, [{2}]",
            "ldr {1}, [{2}, {1}]",
            out(reg) offset, out(reg) size, out(reg) _,
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
    // SAFETY: ARMv6 has a register. Before that, all kernels have this helper (kernel_user_helpers), which
    // changes only the two registers.
    #[cfg(target_has_atomic = "64")]
    unsafe {
        asm!("mrc p15, 0, {}, c13, c0, 3", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    // SAFETY: as above.
    #[cfg(not(target_has_atomic = "64"))]
    unsafe {
        asm!("blx {}", in(reg) 0xffff_0fe0_usize, out("r0") pointer, out("lr") _, options(nostack));
    }
    pointer
}

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

        /// The unwind tables of arm name this. No code reads them: neither profile unwinds.
        #[unsafe(no_mangle)]
        const extern "C" fn __aeabi_unwind_cpp_pr0() {}

        /// As above.
        #[unsafe(no_mangle)]
        const extern "C" fn __aeabi_unwind_cpp_pr1() {}
    };
}
