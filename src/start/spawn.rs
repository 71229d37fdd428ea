//! Starting another program as a daemon.

use core::ffi::CStr;

use super::exec::Command;
use super::original::start;
use super::plan::Plan;
use super::progress::Progress;
use crate::options::DaemonizeOptions;
use crate::protocol::{Errno, Error, ExitCode, Pid, failed};
use crate::sys::{Fork, ThinCStr};

/// Starts a command as a daemon, with the defaults of [`DaemonizeOptions::new`], and returns its
/// pid as soon as it has been executed.
///
/// # Errors
///
/// As [`DaemonizeOptions::spawn`].
///
/// # Examples
///
/// ```
/// let argv = [Some(c"sleep".into()), Some(c"0.1".into()), None];
/// let envp = [Some(c"PATH=/usr/bin:/bin".into()), None];
/// let pid = rawdaemon::spawn(c"sleep", &argv, &envp)?;
/// println!("sleep runs as {pid}");
/// # Ok::<(), rawdaemon::Error>(())
/// ```
///
/// With `std`, to hand on what is known only at run time, here the environment:
///
/// ```
/// use std::ffi::CString;
/// use std::os::unix::ffi::OsStrExt;
///
/// let strings: Vec<CString> = std::env::vars_os()
///     .map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()))
///     .collect::<Result<_, _>>()?;
/// let envp: Vec<_> =
///     strings.iter().map(|string| Some(string.as_c_str().into())).chain([None]).collect();
/// rawdaemon::spawn(c"sleep", &[Some(c"sleep".into()), Some(c"0.1".into()), None], &envp)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn spawn(
    program: &CStr,
    argv: &[Option<ThinCStr<'_>>],
    envp: &[Option<ThinCStr<'_>>],
) -> Result<Pid, Error> {
    DaemonizeOptions::new().spawn(program, argv, envp)
}

impl DaemonizeOptions<'_> {
    /// Starts a command as a daemon and returns its pid. The calling process goes on as it was; it
    /// may have threads.
    ///
    /// A `program` without a slash is looked for in the PATH of `envp`. A relative path, in PATH
    /// too, counts from the caller's working directory. Both lists end in `None`, as [`ThinCStr`]
    /// shows.
    ///
    /// The caller's memory is not copied, unless the command becomes another user or group, gets an
    /// `oom_score_adj`, or says that it is ready by [`Readiness::Notify`](crate::Readiness::Notify).
    ///
    /// Besides what the options say, the command gets default dispositions for all signals, an
    /// empty signal mask, and no descriptor above 2 but those that hold the locks of the pidfile and the
    /// lock file, that of [`Readiness::Descriptor`](crate::Readiness::Descriptor), and those of
    /// [`close_fds`](Self::close_fds).
    ///
    /// # Errors
    ///
    /// `CommandNotFound` when there is no such file, `ExecFailed` when there is one that the kernel
    /// will not execute, `Refused` when it says that it cannot start, `Usage` with `EINVAL` when a list
    /// does not end in `None`, and otherwise as [`daemonize`](Self::daemonize), but never `Threaded`.
    pub fn spawn(
        &self,
        program: &CStr,
        argv: &[Option<ThinCStr<'_>>],
        envp: &[Option<ThinCStr<'_>>],
    ) -> Result<Pid, Error> {
        self.spawn_with_progress(program, argv, envp, &mut |_| {})
    }

    /// [`spawn`](Self::spawn), and shows meanwhile what there is to be seen.
    ///
    /// ```
    /// use rawdaemon::{DaemonizeOptions, Progress, Readiness};
    ///
    /// let script = c"sleep 0.1; echo >&3; exec sleep 0.1";
    /// let argv = [Some(c"sh".into()), Some(c"-c".into()), Some(script.into()), None];
    /// let options = DaemonizeOptions::new().ready(Readiness::Descriptor(3));
    /// options.spawn_with_progress(c"sh", &argv, &[None], &mut |progress| match progress {
    ///     Progress::Waiting(time) => println!("waiting for {} s", time.as_secs()),
    ///     Progress::Status(text) => println!("it says {}", text.escape_ascii()),
    ///     _ => {}
    /// })?;
    /// # Ok::<(), rawdaemon::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    #[inline(never)]
    pub fn spawn_with_progress(
        &self,
        program: &CStr,
        argv: &[Option<ThinCStr<'_>>],
        envp: &[Option<ThinCStr<'_>>],
        show: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Pid, Error> {
        if !matches!((argv, envp), ([.., None], [.., None])) {
            return Err(failed(ExitCode::Usage)(Errno::EINVAL));
        }
        if program.is_empty() {
            return Err(failed(ExitCode::CommandNotFound)(Errno::ENOENT));
        }
        let command = Command {
            program: program.into(),
            argv,
            envp,
        };
        let Fork::Parent(pid) = start(&Plan::for_command(self), &command, show)?;
        Ok(pid)
    }
}
