//! The original: creates the intermediate, waits for it, and returns its verdict.
//!
//! ```text
//! original ──clone──▶ intermediate ──setsid, clone──▶ daemon
//!     ▲                  │      ▲                        │
//!     └── exit code ─────┘      └───── exit code ────────┘
//!         + verdict record             + report record
//! ```

use super::context::{Role, Shared};
use super::foreground;
use super::intermediate::{Intermediate, lead_directly};
use super::pipes::wait_for_verdict;
use super::plan::{Memory, Plan};
use super::progress::Progress;
use crate::options::{DaemonizeOptions, Readiness};
use crate::protocol::{Errno, Error, ExitCode, Nanoseconds, Pid, RECORD_SIZE, failed, outcome};
use crate::sys::{
    self, Child, End, ExitSignal, Fd, Fork, Forked, NO_FD, RawFd, SignalSet, Stack, clone_vm,
};

/// Starts a daemon.
///
/// All signals are blocked until the mask is put back: by the original when it begins to wait, and by
/// the daemon when it has taken its steps. No handler of the caller's runs in a child.
pub(super) fn start<R: Role>(
    plan: &Plan<'_>,
    role: &R,
    show: &mut dyn FnMut(Progress<'_>),
) -> Result<Fork<R::Output>, Error> {
    check_kept(plan.options)?;
    if plan.options.foreground {
        return foreground::take_steps(plan, role).map(Fork::Child);
    }
    // A stack waits when it is dropped until no process uses it.
    let daemon_stack = match plan.memory {
        Memory::Copied => Stack::none(),
        Memory::Shared => Stack::new(),
        Memory::SharedStopping => Stack::stopping(),
    };
    if let Some(outcome) = lead_directly(plan, role, &daemon_stack) {
        // The process is about to end, and no other uses the stack.
        core::mem::forget(daemon_stack);
        return outcome;
    }
    let stack = match role.thread() {
        Some(thread) if !thread.is_known() => Stack::none(),
        _ => Stack::new(),
    };
    let mask = sys::block_signals(SignalSet::ALL).map_err(failed(ExitCode::SignalsFailed))?;
    let verdict = match sys::pipe() {
        Ok(verdict) => verdict,
        Err(errno) => {
            let _ = sys::set_signal_mask(mask);
            return Err(failed(ExitCode::ChannelFailed)(errno));
        }
    };
    let shared = Shared {
        plan,
        role,
        verdict,
        stack: &daemon_stack,
    };
    let wait = |intermediate: Result<Pid, Errno>| {
        // It is closed even if `show` panics: then the intermediate sees that the original is gone.
        let reader = Fd::from_raw(verdict.reader);
        let unmasked = sys::set_signal_mask(mask).map_err(failed(ExitCode::SignalsFailed));
        let outcome = match intermediate {
            Ok(intermediate) => {
                let (record, ended) = wait_for_verdict(reader.raw(), intermediate, show);
                if ended.is_ok() {
                    stack.mark_released();
                }
                wait_for_daemon(&daemon_stack, &reader);
                outcome(record, ended)
            }
            Err(errno) => {
                sys::close(verdict.writer);
                Err(failed(ExitCode::FirstForkFailed)(errno))
            }
        };
        unmasked.and(outcome)
    };
    match clone_vm(&stack, ExitSignal::None, &Intermediate(&shared), wait) {
        Fork::Parent(outcome) => outcome.map(Fork::Parent),
        Fork::Child(daemon) => {
            let mask = if plan.options.reset_signals {
                SignalSet::NONE
            } else {
                mask
            };
            sys::set_signal_mask(mask).map_err(failed(ExitCode::SignalsFailed))?;
            Ok(Fork::Child(daemon.into_inner()))
        }
    }
}

impl<R: Role> Child for Intermediate<'_, R> {
    type Output = R::Output;

    fn run(&self) -> End<Forked<R::Output>> {
        self.lead_and_watch()
    }

    /// The original closes its copy of the intermediate's end, and so sees when the intermediate is gone.
    fn parent_started(&self) {
        sys::close(self.0.verdict.writer);
    }

    /// The original must not change until the daemon exists that is a copy of it.
    fn parent_may_return(&self) -> bool {
        let mut readable = [self.0.verdict.reader, NO_FD, NO_FD, NO_FD];
        self.0.plan.executes
            || sys::ppoll(&mut readable, CHECK_INTERVAL).is_ok() && readable != [NO_FD; 4]
    }
}

/// How often the original checks whether a process is gone.
const CHECK_INTERVAL: Nanoseconds = 100_000_000;

/// If the intermediate was killed, the daemon may still use its stack. It closes its end of the pipe when it
/// executes or ends, should the kernel not say so.
fn wait_for_daemon(stack: &Stack, reader: &Fd) {
    while stack.in_use() {
        let _ = sys::ppoll(&mut [reader.raw(), NO_FD, NO_FD, NO_FD], CHECK_INTERVAL);
        if sys::read(reader.raw(), &mut [0; RECORD_SIZE]) == Ok(0) {
            stack.mark_released();
        }
    }
}

/// Descriptors that are kept must be open: then no descriptor of this crate's can get their numbers. The
/// readiness pipe can neither lie there, nor be a standard stream.
fn check_kept(options: &DaemonizeOptions<'_>) -> Result<(), Error> {
    if matches!(options.readiness, Readiness::Descriptor(..3)) {
        return Err(failed(ExitCode::ChannelFailed)(Errno::EINVAL));
    }
    for fd in options.keep.unwrap_or_default() {
        let checked = match options.readiness {
            Readiness::Descriptor(number) if number == *fd => Err(Errno::EBUSY),
            _ => sys::fcntl_getfd(*fd as RawFd),
        };
        checked.map_err(|errno| Error::of_kept(errno, *fd as RawFd))?;
    }
    Ok(())
}
