//! What does the command line ask for?
//!
//! The parser copies no argument and makes no system call.

mod arguments;
mod options;
mod schedule;
mod usage;
mod values;

use core::time::Duration;

use rawdaemon::internal::{
    After, ExitCodes, HAS_SUPERVISOR, Init, LogOptions, LogTarget, Respawn, Settings, parse_number,
    parse_signed, split_once, variable,
};
use rawdaemon::{
    Capabilities, CpuSet, IntoCStr, IoPriority, Readiness, SchedPolicy, Securebits, Signal, Stdio,
    Subject, ThinCStr,
};

pub(crate) use arguments::{Arguments, Options};
pub(crate) use options::Name;
pub(crate) use schedule::Schedule;
pub(crate) use usage::UsageError;

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

/// The options that find a daemon by its pidfile. A command line has one of them at most, but --signal may stand
/// beside --stop and --restart: it gives their first signal.
const ACTIONS: u64 = Name::List.bit()
    | Name::Status.bit()
    | Name::Stop.bit()
    | Name::Restart.bit()
    | Name::Signal.bit();

/// The options of a supervisor, and those that only it has. They are flags, too.
const SUPERVISOR: u64 = Name::Respawn.bit() | Name::Init.bit();
const SUPERVISED: u64 = SUPERVISOR
    | Name::RespawnDelay.bit()
    | Name::RespawnMax.bit()
    | Name::RespawnGood.bit()
    | Name::RespawnFinal.bit()
    | Name::RespawnOrphan.bit()
    | Name::Watchdog.bit()
    | LOG;
const LOG: u64 = OF_FILES | Name::Log.bit();
const OF_FILES: u64 = Name::LogSize.bit() | Name::LogKeep.bit() | Name::LogTime.bit();

/// The largest number of `--keep-fd` options.
const MAX_KEPT_FDS: usize = 16;

/// The default of `--kill-after`: how long to wait for the daemon to end before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A parsed command line. If an option is repeated, the last one wins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Invocation<'a> {
    /// The settings of the start. A stop uses the timeout.
    pub(crate) start: Settings<'a>,
    /// The `argv[0]` of the command.
    pub(crate) argv0: Option<ThinCStr<'a>>,
    /// The descriptors that the daemon keeps: the first `kept` of these.
    pub(crate) keep: [i32; MAX_KEPT_FDS],
    pub(crate) kept: usize,
    /// The signal to send, or the first signal of a stop.
    pub(crate) signal: Option<Signal>,
    /// How long a stop waits before it sends a SIGKILL.
    pub(crate) kill_after: Option<Duration>,
    pub(crate) retry: Option<Schedule>,
    /// The values of --stdin, --stdout and --stderr.
    pub(crate) paths: [Option<ThinCStr<'a>>; 3],
    /// The log of a daemon that is supervised: the file for standard output, unless `--log` is given.
    pub(crate) log: LogOptions<'a>,
    pub(crate) verbosity: Verbosity,
    pub(crate) respawn: Respawn<'a>,
    /// Whether this process is to be an init process.
    pub(crate) init: Init,
    /// The flags that were given, as bits.
    pub(crate) flags: u64,
    /// The index of the command in the arguments.
    pub(crate) command: usize,
}

impl<'a> Invocation<'a> {
    /// Parses the arguments up to the command. `--help` and `--version` end the parsing.
    ///
    /// # Errors
    ///
    /// The leftmost error in an option, or else one of all options.
    #[inline(never)]
    pub(crate) fn parse(arguments: Arguments<'a>) -> Result<Self, UsageError<'a>> {
        let mut invocation = Self::default();
        let mut options = Options::new(arguments);
        for option in options.by_ref() {
            let (name, value) = option?;
            invocation
                .apply(name, value)
                .ok_or(UsageError::BadValue(name, value))?;
            if matches!(name, Name::Help | Name::Version) {
                return Ok(invocation);
            }
        }
        invocation.command = arguments.len().saturating_sub(options.rest.len());
        let mut actions = invocation.flags & ACTIONS;
        if actions & (Name::Stop.bit() | Name::Restart.bit()) != 0 {
            actions &= !Name::Signal.bit();
        }
        // A lock file is enough to find out that the daemon already runs.
        let has_file = invocation.pidfile().is_some()
            || actions == 0 && invocation.start.string(Subject::LockFile).is_some()
            // The pidfiles stand where the command does otherwise.
            || actions == Name::List.bit() && !matches!(options.rest, [None, ..] | []);
        match options.rest {
            // More than one.
            _ if actions & actions.wrapping_sub(1) != 0 => Err(UsageError::Excluded(actions)),
            [None, ..] | [] if actions & !Name::Restart.bit() == 0 => Err(UsageError::NoCommand),
            _ if !has_file && invocation.flags & (ACTIONS | Name::StartOrOk.bit()) != 0 => {
                Err(UsageError::NoPidfile)
            }
            // Signal 0 stops nothing.
            _ if invocation.has(Name::Signal)
                && invocation.signal.is_none()
                && actions != Name::Signal.bit() =>
            {
                Err(UsageError::BadValue(Name::Signal, ThinCStr::new(c"0")))
            }
            _ => invocation.check_supervision(),
        }
    }

    /// Checks the options of a supervisor together.
    #[inline(never)]
    fn check_supervision(self) -> Result<Self, UsageError<'a>> {
        let given = |flags: u64| self.first_of(self.flags & flags);
        let has_stdout = self.start.streams.get(1).is_some_and(Option::is_some);
        let (needing, needed) = match given(SUPERVISOR) {
            None if self.start.forks => (Some(Name::Ready), Name::Respawn),
            None => (given(SUPERVISED), Name::Respawn),
            Some(_) if !HAS_SUPERVISOR => return Err(UsageError::NotBuilt),
            Some(name) if self.has(Name::Foreground) => {
                return Err(UsageError::Excluded(name.bit() | Name::Foreground.bit()));
            }
            Some(_) if self.has(Name::Log) && has_stdout => {
                return Err(UsageError::Excluded(Name::Log.bit() | Name::Stdout.bit()));
            }
            // The daemon would have it, and not the process that it leaves.
            Some(_) if self.respawn.kills_orphan && self.start.forks => {
                let both = Name::RespawnOrphan.bit() | Name::Ready.bit();
                return Err(UsageError::Excluded(both));
            }
            Some(_) if self.log.target == LogTarget::Off && given(OF_FILES).is_some() => {
                (given(OF_FILES), Name::Stdout)
            }
            Some(_) if self.has(Name::Watchdog) && !self.notifies() => {
                (Some(Name::Watchdog), Name::Ready)
            }
            Some(_) => match self.own_descriptor() {
                Some((name, path)) => return Err(UsageError::BadValue(name, path)),
                None => (None, Name::Respawn),
            },
        };
        match needing {
            Some(name) => Err(UsageError::Needs(name, needed)),
            None => Ok(self),
        }
    }

    /// The first option that is one of these flags.
    fn first_of(&self, flags: u64) -> Option<Name> {
        let mut names = Name::ALL.iter().copied();
        names.find(|name| flags & name.bit() != 0)
    }

    /// Whether the daemon has a socket for its messages.
    const fn notifies(&self) -> bool {
        matches!(
            self.start.readiness,
            Readiness::Notify | Readiness::NotifyAbstract | Readiness::NotifyAt(_)
        )
    }

    /// A path of a standard stream that names a descriptor of the caller: a supervisor does not have that any more
    /// when it starts the daemon again.
    fn own_descriptor(&self) -> Option<(Name, ThinCStr<'a>)> {
        let names = [Name::Stdin, Name::Stdout, Name::Stderr];
        let mut streams = names.iter().zip(&self.paths);
        streams.find_map(|(name, path)| {
            let path = (*path)?;
            let is_own = [&b"/dev/fd/"[..], b"/dev/std", b"/proc/self/fd/"]
                .iter()
                .any(|folder| path.to_bytes().starts_with(folder));
            is_own.then_some((*name, path))
        })
    }

    /// Applies an option. Returns `None` if its value is invalid.
    #[inline(never)]
    fn apply(&mut self, name: Name, value: ThinCStr<'a>) -> Option<()> {
        let text = value.to_bytes();
        if SUPERVISED & name.bit() != 0 {
            self.add_flag(name);
        }
        match name {
            // In the order of the settings, as the next six are.
            Name::Stdin | Name::Stdout | Name::Stderr => {
                *self.start.streams.get_mut(name as usize)? = Some(values::stream(value)?);
                *self.paths.get_mut(name as usize)? = Some(value);
                let is_file = matches!(self.log.target, LogTarget::Off | LogTarget::File(_));
                if name == Name::Stdout && is_file {
                    self.log.target = match text {
                        b"inherit" | b"/dev/null" => LogTarget::Off,
                        _ => LogTarget::File(value),
                    };
                }
            }
            Name::Pidfile
            | Name::LockFile
            | Name::Chroot
            | Name::Chdir
            | Name::User
            | Name::Group => {
                let index = (name as usize).checked_sub(Name::Pidfile as usize)?;
                let string = values::word(value)?.into_arg();
                *self.start.strings.get_mut(index)? = Some(string);
            }
            Name::Argv0 => self.argv0 = Some(values::word(value)?),
            Name::Umask => self.start.umask = Some(values::octal_mask(text)?),
            Name::Timeout => self.start.timeout = Some(values::seconds(text)?),
            Name::Ready => {
                self.start.own_pidfile = values::own_pidfile(value);
                self.start.forks = self.start.own_pidfile.is_some() || text == b"fork";
                self.start.readiness = match self.start.forks {
                    true => Readiness::Executed,
                    false => values::readiness(value)?,
                };
            }
            Name::Nice => self.start.nice = Some(parse_signed(text, -20, 19)?),
            Name::OomScoreAdj => {
                self.start.oom_score_adj = Some(parse_signed(text, -1000, 1000)?);
            }
            Name::Rlimit => {
                let (index, limit) = values::resource_limit(text)?;
                *self.start.limits.get_mut(index)? = Some(limit);
            }
            Name::Sched => self.start.sched = Some(SchedPolicy::parse(text)?),
            Name::Ionice => self.start.ionice = Some(IoPriority::parse(text)?),
            Name::Cpus => self.start.cpus = Some(CpuSet::parse(text)?),
            Name::Capabilities => self.start.capabilities = Some(Capabilities::parse(text)?),
            Name::Securebits => self.start.securebits = Some(Securebits::parse(text)?),
            Name::KeepFd => {
                *self.keep.get_mut(self.kept)? = values::descriptor(text)?;
                self.kept = self.kept.saturating_add(1);
            }
            Name::Mkdir => {
                let mut slots = self.start.directories.iter_mut();
                *slots.find(|slot| slot.is_none())? = Some(values::word(value)?.into_arg());
            }
            Name::Env => drop(variable(value)?),
            Name::Signal => {
                self.signal = match text {
                    b"0" => None,
                    text => Some(Signal::parse(text)?),
                };
                self.add_flag(name);
            }
            Name::KillAfter => self.kill_after = Some(values::seconds(text)?),
            Name::Retry => self.retry = Some(Schedule::parse(text)?),
            Name::Respawn => {
                self.respawn.after = match text {
                    b"failure" => After::Failure,
                    b"always" => After::Everything,
                    _ => return None,
                };
            }
            Name::Init => {
                self.init = match text {
                    b"container" => Init::Container,
                    b"image" => Init::Image,
                    _ => return None,
                };
            }
            Name::RespawnDelay => {
                (self.respawn.delay, self.respawn.longest_delay) = values::delays(text)?;
            }
            Name::RespawnMax => {
                self.respawn.max = u32::try_from(parse_number(text, 10)?).ok()?;
            }
            Name::RespawnGood => self.respawn.good_run = values::seconds(text)?,
            Name::RespawnFinal => self.respawn.final_codes = ExitCodes::parse(text)?,
            Name::RespawnOrphan => {
                self.respawn.kills_orphan = match text {
                    b"run" => false,
                    b"kill" => true,
                    _ => return None,
                };
            }
            Name::Watchdog => {
                let (time, signal) = split_once(text, b':');
                self.respawn.watchdog = values::seconds(time)?;
                if let Some(signal) = signal {
                    self.respawn.watchdog_signal = Signal::parse(signal)?;
                }
            }
            Name::LogSize => self.log.size = values::log_size(text)?,
            Name::LogKeep => self.log.keep = values::log_keep(text)?,
            Name::LogTime => self.log.time = values::log_time(text)?,
            Name::Log => self.log.target = values::log_target(text)?,
            Name::NoNewPrivs
            | Name::ClearEnv
            | Name::StartOrOk
            | Name::ProcessGroup
            | Name::TrustPidfile
            | Name::Strict
            | Name::Foreground
            | Name::Append
            | Name::Restart
            | Name::Stop
            | Name::Status
            | Name::List
            | Name::Help
            | Name::Version => self.add_flag(name),
            Name::Quiet => self.verbosity = Verbosity::Quiet,
            Name::Verbose => self.verbosity = Verbosity::Verbose,
        }
        Some(())
    }

    /// The path of the pidfile, if any.
    #[must_use]
    pub(crate) fn pidfile(&self) -> Option<ThinCStr<'_>> {
        self.start.string(Subject::Pidfile)
    }

    /// The schedule of a stop: that of `--retry`, or else the signal of `--signal` and a SIGKILL.
    #[must_use]
    #[inline(never)]
    pub(crate) fn schedule(&self) -> Schedule {
        let signal = self.signal.unwrap_or(Signal::TERM);
        if let Some(schedule) = self.retry {
            return schedule.or_signal(signal);
        }
        // With --restart and --respawn, --timeout applies to the start only.
        let timeout = match self.has(Name::Restart) | self.has(Name::Respawn) {
            true => None,
            false => self.start.timeout,
        };
        let wait = self.kill_after.or(timeout).unwrap_or(STOP_TIMEOUT);
        // Zero means no limit.
        let wait = if wait.is_zero() { Duration::MAX } else { wait };
        Schedule::kill_after(signal, wait)
    }

    pub(crate) const fn add_flag(&mut self, flag: Name) {
        self.flags |= flag.bit();
    }

    /// Whether this flag was given: an option without a value, or --signal.
    pub(crate) const fn has(&self, flag: Name) -> bool {
        self.flags & flag.bit() != 0
    }

    /// Completes the settings of the start.
    pub(crate) fn complete(&mut self) {
        if self.has(Name::Append) {
            for stream in &mut self.start.streams {
                *stream = stream.take().map(Stdio::appending);
            }
        }
        self.start.foreground = self.has(Name::Foreground);
        if self.has(Name::Init) {
            if !self.has(Name::Respawn) {
                self.respawn.after = After::Nothing;
            }
            // As a container expects it.
            self.start.inherit_umask |= self.start.umask.is_none();
            if self.start.string(Subject::Chdir).is_none() {
                self.start
                    .set(Subject::Chdir, Some(ThinCStr::new(c".").into_arg()));
            }
        }
        self.start.no_new_privs = self.has(Name::NoNewPrivs);
        // With `--verbose`, the launcher prints its progress while it waits for an intermediate.
        // With `--start-or-ok` the launcher may still have to wait, and must stay in its session for that.
        self.start.ends_after = self.verbosity != Verbosity::Verbose && !self.has(Name::StartOrOk);
    }
}

/// The variables that `--env` sets, in the order of the arguments.
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
