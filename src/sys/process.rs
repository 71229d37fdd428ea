//! Processes: creating, watching, ending and replacing them.

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

/// How the part of a child ends.
#[derive(Debug)]
pub(crate) enum End<R> {
    /// The process exits with this status.
    Exit(u8),
    /// The process lives on and returns to the caller of [`clone`], with this.
    Return(R),
}

/// Who returns from [`clone`].
#[derive(Debug)]
pub(crate) enum Fork<R, P = Pid> {
    /// The process that called; by default with the pid of its child.
    Parent(P),
    /// A child that lives on.
    Child(R),
}

/// The signal that a child sends to its parent when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitSignal {
    /// None: no handler of the parent runs, an ignored SIGCHLD loses no status, and a wait for any
    /// child (without `__WALL`) does not see this one.
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

/// What a child has left that is a copy of its parent, and so may return to where that was.
#[derive(Debug)]
pub(crate) struct Forked<R>(R);

impl<R> Forked<R> {
    pub(crate) fn into_inner(self) -> R {
        self.0
    }
}

/// `clone(exit_signal, 0)`—Creates a process that runs `part`. Its thread id is put in its place, if
/// there is one.
///
/// The child has a copy of everything and shares nothing. Of the caller's threads it has only the
/// one that called: in a threaded program, `part` may make system calls and compute, but must not
/// touch what other threads may have had under a lock, and must not return.
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
    // SAFETY: without CLONE_VM the child has memory and a stack of its own. The kernel writes the
    // thread id to the child's memory, where there is one already.
    match unsafe { call!(Sysno::clone, flags, 0, 0, fourth, fifth) } {
        Ok(pid) => Ok(Pid::new(pid as i32)),
        // qemu's user-mode emulation knows no other exit signal.
        Err(Errno::EINVAL) if exit_signal == ExitSignal::None => fork(ExitSignal::Child, thread_id),
        Err(errno) => Err(errno),
    }
}

/// `exit_group(status)`—No atexit handler runs and no buffer is flushed: those belong to the
/// original.
pub fn exit(status: u8) -> ! {
    loop {
        // SAFETY: a number only. Should a sandbox refuse the call, there is nothing else to do than
        // to ask again.
        let _ = unsafe { call!(Sysno::exit_group, status) };
    }
}

/// `setsid()`—Gives the id of the new session, which is the caller's own pid.
pub(crate) fn setsid() -> Result<Pid, Errno> {
    // SAFETY: no arguments.
    let session = unsafe { call!(Sysno::setsid) }?;
    Pid::new(session as i32).ok_or(Errno::EINVAL)
}

/// `wait4(pid, status, options | __WALL, NULL)`, again after `EINTR`.
///
/// `None` with `WNOHANG`, as long as the child has not ended.
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

/// `wait4(pid, status, __WALL, NULL)`—Waits until this child has ended, and takes its status.
pub(crate) fn waitpid(pid: Pid) -> Result<WaitStatus, Errno> {
    wait_with(pid, 0)?.ok_or(Errno::ECHILD)
}

/// `wait4(pid, status, WNOHANG | __WALL, NULL)`—Takes the status of this child if it has ended.
pub(crate) fn try_wait(pid: Pid) -> Result<Option<WaitStatus>, Errno> {
    wait_with(pid, WNOHANG)
}

/// `waitid(P_PID, child, info, WEXITED | WNOHANG | WNOWAIT)`—Whether this child, which sends SIGCHLD, has
/// ended. Its status can still be taken.
pub(crate) fn has_exited(child: Pid) -> bool {
    // A siginfo_t: the kernel writes a signal to it if there is something to tell.
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

/// `setpgid(child, group)`—An error if this child has executed a program.
///
/// Putting a child into the group that it is in changes nothing, and the kernel refuses even that
/// with `EACCES` once the child has executed (setpgid(2)): an answer that needs no `/proc` and is
/// the same for a child that has already ended and was not waited for. `EPERM` comes when the child
/// has moved to a session of its own, which only its program does. Where a sandbox refuses the
/// question, the end of the close-on-exec pipe, which is when it is asked, has to be enough.
pub(crate) fn setpgid(child: Pid, group: Pid) -> Result<(), Errno> {
    // SAFETY: numbers only.
    unsafe { attempt!(Sysno::setpgid, child.get(), group.get()) }
}

/// `unshare(CLONE_THREAD)`—Whether the caller's process has other threads.
///
/// The flag has no effect; the kernel only checks that it could have one, which is so in a
/// single-threaded process (unshare(2)), and answers `EINVAL` otherwise.
pub(crate) fn check_single_threaded() -> Result<(), Errno> {
    // SAFETY: a number only, and one without an effect.
    unsafe { attempt!(Sysno::unshare, CLONE_THREAD) }
}

/// `execve(path, argv, envp)`—Returns only when it failed. Both lists end at their first `None`.
pub(crate) fn execve(
    path: ThinCStr<'_>,
    argv: &[Option<ThinCStr<'_>>],
    envp: &[Option<ThinCStr<'_>>],
) -> Errno {
    if !matches!((argv, envp), ([.., None], [.., None])) {
        return Errno::EINVAL;
    }
    // SAFETY: the lists are arrays of C strings that end in a null pointer, which has just been
    // checked.
    match unsafe { call!(Sysno::execve, path.as_ptr(), argv.as_ptr(), envp.as_ptr()) } {
        Ok(_) => Errno::EINVAL,
        Err(errno) => errno,
    }
}
