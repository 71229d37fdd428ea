//! The course of a case with a supervisor, which goes on when the launcher has ended.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::check::{Answer, Probe, Problem, judge, judge_probe};
use crate::faults::{Case, Role};
use crate::look::{executing, exists, is_alive, is_asleep, waits};
use crate::run::{Ended, Run};
use crate::scenario::{Scenario, What};
use crate::trace::{Stage, Tracer};
use crate::worker::Worker;

/// The files of a supervised daemon.
const FILES: [&str; 2] = ["pid", "pid.supervisor"];
/// How long a command may take that asks for the daemon.
const ANSWER: Duration = Duration::from_secs(20);
/// How long a process that must end may take.
const END: Duration = Duration::from_millis(300);

impl Worker {
    /// Follows the start, does what the scenario says, and judges what has come of it. Then it is seen whether the
    /// daemon is found, whether a second start is refused, and whether the daemon can be stopped.
    pub fn supervise(
        &self,
        scenario: &'static Scenario,
        case: Option<&Case>,
        mut tracer: Tracer<'_>,
        old: Option<Pid>,
    ) -> Result<(Run, Vec<Problem>), String> {
        let is_start = matches!(scenario.what, What::Start | What::Fails(_) | What::Adopt);
        if !is_start {
            tracer.stage = Stage::Before;
        }
        tracer.follow_until(|it| {
            it.is_settled() && old.is_none_or(|pid| is_asleep(pid) || !exists(pid))
        });
        if !is_start {
            let daemon = tracer.run.daemon.as_ref().map(|(pid, _)| *pid);
            let (Some(daemon), Some(supervisor), Some(Ended::Code(0)), false) = (
                daemon,
                tracer.run.supervisor,
                tracer.run.ended,
                tracer.run.is_hang,
            ) else {
                return Err("the start that is not disturbed has failed".into());
            };
            if scenario.is_waiting() {
                let _ = kill(daemon, Signal::SIGKILL);
                tracer.follow_until(|it| !exists(daemon) && it.is_settled());
            }
            tracer.stage = Stage::During;
            match scenario.what {
                What::Respawn => {
                    let _ = kill(daemon, Signal::SIGKILL);
                    tracer.follow_until(|it| !exists(daemon) && it.is_settled());
                }
                What::StopAll => {
                    let stop = self.launch(&["--stop", "-p", "pid"], scenario);
                    let (pid, go) = stop.map_err(|error| error.to_string())?;
                    let added = tracer.add(pid, Role::Stopper);
                    added.map_err(|errno| errno.to_string())?;
                    drop(go);
                    tracer.follow_until(Tracer::is_settled);
                }
                _ => {
                    let _ = kill(supervisor, Signal::SIGTERM);
                    tracer.follow_until(|it| !it.has(supervisor) && it.is_settled());
                }
            }
        }
        tracer.stage = Stage::After;
        let main = self.main();
        let daemon = tracer.run.daemon.as_ref().map(|(pid, _)| *pid);
        let is_lost = tracer.run.supervisor.is_some_and(|pid| !is_alive(pid));
        let has_failed = !matches!(tracer.run.ended, Some(Ended::Code(0)));
        if has_failed || is_lost && scenario.has("kill") {
            let ends = [daemon, main];
            tracer.follow_for(END, |_| !ends.iter().flatten().any(|pid| is_alive(*pid)));
        }
        let world = self.world(scenario, old, main);
        let mut problems = judge(scenario, case, &tracer.run, &world);
        if !tracer.run.is_hang {
            let probe = self.probe(&mut tracer);
            problems.extend(judge_probe(scenario, case, &tracer.run, &world, &probe));
        }
        Ok((tracer.run, problems))
    }

    fn probe(&self, tracer: &mut Tracer<'_>) -> Probe {
        let supervisor = tracer.run.supervisor;
        let alive = executing(&self.program);
        let is_supervised = supervisor.is_some_and(is_alive);
        let status = self.ask(tracer, &["--status", "-v", "-p", "pid"]);
        let start = [
            "-p",
            "pid",
            self.program.to_str().unwrap_or_default(),
            "sleep",
        ];
        let second = (!alive.is_empty() || is_supervised).then(|| self.ask(tracer, &start));
        let after_second = executing(&self.program);
        let stop = self.ask(tracer, &["--stop", "-p", "pid"]);
        // What ends by itself has its time.
        tracer.follow_for(END, |it| {
            !it.has_any() && executing(&self.program).is_empty()
        });
        let mut left: Vec<String> = tracer.roles();
        left.extend(
            executing(&self.program)
                .iter()
                .map(|pid| format!("daemon {pid}")),
        );
        let files = FILES.iter().filter(|name| self.here().join(name).exists());
        left.extend(files.map(|name| {
            let is_empty = fs::metadata(self.here().join(name)).is_ok_and(|it| it.len() == 0);
            format!("{}{name}", if is_empty { "an empty " } else { "" })
        }));
        let third = self.ask(tracer, &start);
        Probe {
            alive,
            is_supervised,
            status,
            second,
            after_second,
            stop,
            left,
            third,
        }
    }

    /// Runs the command, while the supervisor goes on.
    fn ask(&self, tracer: &mut Tracer<'_>, arguments: &[&str]) -> Answer {
        let here = self.here();
        let file =
            |name: &str| File::create(here.join(name)).map_or_else(|_| Stdio::null(), Stdio::from);
        let mut command = Command::new(&self.command);
        command
            .args(arguments)
            .current_dir(&here)
            .stdin(Stdio::null());
        command.stdout(file("printed")).stderr(file("said"));
        let mut code = -1;
        if let Ok(child) = command.spawn() {
            let pid = Pid::from_raw(child.id() as i32);
            tracer.follow_for(ANSWER, |it| it.status(pid).is_some());
            match tracer.status(pid) {
                Some(status) => code = status,
                None => drop(kill(pid, Signal::SIGKILL)),
            }
        }
        let read = |name: &str| fs::read_to_string(here.join(name)).unwrap_or_default();
        Answer {
            code,
            printed: read("printed").trim().into(),
            said: read("said").trim().into(),
        }
    }

    /// Starts a daemon with a supervisor, untraced, and kills one of the two: the daemon, if its restart is to be
    /// waited for, or the supervisor, if another one is to take its place.
    pub fn start_supervised(&self, what: What) -> Result<Pid, String> {
        let mut command = Command::new(&self.command);
        command.args(["--respawn", "--respawn-delay", "100:100", "-p", "pid"]);
        command.arg(&self.program).arg("sleep");
        command.current_dir(self.here()).stdin(Stdio::null());
        let status = command.status().map_err(|error| error.to_string())?;
        let read = |name: &str| {
            let text = fs::read_to_string(self.here().join(name)).unwrap_or_default();
            text.lines()
                .next()
                .and_then(|line| line.parse().ok())
                .map(Pid::from_raw)
        };
        let (true, Some(daemon), Some(supervisor)) =
            (status.success(), read("pid"), read("pid.supervisor"))
        else {
            return Err(format!("cannot start the daemon: {status}"));
        };
        let mut left = 2000;
        while !waits(supervisor) && left > 0 {
            std::thread::sleep(Duration::from_millis(1));
            left -= 1;
        }
        let ends = match what {
            What::Waiting => Some(daemon),
            What::Adopt => Some(supervisor),
            _ => None,
        };
        if let Some(pid) = ends {
            let _ = kill(pid, Signal::SIGKILL);
            let mut left = 2000;
            while is_alive(pid) || what == What::Waiting && read("pid").is_some() {
                std::thread::sleep(Duration::from_millis(1));
                left -= 1;
                if left == 0 {
                    return Err("a killed process does not end".into());
                }
            }
        }
        Ok(daemon)
    }
}
