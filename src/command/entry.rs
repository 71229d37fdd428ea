//! The entry point, in place of that of a C library.
//!
//! [`entry!`] makes it, for the command and for any other program without a C library.
//!
//! # Safety
//!
//! The kernel enters at `_start` with the stack pointer at the number of arguments, followed by
//! pointers to the arguments, a null pointer, pointers to the environment, and a null pointer (the
//! System V ABI of each architecture). All of that stays where it is as long as the process lives.

#![allow(unsafe_code)]

use rawdaemon::internal;
use rawdaemon::{CStrings, ThinCStr};

/// The arguments and the environment of a program, as the kernel passes them.
pub(crate) struct Given {
    /// The arguments after the program's own name.
    pub(crate) arguments: CStrings<'static>,
    /// The variables of the environment.
    #[allow(dead_code, reason = "not every program reads its environment")]
    pub(crate) environment: CStrings<'static>,
}

/// Makes `_start`, which calls `$main` with the [`Given`] arguments, and exits with the status that it returns.
macro_rules! entry {
    ($main:path) => {
        rawdaemon::internal::start!(enter);

        /// # Safety
        ///
        /// Only `_start` may call this.
        #[allow(unsafe_code)]
        unsafe extern "C" fn enter(stack: *const usize) -> ! {
            // SAFETY: `_start` passes the stack as the kernel has left it.
            let given = unsafe { $crate::entry::read_stack(stack) };
            rawdaemon::internal::exit($main(&given))
        }
    };
}
pub(crate) use entry;

/// Reads the arguments and the environment.
///
/// # Safety
///
/// `stack` must be the stack pointer at `_start`.
pub(crate) unsafe fn read_stack(stack: *const usize) -> Given {
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
    // The program's own name comes first, if the process that executed it gave it one.
    let names = count.min(1);
    let rest = count.wrapping_sub(names).wrapping_add(1);
    // SAFETY: from the second argument to the null pointer. The strings live as long as the process.
    let arguments = unsafe { core::slice::from_raw_parts(arguments.add(names), rest) };
    // SAFETY: the variables and their null pointer.
    let environment =
        unsafe { core::slice::from_raw_parts(environment, variables.wrapping_add(1)) };
    // Both lists end in a null pointer.
    Given {
        arguments: CStrings::new(arguments).unwrap_or(CStrings::EMPTY),
        environment: CStrings::new(environment).unwrap_or(CStrings::EMPTY),
    }
}

/// The release build contains no panic, and drops this.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    let _ = internal::write(2, b"internal error\n");
    internal::exit(u8::MAX)
}

/// The unwind tables of `core` name this. Nothing reads them: neither profile unwinds.
#[unsafe(no_mangle)]
const extern "C" fn rust_eh_personality() {}
