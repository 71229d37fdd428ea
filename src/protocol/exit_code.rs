//! The exit codes: the kind of an error in one byte.

use crate::packed::{Packed, packed};

/// Defines [`ErrorKind`] and its messages from one table: documentation, name, number, and the beginning
/// of the message, which the path that the step used may follow.
macro_rules! kinds {
    ($($(#[$meaning:meta])* $name:ident = $number:literal, $words:literal;)*) => {
        /// The kind of an [`Error`](crate::Error): the step that failed.
        ///
        /// The number of a kind is its exit code. The processes of a start exit with it, and so does the
        /// command `rawdaemon`. The numbers never change; 0 is success. The [`Cause`](crate::Cause) of an
        /// error usually is an errno; kinds with another one name it here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[$meaning])* $name = $number,)*
        }

        impl ErrorKind {
            /// All kinds, in ascending order of their exit codes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }

        /// The message of each kind.
        static WORDS: Packed = packed![$($words, "\n",)*];
    };
}

kinds! {
    /// The intermediate could not create the daemon (clone(2)).
    ForkFailed = 1, "cannot create the daemon process";
    /// The intermediate could not create a new session (setsid(2)).
    SetsidFailed = 2, "cannot lead a new session";
    /// The daemon could not enter its working directory (chdir(2)).
    ChdirFailed = 3, "cannot enter the working directory";
    /// The daemon could not open `/dev/null`, or it is not the null device (`ENODEV`).
    OpenDevNullFailed = 4, "cannot open /dev/null";
    /// The daemon ended before its start was a success. The cause is
    /// [`Cause::Died`](crate::Cause::Died).
    DaemonDied = 5, "the daemon ended too soon";
    /// The daemon did not become ready in time, or did not get through its steps, and was stopped. There
    /// is no cause.
    TimedOut = 6, "the daemon did not become ready in time";
    /// The signal dispositions or the signal mask could not be reset or restored.
    SignalsFailed = 7, "cannot reset the signals";
    /// A file for standard input, output or error could not be opened or emptied, or a descriptor for it
    /// is not open. About [`Subject::Mkdir`](crate::Subject::Mkdir): a directory could not be made.
    OpenFailed = 8, "cannot open";
    /// Descriptors 0 to 2 could not be put in place (dup3(2)), or, in the foreground, saved before.
    StdioFailed = 9, "cannot put the standard descriptors in place";
    /// Inherited descriptors could not be closed, or one to be kept is not open or could not be kept.
    CloseFailed = 10, "cannot close the inherited descriptors";
    /// The pidfile or lock file could not be opened, locked, read or written, or is not a regular file
    /// ([`Cause::NotAFile`](crate::Cause::NotAFile)).
    PidfileFailed = 11, "cannot use the pidfile";
    /// Another process is the daemon of the pidfile or lock file. The cause is
    /// [`Cause::Owner`](crate::Cause::Owner) if that process has a pid here.
    AlreadyRunning = 12, "already running";
    /// The daemon could not change its root directory (chroot(2)).
    ChrootFailed = 13, "cannot chroot";
    /// The supplementary groups could not be set (setgroups(2)), or a user has too many.
    GroupsFailed = 14, "cannot set the groups";
    /// The group could not be set (setresgid(2)), or does not exist
    /// ([`Cause::NotListed`](crate::Cause::NotListed)).
    SetgidFailed = 15, "cannot set the group";
    /// The user could not be set (setresuid(2)), or does not exist
    /// ([`Cause::NotListed`](crate::Cause::NotListed)).
    SetuidFailed = 16, "cannot set the user";
    /// A resource limit, the nice value, the scheduling, the OOM score adjustment, no_new_privs, the capabilities or the
    /// securebits could not be set.
    LimitsFailed = 17, "cannot set a limit";
    /// The daemon reported that it cannot start, or closed its notification pipe. The cause is
    /// [`Cause::Errno`](crate::Cause::Errno), [`Cause::Reason`](crate::Cause::Reason) or
    /// [`Cause::Silent`](crate::Cause::Silent).
    Refused = 18, "the daemon refused to start";
    /// The caller has other threads, or it is not known whether it has: a copy of it would not be sound.
    Threaded = 19, "the process has other threads";
    /// A pipe or socket between the processes could not be made, or has no reader.
    ChannelFailed = 20, "cannot make a channel between the processes";
    /// The original could not create the intermediate (clone(2)).
    FirstForkFailed = 21, "cannot create the intermediate process";
    /// The original lost track of the intermediate: it was killed, for example. The daemon may run. Or the
    /// intermediate could not watch the daemon, since a call was refused that nothing replaces; the daemon is ended
    /// then. Of a stop: the process that stops the daemon could not wait for its end.
    WaitFailed = 22, "lost track of the intermediate process";
    /// The daemon of a pidfile could not be signalled.
    SignalFailed = 23, "cannot signal the daemon";
    /// No process holds the lock of the pidfile, so the process that it names is not signalled: it
    /// may not be the daemon. The cause is [`Cause::Owner`](crate::Cause::Owner).
    NoLock = 24, "unknown (no lock), it may run";
    /// The daemon of a pidfile has not ended in time. The cause is
    /// [`Cause::Owner`](crate::Cause::Owner).
    StillRunning = 25, "has not ended in time, and still runs";
    /// An option has an invalid value. [`Error::subject`](crate::Error::subject) names it, and nothing was
    /// started. From the command: its command line is wrong.
    Usage = 64, "invalid option";
    /// The command was found and could not be executed.
    ExecFailed = 126, "cannot execute";
    /// The command was not found.
    CommandNotFound = 127, "cannot find the command";
}

impl ErrorKind {
    /// The exit code of this kind.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        self as u8
    }

    /// The kind with this exit code, if there is one.
    #[must_use]
    pub const fn from_exit_code(code: u8) -> Option<Self> {
        let mut kinds = Self::ALL;
        while let [kind, others @ ..] = kinds {
            if kind.exit_code() == code {
                return Some(*kind);
            }
            kinds = others;
        }
        None
    }

    #[inline(never)]
    pub(super) fn words(self) -> Packed {
        let index = Self::ALL.iter().position(|kind| *kind == self);
        WORDS.line(index.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorKind;

    #[test]
    fn every_exit_code_decodes_to_its_own_kind() {
        let mut found = 0;
        for code in 0..=u8::MAX {
            if let Some(kind) = ErrorKind::from_exit_code(code) {
                assert_eq!(kind.exit_code(), code);
                found += 1;
            }
        }
        assert_eq!(found, ErrorKind::ALL.len());
    }

    #[test]
    fn the_first_codes_never_change() {
        let fixed = [
            "ForkFailed",
            "SetsidFailed",
            "ChdirFailed",
            "OpenDevNullFailed",
            "DaemonDied",
        ];
        for (code, name) in (1..).zip(fixed) {
            let kind = ErrorKind::from_exit_code(code).unwrap();
            assert_eq!(std::format!("{kind:?}"), name);
        }
        let kind = ErrorKind::from_exit_code;
        assert_eq!((kind(0), kind(26)), (None, None));
        assert_eq!(kind(64), Some(ErrorKind::Usage));
        assert_eq!(kind(126), Some(ErrorKind::ExecFailed));
        assert_eq!(kind(127), Some(ErrorKind::CommandNotFound));
    }
}
