//! Processes: creation, exit, waiting and execution.

use core::ffi::c_int;

use linux_raw_sys::general::{
    __WALL, CLD_DUMPED, CLD_EXITED, CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_THREAD, P_ALL,
    P_PID, SIGCHLD, WEXITED, WNOHANG, WNOWAIT, WSTOPPED,
};
use linux_raw_sys::prctl::{PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG};
use syscalls::Sysno;

use super::arch;
use super::c_str::ThinCStr;
use super::c_strings::CStrings;
use super::fd::RawFd;
use super::tid::TidAddress;
use crate::protocol::{Errno, Pid, WaitStatus};

/// The outcome of the function that a child runs.
#[derive(Debug)]
pub(crate) enum End<R> {
    /// The process exits with this status.
    Exit(u8),
    /// The process returns from [`clone`] with this value.
    Return(R),
}

/// The process that returns from [`clone`].
#[derive(Debug)]
pub(crate) enum Fork<R, P = Pid> {
    /// The parent; by default with the pid of its child.
    Parent(P),
    /// The child, if its function returned [`End::Return`].
    Child(R),
}

/// The signal that a child sends to its parent when it terminates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitSignal {
    /// No signal. No handler runs in the parent, the status stays available even if SIGCHLD is ignored, and a
    /// wait for any child ignores this one unless it uses `__WALL`.
    None,
    /// SIGCHLD, as fork(2) does.
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

/// The value that a child returns. Only [`clone`] makes one, so it proves that the process has its own copy of
/// the parent's memory and may return to the parent's caller.
#[derive(Debug)]
pub(crate) struct Forked<R>(R);

impl<R> Forked<R> {
    pub(crate) fn into_inner(self) -> R {
        self.0
    }
}

/// `clone(exit_signal, NULL)`—Creates a process that runs `child_main`. Unless `tid` is [`TidAddress::NONE`],
/// the kernel writes the child's thread id there, in the memory of the child (CLONE_CHILD_SETTID).
///
/// The child has a copy of the caller's memory, and of its threads only the calling one. In a multithreaded
/// program, `child_main` may compute and make system calls, but it must not use data that another thread may
/// have locked, and it must not return [`End::Return`].
pub(crate) fn clone<T, R>(
    exit_signal: ExitSignal,
    tid: TidAddress,
    data: &T,
    child_main: fn(&T) -> End<R>,
) -> Result<Fork<Forked<R>>, Errno> {
    match fork(exit_signal, tid)? {
        None => match child_main(data) {
            End::Exit(status) => exit(status),
            End::Return(value) => Ok(Fork::Child(Forked(value))),
        },
        Some(child) => Ok(Fork::Parent(child)),
    }
}

/// The system call of [`clone`]. Returns the pid of the child in the parent, and `None` in the child.
fn fork(exit_signal: ExitSignal, tid: TidAddress) -> Result<Option<Pid>, Errno> {
    let flags = match tid {
        TidAddress::NONE => exit_signal.number(),
        _ => exit_signal.number() | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID,
    };
    let [first, second] = arch::clone_arguments(flags);
    // Architectures differ in which of the last two has the id. The other one is for CLONE_SETTLS, which is not set.
    // SAFETY: without CLONE_VM the child gets a copy of the memory and of the stack. The kernel writes the
    // thread id only to the child's copy, to an address that already holds one.
    match unsafe { call!(Sysno::clone, first, second, 0, tid.0, tid.0) } {
        Ok(pid) => Ok(Pid::new(pid as i32)),
        // qemu's user-mode emulation supports no other exit signal.
        Err(Errno::EINVAL) if exit_signal == ExitSignal::None => fork(ExitSignal::Child, tid),
        Err(errno) => Err(errno),
    }
}

/// `exit_group(status)`—Terminates the process. Runs no atexit handlers and flushes no buffers, which belong
/// to the original.
pub(crate) fn exit(status: u8) -> ! {
    loop {
        // The call fails only if a sandbox refuses it. The process cannot go on, so it tries again.
        // SAFETY: the call takes no pointers.
        let _ = unsafe { call!(Sysno::exit_group, status) };
    }
}

/// `setsid()`—Creates a session, and returns its id, which is the caller's pid.
///
/// `EPERM` if the caller leads a process group.
pub(crate) fn setsid() -> Result<Pid, Errno> {
    // SAFETY: the call takes no arguments.
    let session = unsafe { call!(Sysno::setsid) }?;
    Pid::new(session as i32).ok_or(Errno::EINVAL)
}

/// `wait4(pid, _, options, NULL)`—Waits for a child, or for any child, and reaps it. Retries after `EINTR`.
///
/// `None` if the options include `WNOHANG` and no child has ended. `ECHILD` if it is not a child of the
/// caller, or no longer, and its status is not known.
fn wait4(pid: Option<Pid>, options: u32) -> Result<Option<(i32, WaitStatus)>, Errno> {
    loop {
        let result = match arch::wait4(pid.map_or(-1, Pid::get), options) {
            // A policy may refuse this call and not waitid(2), which reaps as well.
            Err(errno) if errno.is_refusal() => {
                waitid(pid, WEXITED | options).map_err(|other| match other {
                    Errno::EINTR | Errno::ECHILD => other,
                    _ => errno,
                })
            }
            result => result,
        };
        if result != Err(Errno::EINTR) {
            return Ok(result?.map(|(pid, word)| (pid, WaitStatus::from_raw(word))));
        }
    }
}

/// `wait4(pid, _, __WALL, NULL)`—Waits until a child has ended, and reaps it.
pub(crate) fn waitpid(pid: Pid) -> Result<WaitStatus, Errno> {
    let (_, status) = wait4(Some(pid), __WALL)?.ok_or(Errno::ECHILD)?;
    Ok(status)
}

/// `wait4(pid, _, WNOHANG | __WALL, NULL)`—Reaps a child if it has ended.
pub(crate) fn try_wait(pid: Pid) -> Result<Option<WaitStatus>, Errno> {
    let reaped = wait4(Some(pid), WNOHANG | __WALL)?;
    Ok(reaped.map(|(_, status)| status))
}

/// `wait4(-1, _, WNOHANG, NULL)`—Reaps any child that has ended, and returns its pid.
///
/// `ECHILD` if there is no child whose exit signal is SIGCHLD. Others are not reaped.
pub(crate) fn try_wait_any() -> Result<Option<(Pid, WaitStatus)>, Errno> {
    let reaped = wait4(None, WNOHANG)?;
    Ok(reaped.and_then(|(pid, status)| Some((Pid::new(pid)?, status))))
}

/// `waitid(P_PID, child, _, WEXITED | WNOHANG | WNOWAIT)`—Returns whether a child has ended, without reaping
/// it. Finds only children whose exit signal is SIGCHLD.
pub(crate) fn has_exited(child: Pid) -> Result<bool, Errno> {
    Ok(waitid(Some(child), WEXITED | WNOHANG | WNOWAIT)?.is_some())
}

/// `waitid(P_PID, child, _, WSTOPPED | WNOHANG)`—Returns whether a child has been stopped since the last call.
pub(crate) fn has_stopped(child: Pid) -> bool {
    matches!(waitid(Some(child), WSTOPPED | WNOHANG), Ok(Some(_)))
}

/// `waitid(P_PID, child, _, options)` or `waitid(P_ALL, 0, _, options)`—Returns the pid and the status word of a
/// child, as wait4(2) does, if one is in the state that the options name.
fn waitid(child: Option<Pid>, options: u32) -> Result<Option<(i32, c_int)>, Errno> {
    // A siginfo_t, as words. They stay zeros if no child is in this state.
    let mut info = [0; 32];
    let (kind, id) = child.map_or((P_ALL, 0), |child| (P_PID, child.get()));
    // SAFETY: the kernel writes a siginfo_t of 128 bytes to `info`, which has that size.
    unsafe { call!(Sysno::waitid, kind, id, info.as_mut_ptr(), options) }?;
    let (code, pid, status) = arch::code_and_status(&info);
    Ok(match code as u32 {
        0 => None,
        CLD_EXITED => Some((pid, status.wrapping_shl(8))),
        CLD_DUMPED => Some((pid, status | 0x80)),
        _ => Some((pid, status)),
    })
}

/// `setpgid(0, 0)`—Makes the caller the leader of a process group.
///
/// `EPERM` if the caller leads a session.
pub(crate) fn lead_group() -> Result<(), Errno> {
    // SAFETY: the call takes no pointers.
    unsafe { attempt!(Sysno::setpgid, 0, 0) }
}

/// `setpgid(child, child)`—Checks that a child, which makes itself the leader of a process group, has not executed
/// a program.
///
/// `EACCES` once the child has executed a program (setpgid(2)), even if it has ended since and has not been
/// reaped. `EPERM` if the child has moved to a session of its own, which only its program does. A policy may
/// refuse the call with any error: [`may_setpgid`] tells.
pub(crate) fn setpgid(child: Pid) -> Result<(), Errno> {
    // SAFETY: the call takes no pointers.
    unsafe { attempt!(Sysno::setpgid, child.get(), child.get()) }
}

/// `setpgid(0, getpgid(0))`—Checks that no policy, such as that of a sandbox, refuses the call. It changes nothing.
///
/// For a process that leads no session: to others, the kernel itself refuses it.
pub(crate) fn may_setpgid() -> bool {
    // SAFETY: the calls take no pointers.
    let group = unsafe { call!(Sysno::getpgid, 0) };
    // 0 is a group of another pid namespace, and would mean a new group.
    group.is_ok_and(|group| {
        // SAFETY: as before.
        group != 0 && unsafe { attempt!(Sysno::setpgid, 0, group) }.is_ok()
    })
}

/// `prctl(PR_SET_CHILD_SUBREAPER, 1)`—Makes the caller the parent of its descendants whose own parents end.
///
/// Since Linux 3.4. `EINVAL` before that.
pub(crate) fn set_child_subreaper() -> Result<(), Errno> {
    // SAFETY: this operation takes no pointers.
    unsafe { attempt!(Sysno::prctl, PR_SET_CHILD_SUBREAPER, 1, 0) }
}

/// `prctl(PR_SET_PDEATHSIG, signal)`—Sets the signal that the caller gets when its parent ends.
///
/// A change of the user or the group clears it, and so does the exec of a set-user-ID program (prctl(2)). A parent
/// that has ended before sends none.
pub(crate) fn set_pdeathsig(signal: u8) -> Result<(), Errno> {
    // SAFETY: this operation takes no pointers.
    unsafe { attempt!(Sysno::prctl, PR_SET_PDEATHSIG, signal, 0) }
}

/// `unshare(CLONE_THREAD)`—Checks that the process has only one thread. The call changes nothing (unshare(2)).
///
/// `EINVAL` if there are other threads. Before Linux 4.3, `EINVAL` also if another process uses this memory.
pub(crate) fn check_single_threaded() -> Result<(), Errno> {
    // SAFETY: the call takes no pointers, and this flag has no effect.
    unsafe { attempt!(Sysno::unshare, CLONE_THREAD) }
}

/// `execveat(directory, path, argv, envp, 0)`—Executes a program whose path is relative to this directory. Returns only
/// if that fails. `ENOENT` for a script if the descriptor is close-on-exec: its interpreter could not open it.
///
/// Since Linux 3.19. `ENOSYS` before that.
pub(crate) fn execveat(
    directory: RawFd,
    path: ThinCStr<'_>,
    argv: CStrings<'_>,
    envp: CStrings<'_>,
) -> Errno {
    let (argv, envp) = (argv.as_ptr(), envp.as_ptr());
    // SAFETY: as for `execve`.
    match unsafe { call!(Sysno::execveat, directory, path.as_ptr(), argv, envp, 0) } {
        Ok(_) => Errno::EINVAL,
        Err(errno) => errno,
    }
}

/// `execve(path, argv, envp)`—Executes a program. Returns only if that fails.
pub(crate) fn execve(path: ThinCStr<'_>, argv: CStrings<'_>, envp: CStrings<'_>) -> Errno {
    // SAFETY: the kernel reads the C string `path` and two arrays of C strings, which end in null pointers.
    match unsafe { call!(Sysno::execve, path.as_ptr(), argv.as_ptr(), envp.as_ptr()) } {
        Ok(_) => Errno::EINVAL,
        Err(errno) => errno,
    }
}
