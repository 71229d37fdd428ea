//! z/Architecture, 64 bits, big-endian. [`super`] documents the items.

use core::arch::asm;
use core::ffi::c_void;

use syscalls::Sysno;

pub(crate) use Sysno::renameat as RENAMEAT;

pub(crate) const SOCKETCALL: Option<Sysno> = None;

pub(crate) const RSEQ_SIGNATURE: u32 = 0xb2ff_0fff;

// Before r2: flags, link and stack, the program status word, and two registers.
pub(crate) const RESULT_IN_CONTEXT: usize = 40 + 16 + 2 * 8;

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
    // The stack comes before the flags. A function may write to the 160 bytes above its own stack pointer.
    // SAFETY: the caller's promise. The registers that are used after the call are preserved by the kernel and
    // by every function.
    unsafe {
        asm!(
            "lgr %r9, %r15",
            "svc 0",
            "lgr %r3, %r2",
            "lgr %r2, %r8",
            "lg %r1, 0(%r8)",
            "aghi %r15, -160",
            "basr %r14, %r1",
            "lgr %r15, %r9",
            inlateout("r2") entry => result,
            in("r3") flags, in("r4") tid, in("r5") tid, in("r6") tid,
            in("r1") Sysno::clone as usize, in("r8") entry, out("r9") _,
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
            "lgrl {0}, __rseq_offset@GOTENT",
            "lgrl {1}, __rseq_size@GOTENT",
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
    // SAFETY: the block reads two registers.
    unsafe {
        asm!(
            "ear {0}, %a0",
            "sllg {0}, {0}, 32",
            "ear {0}, %a1",
            out(reg) pointer,
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
            ".globl _start",
            "_start:",
            "lgr %r2, %r15",
            "lghi %r11, 0",
            "lghi %r14, 0",
            "aghi %r15, -160",
            "stg %r11, 0(%r15)",
            "brasl %r14, {0}",
            ".long 0",
            sym $enter,
        );
    };
}
