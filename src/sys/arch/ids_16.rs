//! User and group ids where the first calls had 16 bits.

pub(crate) use syscalls::Sysno::{
    fchown32 as FCHOWN, getgroups32 as GETGROUPS, getresgid32 as GETRESGID,
    getresuid32 as GETRESUID, setgroups32 as SETGROUPS, setresgid32 as SETRESGID,
    setresuid32 as SETRESUID,
};
