//! The error type: which step failed, why, and what it was about.

use core::hash::{Hash, Hasher};
use core::num::NonZeroU64;
use core::time::Duration;

use super::errno::Errno;
use super::exit_code::ErrorKind;
use super::milliseconds::{UNTIMED, clamp_millis, millis};
use super::pid::Pid;
use super::subject::Subject;
use super::wait_status::WaitStatus;

/// Why a step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The cause is not known.
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
    /// [`NoLock`](crate::ErrorKind::NoLock), it may be another one.
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
    /// The daemon was not ready after this time, in whole milliseconds.
    Late(Duration),
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

/// A failure: its kind, its cause, and what it was about.
///
/// `Display` and `Debug` print one line: `cannot enter the working directory: No such file or directory
/// (ENOENT)`. An error does not hold the path that the step used. [`Error::with_path`] puts it into the line,
/// if the caller knows from [`Error::kind`] and [`Error::subject`] which one it was.
///
/// ```
/// use rawdaemon::{Cause, DaemonizeOptions, Errno, ErrorKind, argv};
///
/// let error = DaemonizeOptions::new()
///     .chdir(c"/no/such/directory")
///     .spawn(c"/bin/true", argv![c"true"], argv![])
///     .unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::ChdirFailed);
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
    /// From the lowest byte on: the kind of the cause, the exit code, an errno or a wait status (two bytes),
    /// and a pid, milliseconds or a subject (four bytes). Never zero, so `Result<(), Error>` is one word
    /// too.
    record: NonZeroU64,
}

const _: () = assert!(size_of::<Result<(), Error>>() == 8);

/// The kind of cause that the numbers of an error stand for: the variants of [`Cause`].
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum CauseKind {
    Unknown = 1,
    Errno,
    Died,
    Owner,
    NotAFile,
    NotListed,
    Silent,
    Reason,
    Late,
}

/// What else is true of a failure: flags in the number of the cause. The message has them; no public method does,
/// and equal errors may differ in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Note {
    /// The pidfile, the socket or a directory of the start may be left: it could not be removed, or is not known.
    FileLeft = 0x10,
    /// What failed is the other thing that the kind stands for: a file could be opened, but not emptied; a daemon
    /// was stopped, but its pidfile not removed; a user or a group could not be looked up; the
    /// capabilities could not be kept over the change of the user; the intermediate could not watch the daemon;
    /// another start was not over in time.
    Other = 0x20,
    /// The daemon had taken all its steps.
    AllSteps = 0x40,
    /// The daemon could not be ended.
    StillRuns = 0x80,
}

/// All notes.
const NOTES: u64 = 0xf0;

/// The position of the errno or wait status, and that of the other number, in bits.
const SMALL: u32 = 16;
const LARGE: u32 = 32;

impl Error {
    /// Makes an error of this kind.
    // Inlined, it is a constant, or nearly one, where the cause is known: this makes the command smaller.
    #[inline(always)]
    #[must_use]
    pub const fn new(kind: ErrorKind, cause: Cause) -> Self {
        match cause {
            Cause::Unknown => Self::of(CauseKind::Unknown, kind, 0, 0),
            Cause::Errno(errno) => Self::of(CauseKind::Errno, kind, errno.number(), 0),
            Cause::Died { status, after } => {
                Self::of(CauseKind::Died, kind, status.as_raw(), millis(after))
            }
            Cause::Owner(pid) => Self::of(CauseKind::Owner, kind, 0, pid.get().unsigned_abs()),
            Cause::NotAFile => Self::of(CauseKind::NotAFile, kind, 0, 0),
            Cause::NotListed => Self::of(CauseKind::NotListed, kind, 0, 0),
            Cause::Silent => Self::of(CauseKind::Silent, kind, 0, 0),
            Cause::Reason(reason) => Self::of(CauseKind::Reason, kind, 0, reason as u32),
            Cause::Late(after) => Self::of(CauseKind::Late, kind, 0, millis(Some(after))),
        }
    }

    /// The same error, about this subject, unless it already has one. An error with the cause
    /// [`Cause::Died`], [`Cause::Reason`] or [`Cause::Late`] has no room for a subject.
    #[must_use]
    pub fn about(self, subject: Subject) -> Self {
        // Zero stands for no subject.
        let number = (subject as u64).saturating_add(1);
        let position = match self.cause_kind() {
            CauseKind::Died | CauseKind::Reason | CauseKind::Late => return self,
            CauseKind::Owner => SMALL,
            _ => LARGE,
        };
        if self.subject_number() != 0 {
            return self;
        }
        Self {
            record: self.record | number << position,
        }
    }

    /// The error of a descriptor.
    pub(crate) fn of_descriptor(kind: ErrorKind, errno: Errno, fd: i32) -> Self {
        let subject = (Subject::Descriptor as u32).wrapping_add(1);
        // There is room for 24 bits.
        if fd.wrapping_shl(8) >> 8 != fd {
            return failed(kind)(errno);
        }
        Self::of(
            CauseKind::Errno,
            kind,
            errno.number(),
            subject | (fd as u32) << 8,
        )
    }

    /// The same error with this note.
    #[doc(hidden)]
    #[must_use]
    pub fn with(self, note: Note) -> Self {
        Self {
            record: self.record | note as u64,
        }
    }

    /// Whether the error has this note.
    #[doc(hidden)]
    #[must_use]
    pub const fn has(self, note: Note) -> bool {
        self.record.get() & note as u64 != 0
    }

    /// Makes the error of a daemon that ended too soon. `milliseconds` is how long it had lived;
    /// `u64::MAX` if that is not known.
    pub(crate) const fn of_death(status: WaitStatus, milliseconds: u64) -> Self {
        let after = match milliseconds {
            u64::MAX => UNTIMED,
            known => clamp_millis(known),
        };
        Self::of(
            CauseKind::Died,
            ErrorKind::DaemonDied,
            status.as_raw(),
            after,
        )
    }

    /// Makes the error of a daemon that was not ready after so many milliseconds.
    pub(super) const fn of_lateness(milliseconds: u64) -> Self {
        let large = clamp_millis(milliseconds);
        Self::of(CauseKind::Late, ErrorKind::TimedOut, 0, large)
    }

    const fn of(cause: CauseKind, kind: ErrorKind, small: i32, large: u32) -> Self {
        let record = cause as u64
            | (kind as u64) << 8
            | (small as u16 as u64) << SMALL
            | (large as u64) << LARGE;
        // Never zero, since no cause is.
        match NonZeroU64::new(record) {
            Some(record) => Self { record },
            None => Self {
                record: NonZeroU64::MIN,
            },
        }
    }

    /// The error as one number.
    pub(super) const fn to_word(self) -> u64 {
        self.record.get()
    }

    /// The error that [`to_word`](Self::to_word) has made this number of; `None` if its exit code is 0.
    pub(super) fn from_word(word: u64) -> Option<Self> {
        let record = NonZeroU64::new(word)?;
        let error = Self { record };
        (error.exit_code() != 0).then_some(error)
    }

    pub(super) const fn cause_kind(self) -> CauseKind {
        match (self.record.get() & !NOTES) as u8 {
            2 => CauseKind::Errno,
            3 => CauseKind::Died,
            4 => CauseKind::Owner,
            5 => CauseKind::NotAFile,
            6 => CauseKind::NotListed,
            7 => CauseKind::Silent,
            8 => CauseKind::Reason,
            9 => CauseKind::Late,
            _ => CauseKind::Unknown,
        }
    }

    const fn small(self) -> u16 {
        (self.record.get() >> SMALL) as u16
    }

    pub(super) const fn large(self) -> u32 {
        (self.record.get() >> LARGE) as u32
    }

    /// The kind of the error: the step that failed.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match ErrorKind::from_exit_code(self.exit_code()) {
            Some(kind) => kind,
            // No process of this crate reports another one.
            None => ErrorKind::WaitFailed,
        }
    }

    /// The exit code of the [`kind`](Self::kind). The command `rawdaemon` exits with it.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        (self.record.get() >> 8) as u8
    }

    /// Why the step failed.
    #[must_use]
    pub fn cause(&self) -> Cause {
        let large = self.large();
        match self.cause_kind() {
            CauseKind::Errno => Cause::Errno(self.errno()),
            CauseKind::Died => Cause::Died {
                status: self.status(),
                after: (large != UNTIMED).then(|| Duration::from_millis(large.into())),
            },
            CauseKind::Owner => Pid::new(large as i32).map_or(Cause::Unknown, Cause::Owner),
            CauseKind::NotAFile => Cause::NotAFile,
            CauseKind::Unknown => Cause::Unknown,
            CauseKind::NotListed => Cause::NotListed,
            CauseKind::Silent => Cause::Silent,
            CauseKind::Reason => Cause::Reason(large as u8),
            CauseKind::Late => {
                Cause::Late(Duration::from_millis(clamp_millis(large.into()).into()))
            }
        }
    }

    /// What the error is about: the stream, file or directory, the limit, or the option that is invalid.
    /// `None` if the kind says it all.
    #[must_use]
    pub fn subject(&self) -> Option<Subject> {
        let index = self.subject_number().checked_sub(1)?;
        Subject::ALL.get(usize::from(index)).copied()
    }

    /// The number of the descriptor that could not be kept or saved, if the subject is a descriptor.
    #[must_use]
    pub fn descriptor(&self) -> Option<i32> {
        let is_descriptor = self.subject() == Some(Subject::Descriptor);
        is_descriptor.then_some(self.large() as i32 >> 8)
    }

    /// One more than the index of the subject; zero for none.
    const fn subject_number(&self) -> u8 {
        match self.cause_kind() {
            CauseKind::Died | CauseKind::Reason | CauseKind::Late => 0,
            CauseKind::Owner => self.small() as u8,
            _ => self.large() as u8,
        }
    }

    pub(super) fn errno(&self) -> Errno {
        Errno::new(self.small().into()).unwrap_or(Errno::EINVAL)
    }

    pub(super) const fn status(&self) -> WaitStatus {
        WaitStatus::from_raw(self.small() as i32)
    }
}

/// Errors with the same kind, cause and subject are equal.
impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        self.record | NOTES == other.record | NOTES
    }
}

impl Eq for Error {}

impl Hash for Error {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.record | NOTES).hash(state);
    }
}

/// For `map_err`: makes an errno an error of this kind.
#[inline(never)]
pub(crate) fn failed(kind: ErrorKind) -> impl Fn(Errno) -> Error {
    move |errno| Error::new(kind, Cause::Errno(errno))
}

/// The error of an intermediate that cannot watch the daemon, which is then ended.
pub(crate) fn cannot_watch(errno: Errno) -> Error {
    failed(ErrorKind::WaitFailed)(errno).with(Note::Other)
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::collections::HashSet;
    use std::format;
    use std::string::ToString;

    use super::{Cause, Error, ErrorKind, Note};
    use crate::protocol::{Errno, Pid, Signal, Subject, WaitStatus};

    #[test]
    fn equal_errors_have_the_same_hash() {
        let error = Error::new(ErrorKind::Refused, Cause::Errno(Errno::EIO));
        for note in [Note::AllSteps, Note::Other, Note::FileLeft, Note::StillRuns] {
            let noted = error.with(note);
            assert_eq!(noted, error);
            assert_eq!(noted.cause(), error.cause());
            assert!(HashSet::from([error]).contains(&noted));
        }
    }

    #[test]
    fn errors_with_another_kind_cause_or_subject_differ() {
        let error = Error::new(ErrorKind::Refused, Cause::Errno(Errno::EIO));
        for other in [
            Error::new(ErrorKind::OpenFailed, Cause::Errno(Errno::EIO)),
            Error::new(ErrorKind::Refused, Cause::Errno(Errno::EPERM)),
            Error::new(ErrorKind::Refused, Cause::Unknown),
            error.about(Subject::Stdin),
        ] {
            assert_ne!(error, other);
        }
    }

    #[test]
    fn a_subject_changes_no_cause() {
        let died = Cause::Died {
            status: WaitStatus::from_raw(9),
            after: Some(Duration::from_millis(64)),
        };
        let owner = Cause::Owner(Pid::new(300).unwrap());
        let has_room = [Cause::Unknown, Cause::Silent, owner, Errno::EIO.into()];
        let late = Cause::Late(Duration::from_millis(64));
        for cause in [died, Cause::Reason(64), late].into_iter().chain(has_room) {
            let error = Error::new(ErrorKind::Refused, cause).about(Subject::Pidfile);
            assert_eq!(error.cause(), cause);
            let subject = has_room.contains(&cause).then_some(Subject::Pidfile);
            assert_eq!(error.subject(), subject, "{cause:?}");
        }
    }

    #[test]
    fn debug_is_display() {
        let error = Error::new(ErrorKind::Refused, Cause::Errno(Errno::EIO));
        assert_eq!(format!("{error:?}"), error.to_string());
        assert_eq!(format!("{:?}", Errno::EIO), Errno::EIO.to_string());
        assert_eq!(format!("{:?}", Signal::HUP), "SIGHUP");
    }
}
