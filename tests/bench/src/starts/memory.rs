//! The size of the launchers: their files, and their memory while they wait for a daemon.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{fs, io};

use rustix::process::{Pid, Signal, getpid, kill_process};

use super::{Launcher, quiet};
use crate::reap;
use crate::report::machine;

/// The daemon that the launchers wait for.
const DAEMON: [&str; 2] = ["/bin/sleep", "60"];

/// Launchers that can wait, and their options for that.
const WAITING: [(&str, &[&str]); 2] = [
    ("rawdaemon", &["-t", "60"]),
    (
        "start-stop-daemon",
        &[
            "-S",
            "-q",
            "-b",
            "--notify-await",
            "--pidfile",
            "/nonexistent",
            "--startas",
        ],
    ),
];

pub fn measure(launchers: &[Launcher]) -> io::Result<()> {
    println!("file size of launchers, in bytes");
    println!("{}", machine());
    // Each launcher once.
    let is_first = |launcher: &&Launcher| !launcher.way.leads_group;
    for launcher in launchers.iter().filter(is_first) {
        let size = fs::metadata(&launcher.path)?.len();
        let libraries = if is_dynamic(&launcher.path) {
            ", plus shared libraries, at least libc"
        } else {
            ""
        };
        println!("{:42} {size:9}{libraries}", launcher.way.launcher[0]);
    }
    println!();
    println!("resident memory of launchers that wait for a daemon, in KiB");
    println!("{}", machine());
    for (name, options) in WAITING {
        let launcher = launchers.iter().find(|one| one.way.launcher[0] == name);
        if let Some(launcher) = launcher {
            let options = options.iter().chain(&DAEMON[..1]);
            let between = launcher.way.between.iter().chain(&DAEMON[1..]);
            let words = options.chain(between).map(PathBuf::from);
            let words: Vec<_> = [launcher.path.clone()].into_iter().chain(words).collect();
            measure_waiting(name, &words)?;
        }
    }
    println!();
    Ok(())
}

/// Whether the file requests a dynamic linker.
fn is_dynamic(path: &Path) -> bool {
    let file = std::fs::read(path).unwrap_or_default();
    rawdaemon::internal::interpreter(&file).is_some()
}

/// Starts a launcher that waits, measures its processes, and kills them.
fn measure_waiting(name: &str, words: &[PathBuf]) -> io::Result<()> {
    let mut launcher = quiet(words).spawn()?;
    let deadline = Instant::now() + Duration::from_secs(10);
    let daemon = loop {
        match descendants().into_iter().find(|pid| comm(*pid) == "sleep") {
            Some(daemon) => break Some(daemon),
            None if Instant::now() > deadline => break None,
            None => sleep(Duration::from_millis(10)),
        }
    };
    // Lets the processes settle.
    sleep(Duration::from_millis(100));
    let waiting = descendants().into_iter().filter(|pid| Some(*pid) != daemon);
    for (index, pid) in waiting.enumerate() {
        if let (Some(resident), Some(private)) = (field(pid, "VmRSS:"), field(pid, "RssAnon:")) {
            let name = format!("{name}, process {}", index + 1);
            println!("{name:42} {resident:9}, of which anonymous {private}");
        }
    }
    // On SIGTERM, some launchers kill their daemon, and others do not.
    let daemon = daemon.and_then(Pid::from_raw);
    for pid in daemon.into_iter().chain([Pid::from_child(&launcher)]) {
        let _ = kill_process(pid, Signal::TERM);
    }
    launcher.wait()?;
    reap();
    Ok(())
}

/// All descendants of this process.
fn descendants() -> Vec<i32> {
    let mut found = vec![getpid().as_raw_pid()];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        found.extend(children.split_whitespace().flat_map(str::parse::<i32>));
        next += 1;
    }
    found.split_off(1)
}

fn comm(pid: i32) -> String {
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    comm.trim().to_owned()
}

/// A field of /proc/PID/status, in KiB.
fn field(pid: i32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
