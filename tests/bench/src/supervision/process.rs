//! A supervisor and its daemon.

use std::io;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

use super::candidates::{Candidate, Place};
use crate::programs::{Programs, libraries, library_path};
use crate::stamps::{Stamp, Stamps};

/// How long a start may take, and a restart.
const START: Duration = Duration::from_secs(2);
const RESTART: Duration = Duration::from_secs(20);

/// A supervisor whose daemon runs. Both are ended when this is dropped.
pub struct Supervised {
    pub candidate: &'static Candidate,
    pub supervisor: Pid,
    pub daemon: Pid,
    /// The process that was started. Some supervisors are children of it.
    launcher: Child,
    stamps: Stamps,
}

impl Supervised {
    /// Starts a supervisor, and waits until its daemon has begun.
    pub fn start(candidate: &'static Candidate, programs: &Programs) -> io::Result<Self> {
        let program = programs.find(candidate.program);
        let program = program.ok_or_else(|| io::Error::other("not found"))?;
        let daemon = programs.find("stay").unwrap_or_default();
        let stamps = Stamps::new()?;
        let mut command = (candidate.command)(&Place {
            program: &program,
            daemon: &daemon,
            stamps: &stamps.path,
            folder: stamps.folder.path(),
        })?;
        if candidate.program != "rawdaemon" && !libraries().is_empty() {
            command.env("LD_LIBRARY_PATH", library_path());
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut launcher = command.stderr(Stdio::null()).spawn()?;
        match stamps.wait(START) {
            // Until the launcher has returned, the end of the daemon is a failed start.
            Ok(_) if candidate.program == "rawdaemon" && !launcher.wait()?.success() => {
                Err(io::Error::other("the start has failed"))
            }
            Ok(stamp) => Ok(Self {
                candidate,
                supervisor: parent_of(stamp.pid)?,
                daemon: stamp.pid,
                launcher,
                stamps,
            }),
            Err(error) => {
                let _ = launcher.kill();
                let _ = launcher.wait();
                Err(error)
            }
        }
    }

    /// Waits for the beginning of the next daemon.
    pub fn next(&mut self) -> io::Result<Stamp> {
        let stamp = self.stamps.wait(RESTART)?;
        self.daemon = stamp.pid;
        Ok(stamp)
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // The supervisor is a child of this process, which has not reaped it.
        let _ = kill_process(self.supervisor, Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(3);
        while matches!(
            waitpid(Some(self.supervisor), WaitOptions::NOHANG),
            Ok(None)
        ) {
            if Instant::now() > deadline {
                let _ = kill_process(self.supervisor, Signal::KILL);
            }
            thread::sleep(Duration::from_millis(1));
        }
        let _ = self.launcher.try_wait();
        // Some supervisors leave their daemon.
        for stamp in self.stamps.take() {
            self.daemon = stamp.pid;
        }
        if parent_of(self.daemon).is_ok_and(|parent| parent == getpid()) {
            let _ = kill_process(self.daemon, Signal::KILL);
            let _ = waitpid(Some(self.daemon), WaitOptions::empty());
        }
    }
}

/// The parent of a process.
pub fn parent_of(pid: Pid) -> io::Result<Pid> {
    let parent = field(pid, "status", "PPid:")?;
    Pid::from_raw(parent as i32).ok_or_else(|| io::Error::other("it has no parent"))
}

/// The first number of a line in a file of a process.
pub fn field(pid: Pid, file: &str, name: &str) -> io::Result<i64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}"))?;
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| io::Error::other(format!("no {name} of {pid}")))
}

/// The children of a process.
pub fn children_of(pid: Pid) -> io::Result<Vec<Pid>> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let pids = children.split_whitespace().flat_map(str::parse);
    Ok(pids.filter_map(Pid::from_raw).collect())
}
