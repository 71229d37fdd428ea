//! `spawn`: starting another program as a daemon.

use core::ffi::CStr;

use super::callback::{Callback, refuse_within_callback};
use super::daemon_process::DaemonProcess;
use super::exec::Command;
use super::look_up::LookUp;
use super::original::start;
use super::plan::Plan;
use super::progress::{Progress, Show};
use crate::options::{Credentials, DaemonizeOptions, Settings};
use crate::protocol::{Errno, Error, ErrorKind, Subject, failed};
use crate::sys::{CStrings, Fork, ThinCStr};

/// Starts a command as a daemon, with the defaults of [`DaemonizeOptions::new`], and returns as soon as it
/// has been executed.
///
/// # Errors
///
/// See [`DaemonizeOptions::spawn`].
///
/// # Examples
///
/// ```
/// use rawdaemon::argv;
///
/// let daemon = rawdaemon::spawn(c"sleep", argv![c"sleep", c"0.1"], argv![c"PATH=/usr/bin:/bin"])?;
/// println!("sleep runs as {}", daemon.pid());
/// # Ok::<(), rawdaemon::Error>(())
/// ```
///
/// With `std`, to pass strings that are known only at run time, such as the environment:
///
/// ```
/// use rawdaemon::{CStrings, argv};
/// use std::ffi::CString;
/// use std::os::unix::ffi::OsStrExt;
///
/// let strings: Vec<CString> = std::env::vars_os()
///     .map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()))
///     .collect::<Result<_, _>>()?;
/// let list: Vec<_> =
///     strings.iter().map(|string| Some(string.as_c_str().into())).chain([None]).collect();
/// let envp = CStrings::new(&list).unwrap();
/// rawdaemon::spawn(c"sleep", argv![c"sleep", c"0.1"], envp)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn spawn(
    program: &CStr,
    argv: CStrings<'_>,
    envp: CStrings<'_>,
) -> Result<DaemonProcess, Error> {
    DaemonizeOptions::new().spawn(program, argv, envp)
}

impl DaemonizeOptions<'_> {
    /// Starts a command as a daemon. The calling process is unchanged, and may have threads.
    ///
    /// The command must not daemonize itself: if it forks and exits, it is reported as ended, or the returned
    /// pid is that of a process that is gone. Most programs have an option to stay in the foreground.
    ///
    /// A `program` without a slash is searched for in the PATH of `envp`, as execvp(3) does. Relative
    /// paths, including those in PATH, are resolved against the caller's working directory. A script without a
    /// `#!` line is run by `/bin/sh`, with up to 253 arguments.
    ///
    /// The daemon shares the caller's memory until it executes the command, as with vfork(2), so a start
    /// takes the same time in a large process as in a small one. The memory is copied only if the options
    /// change the user or group or set an `oom_score_adj`.
    ///
    /// In addition to what the options set, the command gets default dispositions and an empty signal
    /// mask. Of the descriptors above 2 it gets only these: those of [`close_fds`](Self::close_fds), the
    /// notification fd ([`Readiness::Descriptor`](crate::Readiness::Descriptor)), and those that hold the
    /// locks on the pidfile and the lock file.
    ///
    /// # Errors
    ///
    /// Those of [`daemonize`](Self::daemonize) except `Threaded`, and:
    ///
    /// - `CommandNotFound`: no such file.
    /// - `ExecFailed`: the file exists, but execve(2) failed.
    /// - `Refused`: the command closed its notification fd without reporting that it is ready.
    pub fn spawn(
        &self,
        program: &CStr,
        argv: CStrings<'_>,
        envp: CStrings<'_>,
    ) -> Result<DaemonProcess, Error> {
        self.spawn_showing((program, argv, envp), None)
    }

    /// Like [`spawn`](Self::spawn), and calls `show` with the [`Progress`] of the start while it waits.
    ///
    /// `show` cannot start a daemon: until this start is over, every other one in this thread fails with
    /// `FirstForkFailed` and `EDEADLK`.
    ///
    /// ```
    /// use rawdaemon::{DaemonizeOptions, Progress, Readiness, argv};
    ///
    /// let argv = argv![c"sh", c"-c", c"sleep 0.1; echo >&3; exec sleep 0.1"];
    /// let options = DaemonizeOptions::new().ready(Readiness::Descriptor(3));
    /// options.spawn_with_progress(c"sh", argv, argv![], &mut |progress| match progress {
    ///     Progress::Waiting(time) => println!("waiting for {} s", time.as_secs()),
    ///     Progress::Status(text) => println!("status: {}", text.escape_ascii()),
    ///     _ => {}
    /// })?;
    /// # Ok::<(), rawdaemon::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn).
    pub fn spawn_with_progress(
        &self,
        program: &CStr,
        argv: CStrings<'_>,
        envp: CStrings<'_>,
        show: &mut dyn FnMut(Progress<'_>),
    ) -> Result<DaemonProcess, Error> {
        let mut show = |progress: Progress<'_>| {
            let _callback = Callback::begin();
            show(progress);
        };
        self.spawn_showing((program, argv, envp), Some(&mut show))
    }

    fn spawn_showing(
        &self,
        (program, argv, envp): (&CStr, CStrings<'_>, CStrings<'_>),
        show: Show<'_>,
    ) -> Result<DaemonProcess, Error> {
        refuse_within_callback()?;
        self.settings.check(true)?;
        let mut look_up = LookUp::default();
        let (credentials, _) = look_up.credentials(&self.settings)?;
        let command = (program.into(), argv, envp);
        spawn_as(&self.settings, credentials, command, None, show).map_err(|error| {
            match error.kind() {
                ErrorKind::ExecFailed | ErrorKind::CommandNotFound => error.about(Subject::Command),
                _ => error,
            }
        })
    }
}

/// Starts a command with settings that are valid, as these ids. In the foreground, `before_exec` is called when all
/// other steps are taken.
///
/// # Errors
///
/// Those of [`DaemonizeOptions::spawn`], except `Usage`.
#[inline(never)]
pub fn spawn_as(
    settings: &Settings<'_>,
    credentials: Credentials<'_>,
    (program, argv, envp): (ThinCStr<'_>, CStrings<'_>, CStrings<'_>),
    before_exec: Option<&dyn Fn()>,
    show: Show<'_>,
) -> Result<DaemonProcess, Error> {
    if program.first_byte() == 0 {
        return Err(failed(ErrorKind::CommandNotFound)(Errno::ENOENT));
    }
    let plan = Plan::for_command(settings).with_credentials(credentials);
    let command = Command {
        program,
        argv,
        envp,
        before_exec,
    };
    let Fork::Parent(daemon) = start(&plan, &command, show)?;
    Ok(daemon)
}
