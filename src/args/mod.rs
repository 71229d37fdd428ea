//! The command's arguments, parsed in place: pure, and without a copy.
//!
//! Public for the command, the tests and the fuzz targets only.

use core::time::Duration;

use crate::options::{DaemonizeOptions, Limit, Readiness, Resource, place};
use crate::protocol::{
    LIMITS, SIGKILL, SIGTERM, cut, index_of, join, number, signal, signed_number, take,
};
use crate::stop::Stage;
use crate::sys::ThinCStr;

mod spelling;

use crate::environment::variable;

use spelling::Options;
pub use spelling::{Arguments, Spelling, UsageError};

/// What shall be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Start the command.
    #[default]
    Start,
    /// Stop the daemon, if one runs, and start the command.
    Restart,
    /// Stop the daemon.
    Stop,
    /// Send the daemon a signal.
    Signal,
    /// Say whether the daemon runs.
    Status,
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// How much is said on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Nothing.
    Quiet,
    /// What fails.
    #[default]
    Normal,
    /// What fails, what was done, and the daemon's pid.
    Verbose,
}

/// The largest number of descriptors that can be kept.
const KEPT: usize = 16;

/// The largest number of signals to stop a daemon.
const STAGES: usize = 8;

/// How long a daemon may take to end by default, before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a daemon that is killed may take to be gone: one that waits for a device, say, is not yet.
const KILL_TIMEOUT: Duration = Duration::from_secs(60);

/// A command line, understood. Of an option that is given twice, the last one counts.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Invocation<'a> {
    pub action: Action,
    /// What is kept as it is: standard input, output and error, the pidfile, the lock file, the
    /// root and the working directory; and then the user, the group, and the command's own name.
    pub words: [Option<ThinCStr<'a>>; place::COUNT + 3],
    pub umask: Option<u32>,
    pub timeout: Option<Duration>,
    pub niceness: Option<i32>,
    pub oom_score_adj: Option<i32>,
    pub limits: [Option<Limit>; Resource::ALL.len()],
    /// The descriptors to be kept, and how many they are.
    pub keep: [i32; KEPT],
    pub kept: usize,
    pub readiness: Readiness<'a>,
    pub foreground: bool,
    pub no_new_privs: bool,
    pub clear_env: bool,
    pub append: bool,
    pub signal: Option<u8>,
    pub kill_after: Option<Duration>,
    /// What `--retry` says, and how many stages it has.
    pub retry: [Stage; STAGES],
    pub stages: usize,
    pub start_or_ok: bool,
    pub process_group: bool,
    pub trust_pidfile: bool,
    pub strict: bool,
    pub verbosity: Verbosity,
    /// Which argument is the command.
    pub command: usize,
}

impl<'a> Invocation<'a> {
    /// Understands the arguments, up to the command's name.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, from left to right.
    #[inline(never)]
    pub fn parse(arguments: Arguments<'a>) -> Result<Self, UsageError<'a>> {
        let mut invocation = Self::default();
        let mut options = Options::new(arguments);
        for option in options.by_ref() {
            let (spelling, value) = option?;
            invocation
                .set(spelling, value)
                .ok_or(UsageError::BadValue(spelling, value))?;
            if matches!(invocation.action, Action::Help | Action::Version) {
                return Ok(invocation);
            }
        }
        invocation.command = arguments.len().saturating_sub(options.left.len());
        let must_start = matches!(invocation.action, Action::Start | Action::Restart);
        match options.left {
            [None, ..] | [] if must_start => Err(UsageError::NoCommand),
            _ if invocation.action != Action::Start && invocation.pidfile().is_none() => {
                Err(UsageError::NoPidfile)
            }
            _ => Ok(invocation),
        }
    }

    /// `None` if the value is not what it must be.
    fn set(&mut self, spelling: Spelling, value: ThinCStr<'a>) -> Option<()> {
        if let Some(place) = self.words.get_mut(spelling.0) {
            *place = Some(value);
            // An empty path is mostly a shell variable that was never set.
            return (value.first() != 0).then_some(());
        }
        let text = value.to_bytes();
        match spelling.letter() {
            b'm' => self.umask = Some(octal_mask(text)?),
            b't' => self.timeout = Some(seconds(text)?),
            b'R' => self.readiness = readiness(value)?,
            b'n' => self.niceness = Some(signed_number(text, -20, 19)?),
            b'1' => self.oom_score_adj = Some(signed_number(text, -1000, 1000)?),
            b'2' => self.set_limit(text)?,
            b'3' => self.keep_descriptor(text)?,
            b'E' => drop(variable(value)?),
            b'4' => self.no_new_privs = true,
            b'5' => self.clear_env = true,
            b's' => {
                self.signal = Some(signal(text)?);
                // With --stop and --restart, it is the first signal.
                if self.action == Action::Start {
                    self.action = Action::Signal;
                }
            }
            b'6' => self.kill_after = Some(seconds(text)?),
            b'7' => self.set_retry(text)?,
            b'8' => self.start_or_ok = true,
            b'9' => self.process_group = true,
            b'.' => self.trust_pidfile = true,
            b':' => self.strict = true,
            b';' => self.action = Action::Restart,
            b'K' => self.action = Action::Stop,
            b'T' => self.action = Action::Status,
            b'f' => self.foreground = true,
            b'a' => self.append = true,
            b'q' => self.verbosity = Verbosity::Quiet,
            b'v' => self.verbosity = Verbosity::Verbose,
            b'h' => self.action = Action::Help,
            _ => self.action = Action::Version,
        }
        Some(())
    }

    /// `NAME=SOFT` or `NAME=SOFT:HARD`; a soft limit alone stands for both.
    fn set_limit(&mut self, text: &[u8]) -> Option<()> {
        let (name, limits) = cut(text, b'=');
        let (soft, hard) = cut(limits?, b':');
        let soft = limit(soft)?;
        let hard = hard.map_or(Some(soft), limit)?;
        let index = index_of(name, LIMITS)?;
        *self.limits.get_mut(index)? = Some(Limit { soft, hard });
        (soft <= hard).then_some(())
    }

    fn keep_descriptor(&mut self, text: &[u8]) -> Option<()> {
        *self.keep.get_mut(self.kept)? = descriptor(text)?;
        self.kept = self.kept.saturating_add(1);
        Some(())
    }

    /// As dpkg's: `TERM/10/KILL/5`, or seconds alone, between a SIGTERM and a SIGKILL and behind that.
    fn set_retry(&mut self, text: &[u8]) -> Option<()> {
        (self.retry, self.stages) = Default::default();
        if let Some(wait) = seconds(text) {
            self.add_stage(SIGTERM, wait)?;
            return self.add_stage(SIGKILL, wait);
        }
        let mut left = Some(text);
        while left.is_some() {
            let signal = signal(take(&mut left, b'/'))?;
            self.add_stage(signal, seconds(take(&mut left, b'/'))?)?;
        }
        Some(())
    }

    fn add_stage(&mut self, signal: u8, wait: Duration) -> Option<()> {
        *self.retry.get_mut(self.stages)? = Stage { signal, wait };
        self.stages = self.stages.saturating_add(1);
        Some(())
    }

    /// The pidfile, if one is given.
    pub fn pidfile(&self) -> Option<ThinCStr<'a>> {
        let [_, _, _, pidfile, ..] = self.words;
        pidfile
    }

    /// How the daemon is to be stopped: by what `--retry` says, or by the signal that was asked for and,
    /// after a time, a SIGKILL.
    pub fn stages<'s>(&'s self, default: &'s mut [Stage; 2]) -> &'s [Stage] {
        if self.stages != 0 {
            return self.retry.get(..self.stages).unwrap_or_default();
        }
        // That of a restart is for its start.
        let timeout = match self.action {
            Action::Restart => None,
            _ => self.timeout,
        };
        let wait = self.kill_after.or(timeout).unwrap_or(STOP_TIMEOUT);
        let [first, last] = &mut *default;
        *first = Stage {
            signal: self.signal.unwrap_or(SIGTERM),
            // For ever.
            wait: if wait.is_zero() { Duration::MAX } else { wait },
        };
        *last = Stage {
            signal: SIGKILL,
            wait: KILL_TIMEOUT,
        };
        default
    }

    /// The library's options for this command line, but for the user and the group, whose names have
    /// to be looked up.
    #[inline(never)]
    pub fn options(&self) -> DaemonizeOptions<'_> {
        let [paths @ .., _, _, _] = self.words;
        DaemonizeOptions {
            timeout: self.timeout,
            paths,
            append: self.append,
            umask: self.umask,
            niceness: self.niceness,
            oom_score_adj: self.oom_score_adj,
            limits: self.limits,
            no_new_privs: self.no_new_privs,
            keep: self.keep.get(..self.kept),
            readiness: self.readiness,
            foreground: self.foreground,
            // Who wants to see the start go on, sees it from outside.
            ends_after: self.verbosity != Verbosity::Verbose,
            ..DaemonizeOptions::new()
        }
    }
}

/// The number of a descriptor that is no standard stream.
#[inline(never)]
fn descriptor(text: &[u8]) -> Option<i32> {
    let fd = i32::try_from(number(text, 10)?).ok()?;
    (fd > 2).then_some(fd)
}

fn readiness(value: ThinCStr<'_>) -> Option<Readiness<'_>> {
    const PREFIX: usize = b"notify:".len();
    let (how, given) = cut(value.to_bytes(), b':');
    match (index_of(how, b"exec\nfd\nnotify")?, given) {
        (0, None) => Some(Readiness::Executed),
        (1, Some(digits)) => Some(Readiness::Descriptor(descriptor(digits)?)),
        (2, None) => Some(Readiness::Notify),
        (2, Some([b'/', ..])) => Some(Readiness::NotifyAt(value.tail(PREFIX))),
        _ => None,
    }
}

/// A number, or `unlimited`.
fn limit(text: &[u8]) -> Option<u64> {
    if text == b"unlimited" {
        return Some(Limit::UNLIMITED);
    }
    number(text, 10)
}

fn octal_mask(text: &[u8]) -> Option<u32> {
    number(text, 8)
        .filter(|mask| *mask <= 0o777)
        .map(|mask| mask as u32)
}

/// A second in nanoseconds.
const SECOND: u32 = 1_000_000_000;

/// Decimal seconds: digits, and a fraction after a point. What is smaller than a nanosecond is cut
/// off.
fn seconds(text: &[u8]) -> Option<Duration> {
    let (whole, fraction) = cut(text, b'.');
    let fraction = fraction.unwrap_or_default();
    let seconds = match (whole, fraction) {
        ([], [_, ..]) => 0,
        _ => number(whole, 10)?,
    };
    let mut digits = [0; 9];
    let nanoseconds = number(join(fraction, b"000000000", &mut digits), 10)?;
    let is_number = fraction.iter().all(u8::is_ascii_digit);
    // Nine digits are less than a second: the compiler knows that after `%`.
    is_number.then_some(Duration::new(seconds, nanoseconds as u32 % SECOND))
}

/// The variables that `-E` sets, in their order.
pub const fn assignments<'a>(arguments: Arguments<'a>) -> Assignments<'a> {
    Assignments(Options::new(arguments))
}

/// What [`assignments`] gives.
#[derive(Clone, Copy, Debug)]
pub struct Assignments<'a>(Options<'a>);

impl<'a> Iterator for Assignments<'a> {
    type Item = ThinCStr<'a>;

    fn next(&mut self) -> Option<ThinCStr<'a>> {
        while let Some(Ok((spelling, value))) = self.0.next() {
            if spelling.letter() == b'E' {
                return Some(value);
            }
        }
        None
    }
}
