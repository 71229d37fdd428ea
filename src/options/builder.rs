//! The builder of the options.

use core::time::Duration;

use super::c_str_arg::IntoCStr;
use super::readiness::Readiness;
use super::settings::{MAX_DIRECTORIES, Settings};
use super::stdio::Stdio;
use crate::protocol::{Error, Subject, WithPath};
use crate::sys::ThinCStr;

/// Options for a daemon, and for how long to watch it start.
///
/// Building them has no effect until [`daemonize`](Self::daemonize) or [`spawn`](Self::spawn) is called.
/// They can be used several times. Relative paths are resolved against the caller's working directory,
/// not against that of [`chdir`](Self::chdir).
///
/// ```no_run
/// use core::time::Duration;
/// use rawdaemon::{DaemonizeOptions, Identity, Stdio};
///
/// let options = DaemonizeOptions::new()
///     .chdir(c"/var/lib/web")
///     .umask(0o027)
///     .stdout(Stdio::append(c"/var/log/web.log"))
///     .stderr(Stdio::append(c"/var/log/web.log"))
///     .pidfile(c"/run/web.pid")
///     .timeout(Duration::from_secs(5));
/// match options.daemonize()? {
///     Identity::Original(daemon) => println!("the daemon runs as {}", daemon.pid()),
///     Identity::Daemon(ready) => {
///         // … open sockets, read the configuration …
///         let _ = ready.notify();
///         loop {
///             std::thread::park(); // … serve …
///         }
///     }
/// }
/// # Ok::<(), rawdaemon::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until daemonize or spawn is called"]
pub struct DaemonizeOptions<'a> {
    pub(crate) settings: Settings<'a>,
}

impl<'a> DaemonizeOptions<'a> {
    /// The default options: the working directory is `/`, descriptors 0 to 2 are `/dev/null`, and the umask is
    /// 0 for `daemonize` and 0o022 for `spawn`. For other defaults see [`timeout`](Self::timeout),
    /// [`reset_signals`](Self::reset_signals) and [`close_fds`](Self::close_fds). The daemon inherits
    /// everything else from the caller, the environment too.
    pub const fn new() -> Self {
        Self {
            settings: Settings::new(),
        }
    }

    /// How long the daemon must stay alive for its start to be a success, with a resolution of one
    /// nanosecond.
    ///
    /// The default is one second for `daemonize` and zero for `spawn`. The time starts when the daemon
    /// has taken all its steps, or has executed the command. The steps may take as long again; a daemon
    /// that takes longer is stopped, and the start fails with `TimedOut`. Zero means not to watch: the
    /// start is a success once the steps are taken or the command is executed, however long that takes.
    /// If the daemon ends before the time expires, the start fails with `DaemonDied`. When it calls
    /// [`Ready::notify`](crate::Ready::notify), the start is a success at once.
    ///
    /// With [`require_ready`](Self::require_ready) or [`ready`](Self::ready), this is instead how long
    /// the daemon may take to become ready. The default is one second for `daemonize` and 60 seconds for
    /// `spawn`; zero means forever.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// How a command reports that it is ready. [`spawn`](Self::spawn) waits for this report. By default
    /// it waits only until the command has been executed.
    ///
    /// A command that is not ready when the [`timeout`](Self::timeout) expires gets a SIGTERM and, one
    /// second later, a SIGKILL; the start fails with `TimedOut`. If it closes its notification fd without
    /// reporting, the start fails with `Refused`. If the pipe or socket cannot be made, it fails with
    /// `ChannelFailed`.
    ///
    /// `daemonize` ignores this option; see [`require_ready`](Self::require_ready).
    pub const fn ready(mut self, readiness: Readiness<'a>) -> Self {
        self.settings.readiness = readiness;
        self
    }

    /// Whether a process that daemonizes itself must report that it is ready
    /// ([`Ready::notify`](crate::Ready::notify)) before the [`timeout`](Self::timeout) expires. Off by
    /// default: it is enough that the daemon is alive when the timeout expires.
    ///
    /// A daemon that is not ready in time gets a SIGTERM and, one second later, a SIGKILL; the start
    /// fails with `TimedOut`. If the daemon drops its [`Ready`](crate::Ready), the start fails with
    /// `Refused`; with `DaemonDied` if it also exits within 50 ms.
    ///
    /// `spawn` ignores this option; see [`ready`](Self::ready).
    pub const fn require_ready(mut self, require: bool) -> Self {
        self.settings.require_ready = require;
        self
    }

    /// Whether the calling process itself becomes the daemon, for use under a supervisor or in a
    /// container. It takes every step except the forks and setsid(2). Off by default.
    ///
    /// `daemonize` then returns as in the daemon. `spawn` executes the command in place of the caller
    /// and returns only if that fails. Open standard streams without a file of their own stay as they
    /// are, for the supervisor to read. A command reports its readiness to the supervisor:
    /// If the LISTEN_PID of its environment names the caller, the descriptors of socket activation stay open, from 3 to
    /// 2 + LISTEN_FDS (sd_listen_fds(3)). `NOTIFY_SOCKET` is not changed, and the descriptor of [`Readiness::Descriptor`] stays open; if it
    /// is not open, it is opened on `/dev/null`. Timeouts are ignored, since no process watches.
    ///
    /// After a failure the caller's standard streams, working directory (since Linux 3.5) and umask are
    /// restored, and the pidfile is removed. It is only emptied if it cannot be removed from within
    /// another root directory or as another user. Other steps are not undone: the signals stay reset,
    /// descriptors closed, and root directory, limits, scheduling, user and capabilities changed.
    pub const fn foreground(mut self, foreground: bool) -> Self {
        self.settings.foreground = foreground;
        self
    }

    /// Sets the daemon's working directory. The default is `/`, so that the daemon keeps no file system
    /// busy (daemon(7), step 11). `.` is that of the caller. With [`chroot`](Self::chroot), the path is resolved inside the new
    /// root directory.
    ///
    /// If chdir(2) fails, the start fails with `ChdirFailed`.
    pub fn chdir(mut self, path: impl IntoCStr<'a>) -> Self {
        self.settings.set(Subject::Chdir, Some(path.into_arg()));
        self
    }

    /// Sets the daemon's root directory (chroot(2)). The daemon then changes to its `/`, and to the
    /// directory of [`chdir`](Self::chdir) if there is one.
    ///
    /// The command of [`spawn`](Self::spawn) is searched for and executed inside. All other paths,
    /// except that of `chdir`, are resolved outside.
    ///
    /// This needs CAP_SYS_CHROOT. If chroot(2) fails, the start fails with `ChrootFailed`.
    pub fn chroot(mut self, path: impl IntoCStr<'a>) -> Self {
        self.settings.set(Subject::Chroot, Some(path.into_arg()));
        self
    }

    /// Makes a directory, if it is missing, before anything is opened in it: for the pidfile, for example, since
    /// `/run` is empty after a reboot. Can be called for up to 8 directories; more are invalid.
    ///
    /// A directory that is made has mode 0755, whatever the umask is, and belongs to the daemon's
    /// [`user`](Self::user) and group. Missing directories above it are made, too, and belong to the caller's user. A
    /// directory that exists is left as it is, and must belong to the daemon's user. A start that fails
    /// removes what it has made, unless something was put there. In the foreground, it cannot after the user or the root
    /// directory has changed; its message says so.
    ///
    /// If a directory cannot be made, the start fails with `OpenFailed`: with `EEXIST` if another user owns it, and with
    /// `ELOOP` if the caller is root and a component of the path is a symbolic link of another user.
    pub fn mkdir(mut self, path: impl IntoCStr<'a>) -> Self {
        let mut slots = self.settings.directories.iter_mut();
        match slots.find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(path.into_arg()),
            // One too many: the start refuses this.
            None => {
                self.settings.directories =
                    [const { None }; MAX_DIRECTORIES].map(|_: Option<u8>| Some(c"".into_arg()))
            }
        }
        self
    }

    /// Sets the daemon's file mode creation mask (umask(2)).
    ///
    /// `daemonize` sets 0 by default (daemon(7), step 10): the program knows about it and gives each
    /// file the mode that it wants. `spawn` sets 0o022 by default: under 0, a program that does not know
    /// about it would create files that every user can write to. Values above 0o777 are invalid.
    pub const fn umask(mut self, mask: u32) -> Self {
        self.settings.umask = Some(mask);
        self.settings.inherit_umask = false;
        self
    }

    /// Leaves the daemon's file mode creation mask as it is in the caller.
    pub const fn inherit_umask(mut self) -> Self {
        self.settings.inherit_umask = true;
        self
    }

    /// Sets the daemon's standard input. The default is `/dev/null`.
    ///
    /// If the file cannot be opened, the start fails with `OpenFailed`.
    pub fn stdin(mut self, stream: impl Into<Stdio<'a>>) -> Self {
        let [stdin, ..] = &mut self.settings.streams;
        *stdin = Some(stream.into());
        self
    }

    /// Sets the daemon's standard output. The default is `/dev/null`. For a path, pass
    /// [`Stdio::append`] or [`Stdio::file`], which truncates the file.
    ///
    /// A file is opened before the user and the group change. If it cannot be opened or truncated, the start
    /// fails with `OpenFailed`; with `ELOOP` if the caller is root and the path a symbolic link of another user.
    pub fn stdout(mut self, stream: impl Into<Stdio<'a>>) -> Self {
        let [_, stdout, _] = &mut self.settings.streams;
        *stdout = Some(stream.into());
        self
    }

    /// Sets the daemon's standard error, in the same way as [`stdout`](Self::stdout). If both are the same
    /// file, even by different paths, the two streams share one open file description.
    pub fn stderr(mut self, stream: impl Into<Stdio<'a>>) -> Self {
        let [.., stderr] = &mut self.settings.streams;
        *stderr = Some(stream.into());
        self
    }

    /// Writes the daemon's pid to a file, and keeps the file locked as long as the daemon lives, with a
    /// POSIX record lock (fcntl(2)). [`Pidfile`](crate::Pidfile) finds the daemon by this file.
    ///
    /// The file is complete before the start is reported as a success. If another process is the daemon
    /// of the file, the start fails with `AlreadyRunning`. That is the process that holds the lock, or a
    /// daemon that has released its lock ([`Owner::Unlocked`](crate::Owner::Unlocked)); any other file
    /// does not block a start, whatever its contents. A failed start removes the pidfile that it has
    /// written. A daemon that ends by itself leaves the file, which does no harm; it may remove it as its last
    /// act, if it may write to the directory. [`Pidfile::stop`](crate::Pidfile::stop) removes it.
    ///
    /// A new file gets mode 0644, whatever the umask is. Symbolic links, files with more than one hard
    /// link, and everything but regular files are refused. If the file cannot be opened, locked or
    /// written, the start fails with `PidfileFailed`.
    ///
    /// A process releases its locks on a file when it closes any descriptor for it. A daemon must
    /// therefore not open and close its pidfile, and not write it as a pidfile of its own.
    pub fn pidfile(mut self, path: impl IntoCStr<'a>) -> Self {
        self.settings.set(Subject::Pidfile, Some(path.into_arg()));
        self
    }

    /// Locks a file in the same way as the [`pidfile`](Self::pidfile), without writing to it or removing
    /// it: for a daemon that writes its own pidfile or needs none. It fails with the same errors.
    pub fn lock_file(mut self, path: impl IntoCStr<'a>) -> Self {
        self.settings.set(Subject::LockFile, Some(path.into_arg()));
        self
    }

    /// Whether the daemon's user and group own the pidfile. Off by default: the caller's do. Without effect
    /// if the daemon changes neither.
    ///
    /// The daemon can then write to its pidfile, but it can remove it only if it may write to the directory.
    /// [`Pidfile::trust`](crate::Pidfile::trust) does not apply to a file that another user owns. If
    /// fchown(2) fails, the start fails with `PidfileFailed`.
    pub const fn chown_pidfile(mut self, chown: bool) -> Self {
        self.settings.chown_pidfile = chown;
        self
    }

    /// How long to wait for the lock of the [`pidfile`](Self::pidfile) and of the
    /// [`lock_file`](Self::lock_file) if another process is the daemon of the file. By default the start
    /// fails with `AlreadyRunning` at once; with a time, it fails when the time has passed. The
    /// [`timeout`](Self::timeout) starts later by as much.
    pub const fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.settings.lock_timeout = timeout;
        self
    }

    /// Whether a process that daemonizes itself resets every signal to its default disposition and
    /// empties its signal mask (daemon(7), steps 2 and 3). A command always gets this.
    ///
    /// Off by default, since the program and its language have usually set up their signals already.
    /// Rust's standard library ignores SIGPIPE, so that a write to a closed connection returns an error
    /// instead of killing the program, and handles SIGSEGV and SIGBUS to report stack overflows. This
    /// option undoes both.
    ///
    /// If it fails, the start fails with `SignalsFailed`.
    pub const fn reset_signals(mut self, reset: bool) -> Self {
        self.settings.reset_signals = reset;
        self
    }

    /// Closes every inherited descriptor above 2 except these (daemon(7), step 1).
    ///
    /// A command always gets only these, the descriptors that hold its locks, and its notification fd.
    /// They are open in it even if they are close-on-exec in the caller. A process that daemonizes
    /// itself keeps all descriptors by default. Only the program knows which of them it needs: closing
    /// one that the runtime of its language uses, for example, breaks that runtime.
    ///
    /// ```
    /// use rawdaemon::{DaemonizeOptions, argv};
    /// use std::os::fd::AsRawFd;
    ///
    /// let (reader, writer) = std::os::unix::net::UnixStream::pair()?;
    /// let keep = [writer.as_raw_fd()];
    /// let options = DaemonizeOptions::new().close_fds(&keep);
    /// let script = std::ffi::CString::new(format!("echo said >&{}", keep[0]))?;
    /// let argv = [Some(c"sh".into()), Some(c"-c".into()), Some(script.as_c_str().into()), None];
    /// options.spawn(c"sh", rawdaemon::CStrings::new(&argv).unwrap(), argv![])?;
    /// drop(writer); // the daemon has its own
    /// assert_eq!(std::io::read_to_string(reader)?, "said\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The numbers are borrowed, not the descriptors: they must be open when the start begins. If one to be
    /// kept is not open, the start fails with `CloseFailed` and `EBADF` before it changes
    /// anything; with `EBUSY` if it is also the notification fd of [`ready`](Self::ready).
    pub const fn close_fds(mut self, keep: &'a [i32]) -> Self {
        self.settings.keep = Some(keep);
        self
    }

    /// The error of a start with these options, for display: with the path or the name that it is about. The
    /// command of `spawn` is not known here: see [`Error::with_path`].
    ///
    /// ```
    /// use rawdaemon::{DaemonizeOptions, argv};
    ///
    /// let options = DaemonizeOptions::new().chdir(c"/no/such/directory");
    /// let error = options.spawn(c"/bin/true", argv![c"true"], argv![]).unwrap_err();
    /// assert_eq!(
    ///     options.describe(&error).to_string(),
    ///     "cannot enter the working directory /no/such/directory: No such file or directory (ENOENT)",
    /// );
    /// ```
    #[must_use]
    pub fn describe<'e>(&'e self, error: &'e Error) -> WithPath<'e> {
        let name = error.subject().and_then(|subject| {
            let name = self.settings.string(subject);
            match subject {
                // The group may be part of `USER:GROUP`.
                Subject::Group => name.or_else(|| {
                    let user = self.settings.string(Subject::User);
                    user.filter(|user| user.to_bytes().contains(&b':'))
                }),
                Subject::Mkdir => self.settings.directory(error.number()),
                _ => name,
            }
        });
        // A string with a zero byte is empty here.
        let name = name.filter(|name| name.first_byte() != 0);
        WithPath::new(error, name.map(ThinCStr::to_c_str))
    }
}

impl Default for DaemonizeOptions<'_> {
    fn default() -> Self {
        Self::new()
    }
}
