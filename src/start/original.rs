//! The original: creates the intermediate, waits for its verdict, and returns it.
//!
//! ```text
//! original ──clone──▶ intermediate ──setsid, clone──▶ daemon
//!     ▲                  │      ▲                        │
//!     └── exit code ─────┘      └───── exit code ────────┘
//!         + verdict record             + report record
//! ```

use super::context::{Role, Shared};
use super::daemon_process::DaemonProcess;
use super::foreground;
use super::intermediate::{Intermediate, lead_directly};
use super::notify_folder::{NotifyFolder, VARIABLE_SIZE};
use super::pipes::{Until, wait_for_verdict, wait_until_released};
use super::plan::{Memory, Plan};
use super::progress::Show;
use super::readiness::remove_abandoned_socket;
use crate::options::{Readiness, Settings};
use crate::pidfile::{is_missing, remove_after_failure};
use crate::protocol::{
    Errno, Error, ErrorKind, Nanoseconds, Note, Pid, Subject, cannot_watch, failed, outcome,
};
use crate::sys::{
    self, Child, End, ExitSignal, Fd, Fork, Forked, NO_FD, RawFd, SignalSet, Stack, clone_vm,
};

/// Starts a daemon: in the foreground, without an intermediate, or with one, as the plan says.
pub(super) fn start<R: Role>(
    plan: &Plan<'_>,
    role: &R,
    show: Show<'_>,
) -> Result<Fork<R::Output, DaemonProcess>, Error> {
    check_descriptors(plan.options)?;
    if plan.options.foreground {
        return foreground::take_steps(plan, role).map(Fork::Child);
    }
    let daemon_stack = match plan.memory {
        Memory::Copied => Stack::none(),
        Memory::Shared | Memory::SharedStopping => Stack::new(),
    };
    if let Some(outcome) = lead_directly(plan, role, &daemon_stack) {
        // This process is about to end: do not wait, and leave the stack to the kernel.
        core::mem::forget(daemon_stack);
        return outcome;
    }
    start_intermediate(plan, role, daemon_stack, show)
}

/// The stacks of the two children. Dropping them waits until no process uses them.
struct Stacks {
    daemon: Stack,
    intermediate: Stack,
}

impl Drop for Stacks {
    /// The daemon uses the intermediate's frames, too.
    fn drop(&mut self) {
        self.daemon.wait_until_released();
        if self.daemon.is_leaked() {
            self.intermediate.leak();
        }
    }
}

/// Creates the intermediate and waits for its verdict.
///
/// All signals are blocked before the clone, so no handler of the caller runs in a child. The original
/// restores the mask before it waits, and the daemon after its steps.
fn start_intermediate<R: Role>(
    plan: &Plan<'_>,
    role: &R,
    daemon: Stack,
    show: Show<'_>,
) -> Result<Fork<R::Output, DaemonProcess>, Error> {
    let intermediate = match role.thread() {
        Some(thread) if !thread.is_known() => Stack::none(),
        _ => Stack::new(),
    };
    let stacks = Stacks {
        daemon,
        intermediate,
    };
    // Nothing can replace this call: if a policy refuses it, the start fails here.
    match sys::ppoll(&mut [NO_FD; 4], 0) {
        Ok(()) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(cannot_watch(errno)),
    }
    let mask = sys::block_signals(SignalSet::ALL).map_err(failed(ErrorKind::SignalsFailed))?;
    let verdict = match sys::pipe() {
        Ok(verdict) => verdict,
        Err(errno) => {
            let _ = sys::set_signal_mask(mask);
            return Err(failed(ErrorKind::ChannelFailed)(errno));
        }
    };
    let shared = Shared {
        plan,
        role,
        may_setpgid: false,
        is_new: is_missing(plan.options),
        folder: NotifyFolder::new(plan, role.environment()),
        verdict,
        supervision: None,
        stack: &stacks.daemon,
    };
    let wait = |intermediate: Result<Pid, Errno>| {
        // Closed even if `show` panics: the intermediate then takes the original for dead.
        let reader = Fd::from_raw(verdict.reader);
        let restored = sys::set_signal_mask(mask);
        let outcome = match intermediate {
            Ok(intermediate) => {
                // If nothing holds up the start, the intermediate ends right after its verdict: to be woken once is
                // enough. Otherwise the verdict wakes the original while the intermediate ends.
                let until = match (&show, plan.memory) {
                    (None, Memory::SharedStopping) => Until::End,
                    _ => Until::VerdictAndEnd,
                };
                let (record, ended) = wait_for_verdict(reader.raw(), intermediate, until, show);
                if ended.is_ok() {
                    stacks.intermediate.mark_released();
                }
                // The daemon still uses the memory if the intermediate was killed.
                wait_until_released(&stacks.daemon, reader.raw());
                wait_until_released(&stacks.intermediate, reader.raw());
                let is_killed = ended.is_ok_and(|status| status.terminating_signal().is_some());
                if is_killed {
                    remove_abandoned_socket(plan.readiness);
                    let mut variable = [0; VARIABLE_SIZE];
                    shared.folder.make_or_remove(NO_FD, &mut variable);
                }
                match outcome(record, ended) {
                    Ok(pid) => Ok(DaemonProcess {
                        pid,
                        session: intermediate,
                    }),
                    // It has removed nothing.
                    Err(mut error) if is_killed && record.is_none() => {
                        if plan.options.directory(0).is_some() {
                            error = error.with(Note::FileLeft);
                        }
                        let is_new = shared.is_new;
                        Err(remove_after_failure(plan.options, None, error, is_new))
                    }
                    Err(error) => Err(error),
                }
            }
            Err(errno) => {
                sys::close(verdict.writer);
                Err(failed(ErrorKind::FirstForkFailed)(errno))
            }
        };
        if restored.is_err() {
            // The outcome is known and counts. No policy refuses this call once only.
            let _ = sys::set_signal_mask(mask);
        }
        outcome
    };
    match clone_vm(
        &stacks.intermediate,
        ExitSignal::None,
        &Intermediate(&shared),
        wait,
    ) {
        Fork::Parent(outcome) => {
            if plan.options.ends_after {
                // The end of this process unmaps them.
                core::mem::forget(stacks);
            }
            outcome.map(Fork::Parent)
        }
        Fork::Child(daemon) => {
            let mask = if plan.options.reset_signals {
                SignalSet::NONE
            } else {
                mask
            };
            let output = daemon.into_inner();
            R::begin(&output, sys::set_signal_mask(mask));
            Ok(Fork::Child(output))
        }
    }
}

impl<R: Role> Child for Intermediate<'_, R> {
    type Output = R::Output;

    fn run(&self) -> End<Forked<R::Output>> {
        self.lead_and_watch()
    }

    /// Closes the original's copy of the write end, so that the original reads end of file if the
    /// intermediate is killed.
    fn parent_started(&self) {
        sys::close(self.0.verdict.writer);
    }

    /// The daemon of `daemonize` is a copy of the original, which must not continue before that copy
    /// exists.
    fn parent_may_return(&self) -> bool {
        let mut readable = [self.0.verdict.reader, NO_FD, NO_FD, NO_FD];
        self.0.plan.executes
            || sys::ppoll(&mut readable, CHECK_INTERVAL).is_ok() && readable != [NO_FD; 4]
    }
}

/// How often the original checks whether a process has ended.
const CHECK_INTERVAL: Nanoseconds = 100_000_000;

/// Checks that every descriptor to keep is open, so that none of this crate's own gets its number, that the
/// notification fd is none of them, and that the descriptors for standard streams are open.
pub(crate) fn check_descriptors(options: &Settings<'_>) -> Result<(), Error> {
    for fd in options.keep.unwrap_or_default() {
        let checked = match options.readiness {
            Readiness::Descriptor(number) if number == *fd => Err(Errno::EBUSY),
            _ => sys::fcntl_getfd(*fd as RawFd),
        };
        checked.map_err(|errno| Error::of_descriptor(ErrorKind::CloseFailed, errno, *fd))?;
    }
    let subjects = [Subject::Stdin, Subject::Stdout, Subject::Stderr];
    for (index, subject) in (0..).zip(subjects) {
        if let Some(fd) = options.stream(index).fd() {
            let checked = sys::fcntl_getfd(fd as RawFd);
            checked.map_err(|errno| failed(ErrorKind::OpenFailed)(errno).about(subject))?;
        }
    }
    Ok(())
}
