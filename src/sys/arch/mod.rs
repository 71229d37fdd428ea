//! What differs between the architectures?
//!
//! Each file has the same items: the numbers of calls that have other names elsewhere, the order of
//! clone(2)'s arguments, a structure or two, and the assembly. To port the crate is to add a file here.

#[cfg(not(any(
    all(target_arch = "x86_64", target_pointer_width = "64"),
    target_arch = "x86",
    all(target_arch = "aarch64", target_pointer_width = "64"),
    target_arch = "arm",
    target_arch = "riscv64",
)))]
compile_error!("rawdaemon has no src/sys/arch for this architecture");

#[macro_use]
#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "x86", path = "x86.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(target_arch = "riscv64", path = "riscv64.rs")]
mod current;

pub(crate) use current::{
    FSTAT, FSTATAT, GETRESGID, GETRESUID, MMAP, RSEQ_SIGNATURE, RawStat, SETGROUPS, SETRESGID,
    SETRESUID, clone_tail, trampoline,
};
