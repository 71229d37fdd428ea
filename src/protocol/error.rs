//! The error type: which step failed, and why.

use core::hash::{Hash, Hasher};
use core::num::NonZeroU64;
use core::time::Duration;

use super::errno::Errno;
use super::exit_code::ExitCode;
use super::pid::Pid;
use super::wait_status::WaitStatus;

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Stream {
    /// Descriptor 0.
    Input = 0,
    /// Descriptor 1.
    Output = 1,
    /// Descriptor 2.
    Error = 2,
}

impl Stream {
    /// The streams, in the order of their descriptors.
    pub(super) const ALL: [Self; 3] = [Self::Input, Self::Output, Self::Error];
}

/// Why a step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// No more is known than the code.
    Unknown,
    /// A system call failed with this error.
    Errno(Errno),
    /// A process ended.
    Died {
        /// How it ended: its exit status, or the signal that killed it.
        status: WaitStatus,
        /// How long it had lived, in whole milliseconds, if known.
        after: Option<Duration>,
    },
    /// This process is the daemon of the pidfile or lock file; with
    /// [`NoLock`](crate::ExitCode::NoLock), it may be another one.
    Owner(Pid),
    /// The path does not name a regular file.
    NotAFile,
    /// `/etc/passwd` has no such user, or `/etc/group` no such group.
    NotListed,
    /// The daemon closed its notification pipe, or dropped its [`Ready`](crate::Ready), without
    /// reporting that it is ready.
    Silent,
    /// A number that the daemon itself has chosen to report why it cannot start
    /// ([`Ready::fail`](crate::Ready::fail)).
    Reason(u8),
}

impl From<Errno> for Cause {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<u8> for Cause {
    fn from(reason: u8) -> Self {
        Self::Reason(reason)
    }
}

/// A failed start: the step that failed, and the cause.
///
/// `Display` and `Debug` print one line: `cannot enter the working directory: No such file or directory
/// (ENOENT)`. An error does not hold the path that the step used. [`Error::with_path`] puts it into the line,
/// if the caller knows from [`Error::code`] and [`Error::stream`] which one it was.
///
/// ```
/// use rawdaemon::{Cause, DaemonizeOptions, Errno, ExitCode, argv};
///
/// let error = DaemonizeOptions::new()
///     .chdir(c"/no/such/directory")
///     .spawn(c"/bin/true", argv![c"true"], argv![])
///     .unwrap_err();
/// assert_eq!(error.code(), ExitCode::ChdirFailed);
/// assert_eq!(error.cause(), Cause::Errno(Errno::ENOENT));
/// assert_eq!(
///     error.to_string(),
///     "cannot enter the working directory: No such file or directory (ENOENT)",
/// );
/// assert_eq!(
///     error.with_path(c"/no/such/directory").to_string(),
///     "cannot enter the working directory /no/such/directory: No such file or directory (ENOENT)",
/// );
/// ```
#[derive(Clone, Copy)]
pub struct Error {
    /// From the lowest byte on: the kind, the exit code, an errno or a wait status (two bytes), and a pid,
    /// milliseconds or a standard stream (four bytes). Never zero, so `Result<(), Error>` is one word too.
    record: NonZeroU64,
}

const _: () = assert!(size_of::<Result<(), Error>>() == 8);

/// The kind of cause that the numbers of an error stand for: the variants of [`Cause`].
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Unknown = 1,
    Errno,
    Died,
    Owner,
    NotAFile,
    NotListed,
    Silent,
    Reason,
}

/// A flag in the kind of an error: the daemon had taken all its steps.
const ALL_STEPS: u64 = 0x40;

/// A flag in the number of a stream: its file could be opened, but not emptied.
pub(super) const NOT_EMPTIED: u32 = 4;

/// Stands for the milliseconds of a process whose lifetime is not known.
pub(super) const UNTIMED: u32 = u32::MAX;

impl Error {
    /// Makes the error of a step.
    // Inlined, it is a constant, or nearly one, where the cause is known: this makes the command smaller.
    #[inline(always)]
    #[must_use]
    pub const fn new(code: ExitCode, cause: Cause) -> Self {
        match cause {
            Cause::Unknown => Self::of(Kind::Unknown, code, 0, 0),
            Cause::Errno(errno) => Self::of(Kind::Errno, code, errno.number(), 0),
            Cause::Died { status, after } => {
                Self::of(Kind::Died, code, status.as_raw(), millis(after))
            }
            Cause::Owner(pid) => Self::of(Kind::Owner, code, 0, pid.get().unsigned_abs()),
            Cause::NotAFile => Self::of(Kind::NotAFile, code, 0, 0),
            Cause::NotListed => Self::of(Kind::NotListed, code, 0, 0),
            Cause::Silent => Self::of(Kind::Silent, code, 0, 0),
            Cause::Reason(reason) => Self::of(Kind::Reason, code, 0, reason as u32),
        }
    }

    /// Makes the error of a stream whose file could not be opened: the code is `OpenFailed`.
    #[must_use]
    pub const fn of_stream(errno: Errno, stream: Stream) -> Self {
        Self::of_part(ExitCode::OpenFailed, errno, stream as u32)
    }

    /// Makes the error of a stream whose file could not be emptied.
    pub(crate) const fn of_truncate(errno: Errno, stream: Stream) -> Self {
        Self::of_part(ExitCode::OpenFailed, errno, stream as u32 | NOT_EMPTIED)
    }

    /// Makes the error of a limit that could not be set, by its index in `LIMITS`.
    pub(crate) const fn of_limit(errno: Errno, limit: u32) -> Self {
        Self::of_part(ExitCode::LimitsFailed, errno, limit)
    }

    /// Makes the error of a descriptor to be kept, when it is not open.
    pub(crate) const fn of_kept(errno: Errno, fd: u32) -> Self {
        Self::of_part(ExitCode::CloseFailed, errno, fd)
    }

    /// Makes the error of standard streams that could not be saved before the steps, in the foreground.
    pub(crate) const fn of_saved_streams(errno: Errno) -> Self {
        Self::of_part(ExitCode::StdioFailed, errno, 0)
    }

    #[inline(never)]
    const fn of_part(code: ExitCode, errno: Errno, part: u32) -> Self {
        Self::of(Kind::Errno, code, errno.number(), part.wrapping_add(1))
    }

    /// Turns an error of the pidfile into one of the lock file. Other errors stay as they are.
    pub(crate) fn of_lock_file(self) -> Self {
        if self.large() != 0 || self.code() != ExitCode::PidfileFailed {
            return self;
        }
        Self {
            record: self.record | 1 << 32,
        }
    }

    /// Makes the error of a daemon that ended too soon. `milliseconds` is how long it had lived;
    /// `u64::MAX` if that is not known.
    pub(super) const fn of_death(status: WaitStatus, milliseconds: u64) -> Self {
        let after = match milliseconds {
            u64::MAX => UNTIMED,
            known => clamp_millis(known),
        };
        Self::of(Kind::Died, ExitCode::DaemonDied, status.as_raw(), after)
    }

    const fn of(kind: Kind, code: ExitCode, small: i32, large: u32) -> Self {
        let record =
            kind as u64 | (code as u64) << 8 | (small as u16 as u64) << 16 | (large as u64) << 32;
        // Never zero, since no kind is.
        match NonZeroU64::new(record) {
            Some(record) => Self { record },
            None => Self {
                record: NonZeroU64::MIN,
            },
        }
    }

    /// The same error, of a daemon that had taken all its steps.
    pub(super) fn after_all_steps(self) -> Self {
        Self {
            record: self.record | ALL_STEPS,
        }
    }

    /// Whether the daemon had taken all its steps.
    pub(super) const fn took_all_steps(self) -> bool {
        self.record.get() & ALL_STEPS != 0
    }

    /// The error as one number.
    pub(super) const fn to_word(self) -> u64 {
        self.record.get()
    }

    /// The error that [`to_word`](Self::to_word) has made this number of; `None` if its code is `Ok`.
    pub(super) fn from_word(word: u64) -> Option<Self> {
        let record = NonZeroU64::new(word)?;
        let error = Self { record };
        (u8::from(error) != ExitCode::Ok.as_u8()).then_some(error)
    }

    pub(super) const fn kind(self) -> Kind {
        match (self.record.get() & !ALL_STEPS) as u8 {
            2 => Kind::Errno,
            3 => Kind::Died,
            4 => Kind::Owner,
            5 => Kind::NotAFile,
            6 => Kind::NotListed,
            7 => Kind::Silent,
            8 => Kind::Reason,
            _ => Kind::Unknown,
        }
    }

    const fn small(self) -> u16 {
        (self.record.get() >> 16) as u16
    }

    pub(super) const fn large(self) -> u32 {
        (self.record.get() >> 32) as u32
    }

    /// The code of the step that failed.
    #[must_use]
    pub const fn code(&self) -> ExitCode {
        match ExitCode::from_u8((self.record.get() >> 8) as u8) {
            Some(code) => code,
            // No process of this crate reports another code.
            None => ExitCode::WaitFailed,
        }
    }

    /// Why the step failed.
    #[must_use]
    pub fn cause(&self) -> Cause {
        let large = self.large();
        match self.kind() {
            Kind::Errno => Cause::Errno(self.errno()),
            Kind::Died => Cause::Died {
                status: self.status(),
                after: (large != UNTIMED).then(|| Duration::from_millis(large.into())),
            },
            Kind::Owner => Pid::new(large as i32).map_or(Cause::Unknown, Cause::Owner),
            Kind::NotAFile => Cause::NotAFile,
            Kind::Unknown => Cause::Unknown,
            Kind::NotListed => Cause::NotListed,
            Kind::Silent => Cause::Silent,
            Kind::Reason => Cause::Reason(large as u8),
        }
    }

    /// The standard stream whose file could not be opened or emptied, if the code is `OpenFailed`.
    #[must_use]
    pub fn stream(&self) -> Option<Stream> {
        let part = match (self.code(), self.kind()) {
            (ExitCode::OpenFailed, Kind::Errno) => self.part()?,
            _ => return None,
        };
        Stream::ALL.get(part & !(NOT_EMPTIED as usize)).copied()
    }

    /// Whether a `PidfileFailed` concerns the lock file, and not the pidfile.
    #[must_use]
    pub fn is_of_lock_file(&self) -> bool {
        self.code() == ExitCode::PidfileFailed && self.part().is_some()
    }

    /// The object of the step that failed: the number of a stream or a descriptor, or the index of a limit.
    pub(super) fn part(&self) -> Option<usize> {
        match self.kind() {
            Kind::Errno | Kind::NotAFile => (self.large() as usize).checked_sub(1),
            _ => None,
        }
    }

    pub(super) fn errno(&self) -> Errno {
        Errno::new(self.small().into()).unwrap_or(Errno::EINVAL)
    }

    pub(super) const fn status(&self) -> WaitStatus {
        WaitStatus::from_raw(self.small() as i32)
    }
}

/// Errors with the same code, cause and subject are equal.
impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        // No public method shows the flag.
        self.record | ALL_STEPS == other.record | ALL_STEPS
    }
}

impl Eq for Error {}

impl Hash for Error {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.record | ALL_STEPS).hash(state);
    }
}

/// For `map_err`: makes an errno the error of a step.
pub(crate) fn failed(code: ExitCode) -> impl Fn(Errno) -> Error {
    move |errno| Error::new(code, Cause::Errno(errno))
}

/// A duration in whole milliseconds, at most seven weeks.
const fn millis(span: Option<Duration>) -> u32 {
    let Some(span) = span else { return UNTIMED };
    let millis = span.as_secs().saturating_mul(1000);
    clamp_millis(millis.saturating_add(span.subsec_millis() as u64))
}

const fn clamp_millis(millis: u64) -> u32 {
    if millis < UNTIMED as u64 {
        millis as u32
    } else {
        UNTIMED - 1
    }
}

impl core::error::Error for Error {}

impl From<Error> for ExitCode {
    fn from(error: Error) -> Self {
        error.code()
    }
}

impl From<Error> for u8 {
    fn from(error: Error) -> Self {
        (error.record.get() >> 8) as Self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Cause, Error, ExitCode};
    use crate::protocol::Errno;

    #[test]
    fn equal_errors_have_the_same_hash() {
        let error = Error::new(ExitCode::Refused, Cause::Errno(Errno::EIO));
        let late = error.after_all_steps();
        assert_eq!(late, error);
        assert!(HashSet::from([error]).contains(&late));
    }
}
