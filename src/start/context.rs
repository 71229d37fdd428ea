//! What the processes of a start know of it.

use super::plan::Plan;
use super::readiness::NotifyEnd;
use crate::environment::Environment;
use crate::protocol::{Errno, Error, Pid};
use crate::sys::{self, Fork, Forked, NO_FD, Pipe, RawFd, Stack, Thread};

/// What becomes a daemon, the calling process or a command, as far as only code can tell them apart. The
/// rest of the difference is in the [`Plan`].
pub(super) trait Role: Sized {
    /// What a daemon returns with when it has taken its steps.
    type Output;

    /// The thread that goes on in the daemon.
    fn thread(&self) -> Option<&Thread>;

    /// The environment of a command.
    fn environment(&self) -> Environment<'_>;

    /// Whether a path that the command may have is relative, in this environment.
    fn is_relative(&self, environment: Environment<'_>) -> bool;

    /// Creates the daemon. Runs `watch` in the calling process.
    fn create<M>(
        context: &Context<'_, Self>,
        watch: impl FnOnce(Result<Pid, Errno>) -> M,
    ) -> Fork<Forked<Self::Output>, M>;

    /// Gives the daemon what the caller had before the start and a clone does not pass on.
    fn restore(context: &Context<'_, Self>) -> Result<(), Errno>;

    /// What follows the steps: success.
    fn finish(
        &self,
        context: &Context<'_, Self>,
        working_directory: &[u8],
        locks: [RawFd; 2],
    ) -> Result<Self::Output, Error>;
}

/// What all three processes know.
pub(super) struct Shared<'a, R> {
    pub(super) plan: &'a Plan<'a>,
    pub(super) role: &'a R,
    /// From the intermediate to the original.
    pub(super) verdict: Pipe,
    /// The stack that a daemon which shares the memory runs on until it executes.
    pub(super) stack: &'a Stack,
}

/// How many descriptors of this crate's own the steps keep open.
pub(super) const OWN: usize = 5;

/// What the intermediate and the daemon know besides.
pub(super) struct Context<'a, R> {
    pub(super) shared: &'a Shared<'a, R>,
    /// From the daemon to the intermediate.
    pub(super) report: Pipe,
    pub(super) notify: NotifyEnd,
    pub(super) environment: Environment<'a>,
    /// The descriptors that stay open, though the caller has not asked for it.
    pub(super) own: [RawFd; OWN],
}

impl<R> Context<'_, R> {
    /// Whether the process that leads the session still lives. If it was killed, no process would report
    /// the outcome of this start. Where the original leads the session itself, this does not matter.
    pub(super) fn is_watched(&self) -> bool {
        self.shared.verdict.writer == NO_FD || sys::getppid() == sys::getsid(None)
    }
}
