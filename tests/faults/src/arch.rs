//! What differs between x86_64 and i686: the registers, and the names of the calls. A call has its name on x86_64, so
//! that one table of errors, of steps and of known answers is for both.

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::unistd::Pid;

/// How the command is built. By default it is built for this machine.
#[cfg(target_arch = "x86_64")]
pub const TARGET: Option<&str> = None;
#[cfg(target_arch = "x86")]
pub const TARGET: Option<&str> = Some("i686-unknown-linux-gnu");

/// At the entry to a call, replaces its number with one that the kernel does not know.
#[cfg(target_arch = "x86_64")]
pub fn skip_call(pid: Pid) -> nix::Result<()> {
    let mut registers = ptrace::getregs(pid)?;
    registers.orig_rax = u64::MAX;
    ptrace::setregs(pid, registers)
}

/// As above.
#[cfg(target_arch = "x86")]
pub fn skip_call(pid: Pid) -> nix::Result<()> {
    let mut registers = ptrace::getregs(pid)?;
    registers.orig_eax = -1;
    ptrace::setregs(pid, registers)
}

/// At the exit from a call, makes it fail.
#[cfg(target_arch = "x86_64")]
pub fn fail_call(pid: Pid, errno: Errno) -> nix::Result<()> {
    let mut registers = ptrace::getregs(pid)?;
    registers.rax = -i64::from(errno as i32) as u64;
    ptrace::setregs(pid, registers)
}

/// As above.
#[cfg(target_arch = "x86")]
pub fn fail_call(pid: Pid, errno: Errno) -> nix::Result<()> {
    let mut registers = ptrace::getregs(pid)?;
    registers.eax = -(errno as i32);
    ptrace::setregs(pid, registers)
}

/// The commands of fcntl(2) that have another number for offsets of 64 bits.
pub const GETLK: i32 = if cfg!(target_arch = "x86") { 12 } else { 5 };
pub const SETLK: i32 = if cfg!(target_arch = "x86") { 13 } else { 6 };

/// The calls of i686 that have another name there, and their names on x86_64.
const RENAMED: &[(&str, &str)] = &[
    ("clock_gettime64", "clock_gettime"),
    ("fchown32", "fchown"),
    ("fcntl64", "fcntl"),
    ("fstat64", "fstat"),
    ("fstatat64", "newfstatat"),
    ("fstatfs64", "fstatfs"),
    ("ftruncate64", "ftruncate"),
    ("getgroups32", "getgroups"),
    ("getresgid32", "getresgid"),
    ("getresuid32", "getresuid"),
    ("mmap2", "mmap"),
    ("ppoll_time64", "ppoll"),
    ("rt_sigtimedwait_time64", "rt_sigtimedwait"),
    ("setgroups32", "setgroups"),
    ("setresgid32", "setresgid"),
    ("setresuid32", "setresuid"),
    ("utimensat_time64", "utimensat"),
];

/// The calls of socketcall(2), from 1.
const SOCKET_CALLS: [&str; 20] = [
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];

/// The name of a call on x86_64, and the name here.
pub fn names(number: u64, arguments: &[u64; 6]) -> (&'static str, &'static str) {
    let own = syscalls::Sysno::from(number as i32).name();
    if cfg!(target_arch = "x86_64") {
        return (own, own);
    }
    if own == "socketcall" {
        let index = (arguments[0] as usize).wrapping_sub(1);
        return (SOCKET_CALLS.get(index).copied().unwrap_or(own), own);
    }
    let renamed = RENAMED.iter().find(|(name, _)| *name == own);
    (renamed.map_or(own, |(_, name)| name), own)
}

/// The call that an older kernel, or a sandbox of its time, lacks, and that the call of this name replaces; by its name
/// here.
pub fn newer(name: &str) -> Option<&'static str> {
    let mut all = RENAMED.iter();
    let (own, _) = all.find(|(own, common)| *common == name && is_replaced(own))?;
    cfg!(target_arch = "x86").then_some(own)
}

/// Whether a call has times of 64 bits where an older one, which does as well, has times of 32 bits.
pub fn is_replaced(own: &str) -> bool {
    own.ends_with("_time64") || own == "clock_gettime64"
}
