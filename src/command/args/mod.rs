//! What does the command line ask for?
//!
//! The arguments are parsed in place, without a copy and without a system call.

mod arguments;
mod options;
mod usage;
mod values;

use core::time::Duration;

use rawdaemon::internal::{
    self, SIGKILL, SIGTERM, Subject, next_field, parse_signed, signal, variable,
};
use rawdaemon::{DaemonizeOptions, Stage, ThinCStr};

pub(crate) use arguments::{Arguments, Options};
pub(crate) use options::Name;
pub(crate) use usage::UsageError;

/// The action of the command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start the command.
    #[default]
    Start,
    /// Stop the daemon, if one runs, and start the command.
    Restart,
    /// Stop the daemon.
    Stop,
    /// Send the daemon a signal.
    Signal,
    /// Print whether the daemon runs.
    Status,
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// How much the command prints on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// Nothing.
    Quiet,
    /// Failures.
    #[default]
    Normal,
    /// Failures, the steps that were taken, and the daemon's pid.
    Verbose,
}

/// The largest number of descriptors that can be kept.
const KEPT: usize = 16;

/// The largest number of signals to stop a daemon.
const STAGES: usize = 8;

/// How long a daemon may take to end by default, before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a daemon that is killed may take to be gone: it may wait for a device.
const KILL_TIMEOUT: Duration = Duration::from_secs(60);

/// A command line, parsed. If an option is repeated, the last one wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Invocation<'a> {
    /// The action.
    pub(crate) action: Action,
    pub(crate) options: DaemonizeOptions<'a>,
    /// The time of `--timeout`: of the start, or of the stop.
    pub(crate) timeout: Option<Duration>,
    /// Whether the command replaces this process.
    pub(crate) foreground: bool,
    /// The user, and perhaps a group, by name or number.
    pub(crate) user: Option<ThinCStr<'a>>,
    /// The group, by name or number.
    pub(crate) group: Option<ThinCStr<'a>>,
    /// The name that the command gets as its own.
    pub(crate) argv0: Option<ThinCStr<'a>>,
    /// The descriptors to keep, and how many they are.
    pub(crate) keep: [i32; KEPT],
    pub(crate) kept: usize,
    /// Whether the command gets a new environment.
    pub(crate) clear_env: bool,
    /// The signal to send, or the first one of a stop.
    pub(crate) signal: Option<u8>,
    pub(crate) kill_after: Option<Duration>,
    /// The stages of `--retry`, and how many they are.
    pub(crate) retry: [Stage; STAGES],
    pub(crate) stages: usize,
    /// Whether a daemon that runs already is a success.
    pub(crate) start_or_ok: bool,
    /// Whether signals go to the daemon's process group.
    pub(crate) process_group: bool,
    /// Whether a pidfile without a lock is believed.
    pub(crate) trust_pidfile: bool,
    /// Whether it is a failure if there is no daemon to stop.
    pub(crate) strict: bool,
    /// How much to print.
    pub(crate) verbosity: Verbosity,
    /// The index of the command in the arguments.
    pub(crate) command: usize,
}

impl<'a> Invocation<'a> {
    /// Parses the arguments, up to the command's name.
    ///
    /// # Errors
    ///
    /// The first error, from left to right.
    #[inline(never)]
    pub(crate) fn parse(arguments: Arguments<'a>) -> Result<Self, UsageError<'a>> {
        let mut invocation = Self::default();
        let mut options = Options::new(arguments);
        for option in options.by_ref() {
            let (name, value) = option?;
            invocation
                .set(name, value)
                .ok_or(UsageError::BadValue(name, value))?;
            if matches!(invocation.action, Action::Help | Action::Version) {
                return Ok(invocation);
            }
        }
        invocation.command = arguments.len().saturating_sub(options.rest.len());
        let must_start = matches!(invocation.action, Action::Start | Action::Restart);
        match options.rest {
            [None, ..] | [] if must_start => Err(UsageError::NoCommand),
            _ if invocation.action != Action::Start && invocation.pidfile().is_none() => {
                Err(UsageError::NoPidfile)
            }
            _ => Ok(invocation),
        }
    }

    /// Applies an option. `None` if its value is wrong.
    fn set(&mut self, name: Name, value: ThinCStr<'a>) -> Option<()> {
        let text = value.to_bytes();
        match name {
            Name::Stdin => self.options = self.options.stdin(values::word(value)?.to_c_str()),
            Name::Stdout => self.options = self.options.stdout(values::word(value)?.to_c_str()),
            Name::Stderr => self.options = self.options.stderr(values::word(value)?.to_c_str()),
            Name::Pidfile => self.options = self.options.pidfile(values::word(value)?.to_c_str()),
            Name::LockFile => {
                self.options = self.options.lock_file(values::word(value)?.to_c_str())
            }
            Name::Chroot => self.options = self.options.chroot(values::word(value)?.to_c_str()),
            Name::Chdir => self.options = self.options.chdir(values::word(value)?.to_c_str()),
            Name::User => self.user = Some(values::word(value)?),
            Name::Group => self.group = Some(values::word(value)?),
            Name::Argv0 => self.argv0 = Some(values::word(value)?),
            Name::Umask => self.options = self.options.umask(values::octal_mask(text)?),
            Name::Timeout => self.timeout = Some(values::seconds(text)?),
            Name::Ready => self.options = self.options.ready(values::readiness(value)?),
            Name::Nice => self.options = self.options.nice(parse_signed(text, -20, 19)?),
            Name::OomScoreAdj => {
                self.options = self.options.oom_score_adj(parse_signed(text, -1000, 1000)?);
            }
            Name::Rlimit => {
                let (resource, limit) = values::resource_limit(text)?;
                self.options = self.options.limit(resource, limit);
            }
            Name::KeepFd => {
                *self.keep.get_mut(self.kept)? = values::descriptor(text)?;
                self.kept = self.kept.saturating_add(1);
            }
            Name::Env => drop(variable(value)?),
            Name::NoNewPrivs => self.options = self.options.no_new_privs(true),
            Name::ClearEnv => self.clear_env = true,
            Name::Signal => {
                self.signal = Some(signal(text)?);
                // With --stop and --restart, it is the first signal.
                if self.action == Action::Start {
                    self.action = Action::Signal;
                }
            }
            Name::KillAfter => self.kill_after = Some(values::seconds(text)?),
            Name::Retry => self.set_retry(text)?,
            Name::StartOrOk => self.start_or_ok = true,
            Name::ProcessGroup => self.process_group = true,
            Name::TrustPidfile => self.trust_pidfile = true,
            Name::Strict => self.strict = true,
            Name::Restart => self.action = Action::Restart,
            Name::Stop => self.action = Action::Stop,
            Name::Status => self.action = Action::Status,
            Name::Foreground => self.foreground = true,
            Name::Append => self.options = self.options.append(true),
            Name::Quiet => self.verbosity = Verbosity::Quiet,
            Name::Verbose => self.verbosity = Verbosity::Verbose,
            Name::Help => self.action = Action::Help,
            Name::Version => self.action = Action::Version,
        }
        Some(())
    }

    /// As dpkg's: `TERM/10/KILL/5`, or seconds alone, after a SIGTERM and again after a SIGKILL.
    fn set_retry(&mut self, text: &[u8]) -> Option<()> {
        self.retry.fill(Stage::default());
        self.stages = 0;
        if let Some(wait) = values::seconds(text) {
            self.add_stage(SIGTERM, wait)?;
            return self.add_stage(SIGKILL, wait);
        }
        let mut rest = Some(text);
        while rest.is_some() {
            let signal = signal(next_field(&mut rest, b'/'))?;
            self.add_stage(signal, values::seconds(next_field(&mut rest, b'/'))?)?;
        }
        Some(())
    }

    fn add_stage(&mut self, signal: u8, wait: Duration) -> Option<()> {
        *self.retry.get_mut(self.stages)? = Stage { signal, wait };
        self.stages = self.stages.saturating_add(1);
        Some(())
    }

    /// The pidfile, if one is given.
    #[must_use]
    pub(crate) fn pidfile(&self) -> Option<ThinCStr<'a>> {
        internal::path(&self.options, Subject::Pidfile)
    }

    /// The stages of a stop: those of `--retry`, or the signal of `--signal` and, after a time, a SIGKILL.
    #[must_use]
    pub(crate) fn stages<'s>(&'s self, default: &'s mut [Stage; 2]) -> &'s [Stage] {
        if self.stages != 0 {
            return self.retry.get(..self.stages).unwrap_or_default();
        }
        // The timeout of a restart is that of its start.
        let timeout = match self.action {
            Action::Restart => None,
            _ => self.timeout,
        };
        let wait = self.kill_after.or(timeout).unwrap_or(STOP_TIMEOUT);
        let [first, last] = &mut *default;
        *first = Stage {
            signal: self.signal.unwrap_or(SIGTERM),
            // Zero waits for ever.
            wait: if wait.is_zero() { Duration::MAX } else { wait },
        };
        *last = Stage {
            signal: SIGKILL,
            wait: KILL_TIMEOUT,
        };
        default
    }

    /// The options of a start, without the user and the group, whose names have to be looked up.
    pub(crate) fn options(&self) -> DaemonizeOptions<'_> {
        let mut options = self
            .options
            .foreground(self.foreground)
            .close_fds(self.keep.get(..self.kept).unwrap_or_default());
        if let Some(timeout) = self.timeout {
            options = options.timeout(timeout);
        }
        match self.verbosity {
            // With an intermediate, the launcher can print its progress.
            Verbosity::Verbose => options,
            _ => internal::ends_after(options),
        }
    }
}

/// The variables that `--env` sets, in their order.
#[must_use]
pub(crate) const fn assignments<'a>(arguments: Arguments<'a>) -> Assignments<'a> {
    Assignments(Options::new(arguments))
}

/// The iterator of [`assignments`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Assignments<'a>(Options<'a>);

impl<'a> Iterator for Assignments<'a> {
    type Item = ThinCStr<'a>;

    fn next(&mut self) -> Option<ThinCStr<'a>> {
        while let Some(Ok((name, value))) = self.0.next() {
            if name == Name::Env {
                return Some(value);
            }
        }
        None
    }
}
