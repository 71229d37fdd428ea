//! What does the caller ask for?
//!
//! The options are a plain value: building them makes no system call.

mod limit;
mod readiness;

pub use limit::{Limit, Resource};
pub use readiness::Readiness;

use core::ffi::CStr;
use core::time::Duration;

use crate::protocol::{PATHS, Subject};
use crate::sys::ThinCStr;

/// What the daemon shall be like, and how long to watch it.
///
/// A plain value: nothing happens until [`daemonize`](Self::daemonize) or [`spawn`](Self::spawn).
/// Paths are resolved where the caller stands, whatever the daemon's working directory will be.
///
/// ```no_run
/// use core::time::Duration;
/// use rawdaemon::{DaemonizeOptions, Identity};
///
/// let options = DaemonizeOptions::new()
///     .chdir(c"/var/lib/web")
///     .umask(0o027)
///     .stdout(c"/var/log/web.log")
///     .stderr(c"/var/log/web.log")
///     .append(true)
///     .pidfile(c"/run/web.pid")
///     .timeout(Duration::from_secs(5));
/// match options.daemonize()? {
///     Identity::Original(pid) => println!("the daemon runs as {pid}"),
///     Identity::Daemon(ready) => {
///         // … open sockets, read the configuration …
///         let _ = ready.notify();
///         // … serve …
///     }
/// }
/// # Ok::<(), rawdaemon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "options do nothing until daemonize or spawn is called"]
pub struct DaemonizeOptions<'a> {
    pub(crate) timeout: Option<Duration>,
    /// The paths, by their [`Subject`].
    pub(crate) paths: [Option<ThinCStr<'a>>; PATHS],
    pub(crate) append: bool,
    pub(crate) umask: Option<u32>,
    pub(crate) niceness: Option<i32>,
    pub(crate) oom_score_adj: Option<i32>,
    /// In the order of [`Resource::ALL`].
    pub(crate) limits: [Option<Limit>; Resource::ALL.len()],
    pub(crate) user: Option<u32>,
    pub(crate) group: Option<u32>,
    pub(crate) groups: &'a [u32],
    pub(crate) no_new_privs: bool,
    pub(crate) reset_signals: bool,
    pub(crate) keep: Option<&'a [i32]>,
    pub(crate) readiness: Readiness<'a>,
    pub(crate) require_ready: bool,
    pub(crate) foreground: bool,
    /// Whether the calling process ends after the start, and so may lead the new session itself.
    pub(crate) ends_after: bool,
}

#[allow(
    clippy::indexing_slicing,
    reason = "the compiler checks the indices, which are constants"
)]
impl<'a> DaemonizeOptions<'a> {
    /// The defaults: working directory `/`, descriptors 0 to 2 on `/dev/null`, and all else as the
    /// caller has it; see [`timeout`](Self::timeout) and [`umask`](Self::umask) for theirs.
    pub const fn new() -> Self {
        Self {
            timeout: None,
            paths: [None; PATHS],
            append: false,
            umask: None,
            niceness: None,
            oom_score_adj: None,
            limits: [None; Resource::ALL.len()],
            user: None,
            group: None,
            groups: &[],
            no_new_privs: false,
            reset_signals: false,
            keep: None,
            readiness: Readiness::Executed,
            require_ready: false,
            foreground: false,
            ends_after: false,
        }
    }

    /// How long the daemon is watched before its start counts as a success; to the nanosecond.
    ///
    /// By default `daemonize` watches for one second, or until the daemon says that it is ready,
    /// and `spawn` does not watch. Zero, which means not to watch, is enough to know that all steps
    /// are done and the command has been executed: the time counts from then on. A daemon that needs
    /// longer than that to come so far is ended, and the start fails with `TimedOut`.
    ///
    /// Where the daemon has to say that it is ready, by [`require_ready`](Self::require_ready) or
    /// [`ready`](Self::ready), this is the time until then: 60 seconds by default for `spawn`, and
    /// zero means for ever.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How a command says that it is ready, which [`spawn`](Self::spawn) waits for. By default it need
    /// not say anything, and has only to be executed.
    ///
    /// One that has not said so when the [`timeout`](Self::timeout) is over gets a SIGTERM, and after
    /// a second a SIGKILL, and the start fails with `TimedOut`. One that says that it will never be
    /// ready, fails with `Refused`.
    pub const fn ready(mut self, readiness: Readiness<'a>) -> Self {
        self.readiness = readiness;
        self
    }

    /// Whether a process that daemonizes itself must say that it is ready
    /// ([`Ready::notify`](crate::Ready::notify)) before the timeout. If it does not, it gets a SIGTERM,
    /// and after a second a SIGKILL, and the start fails with `TimedOut`; with `Refused`, and at once,
    /// if it drops its [`Ready`](crate::Ready).
    ///
    /// Off by default: to be alive at the end of the timeout is enough.
    pub const fn require_ready(mut self, require: bool) -> Self {
        self.require_ready = require;
        self
    }

    /// Whether all is done in the calling process: every step but the forks and the session, for a
    /// supervisor or a container, which do those themselves.
    ///
    /// `daemonize` then returns as in the daemon, and `spawn` executes the command in place of the
    /// caller, so that it returns only when that failed. Descriptors 0 to 2 that no path is given for
    /// stay as they are, since whoever supervises reads them. `NOTIFY_SOCKET` and the pipe of
    /// [`Readiness::Descriptor`] are the supervisor's, and nothing is watched: no timeout counts.
    ///
    /// After a failure the caller has its standard streams, working directory (since Linux 3.5) and umask
    /// back, and its pidfile is gone, or empty if it cannot be removed any more from within another root
    /// or as another user. What other steps were taken, stays: reset signals, closed descriptors, root,
    /// limits, and user.
    pub const fn foreground(mut self, foreground: bool) -> Self {
        self.foreground = foreground;
        self
    }

    /// The daemon's working directory, `/` by default, so that it keeps no file system busy
    /// (daemon(7), step 11). With [`chroot`](Self::chroot), the path counts inside.
    pub const fn chdir(mut self, path: &'a CStr) -> Self {
        self.paths[Subject::Chdir as usize] = Some(ThinCStr::new(path));
        self
    }

    /// The daemon's root directory (chroot(2)), always followed by chdir(2): first to its `/`, and
    /// then where [`chdir`](Self::chdir) says. This needs CAP_SYS_CHROOT, else it fails with
    /// `ChrootFailed`.
    ///
    /// All other paths count outside, but for the command of [`spawn`](Self::spawn): that is looked
    /// for and executed inside.
    pub const fn chroot(mut self, path: &'a CStr) -> Self {
        self.paths[Subject::Chroot as usize] = Some(ThinCStr::new(path));
        self
    }

    /// The daemon's file mode creation mask, as umask(2) takes it.
    ///
    /// By default `daemonize` sets 0, as daemon(7) has it, step 10: the program calls it on itself
    /// and gives each file the mode it wants. `spawn` sets 022: under 0, a program that knows
    /// nothing of this would write files that everybody may change.
    pub const fn umask(mut self, mask: u32) -> Self {
        self.umask = Some(mask);
        self
    }

    /// The file that the daemon reads as its standard input, in place of `/dev/null`.
    pub const fn stdin(mut self, path: &'a CStr) -> Self {
        self.paths[Subject::Stdin as usize] = Some(ThinCStr::new(path));
        self
    }

    /// The file that the daemon's standard output goes to, in place of `/dev/null`.
    ///
    /// A missing file is created with mode 0644, less the caller's umask; one that is there is
    /// emptied first, unless [`append`](Self::append) is set. It is opened before user and group
    /// change. A directory, a socket and a FIFO that nobody reads are errors.
    pub const fn stdout(mut self, path: &'a CStr) -> Self {
        self.paths[Subject::Stdout as usize] = Some(ThinCStr::new(path));
        self
    }

    /// The file that the daemon's standard error goes to, as with [`stdout`](Self::stdout). If it
    /// is the same path as for standard output, it is opened once for both.
    pub const fn stderr(mut self, path: &'a CStr) -> Self {
        self.paths[Subject::Stderr as usize] = Some(ThinCStr::new(path));
        self
    }

    /// Whether output is appended to the files, in place of emptying them.
    pub const fn append(mut self, append: bool) -> Self {
        self.append = append;
        self
    }

    /// The file that the daemon writes its pid to, and holds a POSIX record lock on as long as it
    /// lives (fcntl(2)).
    ///
    /// The pid is in it, whole, before anybody hears of success. A second start on the same file
    /// fails with `AlreadyRunning`. A file that no living process has locked does not block a start,
    /// whatever is in it, but for that of a daemon that has given up its lock
    /// ([`Owner::Unlocked`](crate::Owner::Unlocked)). [`Pidfile`](crate::Pidfile) finds the daemon by
    /// it. When a start fails, what it has written is removed.
    ///
    /// A process gives up its locks on a file when it closes any descriptor for it. So a daemon must
    /// not open and close its pidfile, nor write it as a pidfile of its own.
    pub const fn pidfile(mut self, path: &'a CStr) -> Self {
        self.paths[Subject::Pidfile as usize] = Some(ThinCStr::new(path));
        self
    }

    /// A file that the daemon locks as the [`pidfile`](Self::pidfile), and neither writes nor
    /// removes: for a daemon that writes its pidfile itself, or needs none.
    pub const fn lock_file(mut self, path: &'a CStr) -> Self {
        self.paths[Subject::LockFile as usize] = Some(ThinCStr::new(path));
        self
    }

    /// The daemon's niceness, from -20 to 19 (setpriority(2)): this one, whatever the caller's is.
    /// A number beyond is taken as the nearest.
    pub const fn nice(mut self, niceness: i32) -> Self {
        self.niceness = Some(niceness);
        self
    }

    /// One of the daemon's resource limits (setrlimit(2)).
    pub fn limit(mut self, resource: Resource, limit: Limit) -> Self {
        for (slot, other) in self.limits.iter_mut().zip(&Resource::ALL) {
            if *other == resource {
                *slot = Some(limit);
            }
        }
        self
    }

    /// How ready the kernel shall be to kill the daemon when memory runs out, from -1000, never, to
    /// 1000 (proc_pid_oom_score_adj(5)). This needs `/proc`.
    pub const fn oom_score_adj(mut self, adjustment: i32) -> Self {
        self.oom_score_adj = Some(adjustment);
        self
    }

    /// The user and the group that the daemon runs as, real, effective and saved, and its
    /// supplementary groups, which are these and no others (credentials(7)). [`look_up`] finds the
    /// numbers that go with names.
    ///
    /// They are set after all files have been opened, and checked. This needs CAP_SETUID and
    /// CAP_SETGID, else it fails with `GroupsFailed`, `SetgidFailed` or `SetuidFailed`.
    ///
    /// [`look_up`]: crate::look_up
    pub const fn user(mut self, user: u32, group: u32, groups: &'a [u32]) -> Self {
        self.user = Some(user);
        self.group = Some(group);
        self.groups = groups;
        self
    }

    /// The group that the daemon runs as, with the caller's user and no supplementary group.
    pub const fn group(mut self, group: u32) -> Self {
        self.group = Some(group);
        self.groups = &[];
        self
    }

    /// Whether the daemon, and all that it executes, can never get privileges from set-user-ID
    /// programs and the like (PR_SET_NO_NEW_PRIVS, since Linux 3.5).
    pub const fn no_new_privs(mut self, no_new_privs: bool) -> Self {
        self.no_new_privs = no_new_privs;
        self
    }

    /// Whether a process that daemonizes itself gets the default disposition for every signal and an
    /// empty signal mask; a command always does (daemon(7), steps 2 and 3).
    ///
    /// Off by default, for the program has done what it wants with its signals already, and its
    /// language too: Rust's standard library ignores SIGPIPE, so that a write to a closed
    /// connection is an error and does not end the program, and tells of a stack overflow by a
    /// handler for SIGSEGV and SIGBUS. With this, both are gone.
    pub const fn reset_signals(mut self, reset: bool) -> Self {
        self.reset_signals = reset;
        self
    }

    /// Closes every inherited descriptor above 2 but these (daemon(7), step 1). The ones that are
    /// kept stay open across exec.
    ///
    /// A command gets no others in any case. A process that daemonizes itself keeps all by default,
    /// for nobody but the program knows which of them it needs: closing one that is in use, by the
    /// runtime of its language, say, breaks what uses it.
    ///
    /// One that is not open fails with `CloseFailed` and `EBADF`, before anything else is done.
    pub const fn close_fds(mut self, keep: &'a [i32]) -> Self {
        self.keep = Some(keep);
        self
    }
}

impl<'a> DaemonizeOptions<'a> {
    /// The path that this is, if one is set.
    pub(crate) fn path(&self, subject: Subject) -> Option<ThinCStr<'a>> {
        self.paths.get(subject as usize).copied().flatten()
    }
}

impl Default for DaemonizeOptions<'_> {
    fn default() -> Self {
        Self::new()
    }
}
