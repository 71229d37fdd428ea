//! What it takes to start a command as a daemon, from the launcher's start to its end, and how many
//! system calls that are.
//!
//! The launchers are measured in turn, round after round. The daemon is the
//! command itself, which prints its version to `/dev/null`: a program that has next to no start-up of
//! its own. Those that are not installed are left out, and the calls where strace is not.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{fs, io};

use crate::programs::rawdaemon;
use crate::reap;
use crate::report::{now, report};

const ROUNDS: usize = 1000;

struct Way {
    name: &'static str,
    /// The launcher, with the options that come before the daemon's path.
    launcher: &'static [&'static str],
    /// What comes between that and the daemon's arguments.
    between: &'static [&'static str],
    /// Whether it leads a process group, as an interactive shell lets it.
    leads_group: bool,
}

const WAYS: [Way; 6] = [
    Way {
        name: "rawdaemon, from a script",
        launcher: &["rawdaemon"],
        between: &[],
        leads_group: false,
    },
    Way {
        name: "rawdaemon, as a job of a shell",
        launcher: &["rawdaemon"],
        between: &[],
        leads_group: true,
    },
    Way {
        name: "busybox start-stop-daemon -b",
        launcher: &["busybox", "start-stop-daemon", "-S", "-b", "-x"],
        between: &["--"],
        leads_group: false,
    },
    Way {
        name: "setsid -f",
        launcher: &["setsid", "-f"],
        between: &[],
        leads_group: false,
    },
    Way {
        name: "daemonize",
        launcher: &["daemonize"],
        between: &[],
        leads_group: false,
    },
    Way {
        name: "start-stop-daemon -b (dpkg)",
        launcher: &[
            "start-stop-daemon",
            "-S",
            "-q",
            "-b",
            "--pidfile",
            "/nonexistent",
            "--startas",
        ],
        between: &["--"],
        leads_group: false,
    },
];

pub fn measure() -> io::Result<()> {
    let mut spans: [Vec<i64>; WAYS.len()] = Default::default();
    for _ in 0..ROUNDS {
        for (way, spans) in WAYS.iter().zip(&mut spans) {
            spans.extend(measure_once(way));
        }
    }
    let rows = WAYS.iter().zip(spans).map(|(way, spans)| (way.name, spans));
    report("from the launcher's start to its end", rows);
    println!("system calls of all processes until the daemon is executed, without rt_sigaction");
    // What strace starts leads no group.
    for way in WAYS.iter().filter(|way| !way.leads_group) {
        if let Ok(count) = count_calls(way) {
            println!("{:42} {count:7}", way.name);
        }
    }
    Ok(())
}

/// Adds the launcher and its daemon to a command line.
fn words(way: &Way) -> Vec<PathBuf> {
    let own = |word: &&str| match *word {
        "rawdaemon" => rawdaemon(),
        word => word.into(),
    };
    let launcher = way.launcher.iter().map(own);
    let between = way.between.iter().map(PathBuf::from);
    launcher
        .chain([rawdaemon()])
        .chain(between)
        .chain(["-V".into()])
        .collect()
}

fn measure_once(way: &Way) -> Option<i64> {
    let words = words(way);
    let mut command = Command::new(words.first()?);
    command.args(words.get(1..)?).current_dir("/");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if way.leads_group {
        command.process_group(0);
    }
    let began = now();
    let status = command.status();
    let ended = now();
    reap();
    status.ok()?.success().then_some(ended - began)
}

fn count_calls(way: &Way) -> io::Result<usize> {
    let folder = tempfile::tempdir()?;
    let trace = folder.path().join("trace");
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-o"])
        .arg(&trace)
        .args(words(way));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = command.status()?;
    reap();
    if !status.success() {
        return Err(io::Error::other(status.to_string()));
    }
    let text = fs::read_to_string(trace)?;
    let pid = |line: &str| line.split(' ').next().map(str::to_owned);
    // The daemon's own calls are those of the process that has executed last.
    let is_exec = |line: &&str| line.contains("execve(") && line.contains("\"-V\"");
    let daemon = text.lines().rfind(is_exec).and_then(pid);
    let mut is_executed = false;
    let mut count = 0;
    for line in text.lines() {
        let is_daemon = pid(line) == daemon;
        let is_call =
            line.contains('(') && !line.contains("resumed>") && !line.contains("rt_sigaction(");
        if is_call && !(is_daemon && is_executed) {
            count += 1;
        }
        is_executed |= is_daemon && is_exec(&line);
    }
    Ok(count)
}
