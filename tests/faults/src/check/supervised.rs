//! Daemons with a supervisor.

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::{Judge, Problem, World};
use crate::faults::{Case, Kind, Role};
use crate::look::is_alive;
use crate::run::{Ended, Run};
use crate::scenario::{Scenario, What};

/// What a command has answered that asked for the daemon.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub printed: String,
    pub said: String,
}

/// What was seen when nothing happened any more.
pub struct Probe {
    /// The daemons.
    pub alive: Vec<Pid>,
    pub is_supervised: bool,
    pub status: Answer,
    /// A second start, if there is a daemon or a supervisor, and the daemons then.
    pub second: Option<Answer>,
    pub after_second: Vec<Pid>,
    pub stop: Answer,
    /// Processes and files after the stop.
    pub left: Vec<String>,
    /// A start after that.
    pub third: Answer,
}

pub fn judge_probe(
    scenario: &Scenario,
    case: Option<&Case>,
    run: &Run,
    world: &World,
    probe: &Probe,
) -> Vec<Problem> {
    let mut judge = Judge {
        scenario,
        case,
        run,
        world,
        problems: Vec::new(),
    };
    judge.probe(probe);
    judge.problems
}

impl Judge<'_> {
    fn probe(&mut self, probe: &Probe) {
        if self.is_untold(probe) {
            return;
        }
        if probe.alive.len() > 1 {
            self.add("untrue", format!("{} daemons", probe.alive.len()));
        }
        let status = &probe.status;
        let is_true = match (probe.alive.first(), probe.is_supervised) {
            (Some(daemon), _) => status.code == 0 && status.printed == daemon.to_string(),
            (None, true) => status.code == 2,
            (None, false) => matches!(status.code, 1 | 3),
        };
        if !is_true {
            self.add(
                "untrue",
                format!("the daemons are {:?}: {status:?}", probe.alive),
            );
        }
        if probe.alive.is_empty() && probe.is_supervised && !self.scenario.is_waiting() {
            self.add("untrue", "the supervisor waits for nothing");
        }
        if let Some(second) = &probe.second
            && (second.code != 12 || probe.after_second != probe.alive)
        {
            let now = &probe.after_second;
            self.add(
                "untrue",
                format!("a second start, then {now:?}: {second:?}"),
            );
        }
        // A supervisor has no message when it ends.
        let is_excused = match probe.left.as_slice() {
            [left] if left == "an empty pid" => self.leaves_empty() || self.is_told(),
            [left] if left == "pid" => self.is_told(),
            _ => false,
        };
        if probe.stop.code != 0 {
            self.add("untrue", format!("a stop: {:?}", probe.stop));
        } else if !probe.left.is_empty() && !is_excused {
            self.add("debris", format!("after a stop: {}", probe.left.join(", ")));
        }
        if self.has_folder()
            && !self.was_hit(Role::Supervisor, Kind::Kill)
            && !self.is_fault_of("unlinkat")
        {
            self.add("debris", "after a stop: the folder of the socket");
        }
        if probe.third.code != 0 {
            self.add("untrue", format!("another start: {:?}", probe.third));
        }
        if self.scenario.what == What::Respawn
            && probe.alive.is_empty()
            && !self.is_ended_on_purpose()
            && !status.said.contains("gave up")
        {
            self.add("untrue", format!("it gave up without a word: {status:?}"));
        }
    }

    /// Whether the supervisor leaves an empty pidfile: it was killed, or could not make sure of the file.
    pub(super) fn leaves_empty(&self) -> bool {
        let calls = ["lseek", "fstat", "read.file", "newfstatat"];
        self.cannot_remove()
            || self.was_hit(Role::Supervisor, Kind::Kill)
            || self.scenario.is_respawn() && calls.iter().any(|call| self.is_fault_of(call))
    }

    /// Whether the supervisor was killed while it looked for a daemon that had gone into the background: the launcher
    /// has lost track, and a second start is refused.
    fn is_untold(&self, probe: &Probe) -> bool {
        let is_refused = probe
            .second
            .as_ref()
            .is_some_and(|second| second.code == 12);
        self.was_hit(Role::Supervisor, Kind::Kill)
            && self.run.ended == Some(Ended::Code(22))
            && self.world.main.is_some()
            && probe.alive.len() == 1
            && probe.status.printed.is_empty()
            && is_refused
    }

    /// Whether the supervisor was killed, or was asked to stop the daemon.
    fn is_ended_on_purpose(&self) -> bool {
        use Signal::{SIGINT, SIGQUIT, SIGTERM, SIGUSR2};
        let stops = [SIGTERM, SIGINT, SIGQUIT, SIGUSR2].map(Kind::Signal);
        let kinds = stops.into_iter().chain([Kind::Kill]);
        kinds
            .into_iter()
            .any(|kind| self.was_hit(Role::Supervisor, kind))
    }

    pub(super) fn is_supervised(&self) -> bool {
        self.run.supervisor.is_some_and(is_alive)
    }

    /// After a success, the daemon runs, unless its supervisor has then been asked to stop it.
    pub(super) fn runs_or_is_stopped(&mut self) {
        let is_refused = self
            .case
            .is_some_and(|case| matches!(case.kind, Kind::Errno(_)));
        let is_killed = self.was_hit(Role::Supervisor, Kind::Kill);
        if self.is_new_alive() {
            self.runs();
        } else if is_killed || is_refused && !self.is_supervised() && self.scenario.has("kill") {
            // The daemon has ended with its supervisor.
        } else if self.is_ended_on_purpose() {
            self.nothing_left();
        } else {
            self.runs();
        }
    }

    /// The daemon runs again, or its supervisor has given up.
    pub(super) fn respawned(&mut self) {
        if self.is_new_alive() {
            self.runs();
        }
    }

    pub(super) fn stopped_all(&mut self, code: i32) {
        match (code, self.is_new_alive()) {
            _ if self.is_unknown() => {}
            (0, true) => self.add("untrue", "success, but the daemon runs"),
            (0, false) => self.ended_all(),
            (_, is_alive) if is_alive != self.scenario.is_waiting() => {}
            _ => self.add("untrue", "a failure, but the daemon was stopped"),
        }
    }

    pub(super) fn ended_all(&mut self) {
        if self.is_new_alive() && !self.was_hit(Role::Supervisor, Kind::Kill) {
            self.add("untrue", "the daemon runs");
        }
        if self.is_supervised() {
            self.add("debris", "the supervisor runs");
        }
        if !self.was_hit(Role::Supervisor, Kind::Kill) && !self.is_blind() {
            self.nothing_left();
        }
    }

    /// The daemon goes on, unless the new supervisor was asked to stop it, or to pass a SIGHUP on.
    pub(super) fn adopted(&mut self, code: i32) {
        let is_passed_on = self.was_hit(Role::Supervisor, Kind::Signal(Signal::SIGHUP));
        if self.is_ended_on_purpose() || is_passed_on {
            return;
        }
        if !self.world.old.is_some_and(is_alive) {
            self.add("untrue", "the daemon has ended");
        }
        if code == 0 && !self.is_supervised() && !self.is_blind() {
            self.add("untrue", "success, but there is no supervisor");
        }
        if code != 0 && self.is_supervised() {
            self.add("debris", "a failure, but there is a supervisor");
        }
        if self.new_daemon().is_some() {
            self.add("untrue", "another daemon was started");
        }
    }

    /// Whether the supervisor cannot wait. It then gives up, and tells that.
    fn is_blind(&self) -> bool {
        let calls = ["clock_gettime", "ppoll"];
        calls.iter().any(|call| self.is_fault_of(call))
    }

    /// What a supervisor leaves that has ended by itself.
    pub(super) fn no_supervisor_left(&mut self) {
        if self.is_supervised() {
            self.add("debris", "the supervisor is left");
        }
        let is_told = self.is_told() || self.is_fault_of("unlinkat");
        if self.world.here.join("pid.supervisor").exists()
            && !self.is_ended_on_purpose()
            && !is_told
        {
            self.add("debris", "the file of the supervisor is left");
        }
    }

    pub(super) fn waiting(&mut self, code: i32) {
        if !matches!(code, 2 | 4) {
            self.add("untrue", "not said to be restarted");
        }
    }

    /// Whether the launcher ended by the signal that it got.
    pub(super) fn is_ended_by_case(&self) -> bool {
        let kind = self.case.map(|case| case.kind);
        let is_launcher = matches!(self.hit_role(), Some(Role::Launcher | Role::Stopper));
        match (kind, self.run.ended) {
            (Some(Kind::Kill), Some(Ended::Signal(signal))) => {
                is_launcher && signal == Signal::SIGKILL
            }
            (Some(Kind::Signal(sent)), Some(Ended::Signal(signal))) => {
                is_launcher && signal == sent
            }
            _ => false,
        }
    }
}
