//! What does a program without a C library need at its start?
//!
//! [`entry!`](macro@crate::entry) defines the symbols in the crate that uses it. The library defines none of them: in
//! a program with a C library they would be defined twice. What the symbols do is in functions of this folder,
//! which the macro finds in [`internal`](crate::internal).

mod memory;
mod output;
mod stack;

pub use memory::{memcmp, memcpy, memmove, memset, strlen};
pub use output::{Stderr, Stdout, panic};
pub use stack::enter;

/// Defines the entry point of a program without a C library.
///
/// The argument is the program's main function, which takes the arguments and the environment as `main` does
/// in C, and returns the exit status:
///
/// ```ignore
/// #![no_std]
/// #![no_main]
///
/// use core::fmt::Write;
/// use rawdaemon::{CStrings, Stdout};
///
/// rawdaemon::entry!(main);
///
/// fn main(argv: CStrings, envp: CStrings) -> u8 {
///     let (arguments, variables) = (argv.iter().count(), envp.iter().count());
///     let written = writeln!(Stdout, "{arguments} arguments, {variables} variables");
///     u8::from(written.is_err())
/// }
/// ```
///
/// `argv` begins with the name of the program, unless it is empty (execve(2)); `argv.skip(1)` are its
/// arguments. Both lists stay valid until the process exits. [`Stdout`] and
/// [`Stderr`] write to the standard streams.
///
/// A program uses the macro once, in a crate with `#![no_std]` and `#![no_main]`. The crate needs a build script
/// that links it without C start files, and a profile with `panic = "abort"`. The chapter
/// [`guide::no_libc`](crate::guide::no_libc) has a whole program, step by step.
///
/// The macro defines:
///
/// - `_start`, where the kernel starts the program.
/// - The panic handler. It writes the message to standard error and exits with status 101.
/// - The functions that compiled Rust code calls: `memcpy`, `memmove`, `memset`, `memcmp`, `bcmp` and `strlen`.
///   They take one byte at a time: they are small, not fast.
/// - `rust_eh_personality`, to which the unwind tables of `core` refer. Nothing unwinds.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        // The compiler's own message does not say what to do.
        #[cfg(panic = "unwind")]
        ::core::compile_error!(
            "a program without std cannot unwind: set panic = \"abort\" in the profile, and keep the environment from \
            changing it (CARGO_PROFILE_RELEASE_PANIC=abort)"
        );

        $crate::__start!(__rawdaemon_enter);

        /// # Safety
        ///
        /// Only `_start` may call this.
        unsafe extern "C" fn __rawdaemon_enter(stack: *const usize) -> ! {
            // SAFETY: `_start` passes the stack pointer that the kernel has set.
            unsafe { $crate::internal::enter(stack, $main) }
        }

        const _: () = {
            #[panic_handler]
            fn panic(info: &::core::panic::PanicInfo<'_>) -> ! {
                $crate::internal::panic(info)
            }

            #[unsafe(no_mangle)]
            const extern "C" fn rust_eh_personality() {}

            /// # Safety
            ///
            /// As memcpy(3).
            #[unsafe(no_mangle)]
            unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
                // SAFETY: the caller's promise, here and below.
                unsafe { $crate::internal::memcpy(to, from, size) }
            }

            /// # Safety
            ///
            /// As memmove(3).
            #[unsafe(no_mangle)]
            unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
                unsafe { $crate::internal::memmove(to, from, size) }
            }

            /// # Safety
            ///
            /// As memset(3).
            #[unsafe(no_mangle)]
            unsafe extern "C" fn memset(to: *mut u8, byte: i32, size: usize) -> *mut u8 {
                unsafe { $crate::internal::memset(to, byte, size) }
            }

            /// # Safety
            ///
            /// As memcmp(3).
            #[unsafe(no_mangle)]
            unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, size: usize) -> i32 {
                unsafe { $crate::internal::memcmp(left, right, size) }
            }

            /// # Safety
            ///
            /// As bcmp(3).
            #[unsafe(no_mangle)]
            unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, size: usize) -> i32 {
                unsafe { $crate::internal::memcmp(left, right, size) }
            }

            /// # Safety
            ///
            /// As strlen(3).
            #[unsafe(no_mangle)]
            unsafe extern "C" fn strlen(string: *const u8) -> usize {
                unsafe { $crate::internal::strlen(string) }
            }
        };
    };
}
