//! Whether the answer is true and nothing is left.

mod actions;
mod message;
mod supervised;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::arch::is_replaced;
use crate::faults::{Case, Kind, Role};
use crate::look::{State, children, differences, is_alive, owner};
use crate::run::{Ended, Run};
use crate::scenario::{Scenario, What};

pub use supervised::{Answer, Probe, judge_probe};

/// What a run has left to look at.
pub struct World {
    pub here: PathBuf,
    /// The daemon that ran before.
    pub old: Option<Pid>,
    /// The process that the new daemon has named by `MAINPID=`, and what `--status` says then.
    pub main: Option<Pid>,
    pub status: Option<String>,
    pub printed: String,
    pub said: String,
    /// The state of the daemon without a fault; none in the first run.
    pub expected: Option<State>,
}

pub struct Problem {
    /// `untrue`, `debris`, `hang`, `message`, `step` or `different`.
    pub kind: &'static str,
    pub text: String,
}

struct Judge<'a> {
    scenario: &'a Scenario,
    case: Option<&'a Case>,
    run: &'a Run,
    world: &'a World,
    problems: Vec<Problem>,
}

pub fn judge(scenario: &Scenario, case: Option<&Case>, run: &Run, world: &World) -> Vec<Problem> {
    let mut judge = Judge {
        scenario,
        case,
        run,
        world,
        problems: Vec::new(),
    };
    judge.all();
    judge.problems
}

impl Judge<'_> {
    fn add(&mut self, kind: &'static str, text: impl Into<String>) {
        let said = self.world.said.trim().replace('\t', " ");
        let ended = self.run.ended;
        self.problems.push(Problem {
            kind,
            text: format!("{} ({ended:?}, said {said:?})", text.into()),
        });
    }

    /// Whether the folder of a socket is left: its number ends in the 22 bits of the pid of the launcher or
    /// the supervisor. Removes it.
    fn has_folder(&self) -> bool {
        let makers = [self.run.launcher, self.run.supervisor];
        let makers = makers.map(|pid| pid.map(Pid::as_raw));
        let mut is_left = false;
        // An older one is that of a process that had the same pid.
        let time = |path: PathBuf| fs::symlink_metadata(path).and_then(|it| it.modified()).ok();
        let began = time(self.world.here.join("in"));
        let entries = fs::read_dir("/run").into_iter().chain(fs::read_dir("/tmp"));
        for entry in entries.flatten().flatten() {
            let name = entry.file_name();
            let number = name
                .to_str()
                .and_then(|name| name.strip_prefix("rawdaemon-"));
            let number: Option<i64> = number.and_then(|number| number.parse().ok());
            let pid = number.map(|number| (number & 0x3f_ffff) as i32);
            if pid.is_some() && makers.contains(&pid) && time(entry.path()) >= began {
                is_left |= fs::remove_dir_all(entry.path()).is_ok();
            }
        }
        is_left
    }

    fn pidfile_path(&self) -> PathBuf {
        self.world.here.join(self.scenario.pidfile())
    }

    fn pidfile(&self) -> Option<String> {
        fs::read_to_string(self.pidfile_path()).ok()
    }

    /// The process whose pid is in the pidfile.
    fn written(&self) -> Option<Pid> {
        self.pidfile()?.trim().parse().ok().map(Pid::from_raw)
    }

    fn new_daemon(&self) -> Option<Pid> {
        self.run.daemon.as_ref().map(|(pid, _)| *pid)
    }

    fn is_new_alive(&self) -> bool {
        let all = [self.new_daemon(), self.world.main];
        all.into_iter().flatten().any(is_alive)
    }

    fn was_hit(&self, role: Role, kind: Kind) -> bool {
        self.case.is_some_and(|case| case.kind == kind) && self.hit_role() == Some(role)
    }

    fn hit_role(&self) -> Option<Role> {
        self.run.hit.as_ref().map(|call| call.role)
    }

    fn all(&mut self) {
        if self.run.is_hang {
            let left: Vec<_> = self
                .run
                .left
                .iter()
                .map(|(_, role)| role.to_string())
                .collect();
            let text = format!(
                "these do not end: {}; {} stops at calls",
                left.join(", "),
                self.run.stops
            );
            self.add("hang", text);
            // What is killed now does not remove it.
            self.has_folder();
            return;
        }
        for (_, role) in &self.run.left {
            self.add("debris", format!("the {role} is left"));
        }
        // A success says nothing, and leaves a socket that it cannot remove or cannot be sure of.
        let refusals = ["unlinkat", "newfstatat", "socket", "setsockopt", "connect"];
        let is_removable = !refusals.iter().any(|call| self.is_fault_of(call));
        if self.world.here.join("socket").exists() && !self.is_told() && is_removable {
            self.add("debris", "the socket is left");
        }
        // A supervisor keeps it.
        let has_folder = !self.is_supervised() && self.has_folder();
        if has_folder
            && !self.was_hit(Role::Supervisor, Kind::Kill)
            && !self.is_told()
            && !self.is_fault_of("unlinkat")
        {
            self.add("debris", "the folder of the socket is left");
        }
        if self.world.said.contains("LEFT:") {
            self.add("debris", "something of the start is left in the caller");
        }
        if let Some(daemon) = self.new_daemon()
            && is_alive(daemon)
            && !children(daemon).is_empty()
            && self.world.main.is_none()
        {
            self.add("debris", "the daemon has a child");
        }
        match self.run.ended {
            Some(Ended::Code(code)) => self.answered(code),
            Some(Ended::Executed) => self.runs(),
            Some(Ended::Signal(signal)) => self.ended_by(signal),
            None => {}
        }
    }

    fn is_fault_of(&self, call: &str) -> bool {
        self.case
            .is_some_and(|case| case.call == call && matches!(case.kind, Kind::Errno(_)))
    }

    /// The launcher said how it went.
    fn answered(&mut self, code: i32) {
        let is_replaced = self.case.is_some_and(|case| is_replaced(&case.call));
        if is_replaced && code != self.scenario.what.code() {
            self.add("untrue", "the older call does not replace the newer one");
        }
        match self.scenario.what {
            What::Start if code == 0 && self.scenario.is_respawn() => self.runs_or_is_stopped(),
            What::Start | What::Library | What::Foreground if code == 0 => self.runs(),
            What::Start | What::Library | What::Foreground => self.failed(code),
            What::Fails(expected) => {
                if code == 0
                    && self.was_hit(Role::Daemon, Kind::Stop)
                    && self.new_daemon().is_some()
                {
                    // It was stopped in its exec, and had not ended when its time was over.
                } else if code == 0 {
                    self.add("untrue", "a start that must fail succeeded");
                } else if self.case.is_none() && code != expected {
                    self.add("untrue", format!("not {expected}"));
                } else {
                    self.failed(code);
                }
            }
            What::Second => self.second(code),
            What::Status => self.status(code),
            What::List => self.list(code),
            What::Stop => self.stop(code),
            What::Signal => self.signal(code),
            What::Restart => self.restart(code),
            What::Respawn => self.respawned(),
            What::StopAll => self.stopped_all(code),
            What::EndAll => self.ended_all(),
            What::Waiting => self.waiting(code),
            What::Adopt => self.adopted(code),
        }
        self.message(code);
    }

    /// The launcher was killed: a daemon that was executed runs as it should, and otherwise nothing is left.
    fn ended_by(&mut self, signal: Signal) {
        if !self.is_ended_by_case() {
            self.add("untrue", format!("the launcher ended by {signal}"));
        }
        match self.scenario.what {
            What::Fails(_) if self.is_new_alive() && !self.scenario.has("sleep") => {
                self.add("debris", "a daemon is left");
            }
            _ if self.is_new_alive() => self.runs(),
            What::Respawn | What::StopAll | What::EndAll | What::Waiting | What::Adopt => {}
            What::Second
            | What::Status
            | What::List
            | What::Stop
            | What::Signal
            | What::Restart => {}
            _ => self.nothing_left(),
        }
    }

    /// The daemon runs as asked.
    fn runs(&mut self) {
        // A daemon's own word counts, even if it ends right afterwards.
        if self.was_hit(Role::Daemon, Kind::Kill)
            && self.scenario.has("daemonize-ready")
            && self.new_daemon().is_none()
        {
            return;
        }
        let Some((daemon, state)) = &self.run.daemon else {
            self.add("untrue", "success, but no daemon was executed");
            return;
        };
        let (daemon, state) = (*daemon, state.clone());
        let main = self.world.main.filter(|_| self.follows()).unwrap_or(daemon);
        if self.world.main.is_some() && self.is_given_up(main) {
            return;
        }
        if !is_alive(main) {
            self.add("untrue", "success, but the daemon is dead");
            return;
        }
        if let Some(ready) = self.scenario.ready()
            && !self.world.here.join(ready).exists()
            && self.run.ended == Some(Ended::Code(0))
        {
            self.add("untrue", "success, but the daemon is not ready");
        }
        if let Some(expected) = &self.world.expected {
            for line in differences(expected, &state) {
                self.add("different", line);
            }
        }
        if self.has_pidfile() {
            if self.written() != Some(main) {
                self.add(
                    "untrue",
                    format!("the pidfile of daemon {main} holds {:?}", self.pidfile()),
                );
            }
            // The lock stays that of the process that was started.
            let holder = match self.scenario.is_respawn() {
                true => self.run.supervisor.unwrap_or(daemon),
                false => daemon,
            };
            if is_alive(holder) && owner(&self.pidfile_path()) != Some(holder) {
                self.add("untrue", format!("the pidfile is not locked by {holder}"));
            }
        }
        if let Some(status) = &self.world.status
            && *status != main.to_string()
            && !self.lacks_proc()
        {
            self.add("untrue", format!("the status of {main}: {status:?}"));
        }
        if let Some(path) = self.scenario.value("--mkdir") {
            let made = fs::metadata(self.world.here.join(path));
            let made = made.map_or((0, 0), |it| (it.mode() & 0o7777, it.uid()));
            let user = self.scenario.value("-u").map_or(0, |_| 65534);
            if made != (0o755, user) {
                self.add(
                    "different",
                    format!("the directory's mode and owner: {made:?}"),
                );
            }
        }
    }

    /// Whether the start has made the process that was named the daemon. Without pidfds, it has not.
    fn follows(&self) -> bool {
        let is_ignored = self.is_fault_of("pidfd_open") && self.written() != self.world.main;
        !is_ignored && self.run.ended == Some(Ended::Code(0)) || self.written() == self.world.main
    }

    /// Whether the file of a daemon that has named another process is not known: the intermediate was killed, or the
    /// daemon has ended, and what it has named could not be watched.
    fn is_given_up(&self, main: Pid) -> bool {
        let watchers = [Role::Intermediate, Role::Supervisor];
        watchers
            .into_iter()
            .any(|role| self.was_hit(role, Kind::Kill))
            && !(self.scenario.is_respawn() && self.written() == self.world.main)
            || self.is_fault_of("pidfd_open") && Some(main) != self.world.main && !is_alive(main)
    }

    /// Whether `/proc` is refused, so that a process has no fingerprint.
    fn lacks_proc(&self) -> bool {
        let is_errno = self
            .case
            .is_some_and(|case| matches!(case.kind, Kind::Errno(_)));
        let hit = self.run.hit.as_ref();
        is_errno && hit.is_some_and(|call| call.path.starts_with("/proc"))
    }

    fn has_pidfile(&self) -> bool {
        self.scenario.has("-p") || self.scenario.what == What::Library
    }

    fn failed(&mut self, code: i32) {
        // The original has lost track, and cannot know.
        if code == 22 {
            if self.hit_role() == Some(Role::Daemon) {
                self.add("untrue", "it lost track of nothing");
            }
            if self.is_new_alive() {
                self.runs();
                return;
            }
        }
        self.nothing_left();
    }

    /// Whether the message says that something may be left.
    fn is_told(&self) -> bool {
        let mut told = vec!["may be left", "cannot remove the pidfile"];
        if self.scenario.what == What::Restart {
            // The new start cannot use the old file.
            told.push("cannot use the pidfile");
        }
        told.iter().any(|words| self.world.said.contains(words)) || self.is_unknown()
    }

    /// A stop that cannot wait does not know what became of the daemon.
    fn is_unknown(&self) -> bool {
        let what = self.scenario.what;
        (what.needs_daemon() || what == What::StopAll)
            && self.world.said.contains("cannot watch the daemon")
    }

    fn nothing_left(&mut self) {
        if self.is_new_alive() && self.world.said.contains("the daemon still runs") {
            return;
        }
        if self.is_new_alive() {
            self.add("debris", "a failure, but the daemon runs");
            return;
        }
        if self.scenario.is_respawn() {
            self.no_supervisor_left();
        }
        match self.pidfile() {
            None => {}
            // What cannot be removed, or not be known to be the daemon's, stays, without a pid.
            Some(text) if text.is_empty() && self.leaves_empty() => {}
            Some(_) if self.is_told() => {}
            // The killed launcher was the daemon, or the only process besides it.
            Some(_) if self.was_hit(Role::Launcher, Kind::Kill) && self.is_alone() => {}
            Some(text) => self.add("debris", format!("the pidfile is left with {text:?}")),
        }
        let is_made = self.scenario.has("--mkdir") && self.world.here.join("run").exists();
        // The pidfile is in them.
        if !is_made || self.pidfile().is_some() || self.is_told() {
            return;
        }
        let is_killed = self.was_hit(Role::Launcher, Kind::Kill) && self.is_alone();
        if !is_killed && !self.world.said.contains("the daemon still runs") {
            self.add("debris", "the directories are left");
        }
    }

    fn is_alone(&self) -> bool {
        self.scenario.is_direct || self.scenario.what == What::Foreground
    }

    fn cannot_remove(&self) -> bool {
        let is_policy = self.case.is_some_and(|case| case.number.is_none());
        self.is_fault_of("unlinkat")
            // Then it is not known whether the file is new.
            || self.is_fault_of("newfstatat")
            || is_policy && self.case.is_some_and(|case| case.call.ends_with("LK"))
    }
}
