//! Turns a process or a command into a Linux daemon over raw system calls: no libc, no allocator,
//! no `std`, and two dependencies.
//!
//! - [`daemonize`] is for a program that detaches itself.
//! - [`spawn`] is for a program that starts another one, and goes on.
//! - [`DaemonizeOptions`] says what the daemon shall be like, for both.
//! - [`Pidfile`] finds a daemon, signals it and stops it, and never another process.
//!
//! All of them tell the truth: success means that the daemon runs, with this pid; failure means
//! that it does not, and which step failed with which errno, or how the daemon died.
//!
//! # A program that becomes a daemon
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use rawdaemon::{DaemonizeOptions, Identity};
//!
//! fn main() -> ExitCode {
//!     let options = DaemonizeOptions::new().pidfile(c"/run/web.pid").stderr(c"/var/log/web.log");
//!     match options.daemonize() {
//!         Ok(Identity::Original(pid)) => println!("the daemon runs as {pid}"),
//!         Ok(Identity::Daemon(ready)) => {
//!             // … open sockets, read the configuration …
//!             let _ = ready.notify(); // the original returns now, and not after a second
//!             // … serve …
//!         }
//!         Err(error) => {
//!             eprintln!("web: {error}");
//!             return ExitCode::from(u8::from(error));
//!         }
//!     }
//!     ExitCode::SUCCESS
//! }
//! ```
//!
//! The call comes early in `main`: a process that has other threads is refused with
//! [`ExitCode::Threaded`], for a fork would leave them, and what they hold locked, behind.
//!
//! # A program that starts a daemon
//!
//! ```
//! use rawdaemon::{Cause, Errno, ExitCode};
//!
//! let argv = [Some(c"web".into()), Some(c"--port=8080".into()), None];
//! let error = rawdaemon::spawn(c"/opt/no/such/web", &argv, &[None]).unwrap_err();
//! assert_eq!(error.code(), ExitCode::CommandNotFound);
//! assert_eq!(error.cause(), Cause::Errno(Errno::ENOENT));
//! ```
//!
//! This one may be called in any program, threaded or not.
//!
//! # How it works
//!
//! The *original*, the process that called, creates an *intermediate*. That leads a new session
//! (setsid(2)), creates the *daemon*, which is therefore no session leader and can never get a
//! controlling terminal, and watches it until there is a verdict. The daemon takes its steps, and
//! says which one failed. Each process tells by its exit code what happened, see [`ExitCode`], and
//! by eight bytes over a close-on-exec pipe what does not fit in there. When the original returns,
//! the intermediate is gone, and the daemon belongs to init.
//!
//! The intermediate shares the original's memory, on a stack of its own, and so does the daemon of
//! [`spawn`] until it executes: such a start costs the same in a large process as in a small one. The daemon
//! of [`daemonize`] is a copy, the only one. Where memory cannot be shared, and in a build with
//! `--cfg rawdaemon_plain_fork`, which valgrind needs, all children are copies.
//!
//! The steps follow systemd's daemon(7); the README lists them.
//!
//! # In a program with a C library
//!
//! The processes are created by a raw clone(2), past the C library. No function that was registered
//! with pthread_atfork(3) runs. The intermediate runs nothing of the program's at all. The daemon
//! has a copy of everything, unwritten buffers and functions registered with atexit(3) included:
//! flush what shall not be written twice before the call.
//!
//! What the kernel remembers of the calling thread for its C library, the daemon has too: the list of
//! robust mutexes, empty as after fork(2), the stack of signal handlers, the area of restartable sequences.
//! The ids that glibc remembers are put right in the daemon, if it has told the kernel that list or where the
//! id is, as up to 2.43. musl remembers one where nobody else may write: there `raise` and `abort` in a
//! process that has daemonized itself signal the original's thread. A command that was started by [`spawn`] is not concerned.
//!
//! # Support
//!
//! Linux 3.2 or later on x86_64, x86, aarch64, arm and riscv64; Rust 1.85 or later. Newer system
//! calls (`pidfd_open`, `close_range`) are used where they are to be had. `/proc` need not be
//! mounted.
#![no_std]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(not(target_os = "linux"))]
compile_error!("rawdaemon speaks to the Linux kernel directly and builds for Linux only");

#[cfg(test)]
extern crate std;

mod accounts;
mod environment;
#[doc(hidden)]
pub mod internal;
mod options;
mod pidfile;
mod protocol;
mod start;
#[allow(unsafe_code)]
mod sys;
mod text;

pub use accounts::{Account, find_account, find_group, look_up, look_up_group};
pub use options::{DaemonizeOptions, Limit, Readiness, Resource};
pub use pidfile::{Owner, Pidfile, Stage};
pub use protocol::{Cause, Change, Errno, Error, ExitCode, Pid, Stream, WaitStatus, WithPath};
pub use start::{Identity, Progress, Ready, daemonize, interpreter_of, spawn};
pub use sys::ThinCStr;
