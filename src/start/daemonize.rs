//! A program that becomes a daemon.

use super::context::{Context, Role, Shared};
use super::intermediate::daemon;
use super::original::start;
use super::plan::Plan;
use super::ready::Ready;
use super::threads::refuse_threads;
use crate::environment::Environment;
use crate::options::DaemonizeOptions;
use crate::protocol::{Errno, Error, ExitCode, Pid, Record, encode, failed};
use crate::sys::{self, ExitSignal, Fork, Forked, RawFd, SIGCHLD, SigAction, Thread};

/// Which process the caller of [`daemonize`] finds itself in.
#[derive(Debug)]
#[must_use]
pub enum Identity {
    /// The process that called. The daemon runs, with this pid. It belongs to init, or to the
    /// subreaper that is nearest above; should that be the caller itself, the caller reaps it.
    Original(Pid),
    /// The daemon.
    Daemon(Ready),
}

/// Turns the calling process into a daemon, with the defaults of [`DaemonizeOptions::new`].
///
/// # Errors
///
/// As [`DaemonizeOptions::daemonize`].
///
/// # Examples
///
/// ```no_run
/// use rawdaemon::Identity;
///
/// match rawdaemon::daemonize()? {
///     Identity::Original(pid) => println!("the daemon runs as {pid}"),
///     Identity::Daemon(ready) => {
///         // … open sockets, read the configuration …
///         let _ = ready.notify();
///         // … serve …
///     }
/// }
/// # Ok::<(), rawdaemon::Error>(())
/// ```
pub fn daemonize() -> Result<Identity, Error> {
    DaemonizeOptions::new().daemonize()
}

impl DaemonizeOptions<'_> {
    /// Turns the calling process into a daemon: forks, leads a new session, forks again, and does
    /// the steps of daemon(7) in the daemon.
    ///
    /// With [`foreground`](Self::foreground) it does the steps in the calling process, and returns as
    /// in the daemon. Otherwise it returns twice. In the original it returns when the daemon has said
    /// that it is ready, or is still alive after the timeout; with a timeout of zero, as soon as the
    /// daemon has done its steps. In the daemon it returns when all steps are done: that process has
    /// no controlling terminal and can get none, for it does not lead its session.
    ///
    /// The original's state is as before: its signal mask, its dispositions, its descriptors. The
    /// daemon has the original's memory, dispositions, signal mask and other descriptors. It has no
    /// file locks and no timers of the original's (fork(2)).
    ///
    /// # Errors
    ///
    /// In the original only. `Refused` when the daemon has said that it cannot start. `Threaded` when
    /// the process has other threads: of these the daemon would have none, and every lock that they
    /// hold for ever. Otherwise the step that failed, in
    /// which process it may have been, with the kernel's errno; or `DaemonDied`, with the exit
    /// status or the signal, when the daemon ended before the time was over; or `TimedOut`. Then
    /// the daemon has ended, and its pidfile is gone. What it had started itself is not looked for.
    /// `WaitFailed` is the exception: somebody has killed the process that knew.
    pub fn daemonize(&self) -> Result<Identity, Error> {
        refuse_threads()?;
        self.daemonize_self()
    }

    /// [`daemonize`](Self::daemonize) without the check for other threads.
    ///
    /// # Errors
    ///
    /// As [`daemonize`](Self::daemonize), `Threaded` excepted.
    ///
    /// # Safety
    ///
    /// The daemon has only the thread that called, and memory as it was at that moment. If the
    /// process has other threads, the caller must see to it that the daemon uses nothing that one
    /// of them may have been changing or holding a lock on: that includes the allocator, standard
    /// streams, and all that is not async-signal-safe (signal-safety(7)) until it executes or
    /// exits.
    #[allow(unsafe_code)]
    pub unsafe fn daemonize_unchecked(&self) -> Result<Identity, Error> {
        self.daemonize_self()
    }

    fn daemonize_self(&self) -> Result<Identity, Error> {
        let caller = Caller {
            thread: Thread::current(),
            child_action: sys::sigaction(SIGCHLD).map_err(failed(ExitCode::SignalsFailed))?,
        };
        match start(&Plan::for_caller(self), &caller, &mut |_| {})? {
            Fork::Parent(pid) => Ok(Identity::Original(pid)),
            Fork::Child(report) => Ok(Identity::Daemon(Ready::new(report, sys::getpid()))),
        }
    }
}

/// The calling process.
struct Caller {
    thread: Thread,
    /// Its action for SIGCHLD. The intermediate must not ignore the signal; the daemon may.
    child_action: SigAction,
}

impl Role for Caller {
    /// Its end of the report pipe.
    type Output = RawFd;

    fn thread(&self) -> Option<&Thread> {
        Some(&self.thread)
    }

    fn environment(&self) -> Environment<'_> {
        &[]
    }

    fn is_relative(&self, _: Environment<'_>) -> bool {
        false
    }

    /// The daemon is a copy of the original.
    fn create<M>(
        context: &Context<'_, Self>,
        watch: impl FnOnce(Result<Pid, Errno>) -> M,
    ) -> Fork<Forked<RawFd>, M> {
        let tid = context.shared.role.thread.tid_address;
        match sys::clone(ExitSignal::Child, tid, context, daemon) {
            Ok(Fork::Child(output)) => Fork::Child(output),
            Ok(Fork::Parent(daemon)) => Fork::Parent(watch(Ok(daemon))),
            Err(errno) => Fork::Parent(watch(Err(errno))),
        }
    }

    fn restore(context: &Context<'_, Self>) -> Result<(), Errno> {
        let Shared { role, verdict, .. } = context.shared;
        // The intermediate has closed the other end, and its number may be another descriptor's now.
        sys::close(verdict.writer);
        sys::close(context.report.reader);
        role.thread.restore()?;
        sys::set_sigaction(SIGCHLD, &role.child_action)
    }

    fn finish(&self, context: &Context<'_, Self>, _: &[u8], _: [RawFd; 2]) -> Result<RawFd, Error> {
        let report = context.report.writer;
        // The intermediate may be gone. In the foreground there is none.
        let _ = sys::write(report, &encode(&Record::SetUp));
        Ok(report)
    }
}
