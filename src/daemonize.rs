//! The original's story, and what the three processes share.
//!
//! ```text
//! original ──clone──▶ intermediate ──setsid, clone──▶ daemon
//!     ▲                  │      ▲                        │
//!     └── exit code ─────┘      └───── exit code ────────┘
//!         + verdict record             + report record
//! ```

use core::time::Duration;

use crate::context::{Birth, Kind, Start};
use crate::environment::Environment;
use crate::foreground;
use crate::intermediate::{intermediate, start_directly};
use crate::monitor::hear_verdict;
use crate::options::{DaemonizeOptions, Readiness};
use crate::plan::daemon_stack;
use crate::progress::Progress;
use crate::protocol::{
    Errno, Error, ExitCode, Nanoseconds, Pid, RECORD_SIZE, Record, encode, failed, outcome,
};
use crate::ready::Ready;
use crate::sys::{
    self, Disposition, ExitSignal, Fd, Forked, NOTHING, RawFd, SignalSet, Stack, Thread,
};
use crate::threads::refuse_threads;

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
///         // … get ready …
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
            thread: Thread::find(),
            child_signal: sys::child_signal().map_err(failed(ExitCode::SignalsFailed))?,
        };
        match start(self, &caller, &mut |_| {})? {
            Forked::Parent(pid) => Ok(Identity::Original(pid)),
            Forked::Child(report) => Ok(Identity::Daemon(Ready::new(report, sys::process_id()))),
        }
    }
}

/// The calling process.
struct Caller {
    thread: Thread,
    /// What it does with SIGCHLD. The intermediate must not ignore it, and the daemon may.
    child_signal: Disposition,
}

impl Kind for Caller {
    /// Its end of the report pipe.
    type Left = RawFd;
    const TIMEOUT: Duration = Duration::from_secs(1);
    /// That of a daemon that has called for it itself.
    const UMASK: u32 = 0;

    const EXECUTES: bool = false;

    fn thread(&self) -> Option<&Thread> {
        Some(&self.thread)
    }

    fn is_relative(&self, _: Environment<'_>) -> bool {
        false
    }

    fn environment(&self) -> Environment<'_> {
        &[]
    }

    fn restore(birth: &Birth<'_, Self>) -> Result<(), Errno> {
        let Start { kind, verdict, .. } = birth.start;
        // The intermediate has closed the other end, and its number may be another's now.
        sys::close(verdict.writer);
        sys::close(birth.report.reader);
        kind.thread.restore()?;
        sys::set_child_signal(&kind.child_signal)
    }

    fn finish(&self, birth: &Birth<'_, Self>, _: &[u8], _: [RawFd; 2]) -> Result<RawFd, Error> {
        let report = birth.report.writer;
        // Should the intermediate be gone, there is nobody to be told; in the foreground there is none.
        let _ = sys::write(report, &encode(&Record::SetUp));
        Ok(report)
    }
}

/// The original: creates the intermediate, waits for it, and returns its verdict.
///
/// All signals are blocked until the mask is put back, by the original when it begins to wait, and by
/// the daemon once it has done its steps: no handler of the caller's runs in a child.
pub(crate) fn start<K: Kind>(
    options: &DaemonizeOptions<'_>,
    kind: &K,
    show: &mut dyn FnMut(Progress<'_>),
) -> Result<Forked<K::Left>, Error> {
    check_kept(options)?;
    if options.foreground {
        return foreground::take_steps(options, kind).map(Forked::Child);
    }
    // Nobody uses the caller's memory any more when the stacks are gone.
    let daemon_stack = daemon_stack::<K>(options);
    if let Some(outcome) = start_directly(options, kind, &daemon_stack) {
        // The process is about to end, and nobody is on it.
        core::mem::forget(daemon_stack);
        return outcome;
    }
    let stack = match kind.thread() {
        Some(thread) if !thread.is_known() => Stack::none(),
        _ => Stack::new(),
    };
    let mask = sys::block(SignalSet::ALL).map_err(failed(ExitCode::SignalsFailed))?;
    let verdict = match sys::pipe() {
        Ok(verdict) => verdict,
        Err(errno) => {
            let _ = sys::set_mask(mask);
            return Err(failed(ExitCode::ChannelFailed)(errno));
        }
    };
    let start = Start {
        options,
        kind,
        verdict,
        stack: &daemon_stack,
    };
    let wait = |intermediate: Result<Pid, Errno>| {
        // Closed also if `show` panics: then the intermediate sees that nobody listens.
        let reader = Fd::from_raw(verdict.reader);
        let unmasked = sys::set_mask(mask).map_err(failed(ExitCode::SignalsFailed));
        let outcome = match intermediate {
            Ok(intermediate) => {
                let (record, ended) = hear_verdict(reader.raw(), intermediate, show);
                if ended.is_ok() {
                    stack.left();
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
    let exit_signal = ExitSignal::None;
    match sys::with_child(&stack, exit_signal, &start, intermediate, begin, hold, wait) {
        Forked::Parent(outcome) => outcome.map(Forked::Parent),
        Forked::Child(daemon) => {
            let mask = if options.reset_signals {
                SignalSet::NONE
            } else {
                mask
            };
            sys::set_mask(mask).map_err(failed(ExitCode::SignalsFailed))?;
            Ok(Forked::Child(daemon.left()))
        }
    }
}

/// If the intermediate was killed, the daemon may still be looking at what is on its stack. Its end of the
/// pipe is closed when it executes or ends, should the kernel say nothing.
fn wait_for_daemon(stack: &Stack, reader: &Fd) {
    while stack.is_used() {
        let _ = sys::poll(&mut [reader.raw(), NOTHING, NOTHING, NOTHING], HELD);
        if sys::read(reader.raw(), &mut [0; RECORD_SIZE]) == Ok(0) {
            stack.left();
        }
    }
}

/// The original, once there is an intermediate: then it sees when that is gone.
fn begin<K: Kind>(start: &Start<'_, K>) {
    sys::close(start.verdict.writer);
}

/// The original has to stay as it is until the daemon is created that is a copy of it: whether that is so.
fn hold<K: Kind>(start: &Start<'_, K>) -> bool {
    let mut heard = [start.verdict.reader, NOTHING, NOTHING, NOTHING];
    K::EXECUTES || sys::poll(&mut heard, HELD).is_ok() && heard != [NOTHING; 4]
}

/// How often the original looks whether what it waits for is gone.
const HELD: Nanoseconds = 100_000_000;

/// What is to stay open must be, and then no descriptor of this crate's can get its number. Nor can
/// it be the place of the readiness pipe, which is no standard stream either.
fn check_kept(options: &DaemonizeOptions<'_>) -> Result<(), Error> {
    if matches!(options.readiness, Readiness::Descriptor(..3)) {
        return Err(failed(ExitCode::ChannelFailed)(Errno::EINVAL));
    }
    for fd in options.keep.unwrap_or_default() {
        let checked = match options.readiness {
            Readiness::Descriptor(place) if place == *fd => Err(Errno::EBUSY),
            _ => sys::check_open(*fd as RawFd),
        };
        checked.map_err(|errno| Error::of_kept(errno, *fd as RawFd))?;
    }
    Ok(())
}
