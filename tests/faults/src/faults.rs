//! Which call can fail how, and which step must say so.

use std::fmt;

use nix::errno::Errno;
use nix::sys::signal::Signal;

/// The processes of a start. With `--foreground` the launcher is also the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Launcher,
    Intermediate,
    Daemon,
    /// With `--respawn`.
    Supervisor,
    /// The process that writes the log of a supervised daemon.
    Log,
    /// The process of `--stop`.
    Stopper,
    /// Another process: a start makes none.
    Other,
    /// All of them.
    Any,
}

const ROLES: [(Role, &str); 8] = [
    (Role::Launcher, "launcher"),
    (Role::Intermediate, "intermediate"),
    (Role::Daemon, "daemon"),
    (Role::Supervisor, "supervisor"),
    (Role::Log, "log"),
    (Role::Stopper, "stopper"),
    (Role::Other, "other process"),
    (Role::Any, "any"),
];

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            ROLES
                .iter()
                .find(|(role, _)| role == self)
                .map_or("", |(_, name)| name),
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Errno(Errno),
    /// SIGKILL before the call.
    Kill,
    /// SIGSTOP before the call, and SIGCONT a while later.
    Stop,
    /// This signal before the call.
    Signal(Signal),
}

/// The signals that the processes of a supervised daemon get.
pub const SIGNALS: [Signal; 7] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGCONT,
];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errno(errno) => write!(f, "{errno:?}"),
            Self::Kill => f.write_str("kill"),
            Self::Stop => f.write_str("stop"),
            Self::Signal(signal) => f.write_str(signal.as_str()),
        }
    }
}

/// One fault in one scenario. Its name is `scenario/role/call#number/kind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub scenario: String,
    pub role: Role,
    pub call: String,
    /// Which call of that name in that process, from 1; none for all of them in all processes, as a policy does.
    pub number: Option<u32>,
    pub kind: Kind,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self
            .number
            .map_or("all".into(), |number| number.to_string());
        write!(
            f,
            "{}/{}/{}#{number}/{}",
            self.scenario, self.role, self.call, self.kind
        )
    }
}

impl Case {
    pub fn parse(text: &str) -> Option<Self> {
        let [scenario, role, call, kind] = text.split('/').collect::<Vec<_>>().try_into().ok()?;
        let (call, number) = call.split_once('#')?;
        let kind = match kind {
            "kill" => Kind::Kill,
            "stop" => Kind::Stop,
            name if name.starts_with("SIG") => Kind::Signal(name.parse().ok()?),
            name => Kind::Errno(
                (1..134)
                    .map(Errno::from_raw)
                    .find(|errno| format!("{errno:?}") == name)?,
            ),
        };
        Some(Self {
            scenario: scenario.into(),
            role: ROLES.iter().find(|(_, name)| *name == role)?.0,
            call: call.into(),
            number: if number == "all" {
                None
            } else {
                Some(number.parse().ok()?)
            },
            kind,
        })
    }
}

/// Calls that cannot fail, or whose failure no caller sees.
const INFALLIBLE: &[&str] = &[
    "getpid",
    "gettid",
    "getppid",
    "umask",
    "exit",
    "exit_group",
    "rt_sigreturn",
    "restart_syscall",
    "munmap",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getpgrp",
    "getsid",
];

/// Calls that take effect even when they fail. The result is replaced after the call.
pub const DONE_ANYWAY: &[&str] = &["close"];

/// The errors that each call may give once: by its manual page, or by a policy (EPERM, ENOSYS).
pub fn errnos(call: &str) -> &'static [Errno] {
    use Errno::*;
    if INFALLIBLE.contains(&call) {
        return &[];
    }
    match call {
        "openat" => &[EACCES, EMFILE, ENOENT, EIO, EINTR],
        "read.file" => &[EIO, EINTR],
        "write.file" => &[EIO, ENOSPC, EINTR],
        // Non-blocking, with a reader; what is written has room.
        "read.pipe" => &[EINTR],
        "write.pipe" => &[EINTR],
        "close" => &[EIO, EINTR],
        "mmap" | "mprotect" => &[ENOMEM, EPERM],
        "clone" | "clone3" | "fork" | "vfork" => &[EAGAIN, ENOMEM, EPERM, ENOSYS],
        "pipe2" | "pipe" | "socket" | "pidfd_open" | "signalfd4" => {
            &[EMFILE, ENOMEM, EPERM, ENOSYS]
        }
        "ppoll" | "poll" | "recvmsg" => &[EINTR, ENOMEM, EPERM, ENOSYS],
        "dup3" | "dup2" => &[EBUSY, EINTR, EMFILE],
        // An older kernel does not know these locks.
        "fcntl.OFD_GETLK" => &[EINVAL, EPERM, ENOLCK],
        "fcntl.SETLK" => &[EAGAIN, EACCES, ENOLCK, EINTR, EPERM],
        "fcntl.GETLK" => &[ENOLCK, EPERM, EOVERFLOW],
        "fcntl.DUPFD" | "fcntl.DUPFD_CLOEXEC" => &[EMFILE],
        "fcntl.SETFD" => &[EPERM],
        "fcntl.GETFD" | "fcntl.GETFL" | "fcntl.SETFL" => &[],
        "fstat" | "newfstatat" | "statx" | "lseek" => &[EIO, ENOMEM, EPERM],
        "ftruncate" => &[EIO, EINTR, EPERM],
        "utimensat" => &[EPERM, EROFS, ENOSYS],
        "mkdirat" => &[EACCES, EROFS, ENOSPC, EPERM],
        "fchown" => &[EPERM, EROFS, EIO],
        "unlinkat" | "unlink" => &[EACCES, EROFS, EIO],
        "execve" | "execveat" => &[ENOENT, EACCES, ENOEXEC, E2BIG, ENOMEM, ETXTBSY],
        "chdir" | "chroot" => &[ENOENT, EACCES, EIO],
        "setpgid" => &[EACCES, EPERM, ENOSYS],
        "setsid" => &[EPERM, ENOSYS],
        "setgroups" | "setresgid" | "setresuid" => &[EPERM, ENOMEM, EAGAIN],
        "bind" => &[EADDRINUSE, EACCES, EROFS],
        "wait4" | "waitid" => &[EINTR, EPERM, ENOSYS],
        "kill" | "pidfd_send_signal" => &[EPERM, ENOSYS],
        "prlimit64" | "setpriority" | "prctl" => &[EPERM, EACCES, EINVAL, ENOSYS],
        _ => &[EPERM, ENOSYS],
    }
}

/// Calls without which no program runs: no policy refuses all of them.
const GRANTED: &[&str] = &[
    "openat",
    "read",
    "write",
    "close",
    "mmap",
    "execve",
    "rt_sigaction",
    "fstat",
    "fcntl",
];

/// The errors of a policy that refuses all calls of a name.
pub fn policy(call: &str) -> &'static [Errno] {
    let name = call.split('.').next().unwrap_or_default();
    if INFALLIBLE.contains(&call) || GRANTED.contains(&name) && !call.ends_with("LK") {
        return &[];
    }
    if call == "fcntl.SETLK" {
        // On some file systems the same error means that another process holds the lock.
        return &[Errno::EPERM, Errno::ENOSYS, Errno::EACCES];
    }
    &[Errno::EPERM, Errno::ENOSYS]
}

/// Whether this is an answer and no failure. Only the daemon creates files and opens what may be missing; to all
/// others ENOENT says that a pidfile is gone, and EAGAIN that another daemon has locked it, which the kernel does not
/// say while it is there and is not locked.
pub fn is_answer(call: &str, errno: Errno, role: Role) -> bool {
    let answer = match call {
        "openat" => Errno::ENOENT,
        "fcntl.SETLK" => Errno::EAGAIN,
        _ => return false,
    };
    errno == answer && role != Role::Daemon
}

/// The exit codes that name the step of a call in the daemon; empty if the call belongs to no one step.
pub fn codes(call: &str, path: &str) -> &'static [i32] {
    match call {
        "chdir" => &[3, 13],
        "chroot" => &[13],
        "setsid" => &[2],
        "setgroups" => &[14],
        "setresgid" | "getresgid" => &[15],
        "setresuid" | "getresuid" => &[16],
        // The death signal of --respawn-orphan=kill is one of the signals.
        "prctl" => &[7, 17],
        "setpriority" | "getpriority" | "prlimit64" | "capset" | "capget"
        | "sched_setscheduler" | "sched_getscheduler" | "sched_getparam" | "sched_setaffinity"
        | "sched_getaffinity" | "ioprio_set" | "ioprio_get" => &[17],
        // The pipe of `-R fd:N` too is put in place.
        "dup3" => &[9, 20],
        "close_range" => &[10],
        "rt_sigaction" | "rt_sigprocmask" => &[7],
        "fcntl.SETLK" => &[11],
        // The descriptor of `-R fd:N` too is kept.
        "fcntl.SETFD" => &[10, 20],
        "ftruncate" => &[8, 11],
        "execve" => &[126, 127],
        "openat" | "write.file" | "read.file" => match path.rsplit('/').next() {
            Some("null") => &[4],
            Some("pid" | "lock") => &[11],
            Some("log" | "in") => &[8],
            Some("oom_score_adj") => &[17],
            _ => &[],
        },
        _ => &[],
    }
}
