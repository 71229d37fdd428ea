//! Runs a launcher under ptrace(2), counts the calls of its processes, and injects one fault.
//!
//! A process is followed until it executes the daemon's command. Its state is recorded at that moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::arch;
use crate::calls::{call_info, name, string};
use crate::faults::{Case, DONE_ANYWAY, Kind, Role};
use crate::look::{children, exists, is_alive, is_asleep, state, waits};
use crate::run::{Call, Ended, Run};
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

/// Whether the calls of this moment count. Others are not disturbed; a policy stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Before,
    During,
    After,
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
    pub stage: Stage,
    tracees: BTreeMap<Pid, Tracee>,
    /// Children that stopped before their parent was heard.
    early: BTreeSet<Pid>,
    counts: BTreeMap<(Role, String), u32>,
    /// The process that gets a SIGSTOP, and when it gets its SIGCONT.
    stopping: Option<Pid>,
    stopped: Option<(Pid, Instant)>,
    /// The exit statuses of children that are not traced.
    statuses: BTreeMap<Pid, i32>,
    pub run: Run,
}

impl<'a> Tracer<'a> {
    /// The launcher waits for this process before it executes the program under test.
    pub fn seize(
        launcher: Pid,
        scenario: &'a Scenario,
        case: Option<&'a Case>,
    ) -> nix::Result<Self> {
        let mut tracer = Self {
            case,
            scenario,
            launcher,
            stage: Stage::During,
            tracees: BTreeMap::new(),
            early: BTreeSet::new(),
            statuses: BTreeMap::new(),
            counts: BTreeMap::new(),
            stopping: None,
            stopped: None,
            run: Run {
                launcher: Some(launcher),
                ..Run::default()
            },
        };
        tracer.add(launcher, Role::Launcher)?;
        Ok(tracer)
    }

    /// Follows another process that waits for this one, in the place of the launcher, which has ended.
    pub fn add(&mut self, pid: Pid, role: Role) -> nix::Result<()> {
        use ptrace::Options;
        ptrace::seize(
            pid,
            Options::PTRACE_O_TRACESYSGOOD
                | Options::PTRACE_O_TRACEFORK
                | Options::PTRACE_O_TRACEVFORK
                | Options::PTRACE_O_TRACECLONE
                | Options::PTRACE_O_TRACEEXEC
                | Options::PTRACE_O_EXITKILL,
        )?;
        let tracee = Tracee {
            role,
            is_armed: false,
            children: 0,
            result: None,
        };
        self.tracees.insert(pid, tracee);
        self.launcher = pid;
        self.run.ended = None;
        Ok(())
    }

    fn is_library(&self) -> bool {
        self.scenario.what == What::Library
    }

    /// Waits for what a process does next. A timer interrupts the waiting.
    fn wait(&mut self) {
        match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Ok(status) => self.handle(status),
            Err(Errno::EINTR) => {}
            Err(_) => self.tracees.clear(),
        }
        if let Some((pid, until)) = self.stopped
            && Instant::now() >= until
        {
            (self.stopping, self.stopped) = (None, None);
            let _ = kill(pid, Signal::SIGCONT);
        }
    }

    /// Follows the processes until the condition holds. If that takes too long, it is a hang.
    pub fn follow_until(&mut self, mut is_over: impl FnMut(&Self) -> bool) {
        if !self.follow_for(LIMIT, &mut is_over) {
            self.run.is_hang = true;
            let left = self.tracees.iter();
            self.run.left = left.map(|(pid, it)| (*pid, it.role)).collect();
        }
    }

    /// Follows the processes for this time, or until the condition holds. Returns whether it does.
    pub fn follow_for(&mut self, time: Duration, mut is_over: impl FnMut(&Self) -> bool) -> bool {
        let until = Instant::now() + time;
        while !is_over(self) {
            if Instant::now() >= until || self.run.stops > MOST_STOPS {
                return false;
            }
            self.wait();
        }
        true
    }

    pub fn has(&self, pid: Pid) -> bool {
        self.tracees.contains_key(&pid)
    }

    pub fn has_any(&self) -> bool {
        !self.tracees.is_empty()
    }

    /// What the processes are that are followed.
    pub fn roles(&self) -> Vec<String> {
        self.tracees
            .values()
            .map(|it| it.role.to_string())
            .collect()
    }

    /// Whether nothing happens any more: the launcher has ended, a supervisor waits without end, and the daemon sleeps.
    pub fn is_settled(&self) -> bool {
        let is_still = |(pid, tracee): (&Pid, &Tracee)| match tracee.role {
            // In this order: it may send a signal to the daemon and wait then.
            Role::Supervisor => {
                waits(*pid) && children(*pid).into_iter().all(is_asleep) && waits(*pid)
            }
            Role::Log => is_asleep(*pid),
            _ => false,
        };
        let daemon = self.run.daemon.as_ref().map(|(pid, _)| *pid);
        self.run.ended.is_some()
            && self.stopping.is_none()
            && self.tracees.iter().all(is_still)
            && daemon.is_none_or(|pid| is_asleep(pid) || !exists(pid))
    }

    /// The exit status of a child that is not traced, when it has ended.
    pub fn status(&self, pid: Pid) -> Option<i32> {
        self.statuses.get(&pid).copied()
    }

    /// Follows all processes to their ends.
    pub fn follow(mut self) -> Run {
        let began = Instant::now();
        let mut launcher_ended = None;
        loop {
            self.wait();
            let now = Instant::now();
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
        if self.stopping == Some(pid) {
            (self.stopping, self.stopped) = (None, None);
        }
        if let Ended::Code(code) = how {
            self.statuses.insert(pid, code);
        }
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
                    self.created(pid, Pid::from_raw(child as libc::pid_t), event);
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

    fn created(&mut self, parent: Pid, child: Pid, event: i32) {
        let Some(tracee) = self.tracees.get_mut(&parent) else {
            return;
        };
        tracee.children += 1;
        let role = match (tracee.role, tracee.children) {
            (Role::Launcher, 1) if self.scenario.is_respawn() => Role::Supervisor,
            // No SIGCHLD tells its end.
            (Role::Supervisor, _) if event == libc::PTRACE_EVENT_CLONE => Role::Log,
            (Role::Supervisor, _) => Role::Daemon,
            (Role::Launcher, 1) if self.scenario.is_direct => Role::Daemon,
            (Role::Launcher, 1) => Role::Intermediate,
            (Role::Intermediate, 1) => Role::Daemon,
            _ => Role::Other,
        };
        let is_armed = tracee.is_armed;
        if role == Role::Supervisor {
            self.run.supervisor = Some(child);
        }
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
        let is_policy = self.case.is_some_and(|case| case.number.is_none());
        if !tracee.is_armed
            || self.stage != Stage::During && !(is_policy && self.stage == Stage::After)
        {
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
            Kind::Signal(signal) => {
                let _ = kill(pid, signal);
            }
            Kind::Stop => {
                let _ = kill(pid, Signal::SIGSTOP);
                self.stopping = Some(pid);
            }
        }
        None
    }
}
