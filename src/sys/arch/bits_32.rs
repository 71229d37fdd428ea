//! What differs between word sizes: 32 bits. The calls without these suffixes have 16-bit ids and 32-bit
//! offsets.

pub(crate) use linux_raw_sys::general::{
    F_GETLK64 as F_GETLK_64, F_SETLK64 as F_SETLK_64, flock64 as Flock64, stat64 as RawStat,
};
pub(crate) use syscalls::Sysno::{
    fchown32 as FCHOWN, fcntl64 as FCNTL_64, fstat64 as FSTAT, getresgid32 as GETRESGID,
    getresuid32 as GETRESUID, mmap2 as MMAP, setgroups32 as SETGROUPS, setresgid32 as SETRESGID,
    setresuid32 as SETRESUID,
};
