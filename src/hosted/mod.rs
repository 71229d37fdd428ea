//! What does a program with an allocator, or with the standard library, get in addition?
//!
//! Owned strings and lists of them with the feature `alloc`. With the feature `std` also the types of the
//! standard library, and a builder for commands.

#[cfg(feature = "std")]
mod command;
#[cfg(feature = "std")]
mod conversions;
#[cfg(feature = "std")]
mod daemonize_or_exit;
mod strings;

#[cfg(feature = "std")]
pub use command::Command;
pub use strings::CStringVec;
