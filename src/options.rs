//! What a caller can ask for.

use core::ffi::CStr;
use core::time::Duration;

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
#[derive(Clone, Copy, Debug)]
#[must_use = "options do nothing until daemonize or spawn is called"]
pub struct DaemonizeOptions<'a> {
    pub(crate) timeout: Option<Duration>,
    pub(crate) chdir: ThinCStr<'a>,
    pub(crate) umask: Option<u32>,
    pub(crate) streams: [Option<ThinCStr<'a>>; 3],
    pub(crate) append: bool,
    pub(crate) pidfile: Option<ThinCStr<'a>>,
}

impl<'a> DaemonizeOptions<'a> {
    /// The defaults: working directory `/`, descriptors 0 to 2 on `/dev/null`, no pidfile; see
    /// [`timeout`](Self::timeout) and [`umask`](Self::umask) for theirs.
    pub const fn new() -> Self {
        Self {
            timeout: None,
            chdir: ThinCStr::new(c"/"),
            umask: None,
            streams: [None; 3],
            append: false,
            pidfile: None,
        }
    }

    /// How long the daemon is watched before its start counts as a success; to the nanosecond.
    ///
    /// By default `daemonize` watches for one second, or until the daemon says that it is ready,
    /// and `spawn` does not watch. Zero, which means not to watch, is enough to know that all steps
    /// are done and the command has been executed. A daemon that has not come so far when the time
    /// is over is ended, and the start fails with `TimedOut`.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The daemon's working directory, `/` by default, so that it keeps no file system busy
    /// (daemon(7), step 11).
    pub const fn chdir(mut self, path: &'a CStr) -> Self {
        self.chdir = ThinCStr::new(path);
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
        let [_, output, error] = self.streams;
        self.streams = [Some(ThinCStr::new(path)), output, error];
        self
    }

    /// The file that the daemon's standard output goes to, in place of `/dev/null`.
    ///
    /// A missing file is created with mode 0644, less the caller's umask; one that is there is
    /// emptied first, unless [`append`](Self::append) is set. A directory, a socket and a FIFO that
    /// nobody reads are errors.
    pub const fn stdout(mut self, path: &'a CStr) -> Self {
        let [input, _, error] = self.streams;
        self.streams = [input, Some(ThinCStr::new(path)), error];
        self
    }

    /// The file that the daemon's standard error goes to, as with [`stdout`](Self::stdout). If it
    /// is the same path as for standard output, it is opened once for both.
    pub const fn stderr(mut self, path: &'a CStr) -> Self {
        let [input, output, _] = self.streams;
        self.streams = [input, output, Some(ThinCStr::new(path))];
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
    /// fails with `AlreadyRunning`. A file that no living process has locked never blocks a start,
    /// whatever is in it. When a start fails, what it has written is removed.
    ///
    /// A process gives up its locks on a file when it closes any descriptor for it. So a daemon must
    /// not open and close its pidfile, nor write it as a pidfile of its own.
    pub const fn pidfile(mut self, path: &'a CStr) -> Self {
        self.pidfile = Some(ThinCStr::new(path));
        self
    }
}

impl Default for DaemonizeOptions<'_> {
    fn default() -> Self {
        Self::new()
    }
}
