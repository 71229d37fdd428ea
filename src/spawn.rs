//! Starting another program as a daemon.

use core::convert::Infallible;
use core::ffi::CStr;
use core::time::Duration;

use crate::context::{Birth, Kind};
use crate::daemonize::start;
use crate::descriptors::Kept;
use crate::environment::Environment;
use crate::options::DaemonizeOptions;
use crate::program::{any_path, interpreter, is_relative};
use crate::progress::Progress;
use crate::protocol::{Errno, Error, ExitCode, Pid, cut, failed};
use crate::sys::{self, Forked, NOTHING, Open, RawFd, SignalSet, ThinCStr, Thread};

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
        self.spawn_and_show(program, argv, envp, &mut |_| {})
    }

    /// [`spawn`](Self::spawn), and shows meanwhile what there is to be seen.
    ///
    /// ```
    /// use rawdaemon::{DaemonizeOptions, Progress, Readiness};
    ///
    /// let script = c"sleep 0.1; echo >&3; exec sleep 0.1";
    /// let argv = [Some(c"sh".into()), Some(c"-c".into()), Some(script.into()), None];
    /// let options = DaemonizeOptions::new().ready(Readiness::Descriptor(3));
    /// options.spawn_and_show(c"sh", &argv, &[None], &mut |progress| match progress {
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
    pub fn spawn_and_show(
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
        let Forked::Parent(pid) = start(self, &command, show)?;
        Ok(pid)
    }
}

/// What is to be executed.
struct Command<'a> {
    program: ThinCStr<'a>,
    argv: &'a [Option<ThinCStr<'a>>],
    envp: &'a [Option<ThinCStr<'a>>],
}

impl Kind for Command<'_> {
    /// The steps end in exec or in a failure.
    type Left = Infallible;
    const TIMEOUT: Duration = Duration::ZERO;
    const UMASK: u32 = 0o022;
    const EXECUTES: bool = true;

    fn thread(&self) -> Option<&Thread> {
        None
    }

    fn is_relative(&self, environment: Environment<'_>) -> bool {
        is_relative(self.program, environment)
    }

    fn environment(&self) -> Environment<'_> {
        self.envp
    }

    fn restore(_: &Birth<'_, Self>) -> Result<(), Errno> {
        // All is reset and closed for a command.
        Ok(())
    }

    fn finish(
        &self,
        birth: &Birth<'_, Self>,
        working_directory: &[u8],
        locks: [RawFd; 2],
    ) -> Result<Infallible, Error> {
        let kept = Kept {
            listed: birth.start.options.keep.unwrap_or_default(),
            own: &locks,
        };
        let mut fd = kept.next(0);
        while fd != NOTHING {
            sys::keep_across_exec(fd).map_err(failed(ExitCode::StdioFailed))?;
            fd = kept.next(fd.wrapping_add(1));
        }
        if !birth.is_watched() {
            return Err(failed(ExitCode::WaitFailed)(Errno::ESRCH));
        }
        sys::set_mask(SignalSet::NONE).map_err(failed(ExitCode::SignalsFailed))?;
        Err(self.execute(birth.environment, working_directory))
    }
}

impl Command<'_> {
    /// Executes the command, from the first directory where that works.
    fn execute(&self, envp: Environment<'_>, working_directory: &[u8]) -> Error {
        let Command { program, argv, .. } = *self;
        let is_searched = cut(program.to_bytes(), b'/').1.is_none();
        let mut missing = Errno::ENOENT;
        let mut error = None;
        any_path(program, envp, working_directory, &mut |path| {
            let errno = match path {
                Some(path) => match sys::execute(path, argv, envp) {
                    // Not here, mostly: why not is asked only if it is nowhere.
                    Errno::ENOENT => return false,
                    Errno::ENOTDIR if !sys::exists(path) => {
                        if !is_searched {
                            missing = Errno::ENOTDIR;
                        }
                        return false;
                    }
                    // Nor here, as far as this process may know.
                    Errno::EACCES if is_searched && !sys::exists(path) => return false,
                    errno => errno,
                },
                None => Errno::ENAMETOOLONG,
            };
            error = Some(errno);
            // With these, another directory may have one that works.
            !matches!(errno, Errno::EACCES | Errno::ENAMETOOLONG)
        });
        // ENOENT also means that the interpreter of a file is missing.
        let error = match error {
            None if any_path(program, envp, working_directory, &mut |path| {
                path.is_some_and(sys::exists)
            }) =>
            {
                Some(Errno::ENOENT)
            }
            error => error,
        };
        error.map_or(
            failed(ExitCode::CommandNotFound)(missing),
            failed(ExitCode::ExecFailed),
        )
    }
}

/// The interpreter that a command asks for, after `#!` or as the dynamic linker of an ELF file:
/// what may be missing when [`spawn`] says `ExecFailed` with `ENOENT`.
///
/// The command is looked for as by [`spawn`], and its first bytes are read to `buffer`. `None` when
/// there is no such file, when it cannot be read, or when `buffer` does not reach as far as the
/// name; 4096 bytes mostly do.
#[inline(never)]
pub fn interpreter_of<'b>(
    program: &CStr,
    envp: &[Option<ThinCStr<'_>>],
    buffer: &'b mut [u8],
) -> Option<&'b [u8]> {
    let mut file = None;
    any_path(program.into(), envp, b".", &mut |path| {
        file = path.and_then(|path| sys::open(path, Open::Read).ok());
        file.is_some()
    });
    let file = file?;
    let length = sys::read(file.raw(), buffer).ok()?;
    interpreter(buffer.get(..length as usize)?)
}
