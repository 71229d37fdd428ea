//! What differs between word sizes: 64 bits.

pub(crate) use linux_raw_sys::general::{
    F_GETLK as F_GETLK_64, F_SETLK as F_SETLK_64, flock as Flock64, stat as RawStat,
};
pub(crate) use syscalls::Sysno::{
    fchown as FCHOWN, fcntl as FCNTL_64, fstat as FSTAT, getresgid as GETRESGID,
    getresuid as GETRESUID, mmap as MMAP, setgroups as SETGROUPS, setresgid as SETRESGID,
    setresuid as SETRESUID,
};
