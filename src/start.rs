//! The start code: what a C library would do before `main`, and the four system calls of the
//! command itself.
//!
//! # Safety
//!
//! The kernel enters at `_start` with the stack pointer at the number of arguments, followed by
//! pointers to the arguments, a null pointer, pointers to the environment, and a null pointer (the
//! System V ABI of each architecture). All of that stays where it is as long as the process lives.

#![allow(unsafe_code)]

use core::arch::{asm, global_asm};

use linux_raw_sys::general::{SIG_BLOCK, SIGPIPE};
use linux_raw_sys::ioctl::TIOCGWINSZ;
use rawdaemon::ThinCStr;
use syscalls::{Sysno, syscall};

use crate::Given;

// Each hands the stack pointer over as the first argument, on a stack that is aligned as the ABI
// wants it, and marks the outermost frame for debuggers.
#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "xor %ebp, %ebp", "mov %rsp, %rdi", "and $-16, %rsp", "call {0}", "ud2", sym enter, options(att_syntax));
#[cfg(target_arch = "x86")]
global_asm!(".globl _start", "_start:", "xor %ebp, %ebp", "mov %esp, %eax", "and $-16, %esp", "sub $12, %esp", "push %eax", "call {0}", "ud2", sym enter, options(att_syntax));
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x29, #0", "mov x30, #0", "mov x0, sp", "bl {0}", "brk #1", sym enter);
#[cfg(target_arch = "arm")]
global_asm!(".arm", ".globl _start", ".type _start, %function", "_start:", "mov r11, #0", "mov lr, #0", "mov r0, sp", "bl {0}", "udf #0", sym enter);
#[cfg(target_arch = "riscv64")]
global_asm!(".globl _start", "_start:", "mv s0, zero", "mv a0, sp", "andi sp, sp, -16", "call {0}", "unimp", sym enter);

/// Runs the command and exits with its code.
///
/// # Safety
///
/// `stack` is where the kernel has put the arguments, as the module's documentation says.
unsafe extern "C" fn enter(stack: *const usize) -> ! {
    // SAFETY: the kernel has put the number of arguments here, that many pointers behind it, and a
    // null pointer.
    let (arguments, count) = unsafe { (stack.add(1).cast::<Option<ThinCStr<'static>>>(), *stack) };
    // SAFETY: behind the arguments and their null pointer begins the environment, which ends in one
    // too.
    let environment = unsafe { arguments.add(count.wrapping_add(1)) };
    let mut variables = 0_usize;
    // SAFETY: every pointer up to the null pointer may be read.
    while unsafe { (*environment.add(variables)).is_some() } {
        variables = variables.wrapping_add(1);
    }
    // The program's own name comes first, if whoever executed it gave it one.
    let names = count.min(1);
    let given = Given {
        // SAFETY: from the second argument to the null pointer; the strings live as long as the
        // process.
        arguments: unsafe {
            core::slice::from_raw_parts(
                arguments.add(names),
                count.wrapping_sub(names).wrapping_add(1),
            )
        },
        // SAFETY: the variables and their null pointer.
        environment: unsafe { core::slice::from_raw_parts(environment, variables.wrapping_add(1)) },
    };
    exit(crate::run(&given))
}

fn exit(status: u8) -> ! {
    loop {
        // SAFETY: a number only.
        let _ = unsafe { syscall!(Sysno::exit_group, status) };
    }
}

/// `write(fd, bytes)` until all is written or nothing more can be. Nobody may be reading: that must
/// not end the command by a SIGPIPE, for its exit code is what it has to say.
pub(crate) fn write_all(fd: i32, mut bytes: &[u8]) {
    let pipe_signal = 1_u64 << (SIGPIPE - 1);
    // SAFETY: the kernel reads a signal set of eight bytes, and writes none to null.
    let _ = unsafe {
        syscall!(
            Sysno::rt_sigprocmask,
            SIG_BLOCK,
            &raw const pipe_signal,
            0,
            size_of::<u64>()
        )
    };
    while !bytes.is_empty() {
        // SAFETY: the kernel reads `bytes.len()` bytes from `bytes`.
        match unsafe { syscall!(Sysno::write, fd, bytes.as_ptr(), bytes.len()) } {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(syscalls::Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

/// `getpid()`—Whether this is the first process of its pid namespace, or of the machine.
pub(crate) fn is_first_process() -> bool {
    // SAFETY: no arguments.
    let pid = unsafe { syscall!(Sysno::getpid) };
    pid == Ok(1)
}

/// `ioctl(fd, TIOCGWINSZ)`—How many columns the terminal has, zero if it does not know; `None` if it is
/// no terminal.
pub(crate) fn terminal_width(fd: i32) -> Option<usize> {
    let mut rows_and_columns = [0_u16; 4];
    // SAFETY: the kernel writes a winsize, which is four numbers of 16 bits.
    let asked = unsafe { syscall!(Sysno::ioctl, fd, TIOCGWINSZ, rows_and_columns.as_mut_ptr()) };
    let [_, columns, ..] = rows_and_columns;
    asked.ok().map(|_| columns.into())
}

/// The release build contains no panic and drops this; a debug build traps.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    write_all(crate::STDERR, b"rawdaemon: internal error\n");
    exit(u8::MAX)
}

/// Named by the unwind tables of `core`, which nothing reads: neither profile unwinds.
#[unsafe(no_mangle)]
const extern "C" fn rust_eh_personality() {}

/// Named by the unwind tables of arm, likewise.
#[cfg(target_arch = "arm")]
#[unsafe(no_mangle)]
const extern "C" fn __aeabi_unwind_cpp_pr0() {}

/// As above.
#[cfg(target_arch = "arm")]
#[unsafe(no_mangle)]
const extern "C" fn __aeabi_unwind_cpp_pr1() {}

// The compiler may call these by name wherever it copies, fills or compares memory. Each loop has
// an empty asm block in it, or the compiler would see what it does and replace it by a call to
// itself.

/// # Safety
///
/// As memcpy(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
    for index in 0..size {
        // SAFETY: the caller's promise; the asm block does nothing.
        unsafe {
            *to.add(index) = *from.add(index);
            asm!("");
        }
    }
    to
}

/// # Safety
///
/// As memmove(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
    if to.cast_const() <= from {
        // SAFETY: forwards, nothing is read after it was overwritten.
        return unsafe { memcpy(to, from, size) };
    }
    for index in (0..size).rev() {
        // SAFETY: the caller's promise; backwards, nothing is read after it was overwritten.
        unsafe {
            *to.add(index) = *from.add(index);
            asm!("");
        }
    }
    to
}

/// # Safety
///
/// As memset(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, size: usize) -> *mut u8 {
    for index in 0..size {
        // SAFETY: the caller's promise; the asm block does nothing.
        unsafe {
            *to.add(index) = byte as u8;
            asm!("");
        }
    }
    to
}

/// # Safety
///
/// As memcmp(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, size: usize) -> i32 {
    for index in 0..size {
        // SAFETY: the caller's promise; the asm block does nothing.
        let (left, right) = unsafe {
            asm!("");
            (*left.add(index), *right.add(index))
        };
        if left != right {
            return i32::from(left).wrapping_sub(i32::from(right));
        }
    }
    0
}

/// # Safety
///
/// As bcmp(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, size: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { memcmp(left, right, size) }
}

/// # Safety
///
/// As strlen(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(string: *const u8) -> usize {
    let mut length = 0_usize;
    // SAFETY: the caller's promise; the asm block does nothing.
    while unsafe { *string.add(length) } != 0 {
        length = length.wrapping_add(1);
        // SAFETY: it does nothing.
        unsafe { asm!("") };
    }
    length
}
