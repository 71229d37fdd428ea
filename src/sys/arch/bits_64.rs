//! What differs between word sizes: 64 bits.

pub(crate) use linux_raw_sys::general::{flock as Flock64, stat as RawStat};
pub(crate) use syscalls::Sysno::{
    fchown as FCHOWN, fcntl as FCNTL_64, fstat as FSTAT, getresgid as GETRESGID,
    getresuid as GETRESUID, mmap as MMAP, setgroups as SETGROUPS, setresgid as SETRESGID,
    setresuid as SETRESUID,
};
