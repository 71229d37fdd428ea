//! A process that runs one case after the other: it traces, and is the init of what it starts.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid};

use crate::check::{Problem, World, judge};
use crate::faults::{Case, Kind};
use crate::look::{State, children, is_alive};
use crate::run::{Call, Ended, Run};
use crate::scenario::{Scenario, What};
use crate::trace::Tracer;

/// The files of all cases of a worker.
pub struct Worker {
    folder: tempfile::TempDir,
    pub command: PathBuf,
    pub program: PathBuf,
    /// The state of the daemon when nothing is injected, by scenario.
    expected: BTreeMap<&'static str, Option<State>>,
}

/// Reads the names of cases, or `learn SCENARIO`, and answers each with one line.
pub fn serve(command: &Path) -> io::Result<()> {
    let mut worker = Worker::new(command)?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let answer = match line.strip_prefix("learn ") {
            Some(name) => worker.learn(Scenario::find(name).expect("a scenario")),
            None => worker.run(&Case::parse(&line).expect("a case")),
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{}", answer.replace('\n', " "))?;
        out.flush()?;
    }
    Ok(())
}

extern "C" fn ignore(_: i32) {}

impl Worker {
    fn new(command: &Path) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        // Other users execute the program.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let program = folder.path().join("bin/faults-program");
        fs::create_dir(folder.path().join("bin"))?;
        let name = std::env::current_exe()?.with_file_name("faults-program");
        fs::copy(name, &program)?;
        // SAFETY: numbers, and a handler that does nothing.
        unsafe {
            libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
            // Waiting is interrupted every few milliseconds.
            let action = SigAction::new(
                SigHandler::Handler(ignore),
                SaFlags::empty(),
                SigSet::empty(),
            );
            sigaction(Signal::SIGALRM, &action)?;
            let interval = libc::timeval {
                tv_sec: 0,
                tv_usec: 5000,
            };
            let timer = libc::itimerval {
                it_interval: interval,
                it_value: interval,
            };
            libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut());
        }
        Ok(Self {
            folder,
            command: command.into(),
            program,
            expected: BTreeMap::new(),
        })
    }

    pub fn here(&self) -> PathBuf {
        self.folder.path().join("case")
    }

    /// The calls of a scenario, as `role call number path` with tabs between them.
    fn learn(&mut self, scenario: &'static Scenario) -> String {
        match self.undisturbed(scenario) {
            Ok(calls) => {
                let words = calls
                    .iter()
                    .map(|call| format!("{}/{}#{}", call.role, call.name, call.number));
                words.collect::<Vec<_>>().join("\t")
            }
            Err(why) => format!("ERROR {why}"),
        }
    }

    /// Runs a scenario without a fault. That must go well.
    fn undisturbed(&mut self, scenario: &'static Scenario) -> Result<Vec<Call>, String> {
        let (run, problems) = self.attempt(scenario, None)?;
        let state = run.daemon.map(|(_, state)| state);
        self.expected.insert(scenario.name, state);
        match problems.first() {
            None => Ok(run.calls),
            Some(problem) => Err(format!(
                "{} without a fault: {}",
                scenario.name, problem.text
            )),
        }
    }

    fn run(&mut self, case: &Case) -> String {
        let Some(scenario) = Scenario::find(&case.scenario) else {
            return "ERROR no such scenario".into();
        };
        if !self.expected.contains_key(scenario.name)
            && let Err(why) = self.undisturbed(scenario)
        {
            return format!("ERROR {why}");
        }
        let began = Instant::now();
        let mut outcome = self.attempt(scenario, Some(case));
        // What the processes do depends on who is faster.
        for _ in 0..2 {
            if outcome.as_ref().is_ok_and(|(run, _)| run.hit.is_none()) {
                outcome = self.attempt(scenario, Some(case));
            }
        }
        let milliseconds = began.elapsed().as_millis();
        match outcome {
            Err(why) => format!("ERROR {why}"),
            Ok((run, _)) if run.hit.is_none() => format!("missed\t{milliseconds}"),
            Ok((_, problems)) if problems.is_empty() => format!("right\t{milliseconds}"),
            Ok((run, problems)) => {
                // A machine that is busy is no error: what is wrong is so again.
                let is_fault = matches!(case.kind, Kind::Errno(_));
                let is_steady = run.is_hang && is_fault
                    || self
                        .attempt(scenario, Some(case))
                        .is_ok_and(|(run, problems)| run.hit.is_none() || !problems.is_empty());
                let how = if is_steady { "wrong" } else { "unsteady" };
                let texts: Vec<_> = problems
                    .iter()
                    .map(|p| format!("{}\t{}", p.kind, p.text))
                    .collect();
                format!("{how}\t{milliseconds}\t{}", texts.join("\t"))
            }
        }
    }

    /// Sets the scene, runs the launcher, judges, and cleans up.
    fn attempt(
        &mut self,
        scenario: &'static Scenario,
        case: Option<&Case>,
    ) -> Result<(Run, Vec<Problem>), String> {
        let error = |error: io::Error| error.to_string();
        let here = self.here();
        let _ = fs::remove_dir_all(&here);
        fs::create_dir(&here).map_err(error)?;
        fs::write(here.join("in"), "in\n").map_err(error)?;
        // No process has such a number.
        fs::write(here.join("dead"), "4194305\n").map_err(error)?;
        let open = here.join("open");
        fs::create_dir(&open).map_err(error)?;
        // For the daemons of other users.
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).map_err(error)?;
        let script = here.join("script");
        fs::write(&script, format!("exec {} sleep\n", self.program.display())).map_err(error)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).map_err(error)?;
        let old = if scenario.is_supervised {
            Some(self.start_supervised(scenario.what)?)
        } else if scenario.what.needs_daemon() {
            Some(self.start_daemon()?)
        } else {
            None
        };
        let launcher = self.launch(scenario.arguments, scenario).map_err(error)?;
        let (pid, go) = launcher;
        let tracer = Tracer::seize(pid, scenario, case).map_err(|errno| errno.to_string())?;
        drop(go);
        if scenario.is_respawn() {
            let judged = self.supervise(scenario, case, tracer, old);
            clean_up();
            return judged;
        }
        let run = tracer.follow();
        let main = self.main();
        Self::settle(scenario, &run, old, main);
        let mut world = self.world(scenario, old, main);
        world.status = main.map(|_| self.status(scenario));
        let problems = judge(scenario, case, &run, &world);
        clean_up();
        Ok((run, problems))
    }

    /// The process that the daemon has named.
    pub fn main(&self) -> Option<Pid> {
        let main = fs::read_to_string(self.here().join("main")).unwrap_or_default();
        main.parse().ok().map(Pid::from_raw)
    }

    pub fn world(&self, scenario: &Scenario, old: Option<Pid>, main: Option<Pid>) -> World {
        let here = self.here();
        let read = |name: &str| fs::read_to_string(here.join(name)).unwrap_or_default();
        World {
            old,
            main,
            status: None,
            printed: read("stdout"),
            said: read("stderr"),
            expected: self.expected.get(scenario.name).cloned().flatten(),
            here,
        }
    }

    /// Starts the daemon that the scenario is about, untraced.
    fn start_daemon(&self) -> Result<Pid, String> {
        let mut command = Command::new(&self.command);
        command.args(["-p", "pid"]).arg(&self.program).arg("sleep");
        command.current_dir(self.here()).stdin(Stdio::null());
        let status = command.status().map_err(|error| error.to_string())?;
        let pid = fs::read_to_string(self.here().join("pid")).unwrap_or_default();
        match pid.trim().parse() {
            Ok(pid) if status.success() => Ok(Pid::from_raw(pid)),
            _ => Err(format!("cannot start the daemon: {status}")),
        }
    }

    /// What `--status` says of the pidfile.
    fn status(&self, scenario: &Scenario) -> String {
        let mut command = Command::new(&self.command);
        command.args(["--status", "-p", scenario.pidfile()]);
        let output = command.current_dir(self.here()).output();
        output.map_or_else(
            |error| error.to_string(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
    }

    /// Creates the launcher. It waits until the other end of the pipe is closed, and then executes.
    pub fn launch(
        &self,
        arguments: &[&str],
        scenario: &Scenario,
    ) -> io::Result<(Pid, io::PipeWriter)> {
        let here = self.here();
        let (mut wait, go) = io::pipe()?;
        let is_library = scenario.what == What::Library;
        let mut command = Command::new(if is_library {
            &self.program
        } else {
            &self.command
        });
        for argument in arguments {
            let argument = argument.replace("HERE", here.to_str().unwrap_or_default());
            command.arg(argument.replace("PROGRAM", self.program.to_str().unwrap_or_default()));
        }
        command.env_clear().env(
            "PATH",
            format!("/no/such:{}/bin", self.folder.path().display()),
        );
        command.current_dir(&here).stdin(Stdio::null());
        command.stdout(File::create(here.join("stdout"))?);
        command.stderr(File::create(here.join("stderr"))?);
        if scenario.is_leader {
            command.process_group(0);
        }
        // SAFETY: this process has one thread.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok((child, go)),
            ForkResult::Child => {
                drop(go);
                let _ = wait.read(&mut [0]);
                drop(wait);
                // SAFETY: numbers, and no memory of another thread is used.
                unsafe {
                    libc::setitimer(libc::ITIMER_REAL, &std::mem::zeroed(), std::ptr::null_mut());
                }
                let error = command.exec();
                let _ = writeln!(io::stderr(), "cannot execute: {error}");
                // SAFETY: it ends the process.
                unsafe { libc::_exit(99) }
            }
        }
    }

    /// Reaps what ends, and gives a daemon that must end the time to do so.
    fn settle(scenario: &Scenario, run: &Run, old: Option<Pid>, main: Option<Pid>) {
        let is_success = matches!(run.ended, Some(Ended::Code(0) | Ended::Executed));
        let daemon = run.daemon.as_ref().map(|(pid, _)| *pid);
        let ends = match scenario.what {
            What::Stop | What::Signal | What::Restart if is_success => [old, None],
            _ if is_success => [None, None],
            _ => [daemon, main],
        };
        let until = Instant::now() + Duration::from_millis(300);
        loop {
            while waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG))
                .is_ok_and(|status| status != WaitStatus::StillAlive)
            {}
            if !ends.iter().flatten().any(|pid| is_alive(*pid)) || Instant::now() > until {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Kills and reaps all children, and those that become children by that.
fn clean_up() {
    let began = Instant::now();
    loop {
        for child in children(getpid()) {
            let _ = kill(child, Signal::SIGKILL);
        }
        match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Err(Errno::ECHILD) => return,
            _ if began.elapsed() > Duration::from_secs(5) => return,
            _ => {}
        }
    }
}
