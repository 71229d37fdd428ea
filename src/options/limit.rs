//! Resource limits.

use linux_raw_sys::general::{
    RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_MEMLOCK, RLIMIT_NOFILE,
    RLIMIT_NPROC, RLIMIT_STACK,
};

/// What getrlimit(2) can limit, by the kernel's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// `nofile`: one more than the highest number of a descriptor.
    OpenFiles = RLIMIT_NOFILE as isize,
    /// `core`: the size of a core dump, in bytes.
    Core = RLIMIT_CORE as isize,
    /// `as`: the size of the virtual memory, in bytes.
    AddressSpace = RLIMIT_AS as isize,
    /// `data`: the size of the data segment, in bytes.
    Data = RLIMIT_DATA as isize,
    /// `stack`: the size of the stack, in bytes.
    Stack = RLIMIT_STACK as isize,
    /// `memlock`: the size of what is locked in memory, in bytes.
    LockedMemory = RLIMIT_MEMLOCK as isize,
    /// `nproc`: the number of the real user's processes and threads.
    Processes = RLIMIT_NPROC as isize,
    /// `fsize`: the size of a file that is written, in bytes.
    FileSize = RLIMIT_FSIZE as isize,
    /// `cpu`: the time on a processor, in seconds.
    CpuTime = RLIMIT_CPU as isize,
}

impl Resource {
    /// All of them.
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

/// A limit, in the unit of its [`Resource`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What counts. The process may change it, up to the hard limit.
    pub soft: u64,
    /// What the soft limit may be raised to. To raise this one takes CAP_SYS_RESOURCE.
    pub hard: u64,
}

impl Limit {
    /// No limit: `RLIM_INFINITY`.
    pub const UNLIMITED: u64 = u64::MAX;
}
