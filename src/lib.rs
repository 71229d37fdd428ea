//! Daemonizes Linux processes over raw system calls: without libc, without an allocator, without
//! `std`, and with two dependencies.
//!
//! - [`daemonize`] turns the calling process into a daemon.
//! - [`spawn`] starts another program as a daemon and returns.
//! - [`DaemonizeOptions`] configures the daemon, for both.
//! - [`Pidfile`] finds a daemon, signals it and stops it, and never signals another process.
//!
//! Success means that the daemon runs with the returned pid. Failure means that it does not run, and
//! the [`Error`] names the step that failed and the errno, or how the daemon ended. The exception is
//! [`ErrorKind::WaitFailed`]: the process that knows the outcome was killed, and the daemon may run. A message that
//! ends in `the daemon still runs` is of a daemon that could not be ended.
//!
//! # A program that becomes a daemon
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use rawdaemon::{DaemonizeOptions, Identity, Stdio};
//!
//! fn main() -> ExitCode {
//!     let log = Stdio::append(c"/var/log/web.log");
//!     let options = DaemonizeOptions::new().pidfile(c"/run/web.pid").stderr(log);
//!     match options.daemonize() {
//!         Ok(Identity::Original(daemon)) => println!("the daemon runs as {}", daemon.pid()),
//!         Ok(Identity::Daemon(ready)) => {
//!             // … open sockets, read the configuration …
//!             let _ = ready.notify(); // the original returns now, not when the timeout expires
//!             loop {
//!                 std::thread::park(); // … serve …
//!             }
//!         }
//!         Err(error) => {
//!             eprintln!("web: {error}");
//!             return ExitCode::from(error.exit_code());
//!         }
//!     }
//!     ExitCode::SUCCESS
//! }
//! ```
//!
//! `daemonize` returns in both processes: in the original with the daemon's pid or an error, and in the
//! daemon with a [`Ready`]. If the daemon does not call [`Ready::notify`], the start is a success when
//! the daemon is still alive after the [`timeout`](DaemonizeOptions::timeout), one second by default.
//!
//! Call `daemonize` early in `main`, before the program creates threads. A process with other threads
//! is refused with [`ErrorKind::Threaded`]: the daemon would not have those threads, but every lock
//! that they hold would stay locked in it.
//!
//! # A program that starts a daemon
//!
//! ```
//! use rawdaemon::argv;
//!
//! let daemon = rawdaemon::spawn(c"sleep", argv![c"sleep", c"0.1"], argv![c"PATH=/usr/bin:/bin"])?;
//! println!("sleep runs as {}", daemon.pid());
//! # Ok::<(), rawdaemon::Error>(())
//! ```
//!
//! `spawn` may be called in any process, with or without threads. It returns as soon as the command
//! has been executed. To wait until the command is ready as well, see [`Readiness`].
//!
//! # Errors
//!
//! [`Error::kind`] names the step that failed, [`Error::cause`] the reason, and [`Error::subject`] what it
//! was about. `Display` puts all of it in one line. Each [`ErrorKind`] is an exit code of the command
//! `rawdaemon`.
//!
//! ```
//! use rawdaemon::{Cause, Errno, ErrorKind, argv};
//!
//! let argv = argv![c"web", c"--port=8080"];
//! let error = rawdaemon::spawn(c"/opt/no/such/web", argv, argv![]).unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::CommandNotFound);
//! assert_eq!(error.cause(), Cause::Errno(Errno::ENOENT));
//! assert_eq!(
//!     error.to_string(),
//!     "cannot find the command: No such file or directory (ENOENT)",
//! );
//! ```
//!
//! | kind | exit code | what happened |
//! | --- | --- | --- |
//! | [`ForkFailed`](ErrorKind::ForkFailed) | 1 | the intermediate could not create the daemon |
//! | [`SetsidFailed`](ErrorKind::SetsidFailed) | 2 | the intermediate could not create a new session |
//! | [`ChdirFailed`](ErrorKind::ChdirFailed) | 3 | the daemon could not enter its working directory |
//! | [`OpenDevNullFailed`](ErrorKind::OpenDevNullFailed) | 4 | `/dev/null` could not be opened, or is not the null device |
//! | [`DaemonDied`](ErrorKind::DaemonDied) | 5 | the daemon ended too soon; the cause says how |
//! | [`TimedOut`](ErrorKind::TimedOut) | 6 | the daemon did not become ready in time |
//! | [`SignalsFailed`](ErrorKind::SignalsFailed) | 7 | the signals could not be reset |
//! | [`OpenFailed`](ErrorKind::OpenFailed) | 8 | a directory could not be made, or a file for a standard stream could not be opened or emptied |
//! | [`StdioFailed`](ErrorKind::StdioFailed) | 9 | descriptors 0 to 2 could not be put in place |
//! | [`CloseFailed`](ErrorKind::CloseFailed) | 10 | inherited descriptors could not be closed, or kept |
//! | [`PidfileFailed`](ErrorKind::PidfileFailed) | 11 | the pidfile or lock file could not be used |
//! | [`AlreadyRunning`](ErrorKind::AlreadyRunning) | 12 | another process is the daemon; the cause says which |
//! | [`ChrootFailed`](ErrorKind::ChrootFailed) | 13 | the root directory could not be changed |
//! | [`GroupsFailed`](ErrorKind::GroupsFailed) | 14 | the supplementary groups could not be set |
//! | [`SetgidFailed`](ErrorKind::SetgidFailed) | 15 | the group could not be set, or does not exist |
//! | [`SetuidFailed`](ErrorKind::SetuidFailed) | 16 | the user could not be set, or does not exist |
//! | [`LimitsFailed`](ErrorKind::LimitsFailed) | 17 | a limit could not be set; the subject says which |
//! | [`Refused`](ErrorKind::Refused) | 18 | the daemon reported that it cannot start |
//! | [`Threaded`](ErrorKind::Threaded) | 19 | the process has other threads |
//! | [`ChannelFailed`](ErrorKind::ChannelFailed) | 20 | a pipe or socket could not be made |
//! | [`FirstForkFailed`](ErrorKind::FirstForkFailed) | 21 | the original could not create the intermediate |
//! | [`WaitFailed`](ErrorKind::WaitFailed) | 22 | the intermediate was killed, and the outcome is not known; or it could not watch the daemon |
//! | [`SignalFailed`](ErrorKind::SignalFailed) | 23 | the daemon of a pidfile could not be signalled |
//! | [`NoLock`](ErrorKind::NoLock) | 24 | the process of a pidfile may not be the daemon |
//! | [`StillRunning`](ErrorKind::StillRunning) | 25 | the daemon of a pidfile has not ended in time |
//! | [`Usage`](ErrorKind::Usage) | 64 | an option is invalid; the subject says which |
//! | [`ExecFailed`](ErrorKind::ExecFailed) | 126 | the command could not be executed |
//! | [`CommandNotFound`](ErrorKind::CommandNotFound) | 127 | the command was not found |
//!
//! # Features
//!
//! None is on by default, and none adds a dependency.
//!
//! - `alloc`: options take strings that are made at run time, and `CStringVec` makes lists of them.
//! - `std`: options take paths and open files. `Command` is a builder for [`spawn`], with the current environment
//!   by default. [`Error`] converts to `std::io::Error` and to `std::process::ExitCode`.
//!
//! # Finding and stopping a daemon
//!
//! A daemon with a [`pidfile`](DaemonizeOptions::pidfile) holds a lock on the file as long as it runs, and has left
//! its fingerprint there. The kernel reports which process holds the lock; the pid in the file alone is not believed.
//!
//! ```
//! use rawdaemon::{Owner, Pidfile, Signal};
//!
//! let pidfile = Pidfile::new(c"/run/no/such.pid");
//! assert_eq!(pidfile.owner()?, Owner::NotRunning);
//! assert_eq!(pidfile.signal(Signal::HUP)?, None); // there is no daemon to send it to
//! # Ok::<(), rawdaemon::Error>(())
//! ```
//!
//! [`Pidfile::stop`] sends one signal after the other until the daemon has ended. The chapter
//! [`guide::service`] has a whole program with `start`, `status`, `reload` and `stop`.
//!
//! # How it works
//!
//! The *original*, the process that calls, creates an *intermediate*. The intermediate leads a new
//! session (setsid(2)), creates the *daemon*, and watches it until there is a verdict. The daemon is
//! not a session leader, so it never acquires a controlling terminal. It takes its steps in order and
//! reports the first one that fails. The steps follow systemd's daemon(7); the README lists them.
//!
//! Each process reports by its exit code ([`ErrorKind::exit_code`]). Details that do not fit in one byte travel
//! beside it, as a record of eight bytes over a close-on-exec pipe. When the original returns, the
//! intermediate has exited, and the daemon is a child of init or of the nearest subreaper.
//!
//! The intermediate runs in the original's memory, on a stack of its own. So does the daemon of
//! [`spawn`] until it executes the command, unless an option changes its user, its group or its OOM
//! score adjustment. Such a start costs as much in a large process as in a small one. The daemon of
//! [`daemonize`] is a copy of the original, and the only one.
//!
//! # In a program with a C library
//!
//! The processes are created by clone(2) and not through the C library:
//!
//! - Functions registered with pthread_atfork(3) do not run.
//! - The intermediate runs none of the program's code.
//! - The daemon of [`daemonize`] has a copy of everything, including unwritten buffers and functions
//!   registered with atexit(3). Flush buffers before the call, or they are written twice.
//! - The daemon keeps what the kernel records of the calling thread for the C library: the list of
//!   robust mutexes (empty, as after fork(2)), the alternate signal stack, and the area of restartable
//!   sequences.
//! - The process and thread ids that glibc caches are corrected. They are found through the robust list
//!   or through the address given to set_tid_address(2); glibc up to 2.43 registers at least one of
//!   them.
//! - musl caches the thread id where no other code can write. In a process that has daemonized itself,
//!   its `raise` and `abort` signal the original's thread. The chapter
//!   [`guide::no_libc`](guide::no_libc#with-musl) says what to do instead.
//!
//! A command that [`spawn`] has started is not affected by any of this.
//!
//! # In a program without a C library
//!
//! [`entry!`] defines the entry point of such a program. The chapter [`guide::no_libc`] builds two of them, step
//! by step: one with this macro, one with the crate `origin`.
//!
//! # In place of another crate
//!
//! The chapter [`guide::migration`] is for programs that use `daemonize` or `fork`, and for those on tokio.
//!
//! # Limits
//!
//! - valgrind 3 ends a program that starts a process sharing its memory. For valgrind, build with
//!   `RUSTFLAGS="--cfg rawdaemon_plain_fork"`: every child is then a copy, as it also is where memory
//!   cannot be shared.
//! - A program that has registered restartable sequences (rseq(2)) elsewhere than glibc's `__rseq_offset` says is
//!   copied twice by [`daemonize`]: once for the intermediate, once for the daemon.
//! - Before Linux 5.16, a signal that dumps core (core(5)) and is sent to the daemon of [`spawn`] before
//!   it executes may end the caller too, because the two share memory. vfork(2) has the same limit.
//!
//! # Supported systems
//!
//! Linux 3.2 or later on x86_64, x86, aarch64, arm and riscv64, with Rust 1.85 or later; on riscv32 and loongarch64
//! with 1.87; on mips, powerpc64le and s390x with nightly Rust. Newer system calls (pidfd_open(2), close_range(2)) are
//! used where the kernel has them. `/proc` need not be mounted.
//!
//! A sandbox may answer a call by SIGSYS (seccomp(2), SECCOMP_RET_TRAP), as Android's does for apps. The processes of a
//! start catch it and read it as `ENOSYS`. The caller's dispositions are not changed: in a sandbox, [`daemonize`] first
//! lets a child try the calls of robust lists and restartable sequences. What remains: a trapped call ends a caller if
//! nothing replaces it; if it is one of the pidfds of [`Pidfile`] (up to Android 11); if it is the close_range(2) of
//! [`close_fds`](DaemonizeOptions::close_fds) in the [foreground](DaemonizeOptions::foreground) without
//! [`reset_signals`](DaemonizeOptions::reset_signals); and, on 32 bits, if it takes a time of 64 bits.
#![no_std]
#![cfg_attr(target_arch = "mips", feature(asm_experimental_arch))]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod accounts;
#[allow(unsafe_code)]
mod entry;
mod environment;
#[cfg(feature = "alloc")]
mod hosted;
#[doc(hidden)]
pub mod internal;
mod options;
mod packed;
mod pidfile;
mod protocol;
mod start;
mod supervisor;
#[allow(unsafe_code)]
mod sys;
mod text;

/// The guide, in chapters.
#[cfg(any(doc, doctest))]
pub mod guide {
    #[doc = include_str!("guide/migration.md")]
    pub mod migration {}
    #[doc = include_str!("guide/no_libc.md")]
    pub mod no_libc {}
    #[doc = include_str!("guide/service.md")]
    pub mod service {}
}

pub use accounts::Account;
pub use entry::{Stderr, Stdout};
#[cfg(feature = "alloc")]
pub use hosted::CStringVec;
#[cfg(feature = "std")]
pub use hosted::Command;
pub use options::{
    Capabilities, CpuSet, DaemonizeOptions, IntoCStr, IoPriority, Limit, Readiness, Resource,
    SchedPolicy, Securebits, Stdio,
};
pub use pidfile::{Owner, Pidfile, Stage};
pub use protocol::{Cause, Errno, Error, ErrorKind, Pid, Signal, Subject, WaitStatus, WithPath};
pub use start::{DaemonProcess, Identity, Progress, Ready, daemonize, spawn};
pub use sys::{CStrings, ThinCStr};
