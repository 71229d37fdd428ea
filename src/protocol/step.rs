//! The daemon's steps, in order. The daemon takes them in the order of this table. `-v` and the messages
//! of failures use it, and a test compares the lists in the README and the manual page with it.

use super::error::Error;
use super::exit_code::ExitCode;
use super::message::OOM_SCORE_ADJ;
use crate::text::{Lines, lines};

/// The subject of a step. The first seven are paths, by their index in the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Subject {
    /// The file for standard input.
    Stdin,
    /// The file for standard output.
    Stdout,
    /// The file for standard error.
    Stderr,
    /// The pidfile.
    Pidfile,
    /// The lock file.
    LockFile,
    /// The root directory.
    Chroot,
    /// The working directory.
    Chdir,
    /// The user.
    User,
    /// The group.
    Group,
    /// The command.
    Command,
    /// Nothing with a name.
    Nothing,
}

/// The number of subjects that are paths.
pub(crate) const PATHS: usize = 7;

macro_rules! steps {
    ($($step:ident: $code:ident, $subject:ident, $words:literal;)*) => {
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

        /// The exit code of each step, if it fails, and what it applies to.
        static FACTS: &[(ExitCode, Subject)] = &[$((ExitCode::$code, Subject::$subject),)*];

        /// The words of each step.
        static WORDS: Lines = lines![$($words;)*];
    };
}

steps! {
    ResetSignals: SignalsFailed, Nothing, "reset the signals";
    CloseDescriptors: CloseFailed, Nothing, "closed the inherited descriptors";
    OpenDevNull: OpenDevNullFailed, Nothing, "opened /dev/null";
    OpenStdin: OpenFailed, Stdin, "opened standard input";
    OpenStdout: OpenFailed, Stdout, "opened standard output";
    OpenStderr: OpenFailed, Stderr, "opened standard error";
    PlaceStreams: StdioFailed, Nothing, "put the standard streams in place";
    LockLockFile: PidfileFailed, LockFile, "locked the lock file";
    LockPidfile: PidfileFailed, Pidfile, "locked the pidfile";
    SetOomScoreAdj: LimitsFailed, Nothing, "set the OOM score adjustment";
    // umask(2) cannot fail.
    SetUmask: Ok, Nothing, "set the umask";
    Chroot: ChrootFailed, Chroot, "entered the root directory";
    Chdir: ChdirFailed, Chdir, "entered the working directory";
    WritePidfile: PidfileFailed, Pidfile, "wrote the pidfile";
    SetLimits: LimitsFailed, Nothing, "set the limits";
    SetGroups: GroupsFailed, Nothing, "set the supplementary groups";
    SetGroup: SetgidFailed, Group, "became the group";
    SetUser: SetuidFailed, User, "became the user";
    EmptyOutputs: OpenFailed, Nothing, "emptied the output files";
    Execute: ExecFailed, Command, "executed the command";
}

impl Step {
    fn facts(self) -> (ExitCode, Subject) {
        let facts = FACTS.get(self as usize).copied();
        facts.unwrap_or((ExitCode::Ok, Subject::Nothing))
    }

    /// The exit code of a start that fails in this step.
    #[must_use]
    pub fn exit_code(self) -> ExitCode {
        self.facts().0
    }

    /// The subject of the step.
    #[must_use]
    pub fn subject(self) -> Subject {
        self.facts().1
    }

    /// Words for the step once it is taken. The name of the subject may follow them.
    #[must_use]
    pub fn words(self) -> &'static [u8] {
        WORDS.get(self as usize)
    }

    /// The step that failed. `None` if the start failed outside the steps.
    #[must_use]
    pub fn of(error: &Error) -> Option<Self> {
        let step = match (error.code(), error.part()) {
            (ExitCode::OpenFailed, Some(0)) => Self::OpenStdin,
            (ExitCode::OpenFailed, Some(1)) => Self::OpenStdout,
            (ExitCode::OpenFailed, Some(2)) => Self::OpenStderr,
            (ExitCode::OpenFailed, Some(_)) => Self::EmptyOutputs,
            // These fail before the first step.
            (ExitCode::CloseFailed | ExitCode::StdioFailed, Some(_)) => return None,
            // Locking and writing fail with the same code. The error does not tell them apart.
            (ExitCode::PidfileFailed, None) => Self::LockPidfile,
            (ExitCode::AlreadyRunning, _) => Self::LockLockFile,
            (ExitCode::LimitsFailed, Some(part)) if part != OOM_SCORE_ADJ as usize => {
                Self::SetLimits
            }
            (ExitCode::CommandNotFound, _) => Self::Execute,
            // If only the code is known, the first step that fails with it.
            (code, _) => *Self::ALL.iter().find(|step| step.exit_code() == code)?,
        };
        Some(step)
    }

    /// The steps that the daemon certainly took before its start failed.
    #[must_use]
    pub fn taken_before(error: &Error) -> &'static [Self] {
        let count = match Self::of(error) {
            _ if error.took_all_steps() => Self::ALL.len(),
            Some(step) => step as usize,
            None => 0,
        };
        Self::ALL.get(..count).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{PATHS, Step, Subject};
    use crate::protocol::{Cause, Errno, Error, ExitCode, Stream};

    #[test]
    fn the_table_has_an_entry_for_every_step() {
        for (index, step) in Step::ALL.iter().enumerate() {
            assert_eq!(*step as usize, index);
            assert!(!step.words().is_empty());
        }
        assert_eq!(Subject::Chdir as usize, PATHS - 1);
        assert!(
            super::WORDS
                .iter()
                .eq(Step::ALL.iter().map(|step| step.words()))
        );
    }

    #[test]
    fn a_failure_names_its_step() {
        let of = |code| Step::of(&Error::new(code, Cause::Errno(Errno::EACCES)));
        for step in Step::ALL {
            let expected = match step.exit_code() {
                ExitCode::Ok => continue,
                ExitCode::OpenFailed => Step::OpenStdin,
                ExitCode::PidfileFailed => Step::LockPidfile,
                ExitCode::LimitsFailed => Step::SetOomScoreAdj,
                _ => *step,
            };
            assert_eq!(of(step.exit_code()), Some(expected));
        }
        let stream = |stream| Step::of(&Error::of_stream(Errno::EACCES, stream));
        assert_eq!(stream(Stream::Input), Some(Step::OpenStdin));
        assert_eq!(stream(Stream::Output), Some(Step::OpenStdout));
        assert_eq!(stream(Stream::Error), Some(Step::OpenStderr));
        let empty = Error::of_truncate(Errno::EIO, Stream::Output);
        assert_eq!(Step::of(&empty), Some(Step::EmptyOutputs));
        let limit = |limit| Step::of(&Error::of_limit(Errno::EACCES, limit));
        assert_eq!(limit(super::OOM_SCORE_ADJ), Some(Step::SetOomScoreAdj));
        assert_eq!(limit(0), Some(Step::SetLimits));
        let lock_file =
            Error::new(ExitCode::PidfileFailed, Cause::Errno(Errno::EACCES)).of_lock_file();
        assert_eq!(Step::of(&lock_file), Some(Step::LockLockFile));
        assert_eq!(Step::of(&Error::of_kept(Errno::EBADF, 7)), None);
        assert_eq!(Step::of(&Error::of_saved_streams(Errno::EMFILE)), None);
        assert_eq!(of(ExitCode::ForkFailed), None);
        assert_eq!(of(ExitCode::CommandNotFound), Some(Step::Execute));
        // Of either file: the lock file is locked first.
        assert_eq!(of(ExitCode::AlreadyRunning), Some(Step::LockLockFile));
    }

    #[test]
    fn a_daemon_that_has_begun_took_all_steps() {
        let late = Error::new(ExitCode::TimedOut, Cause::Unknown);
        assert_eq!(Step::taken_before(&late), []);
        assert_eq!(Step::taken_before(&late.after_all_steps()), Step::ALL);
        let chdir = Error::new(ExitCode::ChdirFailed, Cause::Errno(Errno::ENOENT));
        assert_eq!(Step::taken_before(&chdir).last(), Some(&Step::Chroot));
    }
}
