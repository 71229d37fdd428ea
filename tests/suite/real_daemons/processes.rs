//! A daemon that runs, with its children.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;

use rustix::process::{Pid, Signal, WaitOptions};

use crate::support::{Daemon, State, eventually, status_line};

/// A daemon that runs. If a test fails, its children are killed.
pub struct Running {
    daemon: Daemon,
    /// Whether it has answered.
    pub has_served: Cell<bool>,
}

impl Running {
    pub fn new(daemon: Daemon) -> Self {
        let has_served = Cell::new(false);
        Self { daemon, has_served }
    }

    pub fn pid(&self) -> Pid {
        self.daemon.pid
    }

    #[track_caller]
    pub fn assert_alive(&self) {
        self.daemon.assert_alive();
    }

    /// It lives, as a daemon does.
    #[track_caller]
    pub fn assert_daemon(&self) {
        self.daemon.assert_alive();
        let state = State::of(self.pid());
        let own = rustix::process::getpid().as_raw_pid();
        assert_eq!(state.parent, own, "its parent is the subreaper");
        assert_eq!(state.group, self.pid().as_raw_pid(), "it leads a group");
        assert_ne!(state.session, self.pid().as_raw_pid());
        assert_eq!(state.terminal, 0);
    }

    /// Whether it handles or ignores SIGHUP.
    pub fn survives_hangup(&self) -> bool {
        ["SigIgn", "SigCgt"].iter().any(|name| {
            let words = status_line(self.pid(), name);
            u64::from_str_radix(&words[0], 16).unwrap() & 1 != 0
        })
    }

    /// Kills it and waits for its end, and for that of its children.
    pub fn kill(self, with_group: bool) {
        let children = self.children();
        if with_group {
            rustix::process::kill_process_group(self.pid(), Signal::KILL).unwrap();
        } else {
            self.daemon.signal(Signal::KILL);
        }
        self.daemon.ended();
        drop(self);
        children.ended();
    }

    /// Runs what ends it, and waits for its end, and for that of its children.
    pub fn ends_by<T>(self, action: impl FnOnce() -> T) -> T {
        let children = self.children();
        let result = action();
        self.daemon.ended();
        drop(self);
        children.ended();
        result
    }

    /// Its descendants, and the members of its group.
    fn children(&self) -> Children {
        let all = processes();
        let mut found = BTreeSet::from([self.pid().as_raw_pid()]);
        loop {
            let before = found.len();
            let related = all
                .iter()
                .filter(|other| found.contains(&other.parent) || found.contains(&other.group));
            found.extend(related.map(|other| other.pid).collect::<Vec<_>>());
            if found.len() == before {
                break;
            }
        }
        found.remove(&self.pid().as_raw_pid());
        let children = all.into_iter().filter(|other| found.contains(&other.pid));
        Children(children.collect())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for child in self.children().0 {
                let pid = Pid::from_raw(child.pid).unwrap();
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// Processes that belong to a daemon.
struct Children(Vec<Process>);

impl Children {
    /// Waits until they have ended.
    fn ended(self) {
        for child in self.0 {
            // It belongs to this process if its parent has ended.
            let pid = Pid::from_raw(child.pid).unwrap();
            eventually(&format!("the end of {child:?}"), || {
                let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
                let still = Process::read(child.pid);
                still.is_none_or(|still| still.start_time != child.start_time)
            });
        }
    }
}

#[derive(Debug)]
struct Process {
    pid: i32,
    parent: i32,
    group: i32,
    start_time: u64,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        Some(Self {
            pid,

            parent: fields[1].parse().ok()?,
            group: fields[2].parse().ok()?,
            start_time: fields[19].parse().ok()?,
        })
    }
}

fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Process::read).collect()
}
