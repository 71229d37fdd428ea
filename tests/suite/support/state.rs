//! The state of a process, from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::MARK;

/// The state of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub parent: i32,
    pub group: i32,
    pub session: i32,
    pub terminal: i32,
    pub directory: PathBuf,
    pub umask: String,
    pub blocked: String,
    pub ignored: String,
    pub caught: String,
    pub descriptors: BTreeMap<i32, PathBuf>,
}

impl State {
    pub fn of(pid: Pid) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let number = |index: usize| fields[index].parse().unwrap();
        let line = |name: &str| {
            let value = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap();
            value.trim().trim_start_matches('0').to_owned()
        };
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let descriptors = descriptors.filter_map(|entry| {
            let entry = entry.unwrap();
            let number = entry.file_name().to_str().unwrap().parse().unwrap();
            // A descriptor that was closed in the meantime is skipped.
            Some((number, fs::read_link(entry.path()).ok()?))
        });
        Self {
            parent: number(1),
            group: number(2),
            session: number(3),
            terminal: number(4),
            directory: fs::read_link(format!("/proc/{pid}/cwd")).unwrap(),
            umask: line("Umask:"),
            blocked: line("SigBlk:"),
            ignored: line("SigIgn:"),
            caught: line("SigCgt:"),
            descriptors: descriptors.collect(),
        }
    }

    /// Checks the state of a daemon that was started without options.
    #[track_caller]
    pub fn assert_well_behaved(&self, pid: Pid) {
        let null = PathBuf::from("/dev/null");
        let own = rustix::process::getpid();
        let pid = pid.as_raw_pid();
        assert_eq!(self.parent, own.as_raw_pid(), "its parent is the subreaper");
        assert_ne!(self.session, pid, "it must not lead a session");
        assert_eq!(self.group, pid, "it must lead a group");
        // A session from outside this pid namespace has the number 0.
        assert_ne!(
            self.session,
            Self::of(own).session,
            "it must have left the caller's session"
        );
        assert_eq!(self.terminal, 0);
        assert_eq!(self.directory, Path::new("/"));
        assert_eq!(self.umask, "22");
        assert_eq!((self.blocked.as_str(), self.ignored.as_str()), ("", ""));
        let expected = BTreeMap::from([(0, null.clone()), (1, null.clone()), (2, null)]);
        assert_eq!(self.descriptors, expected);
    }
}

/// The words of a line of `/proc/PID/status`.
pub fn status_line(pid: Pid, name: &str) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    let words = value.unwrap().trim_start_matches(':').split_whitespace();
    words.map(str::to_owned).collect()
}

/// Waits until a process is not in the middle of an exec, where it has neither arguments nor environment.
/// Its launcher may return before that. Before Linux 5.18, a process may have none at all.
pub fn settle(pid: Pid) {
    let began = Instant::now();
    while is_being_executed(pid) && began.elapsed() < Duration::from_secs(1) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn is_being_executed(pid: Pid) -> bool {
    let is_empty = |name| fs::read(format!("/proc/{pid}/{name}")).is_ok_and(|text| text.is_empty());
    if !is_empty("environ") || !is_empty("cmdline") {
        return false;
    }
    // Zombies and kernel threads never have any.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let fields: Vec<_> = after_name.split(' ').collect();
    let [state, .., flags] = fields.get(..7).unwrap_or_default() else {
        return false;
    };
    const KERNEL_THREAD: u64 = 0x20_0000;
    let flags: u64 = flags.parse().unwrap();
    !matches!(*state, "Z" | "X") && flags & KERNEL_THREAD == 0
}

/// The environment of a process, sorted, without the mark.
pub fn environment(pid: Pid) -> Vec<String> {
    settle(pid);
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let variables = bytes
        .split(|byte| *byte == 0)
        .filter(|text| !text.is_empty());
    let mut lines: Vec<_> = variables
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .filter(|line| !line.starts_with(MARK))
        .collect();
    lines.sort();
    lines
}
