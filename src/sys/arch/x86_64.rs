//! x86-64. [`super`] documents the items.

use core::arch::asm;
use core::ffi::c_void;

use linux_raw_sys::general::SA_RESTORER;
use syscalls::Sysno;

pub(crate) use Sysno::renameat as RENAMEAT;

pub(crate) const SOCKETCALL: Option<Sysno> = None;

pub(crate) const RSEQ_SIGNATURE: u32 = 0x5305_3053;

// Before rax: flags, link and stack, and thirteen registers.
pub(crate) const RESULT_IN_CONTEXT: usize = 40 + 13 * 8;

pub(crate) const FAILURE_IN_CONTEXT: Option<(usize, u64)> = None;

/// The kernel refuses a handler without a restorer. It copies the address to the frame, and nothing jumps there.
pub(crate) const HANDLER_FLAGS: u32 = SA_RESTORER;

/// `rt_sigreturn()`. The kernel finds the context where the stack pointer points.
///
/// # Safety
///
/// As [`super::leave_handler`].
#[inline(always)]
pub(super) unsafe fn leave_handler(context: *mut c_void) {
    // SAFETY: the caller's promise. The kernel restores all registers, so this does not return. If a policy refuses
    // that, the process ends.
    unsafe {
        asm!(
            "mov rsp, {}",
            "syscall",
            "ud2",
            in(reg) context, in("rax") Sysno::rt_sigreturn as usize,
            options(noreturn),
        );
    }
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
            "mov r12, rsp",
            "syscall",
            "mov rdi, r13",
            "mov rsi, rax",
            "call [r13]",
            "mov rsp, r12",
            inlateout("rax") Sysno::clone as usize => result,
            in("rdi") flags, in("rsi") entry, in("rdx") tid, in("r10") tid, in("r8") tid,
            in("r13") entry, out("r12") _,
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
            "mov {0}, qword ptr [rip + __rseq_offset@GOTPCREL]",
            "mov {1}, qword ptr [rip + __rseq_size@GOTPCREL]",
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
    // SAFETY: the caller's promise. The first word of the thread control block is its own address.
    unsafe {
        asm!("mov {}, qword ptr fs:[0]", out(reg) pointer, options(readonly, nostack, preserves_flags));
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
