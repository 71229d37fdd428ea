//! How is the kernel called?
//!
//! Each system call has one thin typed function, which has the name of the call; each topic has one file. All
//! `unsafe` blocks of the library are here and in `entry`. Code that differs between architectures is
//! in [`arch`].
//!
//! # Safety
//!
//! Every function that this module exports is safe to call: it passes the kernel only numbers, and pointers to
//! data that is borrowed until the call returns. What fork(2) requires of its caller beyond memory safety is
//! documented at [`clone`]. linux-raw-sys generates the structures that the kernel fills in from the kernel's
//! headers. Assertions at compile time check the assumptions about their layout.

#[macro_use]
mod call;
mod arch;
mod c_str;
mod c_strings;
mod capabilities;
mod clock;
mod clone_vm;
mod credentials;
mod directory;
mod fd;
mod file;
mod lock;
mod mmap;
mod pid;
mod pidfd;
mod poll;
mod process;
mod reboot;
mod rseq;
mod scheduling;
mod signal;
mod socket;
mod stack;
mod stat;
mod terminal;
mod thread;
mod tid;
mod trap;

pub use c_str::ThinCStr;
pub use c_strings::CStrings;
pub(crate) use capabilities::{
    capget, capset, limit_bounding_set, raise_ambient, securebits, set_keepcaps, set_no_new_privs,
    set_securebits,
};
pub(crate) use clock::{monotonic_time, realtime, time_of_boot, uptime};
pub(crate) use clone_vm::{Child, clone_vm};
pub use credentials::effective_user;
pub(crate) use credentials::{chroot, fchown, setgroups, setresgid, setresuid};
pub use directory::EntryNames;
pub(crate) use directory::getdents;
pub(crate) use fd::{
    Fd, NO_FD, Pipe, clear_cloexec, close, close_range, dup3, dupfd_cloexec, fcntl_getfd, fionread,
    getrlimit_fsize, getrlimit_nofile, pipe, read, seek, set_status_flags,
};
pub use fd::{RawFd, write};
pub(crate) use file::{
    Missing, Open, PATH_SIZE, WORKING_DIRECTORY, access_at, chdir, chmod, create_new, fchdir,
    fchmod, ftruncate, getcwd, lchown, mkdir, mkdirat, open, open_at, rename, rmdir, rmdir_at,
    set_mtime, umask, unlink, with_umask,
};
pub(crate) use lock::{
    Lock, LockOwner, Locker, fcntl_getlk, fcntl_getlk_supervised, fcntl_setlk, flock, has_flock,
    has_remote_locks,
};
pub(crate) use mmap::Mapping;
pub use mmap::{Zeroed, leak_zeroed};
pub(crate) use pid::{getpgid, getppid, gettid, kill, kill_all, killpg};
pub use pid::{getpid, getsid};
pub(crate) use pidfd::{pidfd_open, pidfd_send_signal};
pub(crate) use poll::{ppoll, sleep};
pub(crate) use process::{
    End, ExitSignal, Fork, Forked, check_single_threaded, clone, execve, execveat, exit,
    has_exited, has_stopped, lead_group, may_setpgid, set_child_subreaper, set_pdeathsig, setpgid,
    setsid, try_wait, try_wait_any, waitpid,
};
pub(crate) use reboot::{Power, reboot, sync};
pub(crate) use scheduling::{
    ioprio_set, sched_setaffinity, sched_setscheduler, setpriority, setrlimit,
};
pub(crate) use signal::{
    SIGCHLD, SigAction, read_signal, reset_sigaction, set_sigaction, set_signal_mask, sigaction,
    signalfd, write_no_sigpipe,
};
pub use signal::{SignalSet, block_signals, take_pending};
pub(crate) use socket::{
    SOCKET_PATH_SIZE, bind, client_socket, connect, datagram_socket, getsockname, recvmsg, send,
    socketpair,
};
pub(crate) use stack::Stack;
pub(crate) use stat::{Stat, UNFINISHED, fstat, lstat, lstat_at, stat};
pub use terminal::terminal_width;
pub(crate) use terminal::{has_terminal, set_foreground};
pub(crate) use thread::Thread;
pub(crate) use tid::TidAddress;
pub use trap::catch_traps;
pub(crate) use trap::{reset_dispositions, restore_trap_action, trap_action};
