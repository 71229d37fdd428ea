//! Resource limits.

use linux_raw_sys::general::{
    RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_MEMLOCK, RLIMIT_NOFILE,
    RLIMIT_NPROC, RLIMIT_STACK,
};

/// A resource that setrlimit(2) can limit. The values are the kernel's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// `RLIMIT_NOFILE`: the number of open files; one more than the highest descriptor that a process
    /// can open.
    OpenFiles = RLIMIT_NOFILE as isize,
    /// `RLIMIT_CORE`: the size of a core dump, in bytes; 0 for no core dumps.
    Core = RLIMIT_CORE as isize,
    /// `RLIMIT_AS`: the size of the virtual memory, in bytes.
    AddressSpace = RLIMIT_AS as isize,
    /// `RLIMIT_DATA`: the size of the data segment, in bytes.
    Data = RLIMIT_DATA as isize,
    /// `RLIMIT_STACK`: the size of the stack, in bytes.
    Stack = RLIMIT_STACK as isize,
    /// `RLIMIT_MEMLOCK`: the memory that can be locked into RAM, in bytes.
    LockedMemory = RLIMIT_MEMLOCK as isize,
    /// `RLIMIT_NPROC`: the number of processes and threads of the real user.
    Processes = RLIMIT_NPROC as isize,
    /// `RLIMIT_FSIZE`: the size to which a file can be written, in bytes.
    FileSize = RLIMIT_FSIZE as isize,
    /// `RLIMIT_CPU`: the CPU time, in seconds.
    CpuTime = RLIMIT_CPU as isize,
}

impl Resource {
    /// All resources.
    pub const ALL: [Self; 9] = [
        Self::OpenFiles,
        Self::Core,
        Self::AddressSpace,
        Self::Data,
        Self::Stack,
        Self::LockedMemory,
        Self::Processes,
        Self::FileSize,
        Self::CpuTime,
    ];
}

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
