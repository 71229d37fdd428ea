//! The exit codes: one byte that says what happened.

use crate::text::{Lines, lines};

/// Makes the type and its texts from one table: the meaning, the name, the number, and in words
/// what could not be done and what may follow the path it could not be done to.
macro_rules! codes {
    ($($(#[$meaning:meta])* $name:ident = $number:literal, $words:literal;)*) => {
        /// What happened, in the one byte of an exit status.
        ///
        /// The processes of a start tell it to each other, and the command exits with it. Codes 0
        /// to 5 are the seed's and never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum ExitCode {
            $($(#[$meaning])* $name = $number,)*
        }

        impl ExitCode {
            /// Every code there is, in ascending order.
            pub const ALL: [Self; 29] = [$(Self::$name,)*];
        }

        /// The words of each code.
        static WORDS: Lines = lines![$($words;)*];
    };
}

codes! {
    /// The daemon runs.
    Ok = 0, "the daemon runs";
    /// The intermediate could not create the daemon.
    ForkFailed = 1, "cannot create the daemon process";
    /// The intermediate could not lead a new session.
    SetsidFailed = 2, "cannot lead a new session";
    /// The daemon could not enter its working directory.
    ChdirFailed = 3, "cannot enter the working directory";
    /// The daemon could not open `/dev/null`.
    OpenDevNullFailed = 4, "cannot open /dev/null";
    /// The daemon ended too soon; the cause says how.
    DaemonDied = 5, "the daemon ended too soon";
    /// The daemon did not become ready in time.
    TimedOut = 6, "the daemon did not become ready in time";
    /// Signal dispositions or the signal mask could not be reset.
    SignalsFailed = 7, "cannot reset the signals";
    /// A file for standard input, output or error could not be opened.
    OpenFailed = 8, "cannot open";
    /// Descriptors 0 to 2 could not be put in place.
    StdioFailed = 9, "cannot put the standard descriptors in place";
    /// Inherited descriptors could not be closed.
    CloseFailed = 10, "cannot close the inherited descriptors";
    /// The pidfile could not be opened or written.
    PidfileFailed = 11, "cannot use the pidfile";
    /// Another process holds the pidfile's lock, or has given it up and runs; the cause says which.
    AlreadyRunning = 12, "already running";
    /// The daemon could not change its root directory.
    ChrootFailed = 13, "cannot chroot";
    /// Supplementary groups could not be set.
    GroupsFailed = 14, "cannot set the groups";
    /// The group could not be set.
    SetgidFailed = 15, "cannot set the group";
    /// The user could not be set.
    SetuidFailed = 16, "cannot set the user";
    /// Niceness or a resource limit could not be set.
    LimitsFailed = 17, "cannot set a limit";
    /// The daemon itself said that it cannot start.
    Refused = 18, "the daemon refused to start";
    /// The caller has other threads: a fork would not be sound.
    Threaded = 19, "cannot fork soundly, the process has other threads";
    /// A channel between the processes could not be made.
    ChannelFailed = 20, "cannot make a channel between the processes";
    /// The original could not create the intermediate.
    FirstForkFailed = 21, "cannot create the intermediate process";
    /// The original lost track of the intermediate.
    WaitFailed = 22, "lost track of the intermediate process";
    /// The daemon could not be signalled.
    SignalFailed = 23, "cannot signal the daemon";
    /// It is not known whether the pidfile's process is the daemon, since nobody holds the lock.
    NoLock = 24, "unknown (no lock), it may run";
    /// The daemon has not ended in time.
    StillRunning = 25, "has not ended in time, and still runs";
    /// The command line, or an argument list, is wrong.
    Usage = 64, "wrong arguments";
    /// The command was found and could not be executed.
    ExecFailed = 126, "cannot execute";
    /// The command was not found.
    CommandNotFound = 127, "cannot find the command";
}

impl ExitCode {
    /// The code as an exit status.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// The code that an exit status stands for, if it stands for one.
    #[must_use]
    pub const fn from_u8(byte: u8) -> Option<Self> {
        let mut codes: &[Self] = &Self::ALL;
        while let [code, others @ ..] = codes {
            if code.as_u8() == byte {
                return Some(*code);
            }
            codes = others;
        }
        None
    }

    pub(crate) fn words(self) -> &'static [u8] {
        let index = Self::ALL.iter().position(|code| *code == self);
        WORDS.get(index.unwrap_or_default())
    }
}

impl From<ExitCode> for u8 {
    fn from(code: ExitCode) -> Self {
        code.as_u8()
    }
}

impl From<ExitCode> for i32 {
    fn from(code: ExitCode) -> Self {
        code.as_u8().into()
    }
}

#[cfg(test)]
mod tests {
    use super::ExitCode;

    #[test]
    fn every_byte_decodes_to_the_code_it_is_and_to_no_other() {
        let mut found = 0;
        for byte in 0..=u8::MAX {
            if let Some(code) = ExitCode::from_u8(byte) {
                assert_eq!(u8::from(code), byte);
                assert_eq!(i32::from(code), i32::from(byte));
                found += 1;
            }
        }
        assert_eq!(found, ExitCode::ALL.len());
    }

    #[test]
    fn the_table_of_the_seed_is_kept() {
        let seed = [
            "Ok",
            "ForkFailed",
            "SetsidFailed",
            "ChdirFailed",
            "OpenDevNullFailed",
            "DaemonDied",
        ];
        for (byte, name) in (0..).zip(seed) {
            assert_eq!(std::format!("{:?}", ExitCode::from_u8(byte).unwrap()), name);
        }
        assert_eq!(ExitCode::from_u8(26), None);
        assert_eq!(ExitCode::from_u8(64), Some(ExitCode::Usage));
        assert_eq!(ExitCode::from_u8(126), Some(ExitCode::ExecFailed));
        assert_eq!(ExitCode::from_u8(127), Some(ExitCode::CommandNotFound));
    }
}
