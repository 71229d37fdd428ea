//! The stack at `_start`, and the call of the program's main function.
//!
//! The stack pointer points to the number of arguments. The pointers to the arguments follow, then a null
//! pointer, the pointers to the environment, and a null pointer (System V ABI). All of this is valid until the
//! process exits.
//!
//! `_start` itself is in `sys/arch`, because it differs between architectures.

use crate::sys::{CStrings, ThinCStr, exit};

/// Calls `main` with the arguments and the environment, and exits with the status that it returns.
///
/// # Safety
///
/// `stack` must be the value of the stack pointer at `_start`.
#[inline]
pub unsafe fn enter(
    stack: *const usize,
    main: impl FnOnce(CStrings<'static>, CStrings<'static>) -> u8,
) -> ! {
    // SAFETY: the stack begins with the number of arguments, followed by the pointers to them.
    let (argv, argc) = unsafe { (stack.add(1).cast::<Option<ThinCStr<'static>>>(), *stack) };
    let argc_and_null = argc.wrapping_add(1);
    // SAFETY: the environment follows the null pointer that ends the arguments.
    let envp = unsafe { argv.add(argc_and_null) };
    let mut variable_count = 0_usize;
    // SAFETY: every pointer up to and including the null pointer can be read.
    while unsafe { (*envp.add(variable_count)).is_some() } {
        variable_count = variable_count.wrapping_add(1);
    }
    // SAFETY: the arguments and their null pointer. The strings are valid until the process exits.
    let argv = unsafe { core::slice::from_raw_parts(argv, argc_and_null) };
    // SAFETY: the environment and its null pointer.
    let envp = unsafe { core::slice::from_raw_parts(envp, variable_count.wrapping_add(1)) };
    // Both lists end in a null pointer.
    exit(main(
        CStrings::new(argv).unwrap_or(CStrings::EMPTY),
        CStrings::new(envp).unwrap_or(CStrings::EMPTY),
    ))
}
