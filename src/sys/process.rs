//! Processes: creating, waiting for, ending and replacing them.

use core::ffi::c_int;

use linux_raw_sys::general::{
    __WALL, CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_THREAD, P_PID, SIGCHLD, WEXITED,
    WNOHANG, WNOWAIT,
};
use syscalls::Sysno;

use super::arch::CTID_BEFORE_TLS;
use super::c_str::ThinCStr;
use super::tid::TidAddress;
use crate::protocol::{Errno, Pid, WaitStatus};

/// The end of the code that a child runs.
#[derive(Debug)]
pub(crate) enum End<R> {
    /// The process exits with this status.
    Exit(u8),
    /// The process goes on, and returns this from [`clone`].
    Return(R),
}

/// The process in which [`clone`] returns.
#[derive(Debug)]
pub(crate) enum Fork<R, P = Pid> {
    /// The process that called, by default with the pid of its child.
    Parent(P),
    /// A child that goes on.
    Child(R),
}

/// The signal that a child sends to its parent when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitSignal {
    /// None. No handler of the parent runs, an ignored SIGCHLD loses no status, and a wait for any child
    /// (without `__WALL`) ignores this one.
    None,
    /// SIGCHLD.
    Child,
}

impl ExitSignal {
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Child => SIGCHLD,
        }
    }
}

/// The output of a child. Only [`clone`] makes it: so it proves that the process is a copy of its parent, and may
/// return to its parent's caller.
#[derive(Debug)]
pub(crate) struct Forked<R>(R);

impl<R> Forked<R> {
    pub(crate) fn into_inner(self) -> R {
        self.0
    }
}

/// `clone(exit_signal, 0)`—Creates a process that runs `part`. The kernel writes its thread id to `thread_id`.
///
/// The child has a copy of everything and shares nothing. Of the caller's threads it has only the calling one.
/// In a threaded program, `part` may compute and make system calls, but must not use data that another
/// thread may have locked, and must not return.
pub(crate) fn clone<T, R>(
    exit_signal: ExitSignal,
    thread_id: TidAddress,
    start: &T,
    part: fn(&T) -> End<R>,
) -> Result<Fork<Forked<R>>, Errno> {
    match fork(exit_signal, thread_id)? {
        None => match part(start) {
            End::Exit(status) => exit(status),
            End::Return(left) => Ok(Fork::Child(Forked(left))),
        },
        Some(child) => Ok(Fork::Parent(child)),
    }
}

fn fork(exit_signal: ExitSignal, thread_id: TidAddress) -> Result<Option<Pid>, Errno> {
    let flags = match thread_id {
        TidAddress::NONE => exit_signal.number(),
        _ => exit_signal.number() | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID,
    };
    // The thread-local storage is not used.
    let (fourth, fifth) = if CTID_BEFORE_TLS {
        (thread_id.0, 0)
    } else {
        (0, thread_id.0)
    };
    // SAFETY: without CLONE_VM the child has memory and a stack of its own. The kernel writes the thread id to
    // the child's memory, where the parent's id is.
    match unsafe { call!(Sysno::clone, flags, 0, 0, fourth, fifth) } {
        Ok(pid) => Ok(Pid::new(pid as i32)),
        // qemu's user-mode emulation supports no other exit signal.
        Err(Errno::EINVAL) if exit_signal == ExitSignal::None => fork(ExitSignal::Child, thread_id),
        Err(errno) => Err(errno),
    }
}

/// `exit_group(status)`—Ends the process. No atexit handler runs and no buffer is flushed: they belong to the
/// original.
pub fn exit(status: u8) -> ! {
    loop {
        // SAFETY: a number only. If a sandbox refuses the call, all that is left is to try again.
        let _ = unsafe { call!(Sysno::exit_group, status) };
    }
}

/// `setsid()`—Creates a session, and returns its id, which is the caller's pid.
pub(crate) fn setsid() -> Result<Pid, Errno> {
    // SAFETY: no arguments.
    let session = unsafe { call!(Sysno::setsid) }?;
    Pid::new(session as i32).ok_or(Errno::EINVAL)
}

/// `wait4(pid, status, options | __WALL, NULL)`—Waits for a child, again after `EINTR`. With `WNOHANG`, `None` if
/// the child has not ended.
fn wait_with(pid: Pid, options: u32) -> Result<Option<WaitStatus>, Errno> {
    let mut status: c_int = 0;
    loop {
        // SAFETY: the kernel writes an int to `status`, and nothing to a null rusage.
        let result = unsafe {
            call!(
                Sysno::wait4,
                pid.get(),
                &raw mut status,
                options | __WALL,
                0
            )
        };
        match result {
            Err(Errno::EINTR) => {}
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(WaitStatus::from_raw(status))),
            Err(errno) => return Err(errno),
        }
    }
}

/// `wait4(pid, status, __WALL, NULL)`—Waits until the child has ended, and reaps it.
pub(crate) fn waitpid(pid: Pid) -> Result<WaitStatus, Errno> {
    wait_with(pid, 0)?.ok_or(Errno::ECHILD)
}

/// `wait4(pid, status, WNOHANG | __WALL, NULL)`—Reaps the child if it has ended.
pub(crate) fn try_wait(pid: Pid) -> Result<Option<WaitStatus>, Errno> {
    wait_with(pid, WNOHANG)
}

/// `waitid(P_PID, child, info, WEXITED | WNOHANG | WNOWAIT)`—Whether the child, whose exit signal is SIGCHLD, has
/// ended. Does not reap it.
pub(crate) fn has_exited(child: Pid) -> bool {
    // A siginfo_t: the kernel writes a signal number to it if the child has ended.
    let mut info = [0_u64; 16];
    let options = WEXITED | WNOHANG | WNOWAIT;
    // SAFETY: the kernel writes a siginfo_t, which has 128 bytes.
    let told = unsafe {
        call!(
            Sysno::waitid,
            P_PID,
            child.get(),
            info.as_mut_ptr(),
            options
        )
    };
    told.is_ok() && info != [0; 16]
}

/// `setpgid(child, group)`—Fails if the child has executed a program.
///
/// Moving a child into its own group changes nothing. The kernel refuses even that with `EACCES` once the child
/// has executed (setpgid(2)). The answer needs no `/proc`, and is the same for a zombie. `EPERM` means that
/// the child leads a session of its own, which only its program creates. If a sandbox refuses the call, the
/// end of the close-on-exec pipe, after which it is made, has to be enough.
pub(crate) fn setpgid(child: Pid, group: Pid) -> Result<(), Errno> {
    // SAFETY: numbers only.
    unsafe { attempt!(Sysno::setpgid, child.get(), group.get()) }
}

/// `unshare(CLONE_THREAD)`—Fails with `EINVAL` if the process has other threads.
///
/// The flag has no effect. The kernel only checks that the process has one thread (unshare(2)).
pub(crate) fn check_single_threaded() -> Result<(), Errno> {
    // SAFETY: a number only, and one without an effect.
    unsafe { attempt!(Sysno::unshare, CLONE_THREAD) }
}

/// `execve(path, argv, envp)`—Executes a program. Returns only after an error. Both lists end at their first `None`.
pub(crate) fn execve(
    path: ThinCStr<'_>,
    argv: &[Option<ThinCStr<'_>>],
    envp: &[Option<ThinCStr<'_>>],
) -> Errno {
    if !matches!((argv, envp), ([.., None], [.., None])) {
        return Errno::EINVAL;
    }
    // SAFETY: the lists are arrays of C strings that end in a null pointer: that was just checked.
    match unsafe { call!(Sysno::execve, path.as_ptr(), argv.as_ptr(), envp.as_ptr()) } {
        Ok(_) => Errno::EINVAL,
        Err(errno) => errno,
    }
}
