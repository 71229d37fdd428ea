//! The entry point of a program without a C library, defined by [`entry!`].
//!
//! # Safety
//!
//! At `_start`, the stack pointer points to the number of arguments. The pointers to the arguments follow,
//! then a null pointer, the pointers to the environment, and a null pointer (System V ABI). All of this is
//! valid until the process exits.

#![allow(unsafe_code)]

use rawdaemon::internal;
use rawdaemon::{CStrings, ThinCStr};

/// The arguments and the environment that the kernel passes to a program.
pub(crate) struct Given {
    /// The arguments, without `argv[0]`.
    pub(crate) arguments: CStrings<'static>,
    #[allow(dead_code, reason = "not every program reads its environment")]
    pub(crate) environment: CStrings<'static>,
}

/// Defines `_start`, which calls `$main` with a [`Given`] and exits with the code that it returns.
macro_rules! entry {
    ($main:path) => {
        rawdaemon::internal::start!(enter);

        /// # Safety
        ///
        /// Only `_start` may call this.
        #[allow(unsafe_code)]
        unsafe extern "C" fn enter(stack: *const usize) -> ! {
            // SAFETY: `_start` passes the stack pointer that the kernel has set.
            let given = unsafe { $crate::entry::read_stack(stack) };
            rawdaemon::internal::exit($main(&given))
        }
    };
}
pub(crate) use entry;

/// Reads the arguments and the environment from the stack.
///
/// # Safety
///
/// `stack` must be the value of the stack pointer at `_start`.
pub(crate) unsafe fn read_stack(stack: *const usize) -> Given {
    // SAFETY: the stack begins with the number of arguments, followed by the pointers to them.
    let (argv, argc) = unsafe { (stack.add(1).cast::<Option<ThinCStr<'static>>>(), *stack) };
    // SAFETY: the environment follows the null pointer that ends the arguments.
    let environment = unsafe { argv.add(argc.wrapping_add(1)) };
    let mut variable_count = 0_usize;
    // SAFETY: every pointer up to and including the null pointer can be read.
    while unsafe { (*environment.add(variable_count)).is_some() } {
        variable_count = variable_count.wrapping_add(1);
    }
    // The list of arguments may be empty, without even `argv[0]` (execve(2)).
    let name_count = argc.min(1);
    let length = argc.wrapping_sub(name_count).wrapping_add(1);
    // SAFETY: from `argv[1]` to the null pointer. The strings are valid until the process exits.
    let arguments = unsafe { core::slice::from_raw_parts(argv.add(name_count), length) };
    // SAFETY: the environment and its null pointer.
    let environment =
        unsafe { core::slice::from_raw_parts(environment, variable_count.wrapping_add(1)) };
    // Both lists end in a null pointer.
    Given {
        arguments: CStrings::new(arguments).unwrap_or(CStrings::EMPTY),
        environment: CStrings::new(environment).unwrap_or(CStrings::EMPTY),
    }
}

/// Required by the compiler. No code of the release build panics, so the linker drops this.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    let _ = internal::write(2, b"internal error\n");
    internal::exit(u8::MAX)
}

/// The unwind tables of `core` refer to this symbol. It is never called: no profile unwinds.
#[unsafe(no_mangle)]
const extern "C" fn rust_eh_personality() {}
