//! `daemonize`: a program that becomes a daemon.

use core::cell::Cell;

use super::callback::{Callback, refuse_within_callback};
use super::context::{Context, Role, Shared, WorkingDirectory};
use super::daemon_process::DaemonProcess;
use super::intermediate::run_daemon;
use super::look_up::LookUp;
use super::original::start;
use super::plan::Plan;
use super::ready::Ready;
use super::threads::refuse_threads;
use crate::options::DaemonizeOptions;
use crate::protocol::{Cause, Errno, Error, ErrorKind, Pid, Record, encode, failed};
use crate::sys::{self, CStrings, ExitSignal, Fork, Forked, RawFd, SIGCHLD, SigAction, Thread};

/// The process in which [`daemonize`] has returned.
#[derive(Debug)]
#[must_use]
pub enum Identity {
    /// The calling process. This daemon runs.
    Original(DaemonProcess),
    /// The daemon.
    Daemon(Ready),
}

/// Turns the calling process into a daemon, with the defaults of [`DaemonizeOptions::new`].
///
/// # Errors
///
/// See [`DaemonizeOptions::daemonize`].
///
/// # Examples
///
/// ```no_run
/// use rawdaemon::Identity;
///
/// match rawdaemon::daemonize()? {
///     Identity::Original(daemon) => println!("the daemon runs as {}", daemon.pid()),
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
    /// Turns the calling process into a daemon: forks, creates a new session, forks again, and takes the
    /// steps of daemon(7) in the daemon.
    ///
    /// This returns twice:
    ///
    /// - In the original, when the daemon reports that it is ready, or is still alive after the
    ///   [`timeout`](Self::timeout). With a timeout of zero, it returns as soon as the daemon has taken
    ///   its steps; with [`require_ready`](Self::require_ready), only when the daemon is ready.
    /// - In the daemon, when all steps are taken. The daemon has no controlling terminal and cannot
    ///   acquire one, because it is not a session leader.
    ///
    /// With [`foreground`](Self::foreground) it takes the steps in the calling process, and returns once,
    /// as in the daemon.
    ///
    /// The original's signal mask, dispositions and descriptors are unchanged. Unless the options say
    /// otherwise, the daemon inherits the original's memory, dispositions, signal mask and descriptors
    /// above 2. It inherits neither record locks nor timers (fork(2)).
    ///
    /// # Errors
    ///
    /// Errors are returned in the original only; in the foreground, to the caller.
    ///
    /// - `Threaded`: the process has other threads. The daemon would not have them, and the locks that
    ///   they hold would stay locked.
    /// - `Refused`: the daemon reported that it cannot start ([`Ready::fail`]), or, with
    ///   [`require_ready`](Self::require_ready), dropped its [`Ready`].
    /// - `DaemonDied`, with the exit status or the signal: the daemon ended before the start was a
    ///   success.
    /// - `TimedOut`: the daemon was not ready, or had not taken its steps, before the timeout expired.
    /// - `WaitFailed`: the original lost track of the intermediate, usually because another process
    ///   killed it.
    /// - `Usage`: an option has an invalid value. Nothing was started.
    /// - Any other kind: the step that failed, in whichever process, with the errno.
    ///
    /// After an error the daemon and the rest of its process group have ended, and its pidfile is removed. The
    /// message says so if that has failed. After `WaitFailed` the daemon may still run.
    pub fn daemonize(&self) -> Result<Identity, Error> {
        refuse_threads()?;
        self.daemonize_self(None)
    }

    /// [`daemonize`](Self::daemonize), with an action that needs the privileges of the caller.
    ///
    /// The action runs in the daemon when its files are open and locked, before it changes its root directory
    /// and its user, and before the pidfile is written. What it returns is returned in the daemon, always, and
    /// `None` in the original. If it returns an error, the start fails with `Refused` and this cause.
    ///
    /// The action cannot start another daemon: such a start fails with `FirstForkFailed` and `EDEADLK`.
    ///
    /// The daemon is then already in the new session. Files and sockets can also be opened before the call:
    /// they stay open, except those that [`close_fds`](Self::close_fds) closes.
    ///
    /// ```no_run
    /// use rawdaemon::{DaemonizeOptions, Errno, Identity};
    /// use std::net::TcpListener;
    ///
    /// let options = DaemonizeOptions::new().user(c"www-data");
    /// let started = options.daemonize_with(|| {
    ///     // With the feature `std`, an `io::Error` is a cause, too: `Ok::<_, std::io::Error>(listener)`.
    ///     let listener = TcpListener::bind("0.0.0.0:80").map_err(|_| Errno::EADDRINUSE)?;
    ///     Ok::<_, Errno>(listener)
    /// })?;
    /// if let (Identity::Daemon(ready), Some(listener)) = started {
    ///     let _ = ready.notify();
    ///     for stream in listener.incoming() {
    ///         // … serve, as www-data …
    /// #       drop(stream);
    ///     }
    /// }
    /// # Ok::<(), rawdaemon::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`daemonize`](Self::daemonize).
    pub fn daemonize_with<T, E: Into<Cause>>(
        &self,
        action: impl FnOnce() -> Result<T, E>,
    ) -> Result<(Identity, Option<T>), Error> {
        refuse_threads()?;
        let (mut action, mut output) = (Some(action), None);
        let identity = self.daemonize_self(Some(&mut || {
            if let Some(action) = action.take() {
                let _callback = Callback::begin();
                output = Some(action().map_err(E::into)?);
            }
            Ok(())
        }))?;
        Ok((identity, output))
    }

    /// [`daemonize`](Self::daemonize) without the check for other threads.
    ///
    /// # Errors
    ///
    /// Those of [`daemonize`](Self::daemonize) except `Threaded`.
    ///
    /// # Safety
    ///
    /// The daemon has only the calling thread, and a copy of the memory as it was at that moment. If the
    /// process has other threads, the daemon must not use anything that one of them may have been
    /// changing or holding a lock on. Until it executes a program or exits, it may call async-signal-safe
    /// functions only (signal-safety(7)): no allocator, no buffered standard streams.
    #[allow(unsafe_code)]
    pub unsafe fn daemonize_unchecked(&self) -> Result<Identity, Error> {
        self.daemonize_self(None)
    }

    fn daemonize_self(&self, action: Option<Action<'_>>) -> Result<Identity, Error> {
        refuse_within_callback()?;
        self.settings.check(false)?;
        let mut look_up = LookUp::default();
        let (credentials, _) = look_up.credentials(&self.settings)?;
        let mut plan = Plan::for_caller(&self.settings).with_credentials(credentials);
        plan.has_action = action.is_some();
        let caller = Caller {
            action: Cell::new(action),
            thread: Thread::current(),
            child_action: sys::sigaction(SIGCHLD).map_err(failed(ErrorKind::SignalsFailed))?,
            trap_action: sys::trap_action().map_err(failed(ErrorKind::SignalsFailed))?,
        };
        match start(&plan, &caller, None)? {
            Fork::Parent(daemon) => Ok(Identity::Original(daemon)),
            Fork::Child(report) => Ok(Identity::Daemon(Ready::new(report, sys::getpid()))),
        }
    }
}

/// The action of a program that needs the privileges of the caller.
type Action<'a> = &'a mut dyn FnMut() -> Result<(), Cause>;

/// The calling process.
struct Caller<'a> {
    /// Taken when it runs.
    action: Cell<Option<Action<'a>>>,
    thread: Thread,
    /// The action for SIGCHLD. The intermediate must not ignore this signal, so the daemon restores it.
    child_action: SigAction,
    /// The action for SIGSYS. The daemon has another one during its steps.
    trap_action: SigAction,
}

impl Role for Caller<'_> {
    /// The write end of the report pipe.
    type Output = RawFd;

    fn thread(&self) -> Option<&Thread> {
        Some(&self.thread)
    }

    fn environment(&self) -> CStrings<'_> {
        CStrings::EMPTY
    }

    fn is_relative(&self, _: CStrings<'_>) -> bool {
        false
    }

    /// The daemon is a copy of the original.
    fn create<M>(
        context: &Context<'_, Self>,
        watch: impl FnOnce(Result<Pid, Errno>) -> M,
    ) -> Fork<Forked<RawFd>, M> {
        let tid = context.shared.role.thread.tid_address;
        match sys::clone(ExitSignal::Child, tid, context, run_daemon) {
            Ok(Fork::Child(output)) => Fork::Child(output),
            Ok(Fork::Parent(daemon)) => Fork::Parent(watch(Ok(daemon))),
            Err(errno) => Fork::Parent(watch(Err(errno))),
        }
    }

    fn run_action(&self) -> Result<(), Error> {
        match self.action.take() {
            Some(action) => action().map_err(|cause| Error::new(ErrorKind::Refused, cause)),
            None => Ok(()),
        }
    }

    fn restore(context: &Context<'_, Self>) -> Result<(), Errno> {
        let Shared { role, verdict, .. } = context.shared;
        // The read end of the verdict pipe is already closed: its number may belong to another
        // descriptor.
        sys::close(verdict.writer);
        sys::close(context.report.reader);
        role.thread.restore()?;
        sys::set_sigaction(SIGCHLD, &role.child_action)
    }

    fn finish(
        &self,
        context: &Context<'_, Self>,
        _: WorkingDirectory<'_>,
        _: [RawFd; 2],
    ) -> Result<RawFd, Error> {
        let resets = context.shared.plan.options.reset_signals;
        sys::restore_trap_action((!resets).then_some(&self.trap_action))
            .map_err(failed(ErrorKind::SignalsFailed))?;
        Ok(context.report.writer)
    }

    fn begin(report: &RawFd, masked: Result<(), Errno>) {
        let masked = masked.map_err(failed(ErrorKind::SignalsFailed));
        let record = masked.map_or_else(Record::Failed, |()| Record::SetUp);
        let sent = sys::write(*report, &encode(&record));
        let begun = masked.and(match sent {
            // The intermediate was killed. A SIGPIPE, which the caller may ignore, ends the daemon then.
            Ok(_) | Err(Errno::EPIPE) => Ok(()),
            Err(errno) => Err(failed(ErrorKind::ChannelFailed)(errno)),
        });
        if let Err(error) = begun {
            sys::exit(error.exit_code());
        }
    }
}
