//! Runs a launcher under ptrace(2), counts the calls of its processes, and injects one fault.
//!
//! A process is followed until it executes the daemon's command. Its state is recorded at that moment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::arch;
use crate::faults::{Case, DONE_ANYWAY, Kind, Role};
use crate::look::{State, is_alive, state};
use crate::scenario::{Scenario, What};

/// A case that takes longer is a hang.
pub const LIMIT: Duration = Duration::from_secs(10);
/// A process that is stopped at its calls more often spins. That is a hang too, and slows down other cases.
const MOST_STOPS: u32 = 100_000;
/// A failed start may take so long to end its processes: a SIGTERM, and a SIGKILL one second later.
const AFTER_FAILURE: Duration = Duration::from_millis(2500);

/// Descriptors that a program with the library closes when its test begins, ends, or pauses.
const BEGIN: u64 = -1001_i32 as u32 as u64;
const END: u64 = -1002_i32 as u32 as u64;
const PAUSE: u64 = -1003_i32 as u32 as u64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub role: Role,
    pub name: String,
    pub number: u32,
    /// The path of calls that have one.
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Code(i32),
    Signal(Signal),
    /// It has become the daemon.
    Executed,
}

/// What a run was seen to do.
#[derive(Debug, Default)]
pub struct Run {
    pub launcher: Option<Pid>,
    pub calls: Vec<Call>,
    pub ended: Option<Ended>,
    /// The daemon, when it executed its command.
    pub daemon: Option<(Pid, State)>,
    /// The call that the fault has hit first.
    pub hit: Option<Call>,
    pub is_hang: bool,
    /// Processes that have not executed and have not ended.
    pub left: Vec<(Pid, Role)>,
    /// How often a process was stopped at a call: very often in one that spins.
    pub stops: u32,
}

struct Tracee {
    role: Role,
    is_armed: bool,
    children: u32,
    /// What the call that is under way returns.
    result: Option<Errno>,
}

pub struct Tracer<'a> {
    case: Option<&'a Case>,
    scenario: &'a Scenario,
    launcher: Pid,
    tracees: BTreeMap<Pid, Tracee>,
    /// Children that stopped before their parent was heard.
    early: BTreeSet<Pid>,
    counts: BTreeMap<(Role, String), u32>,
    /// The process that gets a SIGSTOP, and when it gets its SIGCONT.
    stopping: Option<Pid>,
    stopped: Option<(Pid, Instant)>,
    run: Run,
}

impl<'a> Tracer<'a> {
    /// The launcher waits for this process before it executes the program under test.
    pub fn seize(
        launcher: Pid,
        scenario: &'a Scenario,
        case: Option<&'a Case>,
    ) -> nix::Result<Self> {
        use ptrace::Options;
        ptrace::seize(
            launcher,
            Options::PTRACE_O_TRACESYSGOOD
                | Options::PTRACE_O_TRACEFORK
                | Options::PTRACE_O_TRACEVFORK
                | Options::PTRACE_O_TRACECLONE
                | Options::PTRACE_O_TRACEEXEC
                | Options::PTRACE_O_EXITKILL,
        )?;
        let tracee = Tracee {
            role: Role::Launcher,
            is_armed: false,
            children: 0,
            result: None,
        };
        Ok(Self {
            case,
            scenario,
            launcher,
            tracees: BTreeMap::from([(launcher, tracee)]),
            early: BTreeSet::new(),
            counts: BTreeMap::new(),
            stopping: None,
            stopped: None,
            run: Run {
                launcher: Some(launcher),
                ..Run::default()
            },
        })
    }

    fn is_library(&self) -> bool {
        self.scenario.what == What::Library
    }

    /// Follows all processes to their ends. A timer interrupts the waiting.
    pub fn follow(mut self) -> Run {
        let began = Instant::now();
        let mut launcher_ended = None;
        loop {
            match waitpid(None, Some(WaitPidFlag::__WALL)) {
                Ok(status) => self.handle(status),
                Err(Errno::EINTR) => {}
                Err(_) => self.tracees.clear(),
            }
            let now = Instant::now();
            if let Some((pid, until)) = self.stopped
                && now >= until
            {
                self.stopped = None;
                let _ = kill(pid, Signal::SIGCONT);
            }
            if self.run.ended.is_some() && launcher_ended.is_none() {
                launcher_ended = Some(now);
            }
            let is_over = launcher_ended
                .is_some_and(|at| now >= at + AFTER_FAILURE + self.scenario.stopped_for());
            if self.tracees.is_empty() && self.run.ended.is_some() {
                break;
            }
            if is_over || now >= began + LIMIT || self.run.stops > MOST_STOPS {
                self.run.is_hang = self.run.ended.is_none();
                self.run.left = self
                    .tracees
                    .iter()
                    .map(|(pid, tracee)| (*pid, tracee.role))
                    .collect();
                break;
            }
        }
        if let Some((pid, _)) = self.stopped {
            let _ = kill(pid, Signal::SIGCONT);
        }
        self.run.left.retain(|(pid, _)| is_alive(*pid));
        self.run
    }

    fn handle(&mut self, status: WaitStatus) {
        match status {
            WaitStatus::Exited(pid, code) => self.ended(pid, Ended::Code(code)),
            WaitStatus::Signaled(pid, signal, _) => self.ended(pid, Ended::Signal(signal)),
            WaitStatus::PtraceSyscall(pid) => {
                self.run.stops += 1;
                if self.call(pid).is_none() {
                    self.resume(pid, None);
                }
            }
            WaitStatus::PtraceEvent(pid, signal, event) => self.event(pid, signal, event),
            WaitStatus::Stopped(pid, signal) => self.resume(pid, Some(signal)),
            _ => {}
        }
    }

    fn ended(&mut self, pid: Pid, how: Ended) {
        self.early.remove(&pid);
        let was_traced = self.tracees.remove(&pid).is_some();
        if was_traced && pid == self.launcher && self.run.ended.is_none() {
            self.run.ended = Some(how);
        }
    }

    /// After its fault a process need not be stopped at its calls, unless it marks its end by one.
    fn resume(&self, pid: Pid, signal: Option<Signal>) {
        let is_done = self.run.hit.is_some() && self.case.is_some_and(|case| case.number.is_some());
        let has_result = self
            .tracees
            .get(&pid)
            .is_some_and(|tracee| tracee.result.is_some());
        let _ = if is_done && !has_result && !self.is_library() {
            ptrace::cont(pid, signal)
        } else {
            ptrace::syscall(pid, signal)
        };
    }

    fn event(&mut self, pid: Pid, signal: Signal, event: i32) {
        match event {
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                if let Ok(child) = ptrace::getevent(pid) {
                    self.created(pid, Pid::from_raw(child as libc::pid_t));
                }
                self.resume(pid, None);
            }
            libc::PTRACE_EVENT_EXEC => self.executed(pid),
            libc::PTRACE_EVENT_STOP if signal != Signal::SIGTRAP => {
                // It stays stopped until its SIGCONT. The time counts from here: a SIGCONT before would be lost.
                self.stopped = Some((pid, Instant::now() + self.scenario.stopped_for()));
                // SAFETY: numbers only.
                unsafe { libc::ptrace(libc::PTRACE_LISTEN, pid.as_raw(), 0, 0) };
            }
            libc::PTRACE_EVENT_STOP if !self.tracees.contains_key(&pid) => {
                self.early.insert(pid);
            }
            _ => self.resume(pid, None),
        }
    }

    fn created(&mut self, parent: Pid, child: Pid) {
        let Some(tracee) = self.tracees.get_mut(&parent) else {
            return;
        };
        tracee.children += 1;
        let role = match (tracee.role, tracee.children) {
            (Role::Launcher, 1) if self.scenario.is_direct => Role::Daemon,
            (Role::Launcher, 1) => Role::Intermediate,
            (Role::Intermediate, 1) => Role::Daemon,
            _ => Role::Other,
        };
        let is_armed = tracee.is_armed;
        self.tracees.insert(
            child,
            Tracee {
                role,
                is_armed,
                children: 0,
                result: None,
            },
        );
        if self.early.remove(&child) {
            self.resume(child, None);
        }
    }

    fn executed(&mut self, pid: Pid) {
        let is_library = self.is_library();
        let Some(tracee) = self.tracees.get_mut(&pid) else {
            return;
        };
        // The first exec of the launcher is that of the program under test.
        if pid == self.launcher && !tracee.is_armed {
            tracee.is_armed = !is_library;
            self.resume(pid, None);
        } else {
            self.release(pid);
        }
    }

    /// The process is the daemon, and runs on by itself.
    fn release(&mut self, pid: Pid) {
        self.run.daemon = Some((pid, state(pid)));
        if self.stopping == Some(pid) {
            // It stops when it goes on.
            self.stopped = Some((pid, Instant::now() + self.scenario.stopped_for()));
        }
        self.tracees.remove(&pid);
        let _ = ptrace::detach(pid, None);
        if pid == self.launcher {
            self.run.ended = Some(Ended::Executed);
        }
    }

    /// Handles a stop at a call. Returns something if the process is not to be resumed.
    fn call(&mut self, pid: Pid) -> Option<()> {
        let info = call_info(pid)?;
        if info.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
            // SAFETY: the kernel has filled in this part.
            let entry = unsafe { info.u.entry };
            return self.enter(pid, entry.nr, &entry.args);
        }
        if let Some(errno) = self.tracees.get_mut(&pid)?.result.take() {
            let _ = arch::fail_call(pid, errno);
        }
        None
    }

    fn enter(&mut self, pid: Pid, number: u64, arguments: &[u64; 6]) -> Option<()> {
        let is_launcher = pid == self.launcher;
        let is_library = self.is_library();
        let tracee = self.tracees.get_mut(&pid)?;
        if is_library && number == libc::SYS_close as u64 {
            match arguments[0] & 0xffff_ffff {
                BEGIN => {
                    tracee.is_armed = true;
                    return None;
                }
                PAUSE => tracee.is_armed = false,
                END if is_launcher => tracee.is_armed = false,
                END => {
                    self.release(pid);
                    return Some(());
                }
                _ => {}
            }
        }
        if !tracee.is_armed {
            return None;
        }
        let role = tracee.role;
        let (common, own) = arch::names(number, arguments);
        let (name, object) = name(pid, common, arguments);
        let count = self.counts.entry((role, name.clone())).or_default();
        *count += 1;
        let path_at = match name.as_str() {
            "openat" | "newfstatat" | "unlinkat" => Some(arguments[1]),
            "execve" | "chdir" | "chroot" => Some(arguments[0]),
            _ => None,
        };
        let call = Call {
            role,
            name: name.clone(),
            number: *count,
            path: path_at.map_or(object, |at| string(pid, at)),
        };
        let case = match self.case {
            Some(case) => case,
            None => {
                self.run.calls.push(call);
                return None;
            }
        };
        let is_it = (case.call == name || case.call == own)
            && (case.role == role || case.role == Role::Any)
            && case.number.is_none_or(|number| number == *count);
        if !is_it {
            return None;
        }
        self.run.hit.get_or_insert(call);
        match case.kind {
            Kind::Errno(errno) => {
                tracee.result = Some(errno);
                if !DONE_ANYWAY.contains(&name.as_str()) || case.number.is_none() {
                    let _ = arch::skip_call(pid);
                }
            }
            Kind::Kill => {
                let _ = kill(pid, Signal::SIGKILL);
            }
            Kind::Stop => {
                let _ = kill(pid, Signal::SIGSTOP);
                self.stopping = Some(pid);
            }
        }
        None
    }
}

/// What the kernel says of a stop at a call. The function of nix passes no size, so the kernel fills in nothing.
fn call_info(pid: Pid) -> Option<libc::ptrace_syscall_info> {
    let size = size_of::<libc::ptrace_syscall_info>();
    // SAFETY: the structure is plain numbers, and the kernel fills in no more than its size.
    unsafe {
        let mut info: libc::ptrace_syscall_info = std::mem::zeroed();
        let request = libc::PTRACE_GET_SYSCALL_INFO;
        (libc::ptrace(request, pid.as_raw(), size, &raw mut info) > 0).then_some(info)
    }
}

/// The name of a call, with the command of fcntl(2) or the kind of file, and the file that is read or written.
fn name(pid: Pid, name: &str, arguments: &[u64; 6]) -> (String, String) {
    match name {
        "fcntl" => {
            let command = match arguments[1] as i32 {
                libc::F_DUPFD => "DUPFD",
                libc::F_DUPFD_CLOEXEC => "DUPFD_CLOEXEC",
                libc::F_GETFD => "GETFD",
                libc::F_SETFD => "SETFD",
                libc::F_GETFL => "GETFL",
                libc::F_SETFL => "SETFL",
                arch::GETLK => "GETLK",
                arch::SETLK => "SETLK",
                libc::F_OFD_GETLK => "OFD_GETLK",
                _ => "other",
            };
            (format!("{name}.{command}"), String::new())
        }
        "read" | "write" => {
            let file = fs::read_link(format!("/proc/{pid}/fd/{}", arguments[0] as i32));
            let file = file.unwrap_or_default().to_string_lossy().into_owned();
            let kind = if file.starts_with("pipe:") {
                "pipe"
            } else {
                "file"
            };
            (format!("{name}.{kind}"), file)
        }
        _ => (name.into(), String::new()),
    }
}

/// The string at an address of a process.
fn string(pid: Pid, at: u64) -> String {
    let mut buffer = [0; 256];
    let memory = fs::File::open(format!("/proc/{pid}/mem"));
    let length = memory
        .and_then(|memory| memory.read_at(&mut buffer, at))
        .unwrap_or(0);
    let text = buffer[..length]
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}
