//! Sandboxes that answer a system call by a signal and not by an error.
//!
//! A filter of seccomp(2) may return SECCOMP_RET_TRAP, as Android's for apps does for every call that it does not
//! know. The kernel then sends the thread a SIGSYS in place of the call, and kills the process if it blocks or
//! ignores that signal. A handler decides what the call returns: here `ENOSYS`, as from a kernel without the
//! call, so that an older way is taken or the step fails.
//!
//! Dispositions belong to the whole process. So the processes that this crate creates have the handler, and so has
//! the command; the process of a program that uses the library keeps its own. Of the calls that it could do
//! without, `daemonize` makes those that [`trapped`] says are not trapped. The calls of pidfds, unshare(2),
//! close_range(2) in the foreground and, on 32 bits, those with 64-bit times end a process whose filter traps them.

use core::convert::Infallible;
use core::ffi::{c_int, c_void};
use core::mem::transmute;
use core::ops::Range;

use linux_raw_sys::errno::ENOSYS;
use linux_raw_sys::general::{
    _NSIG, SA_SIGINFO, SIG_UNBLOCK, SIGKILL, SIGSTOP, SIGSYS, SYS_SECCOMP,
};
use linux_raw_sys::prctl::PR_GET_SECCOMP;
use syscalls::Sysno;

use super::arch::{FAILURE_IN_CONTEXT, HANDLER_FLAGS, RESULT_IN_CONTEXT, cause, leave_handler};
use super::clone_vm::{Child, clone_vm};
use super::process::{End, ExitSignal, Fork, Forked, waitpid};
use super::signal::{
    SET_SIZE, SigAction, SignalSet, block_signals, reset_sigaction, set_sigaction, set_signal_mask,
    sigaction,
};
use super::stack::Stack;
use crate::protocol::Errno;

/// The kernel's signals: 1 to 64, and to 128 on mips.
const SIGNALS: Range<u32> = 1.._NSIG + 1;

/// A handler with SA_SIGINFO. The second argument begins with the number of the signal, an error number, and the
/// cause; on mips, the last two in the other order.
type Handler = unsafe extern "C" fn(c_int, *const [c_int; 3], *mut c_void);

/// `rt_sigaction(SIGSYS, handler, NULL, 8)` and `rt_sigprocmask(SIG_UNBLOCK, {SIGSYS}, NULL, 8)`—Makes a trapped
/// call fail with `ENOSYS`, until an exec or `restore_trap_action`.
pub fn catch_traps() {
    let mut action = SigAction::default();
    // SAFETY: with SA_SIGINFO the kernel passes three arguments.
    let handler = unsafe { transmute::<Handler, unsafe extern "C" fn(c_int)>(on_trap) };
    action.0.sa_handler_kernel = Some(handler);
    action.0.sa_flags = (SA_SIGINFO | HANDLER_FLAGS) as _;
    let _ = set_sigaction(SIGSYS, &action);
    let set = SignalSet::of(SIGSYS);
    // SAFETY: the kernel reads `SET_SIZE` bytes from `set`, and writes nothing through the null pointer.
    let _ = unsafe {
        call!(
            Sysno::rt_sigprocmask,
            SIG_UNBLOCK,
            &raw const set,
            0,
            SET_SIZE
        )
    };
}

/// The handler of SIGSYS. A signal that a process has sent is ignored: there is no call whose result could be set.
///
/// # Safety
///
/// Only the kernel may call this, as a [`Handler`].
unsafe extern "C" fn on_trap(_: c_int, info: *const [c_int; 3], context: *mut c_void) {
    // SAFETY: the kernel passes a siginfo_t, and a ucontext_t in which the register has this place.
    unsafe {
        if cause(&*info) == SYS_SECCOMP as c_int {
            let result = context.byte_add(RESULT_IN_CONTEXT);
            match FAILURE_IN_CONTEXT {
                None => result
                    .cast::<isize>()
                    .write((ENOSYS as isize).wrapping_neg()),
                Some((place, bits)) => {
                    result.cast::<u64>().write(ENOSYS.into());
                    *context.byte_add(place).cast::<u64>() |= bits;
                }
            }
        }
        leave_handler(context);
    }
}

/// Resets the disposition of every signal except SIGKILL and SIGSTOP, which always have the default, and SIGSYS,
/// which is caught: see [`catch_traps`].
pub(crate) fn reset_dispositions() -> Result<(), Errno> {
    for signal in SIGNALS {
        match signal {
            SIGKILL | SIGSTOP => {}
            SIGSYS => catch_traps(),
            _ => reset_sigaction(signal)?,
        }
    }
    Ok(())
}

/// `rt_sigaction(SIGSYS, NULL, _, 8)`—Returns the disposition of SIGSYS.
pub(crate) fn trap_action() -> Result<SigAction, Errno> {
    sigaction(SIGSYS)
}

/// `rt_sigaction(SIGSYS, action, NULL, 8)`—Restores the disposition of SIGSYS; without an action, resets it to the
/// default.
pub(crate) fn restore_trap_action(action: Option<&SigAction>) -> Result<(), Errno> {
    match action {
        Some(action) => set_sigaction(SIGSYS, action),
        None => reset_sigaction(SIGSYS),
    }
}

/// `prctl(PR_GET_SECCOMP)`—Returns which of these calls a filter traps. If there is one, a child tries the calls, with
/// arguments that no kernel accepts. A call that the kernel lacks then counts as trapped, and all do if there can be
/// no child.
pub(super) fn trapped<const N: usize>(calls: [Sysno; N]) -> [bool; N] {
    // A kernel without filters answers EINVAL. That a filter refuses the question is no answer.
    // SAFETY: the call takes no pointers.
    if let Ok(0) | Err(Errno::EINVAL) = unsafe { call!(Sysno::prctl, PR_GET_SECCOMP) } {
        return [false; N];
    }
    let Ok(mask) = block_signals(SignalSet::ALL) else {
        return [true; N];
    };
    let probe = Probe(&calls);
    let ended = clone_vm(&Stack::new(), ExitSignal::None, &probe, |probe| {
        probe.and_then(waitpid)
    });
    let _ = set_signal_mask(mask);
    let status = match ended {
        Fork::Parent(Ok(ended)) => ended.exit_status(),
        Fork::Parent(Err(_)) | Fork::Child(_) => None,
    };
    let mut bits = status.unwrap_or(u8::MAX);
    calls.map(|_| {
        let is_trapped = bits & 1 == 1;
        bits >>= 1;
        is_trapped
    })
}

/// A child that tries calls. Its exit status has a bit for each, which is set if the call is trapped.
struct Probe<'a>(&'a [Sysno]);

impl Child for Probe<'_> {
    type Output = Infallible;

    fn run(&self) -> End<Forked<Infallible>> {
        catch_traps();
        let mut status = 0;
        for call in self.0.iter().rev() {
            // SAFETY: no address, no process and no descriptor has the largest number, so the call fails.
            let tried = unsafe { call!(*call, usize::MAX, usize::MAX, usize::MAX, 0) };
            status = status << 1 | u8::from(tried == Err(Errno::ENOSYS));
        }
        End::Exit(status)
    }

    fn stops_parent(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use core::ffi::c_int;

    use syscalls::Sysno;

    use super::{SIGSYS, SYS_SECCOMP, catch_traps, restore_trap_action, trap_action, trapped};
    use crate::protocol::Errno;
    use crate::sys::getpid;
    use crate::sys::process::{End, ExitSignal, Fork, clone, waitpid};
    use crate::sys::tid::TidAddress;

    /// `rt_sigqueueinfo(getpid(), SIGSYS, info)`: the handler runs when this call returns.
    fn raise(cause: c_int) -> Result<u32, Errno> {
        let mut info = [0_i32; 32];
        info[0] = SIGSYS as c_int;
        info[2] = cause;
        // SAFETY: the kernel reads a siginfo_t of 128 bytes.
        unsafe {
            call!(
                Sysno::rt_sigqueueinfo,
                getpid().get(),
                SIGSYS,
                info.as_ptr()
            )
        }
    }

    #[test]
    fn the_handler_sets_the_result_of_a_trapped_call() {
        let in_child = |_: &()| {
            let before = trap_action().unwrap();
            catch_traps();
            let is_set = raise(SYS_SECCOMP as c_int) == Err(Errno::ENOSYS);
            let is_ignored = raise(0) == Ok(0);
            let is_restored = restore_trap_action(Some(&before)).is_ok();
            End::<()>::Exit(u8::from(!(is_set && is_ignored && is_restored)))
        };
        let child = clone(ExitSignal::Child, TidAddress::NONE, &(), in_child);
        let status = match child {
            Ok(Fork::Parent(child)) => waitpid(child).unwrap().exit_status(),
            _ => None,
        };
        assert_eq!(status, Some(0));
    }

    #[test]
    fn without_a_filter_nothing_is_trapped() {
        assert_eq!(trapped([Sysno::pidfd_open, Sysno::rseq]), [false; 2]);
    }
}
