//! A builder for commands, in the manner of `std::process::Command`.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::ffi::CString;
use alloc::vec::Vec;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::strings::CStringVec;
use crate::options::DaemonizeOptions;
use crate::protocol::{Errno, Error, ErrorKind, Subject, WithPath, failed};
use crate::start::{DaemonProcess, Progress};

/// A command that is to be started as a daemon, with the feature `std`.
///
/// ```
/// use rawdaemon::{Command, DaemonizeOptions, Stdio};
///
/// let log = std::env::temp_dir().join("rawdaemon-example.log");
/// let options = DaemonizeOptions::new().stdout(Stdio::append(&log));
/// let daemon = Command::new("sleep").arg("0.1").env("LANG", "C").options(options).spawn()?;
/// println!("sleep runs as {}", daemon.pid());
/// # std::fs::remove_file(log)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The command must not daemonize itself: see [`DaemonizeOptions::spawn`].
///
/// The environment is that of the calling process when [`spawn`](Self::spawn) is called, with the changes
/// made here.
#[derive(Clone, Debug)]
pub struct Command<'a> {
    /// Empty if it contained a zero byte.
    program: CString,
    argv: Vec<OsString>,
    clears_env: bool,
    /// The variables that are set, or removed.
    env: BTreeMap<OsString, Option<OsString>>,
    options: DaemonizeOptions<'a>,
}

impl<'a> Command<'a> {
    /// A command with the default options. A program without a slash is searched for in the PATH of the
    /// command's environment.
    #[must_use]
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        Self {
            argv: Vec::from([program.to_owned()]),
            program: CString::new(program.as_bytes()).unwrap_or_default(),
            clears_env: false,
            env: BTreeMap::new(),
            options: DaemonizeOptions::new(),
        }
    }

    /// Replaces the first argument, `argv[0]`, which is the program by default.
    pub fn arg0(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        if let Some(first) = self.argv.first_mut() {
            name.as_ref().clone_into(first);
        }
        self
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.argv.push(argument.as_ref().to_owned());
        self
    }

    /// Adds several arguments.
    pub fn args<S: AsRef<OsStr>>(&mut self, arguments: impl IntoIterator<Item = S>) -> &mut Self {
        for argument in arguments {
            self.arg(argument);
        }
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        let value = Some(value.as_ref().to_owned());
        self.env.insert(name.as_ref().to_owned(), value);
        self
    }

    /// Sets several environment variables.
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        &mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> &mut Self {
        for (name, value) in variables {
            self.env(name, value);
        }
        self
    }

    /// Removes an environment variable.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.env.insert(name.as_ref().to_owned(), None);
        self
    }

    /// Removes all environment variables, inherited ones and those that were set before.
    pub fn env_clear(&mut self) -> &mut Self {
        self.clears_env = true;
        self.env.clear();
        self
    }

    /// Sets the options of the daemon.
    pub fn options(&mut self, options: DaemonizeOptions<'a>) -> &mut Self {
        self.options = options;
        self
    }

    /// Starts the command as a daemon.
    ///
    /// # Errors
    ///
    /// Those of [`DaemonizeOptions::spawn`]. The error is `Usage` about the command if the program, an
    /// argument or a variable contains a zero byte, or if the name of a variable is empty or contains `=`.
    pub fn spawn(&self) -> Result<DaemonProcess, Error> {
        self.spawn_showing(None)
    }

    /// Like [`spawn`](Self::spawn), and calls `show` with the [`Progress`] of the start while it waits.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn).
    pub fn spawn_with_progress(
        &self,
        show: &mut dyn FnMut(Progress<'_>),
    ) -> Result<DaemonProcess, Error> {
        self.spawn_showing(Some(show))
    }

    fn spawn_showing(
        &self,
        show: Option<&mut dyn FnMut(Progress<'_>)>,
    ) -> Result<DaemonProcess, Error> {
        let argv = self.argv.iter();
        let argv: Vec<CString> = argv
            .map(|argument| c_string(argument.as_bytes()))
            .collect::<Result<_, _>>()?;
        let envp = self.environment()?;
        let (argv, envp): (CStringVec<'_>, CStringVec<'_>) =
            (argv.iter().collect(), envp.iter().collect());
        let (argv, envp) = (argv.as_c_strings(), envp.as_c_strings());
        match show {
            Some(show) => self
                .options
                .spawn_with_progress(&self.program, argv, envp, show),
            None => self.options.spawn(&self.program, argv, envp),
        }
    }

    /// The error of a start, for display: with the program, the path or the name that it is about.
    #[must_use]
    pub fn describe<'e>(&'e self, error: &'e Error) -> WithPath<'e> {
        match error.subject() {
            Some(Subject::Command) if error.kind() != ErrorKind::Usage => {
                error.with_path(&self.program)
            }
            _ => self.options.describe(error),
        }
    }

    fn environment(&self) -> Result<Vec<CString>, Error> {
        let inherited = std::env::vars_os().filter(|(name, _)| !self.env.contains_key(name));
        let inherited = inherited.filter(|_| !self.clears_env);
        let mut variables = Vec::new();
        for (name, value) in inherited {
            variables.push(c_string(&variable(name, &value))?);
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.as_bytes().contains(&b'=') {
                return Err(invalid());
            }
            if let Some(value) = value {
                variables.push(c_string(&variable(name.clone(), value))?);
            }
        }
        Ok(variables)
    }
}

/// Joins `NAME=VALUE`.
fn variable(name: OsString, value: &OsStr) -> Vec<u8> {
    let mut bytes = name.into_vec();
    bytes.push(b'=');
    bytes.extend_from_slice(value.as_bytes());
    bytes
}

fn c_string(bytes: &[u8]) -> Result<CString, Error> {
    CString::new(bytes).map_err(|_| invalid())
}

fn invalid() -> Error {
    failed(ErrorKind::Usage)(Errno::EINVAL).about(Subject::Command)
}
