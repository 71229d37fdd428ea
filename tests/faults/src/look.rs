//! What `/proc` and the locks say.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::unistd::Pid;

use crate::arch;

/// What a start sets up in the daemon, in words, by their names.
pub type State = BTreeMap<String, String>;

/// The lines of `/proc/PID/status` that a start answers for.
const LINES: [&str; 14] = [
    "Umask",
    "Uid",
    "Gid",
    "Groups",
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "Cpus_allowed_list",
    "NoNewPrivs",
];

/// The state of a process without its id and its parent's.
pub fn state(pid: Pid) -> State {
    let folder = format!("/proc/{pid}");
    let read = |name: &str| fs::read_to_string(format!("{folder}/{name}")).unwrap_or_default();
    let link = |name: &str| {
        let target = fs::read_link(format!("{folder}/{name}")).unwrap_or_default();
        let target = target.to_string_lossy().into_owned();
        // Each worker has its own folder.
        let target = target
            .rsplit_once("/case/")
            .map_or(target.clone(), |(_, name)| name.to_owned());
        // Pipes and sockets have numbers.
        target
            .split_once(":[")
            .map_or(target.clone(), |(kind, _)| kind.to_owned())
    };
    let mut state = State::new();
    for line in read("status").lines() {
        if let Some((name, value)) = line.split_once(':')
            && LINES.contains(&name)
        {
            state.insert(name.into(), value.trim().into());
        }
    }
    // The group of a process counts with or without its place among the supplementary groups.
    let group = state
        .get("Gid")
        .map_or("", |all| all.split('\t').next().unwrap_or_default());
    let groups = state.get("Groups").map_or("", String::as_str);
    let others: Vec<_> = groups.split(' ').filter(|it| *it != group).collect();
    state.insert("Groups".into(), others.join(" "));
    for name in ["cwd", "root"] {
        state.insert(name.into(), link(name));
    }
    for name in ["limits", "oom_score_adj"] {
        state.insert(name.into(), read(name));
    }
    let fields = fields(pid);
    state.insert("nice".into(), fields.get(16).cloned().unwrap_or_default());
    state.insert("policy".into(), fields.get(38).cloned().unwrap_or_default());
    let leads = fields
        .get(3)
        .is_some_and(|session| *session == pid.to_string());
    state.insert("leads a session".into(), leads.to_string());
    for entry in fs::read_dir(format!("{folder}/fd"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let number = entry.file_name().to_string_lossy().into_owned();
        let info = read(&format!("fdinfo/{number}"));
        let flags = info
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .unwrap_or_default();
        // Whether the last component of the path could have been a link has no effect any more.
        let flags = u32::from_str_radix(flags.trim(), 8).unwrap_or(0);
        let flags = flags & !(nix::libc::O_NOFOLLOW as u32);
        let target = link(&format!("fd/{number}"));
        // Only the numbers that the scenario names count.
        let is_free = number.len() > 1 || number.as_str() > "2" && target != "pipe";
        let number = if is_free { target.as_str() } else { &number };
        state.insert(
            format!("descriptor {number}"),
            format!("{target} {flags:o}"),
        );
    }
    state
}

/// The fields of `/proc/PID/stat` after the name; the first is the state.
fn fields(pid: Pid) -> Vec<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    after_name.split_whitespace().map(str::to_owned).collect()
}

/// Whether a process exists and is no zombie.
pub fn is_alive(pid: Pid) -> bool {
    fields(pid)
        .first()
        .is_some_and(|state| !matches!(state.as_str(), "Z" | "X"))
}

/// Whether a process exists: it was not reaped.
pub fn exists(pid: Pid) -> bool {
    !fields(pid).is_empty()
}

/// Whether a process sleeps.
pub fn is_asleep(pid: Pid) -> bool {
    fields(pid).first().is_some_and(|state| state == "S")
}

/// Whether a process waits in ppoll(2) for more than a minute.
pub fn waits(pid: Pid) -> bool {
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let words: Vec<_> = call.split(' ').collect();
    let number = words.first().and_then(|word| word.parse().ok());
    let is_poll = number.is_some_and(|number| arch::names(number, &[0; 6]).0 == "ppoll");
    let address = words.get(3).and_then(|word| word.strip_prefix("0x"));
    let address = address.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let (Some(address), true) = (address, is_poll) else {
        return false;
    };
    let mut seconds = [0; 4];
    let memory = fs::File::open(format!("/proc/{pid}/mem"));
    let is_read = memory.is_ok_and(|memory| memory.read_exact_at(&mut seconds, address).is_ok());
    is_read && u32::from_le_bytes(seconds) > 60 && is_asleep(pid)
}

/// The processes that execute this file.
pub fn executing(program: &Path) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.map(Pid::from_raw)
        .filter(|pid| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program))
        .filter(|pid| is_alive(*pid))
        .collect()
}

/// The children of a process, with zombies.
pub fn children(pid: Pid) -> Vec<Pid> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .map(Pid::from_raw)
        .collect()
}

/// The process that holds a lock on a file.
pub fn owner(path: &Path) -> Option<Pid> {
    let file = fs::File::options().read(true).write(true).open(path).ok()?;
    // SAFETY: the structure is plain numbers, and the kernel fills it in.
    let lock = unsafe {
        let mut lock: libc::flock = std::mem::zeroed();
        lock.l_type = libc::F_WRLCK as libc::c_short;
        if libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut lock) != 0 {
            return None;
        }
        lock
    };
    (lock.l_type != libc::F_UNLCK as libc::c_short).then(|| Pid::from_raw(lock.l_pid))
}

/// The differences of two states.
pub fn differences(expected: &State, found: &State) -> Vec<String> {
    let mut lines = Vec::new();
    for name in expected
        .keys()
        .chain(found.keys().filter(|name| !expected.contains_key(*name)))
    {
        let [before, now] =
            [expected, found].map(|state| state.get(name).map_or("none", String::as_str));
        if before != now {
            let brief = if name == "limits" {
                "other limits".into()
            } else {
                format!("{now:?}, not {before:?}")
            };
            lines.push(format!("{name}: {brief}"));
        }
    }
    lines
}
