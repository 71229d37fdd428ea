//! x86, 32 bits. [`super`] documents the items.

use core::arch::asm;
use core::ffi::c_void;

use syscalls::Sysno;

pub(crate) use Sysno::renameat as RENAMEAT;

pub(crate) const SOCKETCALL: Option<Sysno> = Some(Sysno::socketcall);

pub(crate) const RSEQ_SIGNATURE: u32 = 0x5305_3053;

// Before eax: flags, link and stack, and eleven registers.
pub(crate) const RESULT_IN_CONTEXT: usize = 20 + 11 * 4;

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
    // SAFETY: the caller's promise. The parent's stack pointer lies in the entry, whose address is in ebx,
    // which every function preserves. Without CLONE_SETTLS, the kernel does not read esi.
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

pub(crate) fn rseq_symbols() -> [usize; 2] {
    let (offset, size): (usize, usize);
    // SAFETY: the block reads the program's table of addresses, and leaves the stack as it was.
    unsafe {
        asm!(
            ".weak __rseq_offset",
            ".weak __rseq_size",
            "calll 2f",
            "2:",
            "popl {1}",
            "3:",
            "addl $_GLOBAL_OFFSET_TABLE_+(3b-2b), {1}",
            "movl __rseq_offset@GOT({1}), {0}",
            "movl __rseq_size@GOT({1}), {1}",
            out(reg) offset, out(reg) size,
            options(att_syntax),
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
        asm!("mov {}, dword ptr gs:[0]", out(reg) pointer, options(readonly, nostack, preserves_flags));
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
