//! User and group ids of 32 bits.

pub(crate) use syscalls::Sysno::{
    fchown as FCHOWN, getgroups as GETGROUPS, getresgid as GETRESGID, getresuid as GETRESUID,
    setgroups as SETGROUPS, setresgid as SETRESGID, setresuid as SETRESUID,
};
