//! What the processes of a start share, and the [`Role`] that sets a program and a command apart.

use super::notify_folder::NotifyFolder;
use super::plan::Plan;
use super::readiness::NotifyEnd;
use crate::protocol::{Errno, Error, Pid, Record, encode};
use crate::sys::{self, CStrings, Fork, Forked, NO_FD, Pipe, RawFd, SignalSet, Stack, Thread};

/// The directory against which relative paths of a command are resolved.
#[derive(Clone, Copy)]
pub(super) struct WorkingDirectory<'a> {
    /// Its path; empty if none of the command's paths is relative.
    pub(super) path: &'a [u8],
    /// The directory itself, if it has no path that fits into a buffer: it was removed, or lies deeper than `PATH_MAX`.
    /// Otherwise [`WORKING_DIRECTORY`](sys::WORKING_DIRECTORY).
    pub(super) fd: RawFd,
}

/// The program that becomes a daemon: the caller, or a command. This trait has the differences in
/// behaviour; the [`Plan`] has those that are values.
pub(super) trait Role: Sized {
    /// The value that the daemon returns after its steps.
    type Output;

    /// The calling thread, if it continues in the daemon.
    fn thread(&self) -> Option<&Thread>;

    /// The command's environment; empty for a program.
    fn environment(&self) -> CStrings<'_>;

    /// Whether the search for the command in this environment may try a relative path.
    fn is_relative(&self, environment: CStrings<'_>) -> bool;

    /// Creates the daemon, and runs `watch` in the calling process.
    fn create<M>(
        context: &Context<'_, Self>,
        watch: impl FnOnce(Result<Pid, Errno>) -> M,
    ) -> Fork<Forked<Self::Output>, M>;

    /// Runs the program's action, if it has one.
    fn run_action(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Restores in the daemon state of the caller that clone(2) does not pass on.
    fn restore(context: &Context<'_, Self>) -> Result<(), Errno>;

    /// Completes a successful start, after the last step: executes the command.
    fn finish(
        &self,
        context: &Context<'_, Self>,
        working_directory: WorkingDirectory<'_>,
        locks: [RawFd; 2],
    ) -> Result<Self::Output, Error>;

    /// Reports that the daemon begins, with its signal mask, to the intermediate. Ends the process if it cannot.
    fn begin(output: &Self::Output, masked: Result<(), Errno>);
}

/// A start by a supervisor, which takes the place of original and intermediate: what it has for its daemons.
#[derive(Clone, Copy)]
pub(crate) struct SupervisedStart {
    /// The pid of the supervisor.
    pub(crate) pid: Pid,
    /// The pidfile and the lock file, which it has locked.
    pub(crate) locks: [RawFd; 2],
    /// Whether the daemon has run before: its output files are not emptied again.
    pub(crate) is_restart: bool,
    /// The process that writes the log, which is a child of the supervisor.
    pub(crate) logger: Option<Pid>,
    /// Whether the daemon gets the terminal.
    pub(crate) has_terminal: bool,
    /// The signals that abandon a start.
    pub(crate) abandoning: SignalSet,
    /// The signal that the daemon gets when the supervisor ends; 0 for none.
    pub(crate) death_signal: u8,
}

/// The data that all three processes share.
pub(super) struct Shared<'a, R> {
    pub(super) plan: &'a Plan<'a>,
    pub(super) role: &'a R,
    /// The verdict pipe, from the intermediate to the original.
    pub(super) verdict: Pipe,
    /// Whether setpgid(2) can be asked whether the daemon has executed its command. If a policy refuses it, the
    /// daemon reports the end of its steps.
    pub(super) may_setpgid: bool,
    /// Whether the pidfile did not exist before.
    pub(super) is_new: bool,
    /// The folder of the notification socket.
    pub(super) folder: NotifyFolder<'a>,
    /// What the supervisor has, if there is one.
    pub(super) supervision: Option<SupervisedStart>,
    /// The stack for a daemon that shares its parent's memory until it executes the command.
    pub(super) stack: &'a Stack,
}

/// The size of [`Context::internal_fds`].
pub(super) const INTERNAL_FDS: usize = 5;

/// The data that only the intermediate and the daemon share.
pub(super) struct Context<'a, R> {
    pub(super) shared: &'a Shared<'a, R>,
    /// The report pipe, from the daemon to the intermediate.
    pub(super) report: Pipe,
    pub(super) notify: NotifyEnd,
    pub(super) environment: CStrings<'a>,
    /// The lowest descriptor that may be closed.
    pub(super) first_fd: RawFd,
    /// This crate's descriptors, which stay open when the inherited ones are closed; [`NO_FD`] in unused
    /// slots.
    pub(super) internal_fds: [RawFd; INTERNAL_FDS],
}

impl<R> Context<'_, R> {
    /// Whether the intermediate is alive: if it was killed, no process reports the outcome of this start.
    /// True without an intermediate.
    #[inline(never)]
    pub(super) fn is_watched(&self) -> bool {
        match self.shared.supervision {
            Some(supervision) => sys::getppid() == Some(supervision.pid),
            None if self.shared.verdict.writer == NO_FD => true,
            // A refused call is no answer.
            None => sys::getsid(None).map_or(true, |leader| sys::getppid() == leader),
        }
    }

    /// Reports that only the exec follows, if the intermediate cannot ask whether it has happened.
    #[inline(never)]
    pub(super) fn announces_exec(&self) -> bool {
        self.shared.may_setpgid
            || sys::write(self.report.writer, &encode(&Record::Executes)).is_ok()
    }
}

/// A daemon whose start is a success.
pub(super) struct Watched {
    pub(super) daemon: Pid,
    /// The daemon, or the process that it has named by `MAINPID=`, and the pidfd of that.
    pub(super) main: Pid,
    pub(super) main_end: RawFd,
}
