//! Resource limits.

use linux_raw_sys::general::{
    RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_LOCKS, RLIMIT_MEMLOCK,
    RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_RSS, RLIMIT_RTPRIO,
    RLIMIT_RTTIME, RLIMIT_SIGPENDING, RLIMIT_STACK,
};

use crate::protocol::Subject;

macro_rules! resources {
    ($($(#[$meaning:meta])* $name:ident = $number:ident,)*) => {
        /// A resource that setrlimit(2) can limit. The values are the kernel's numbers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Resource {
            $($(#[$meaning])* $name = $number as isize,)*
        }

        impl Resource {
            /// All resources.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The resource as the subject of an error.
            #[must_use]
            pub const fn subject(self) -> Subject {
                match self {
                    $(Self::$name => Subject::$name,)*
                }
            }
        }
    };
}

resources! {
    /// The number of open files; one more than the highest descriptor that a process can open.
    Nofile = RLIMIT_NOFILE,
    /// The size of a core dump, in bytes; 0 for no core dumps.
    Core = RLIMIT_CORE,
    /// The size of the virtual memory, in bytes.
    As = RLIMIT_AS,
    /// The size of the data segment, in bytes.
    Data = RLIMIT_DATA,
    /// The size of the stack, in bytes.
    Stack = RLIMIT_STACK,
    /// The memory that can be locked into RAM, in bytes.
    Memlock = RLIMIT_MEMLOCK,
    /// The number of processes and threads of the real user.
    Nproc = RLIMIT_NPROC,
    /// The size to which a file can be written, in bytes.
    Fsize = RLIMIT_FSIZE,
    /// The CPU time, in seconds.
    Cpu = RLIMIT_CPU,
    /// The resident memory, in bytes. Linux ignores this limit.
    Rss = RLIMIT_RSS,
    /// The number of locks on files. Linux ignores this limit.
    Locks = RLIMIT_LOCKS,
    /// The number of signals that are queued for processes of the real user.
    Sigpending = RLIMIT_SIGPENDING,
    /// The size of the POSIX message queues of the real user, in bytes.
    Msgqueue = RLIMIT_MSGQUEUE,
    /// How far the nice value can be lowered: to 20 less this limit.
    Nice = RLIMIT_NICE,
    /// The real-time priority that a process can set.
    Rtprio = RLIMIT_RTPRIO,
    /// The CPU time of a real-time process without a blocking system call, in microseconds.
    Rttime = RLIMIT_RTTIME,
}

/// The number of resources.
pub(crate) const RESOURCES: usize = Resource::ALL.len();

/// A soft and a hard limit, in the unit of the [`Resource`]. See getrlimit(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The limit that the kernel enforces. The process may change it, up to the hard limit.
    pub soft: u64,
    /// The ceiling for the soft limit. Raising it needs CAP_SYS_RESOURCE.
    pub hard: u64,
}

impl Limit {
    /// No limit: `RLIM_INFINITY`.
    pub const UNLIMITED: u64 = u64::MAX;
}
