//! Runs a program many times, and checks what each run says and leaves.
//!
//! This process is the subreaper of the program, so all that a run leaves are its children.

#![allow(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::collections::HashMap;
use std::env;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, pidfd_send_signal,
    set_child_subreaper, waitid,
};

/// How long all runs may take.
const LIMIT: Duration = Duration::from_secs(60);

/// The children of this thread, ended ones too. Only this process reaps them, so the list is exact.
const CHILDREN: &str = "/proc/thread-self/children";

/// `repeat RUNS DAEMON FILES PROGRAM ARGUMENT...` runs a program in this directory, which is empty.
///
/// Each run must exit with status 0. `DAEMON` is what it leaves: `none`, or one daemon that `serves` until it is
/// killed, or that `ends` by itself with status 0. One that `sleeps` ends too, but the next run does not wait for
/// that. `FILES` are the names of all files that it leaves.
fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let [runs, daemon, files, program, arguments @ ..] = words.as_slice() else {
        panic!("usage: repeat RUNS DAEMON FILES PROGRAM ARGUMENT...");
    };
    set_child_subreaper(Some(Pid::INIT)).unwrap();
    let mut repeat = Repeat {
        daemon,
        files: files.split_whitespace().collect(),
        end: Instant::now() + LIMIT,
        asleep: HashMap::new(),
    };
    let runs = 1..=runs.parse::<u32>().unwrap();
    let outcome = runs
        .into_iter()
        .try_for_each(|number| {
            let run = repeat.run(Command::new(program).args(arguments));
            run.map_err(|why| format!("run {number}: {why}"))
        })
        .and_then(|()| repeat.wait_for_sleepers());
    let Err(why) = outcome else {
        return ExitCode::SUCCESS;
    };
    eprintln!("{why}");
    for pid in children() {
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        let _ = reap(&pidfd);
    }
    ExitCode::FAILURE
}

struct Repeat<'a> {
    daemon: &'a str,
    files: Vec<&'a str>,
    /// When all runs must have ended.
    end: Instant,
    /// The daemons of earlier runs.
    asleep: HashMap<Pid, OwnedFd>,
}

impl Repeat<'_> {
    fn run(&mut self, program: &mut Command) -> Result<(), String> {
        let (status, said) = self.run_original(program)?;
        if !status.success() {
            return Err(format!("the original: {status}, {said:?}"));
        }
        let new: Vec<Pid> = children()
            .into_iter()
            .filter(|pid| !self.asleep.contains_key(pid))
            .collect();
        let pid = match (self.daemon, new.as_slice()) {
            ("none", []) => return self.take_files(None),
            ("serves" | "ends" | "sleeps", [pid]) => *pid,
            _ => return Err(format!("left processes: {new:?}, {said:?}")),
        };
        let names_another = said
            .lines()
            .filter_map(|line| line.rsplit_once(" as "))
            .any(|(_, number)| number != pid.to_string());
        if names_another {
            return Err(format!("the daemon is {pid}, but: {said:?}"));
        }
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        match self.daemon {
            "sleeps" => {
                self.asleep.insert(pid, pidfd);
            }
            "serves" => {
                // A daemon that has ended by itself has another status.
                let _ = pidfd_send_signal(&pidfd, Signal::KILL);
                let status = self.wait_for(&pidfd)?;
                if status.terminating_signal() != Some(Signal::KILL.as_raw()) {
                    return Err(format!("the daemon has ended: {status:?}"));
                }
            }
            _ => self.ended_well(&pidfd)?,
        }
        self.take_files(Some(pid))
    }

    /// Runs the program to its end, and returns what it has printed.
    fn run_original(&self, program: &mut Command) -> Result<(ExitStatus, String), String> {
        let said = rustix::fs::memfd_create("said", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mut said = File::from(said);
        program
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap());
        let mut child = program.spawn().unwrap();
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        let ended = self.await_end(&pidfd);
        if ended.is_err() {
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        ended?;
        let mut text = String::new();
        said.rewind().unwrap();
        said.read_to_string(&mut text).unwrap();
        Ok((status, text))
    }

    fn await_end(&self, pidfd: &OwnedFd) -> Result<(), String> {
        let left = self.end.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap();
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout)).unwrap() {
            0 => Err("a process does not end".into()),
            _ => Ok(()),
        }
    }

    fn wait_for(&self, pidfd: &OwnedFd) -> Result<WaitIdStatus, String> {
        self.await_end(pidfd)?;
        Ok(reap(pidfd).unwrap())
    }

    fn ended_well(&self, pidfd: &OwnedFd) -> Result<(), String> {
        match self.wait_for(pidfd)? {
            status if status.exit_status() == Some(0) => Ok(()),
            status => Err(format!("the daemon: {status:?}")),
        }
    }

    fn wait_for_sleepers(&mut self) -> Result<(), String> {
        for (_, pidfd) in std::mem::take(&mut self.asleep) {
            self.ended_well(&pidfd)?;
        }
        match waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
            Err(Errno::CHILD) => Ok(()),
            left => Err(format!("left a process: {left:?}")),
        }
    }

    /// Removes the files that a run leaves. A pidfile names the daemon.
    fn take_files(&self, daemon: Option<Pid>) -> Result<(), String> {
        let entries = fs::read_dir(".").unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        if names != self.files {
            return Err(format!("left files: {names:?}"));
        }
        for name in names {
            let text = fs::read_to_string(&name).unwrap();
            let expected = match daemon {
                Some(pid) if name.ends_with(".pid") => format!("{pid}\n"),
                _ => String::new(),
            };
            if text != expected {
                return Err(format!("{name}: {text:?}"));
            }
            fs::remove_file(name).unwrap();
        }
        Ok(())
    }
}

fn children() -> Vec<Pid> {
    let list = fs::read_to_string(CHILDREN).unwrap();
    let numbers = list.split_whitespace().map(|pid| pid.parse().unwrap());
    numbers.filter_map(Pid::from_raw).collect()
}

fn reap(pidfd: &OwnedFd) -> Option<WaitIdStatus> {
    waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).ok()?
}
