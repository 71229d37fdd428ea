//! What an error or a step is about.

use crate::text::{Lines, lines};

macro_rules! subjects {
    ($($(#[$meaning:meta])* $name:ident $words:literal,)*) => {
        /// What an [`Error`](crate::Error) is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Subject {
            $($(#[$meaning])* $name,)*
        }

        impl Subject {
            /// All subjects.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }

        /// The name of each subject.
        static NAMES: Lines = lines![$($words;)*];
    };
}

subjects! {
    /// Standard input.
    Stdin "standard input",
    /// Standard output.
    Stdout "standard output",
    /// Standard error.
    Stderr "standard error",
    /// The pidfile.
    Pidfile "pidfile",
    /// The lock file.
    LockFile "lock_file",
    /// The root directory.
    Chroot "chroot",
    /// The working directory.
    Chdir "chdir",
    /// The user.
    User "user",
    /// The group.
    Group "group",
    /// The command.
    Command "command",
    /// A directory to make.
    Mkdir "mkdir",
    /// A descriptor: [`Error::descriptor`](crate::Error::descriptor) has its number.
    Descriptor "descriptor",
    /// The way in which a command reports that it is ready.
    Readiness "ready",
    /// The file mode creation mask.
    Umask "umask",
    /// The nice value, or the limit [`Resource::Nice`](crate::Resource::Nice).
    Nice "nice",
    /// The OOM score adjustment.
    OomScoreAdj "oom_score_adj",
    /// The no_new_privs attribute.
    NoNewPrivs "no_new_privs",
    /// The capabilities.
    Capabilities "capabilities",
    /// The securebits.
    Securebits "securebits",
    /// The scheduling policy.
    Sched "sched",
    /// The class and level of I/O scheduling.
    Ionice "ionice",
    /// The CPUs.
    Cpus "cpus",
    /// The limit [`Resource::Nofile`](crate::Resource::Nofile).
    Nofile "nofile",
    /// The limit [`Resource::Core`](crate::Resource::Core).
    Core "core",
    /// The limit [`Resource::As`](crate::Resource::As).
    As "as",
    /// The limit [`Resource::Data`](crate::Resource::Data).
    Data "data",
    /// The limit [`Resource::Stack`](crate::Resource::Stack).
    Stack "stack",
    /// The limit [`Resource::Memlock`](crate::Resource::Memlock).
    Memlock "memlock",
    /// The limit [`Resource::Nproc`](crate::Resource::Nproc).
    Nproc "nproc",
    /// The limit [`Resource::Fsize`](crate::Resource::Fsize).
    Fsize "fsize",
    /// The limit [`Resource::Cpu`](crate::Resource::Cpu).
    Cpu "cpu",
    /// The limit [`Resource::Rss`](crate::Resource::Rss).
    Rss "rss",
    /// The limit [`Resource::Locks`](crate::Resource::Locks).
    Locks "locks",
    /// The limit [`Resource::Sigpending`](crate::Resource::Sigpending).
    Sigpending "sigpending",
    /// The limit [`Resource::Msgqueue`](crate::Resource::Msgqueue).
    Msgqueue "msgqueue",
    /// The limit [`Resource::Rtprio`](crate::Resource::Rtprio).
    Rtprio "rtprio",
    /// The limit [`Resource::Rttime`](crate::Resource::Rttime).
    Rttime "rttime",
}

impl Subject {
    /// The subject with this name, for the command: the names of limits are those of its option --rlimit.
    #[doc(hidden)]
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.get(NAMES.position(name)?).copied()
    }

    /// The name: `standard output`, `nofile`.
    #[doc(hidden)]
    #[must_use]
    pub fn name(self) -> &'static [u8] {
        NAMES.get(self as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::Subject;

    #[test]
    fn subjects_have_names() {
        for (index, subject) in Subject::ALL.iter().enumerate() {
            assert_eq!(*subject as usize, index);
            assert_eq!(Subject::from_name(subject.name()), Some(*subject));
        }
        assert_eq!(Subject::from_name(b""), None);
    }
}
