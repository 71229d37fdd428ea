//! What a supervisor has: descriptors, memory and children. A soak compares it before and after.

use std::time::{Duration, Instant};
use std::{fmt, fs, io, thread};

use rustix::process::Pid;

use super::process::{children_of, field};

/// How long the processes may take to settle.
const SETTLE: Duration = Duration::from_secs(5);

/// A process, and its children except the daemon.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    processes: Vec<Process>,
}

#[derive(Clone, PartialEq, Eq)]
struct Process {
    name: String,
    is_zombie: bool,
    /// Number and kind of each descriptor.
    descriptors: Vec<(i32, String)>,
    /// In KiB: the size of the address space, and the anonymous pages.
    size: i64,
    anonymous: i64,
}

impl Snapshot {
    pub fn take(supervisor: Pid, daemon: Pid) -> io::Result<Self> {
        let children = children_of(supervisor)?;
        let others = children.into_iter().filter(|pid| *pid != daemon);
        let processes = [supervisor].into_iter().chain(others).map(Process::read);
        let processes = processes.collect::<io::Result<_>>()?;
        Ok(Self { processes })
    }

    /// Waits until the snapshot stays the same for a while.
    pub fn settled(supervisor: Pid, daemon: Pid) -> io::Result<Self> {
        let deadline = Instant::now() + SETTLE;
        let mut last = Self::take(supervisor, daemon);
        loop {
            thread::sleep(Duration::from_millis(200));
            let next = Self::take(supervisor, daemon);
            match (last, next) {
                (Ok(last), Ok(next)) if last == next => return Ok(next),
                (_, next) if Instant::now() > deadline => return next,
                (_, next) => last = next,
            }
        }
    }
}

impl Process {
    fn read(pid: Pid) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let is_zombie = status.contains("\nState:\tZ");
        let name = status.lines().next().unwrap_or_default();
        let mut process = Self {
            name: name.trim_start_matches("Name:").trim().to_owned(),
            is_zombie,
            descriptors: Vec::new(),
            size: 0,
            anonymous: 0,
        };
        if !is_zombie {
            process.size = field(pid, "status", "VmSize:")?;
            process.anonymous = field(pid, "smaps_rollup", "Anonymous:")?;
            for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
                let entry = entry?;
                let number = entry.file_name().to_string_lossy().parse();
                let target = fs::read_link(entry.path())?;
                // Without the inode of a pipe or socket: it may be a new one.
                let kind = target.to_string_lossy();
                let kind = kind.split('[').next().unwrap_or_default().to_owned();
                let number = number.map_err(io::Error::other)?;
                process.descriptors.push((number, kind));
            }
            process.descriptors.sort();
        }
        Ok(process)
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for process in &self.processes {
            let zombie = if process.is_zombie { " (zombie)" } else { "" };
            let (count, size) = (process.descriptors.len(), process.size);
            let anonymous = process.anonymous;
            write!(to, "{}{zombie}: {count} descriptors, ", process.name)?;
            write!(to, "{size} KiB of addresses, {anonymous} KiB anonymous; ")?;
        }
        let zombies = self.processes.iter().filter(|one| one.is_zombie).count();
        write!(to, "{zombies} zombies")
    }
}

/// Prints both.
///
/// # Errors
///
/// They differ.
pub fn compare(before: &Snapshot, after: &Snapshot) -> io::Result<()> {
    println!("    before: {before}");
    println!("    after:  {after}");
    if before == after {
        return Ok(());
    }
    for process in before.processes.iter().chain(&after.processes) {
        println!("    {}: {:?}", process.name, process.descriptors);
    }
    Err(io::Error::other("the supervisor has changed"))
}
