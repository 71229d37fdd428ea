//! The daemon's steps, in order. The daemon takes them in the order of this table; the first is taken for it. `-v` and the messages
//! of failures use it, and a test compares the lists in the README and the manual page with it.

use super::errno::Errno;
use super::error::{Error, Note, failed};
use super::exit_code::ErrorKind;
use super::subject::Subject;
use crate::packed::{Packed, packed};

macro_rules! steps {
    ($($step:ident: $kind:expr, $subject:expr, $words:literal;)*) => {
        /// A step of the daemon. The order is that in which they are taken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Step {
            $(#[doc = concat!("The daemon ", $words, ".")] $step,)*
        }

        impl Step {
            /// All steps, in order.
            pub const ALL: &[Self] = &[$(Self::$step,)*];
        }

        /// The kind of the error of each step, and what the step is about.
        static FACTS: &[(Option<ErrorKind>, Option<Subject>)] = &[$(($kind, $subject),)*];

        /// The words of each step.
        static WORDS: Packed = packed![$($words, "\n",)*];
    };
}

steps! {
    MakeDirectories: Some(ErrorKind::OpenFailed), Some(Subject::Mkdir), "made the directories";
    ResetSignals: Some(ErrorKind::SignalsFailed), None, "reset the signals";
    OpenStdin: Some(ErrorKind::OpenFailed), Some(Subject::Stdin), "opened standard input";
    OpenStdout: Some(ErrorKind::OpenFailed), Some(Subject::Stdout), "opened standard output";
    OpenStderr: Some(ErrorKind::OpenFailed), Some(Subject::Stderr), "opened standard error";
    CloseDescriptors: Some(ErrorKind::CloseFailed), None, "closed the inherited descriptors";
    OpenDevNull: Some(ErrorKind::OpenDevNullFailed), None, "opened /dev/null";
    PlaceStreams: Some(ErrorKind::StdioFailed), None, "put the standard streams in place";
    LockLockFile: Some(ErrorKind::PidfileFailed), Some(Subject::LockFile), "locked the lock file";
    LockPidfile: Some(ErrorKind::PidfileFailed), Some(Subject::Pidfile), "locked the pidfile";
    SetOomScoreAdj: Some(ErrorKind::LimitsFailed), Some(Subject::OomScoreAdj), "set the OOM score adjustment";
    SetUmask: Some(ErrorKind::LimitsFailed), Some(Subject::Umask), "set the umask";
    RunAction: Some(ErrorKind::Refused), None, "ran the program's action";
    Chroot: Some(ErrorKind::ChrootFailed), Some(Subject::Chroot), "entered the root directory";
    Chdir: Some(ErrorKind::ChdirFailed), Some(Subject::Chdir), "entered the working directory";
    WritePidfile: Some(ErrorKind::PidfileFailed), Some(Subject::Pidfile), "wrote the pidfile";
    SetLimits: Some(ErrorKind::LimitsFailed), None, "set the limits";
    SetGroups: Some(ErrorKind::GroupsFailed), None, "set the supplementary groups";
    SetGroup: Some(ErrorKind::SetgidFailed), Some(Subject::Group), "became the group";
    SetUser: Some(ErrorKind::SetuidFailed), Some(Subject::User), "became the user";
    SetCapabilities: Some(ErrorKind::LimitsFailed), None, "set the capabilities";
    EmptyOutputs: Some(ErrorKind::OpenFailed), None, "emptied the output files";
    Execute: Some(ErrorKind::ExecFailed), Some(Subject::Command), "executed the command";
}

impl Step {
    fn facts(self) -> (Option<ErrorKind>, Option<Subject>) {
        FACTS.get(self as usize).copied().unwrap_or_default()
    }

    /// The kind of the error if this step fails. `None` if it cannot fail.
    #[must_use]
    pub fn error_kind(self) -> Option<ErrorKind> {
        self.facts().0
    }

    /// The error of a start in which this step failed.
    #[must_use]
    pub fn error(self, errno: Errno) -> Error {
        let (kind, subject) = self.facts();
        let error = failed(kind.unwrap_or(ErrorKind::WaitFailed))(errno);
        subject.map_or(error, |subject| error.about(subject))
    }

    /// What the step is about, if it has a name.
    #[must_use]
    pub fn subject(self) -> Option<Subject> {
        self.facts().1
    }

    /// Words for the step once it is taken. The name of the subject may follow them.
    #[must_use]
    pub fn words(self) -> Packed {
        WORDS.line(self as usize)
    }

    /// The step that failed. `None` if the start failed outside the steps.
    #[must_use]
    pub fn of(error: &Error) -> Option<Self> {
        let step = match (error.kind(), error.subject()) {
            (ErrorKind::OpenFailed, _) if error.has(Note::Other) => Self::EmptyOutputs,
            // These fail before the first step.
            (ErrorKind::CloseFailed | ErrorKind::StdioFailed, Some(_)) => return None,
            // Locking and writing fail with the same kind. The error does not tell them apart.
            (ErrorKind::PidfileFailed, None) => Self::LockPidfile,
            (ErrorKind::AlreadyRunning, Some(Subject::Pidfile)) => Self::LockPidfile,
            (ErrorKind::AlreadyRunning, _) => Self::LockLockFile,
            (ErrorKind::LimitsFailed, _) if error.has(Note::Other) => Self::SetUser,
            (ErrorKind::LimitsFailed, Some(Subject::Capabilities | Subject::Securebits)) => {
                Self::SetCapabilities
            }
            (ErrorKind::LimitsFailed, Some(subject))
                if !matches!(subject, Subject::OomScoreAdj | Subject::Umask) =>
            {
                Self::SetLimits
            }
            (ErrorKind::CommandNotFound, _) => Self::Execute,
            // If only the kind is known, the first step that fails with it.
            (kind, subject) => *Self::ALL.iter().find(|step| {
                step.error_kind() == Some(kind) && (subject.is_none() || subject == step.subject())
            })?,
        };
        Some(step)
    }

    /// The steps that the daemon certainly took before its start failed.
    #[must_use]
    pub fn taken_before(error: &Error) -> &'static [Self] {
        let count = match Self::of(error) {
            _ if error.has(Note::AllSteps) => Self::ALL.len(),
            Some(step) => step as usize,
            None => 0,
        };
        Self::ALL.get(..count).unwrap_or_default()
    }
}

impl Error {
    /// The same error, about the one of several subjects that has this number.
    pub(crate) fn numbered(self, number: usize) -> Self {
        let word = self.to_word() | (number as u64) << 40;
        Self::from_word(word).unwrap_or(self)
    }

    /// The number of the subject, if there may be several.
    #[doc(hidden)]
    #[must_use]
    pub const fn number(&self) -> usize {
        (self.large() >> 8) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::{Step, Subject};
    use crate::protocol::{Cause, Errno, Error, ErrorKind, Note, Pid, failed};

    #[test]
    fn the_table_has_an_entry_for_every_step() {
        for (index, step) in Step::ALL.iter().enumerate() {
            assert_eq!(*step as usize, index);
        }
    }

    #[test]
    fn a_failure_names_its_step() {
        let of = |kind| Step::of(&failed(kind)(Errno::EACCES));
        let about = |kind, subject| Step::of(&failed(kind)(Errno::EACCES).about(subject));
        for step in Step::ALL {
            let Some(kind) = step.error_kind() else {
                continue;
            };
            let expected = match kind {
                ErrorKind::OpenFailed => Step::MakeDirectories,
                ErrorKind::PidfileFailed => Step::LockPidfile,
                ErrorKind::LimitsFailed => Step::SetOomScoreAdj,
                _ => *step,
            };
            assert_eq!(of(kind), Some(expected));
        }
        for (subject, step) in [
            (Subject::Mkdir, Step::MakeDirectories),
            (Subject::Stdin, Step::OpenStdin),
            (Subject::Stdout, Step::OpenStdout),
            (Subject::Stderr, Step::OpenStderr),
        ] {
            let error = failed(ErrorKind::OpenFailed)(Errno::EACCES).about(subject);
            assert_eq!(Step::of(&error), Some(step));
            assert_eq!(Step::of(&error.with(Note::Other)), Some(Step::EmptyOutputs));
        }
        for (subject, step) in [
            (Subject::OomScoreAdj, Step::SetOomScoreAdj),
            (Subject::Nice, Step::SetLimits),
            (Subject::Nofile, Step::SetLimits),
            (Subject::Cpus, Step::SetLimits),
            (Subject::Capabilities, Step::SetCapabilities),
            (Subject::Securebits, Step::SetCapabilities),
        ] {
            assert_eq!(about(ErrorKind::LimitsFailed, subject), Some(step));
        }
        for (subject, step) in [
            (Subject::LockFile, Step::LockLockFile),
            (Subject::Pidfile, Step::LockPidfile),
        ] {
            assert_eq!(about(ErrorKind::PidfileFailed, subject), Some(step));
            let owner = Cause::Owner(Pid::new(7).unwrap());
            let running = Error::new(ErrorKind::AlreadyRunning, owner).about(subject);
            assert_eq!(Step::of(&running), Some(step));
        }
        for kind in [ErrorKind::CloseFailed, ErrorKind::StdioFailed] {
            assert_eq!(about(kind, Subject::Descriptor), None);
        }
        assert_eq!(of(ErrorKind::ForkFailed), None);
        assert_eq!(of(ErrorKind::CommandNotFound), Some(Step::Execute));
        // Of either file: the lock file is locked first.
        assert_eq!(of(ErrorKind::AlreadyRunning), Some(Step::LockLockFile));
    }

    #[test]
    fn a_daemon_that_has_begun_took_all_steps() {
        let late = Error::new(ErrorKind::TimedOut, Cause::Unknown);
        assert_eq!(Step::taken_before(&late), []);
        assert_eq!(Step::taken_before(&late.with(Note::AllSteps)), Step::ALL);
        let chdir = Error::new(ErrorKind::ChdirFailed, Cause::Errno(Errno::ENOENT));
        assert_eq!(Step::taken_before(&chdir).last(), Some(&Step::Chroot));
    }
}
