//! The soak of the log: ten million lines, all of which are counted.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process, waitpid};

use super::log_rate::in_memory;
use super::process::parent_of;
use super::restarts::expect_no_children;
use super::snapshot::{Snapshot, compare};
use crate::programs::{Programs, rawdaemon};
use crate::stamps::Stamps;

/// The lines of each run of the daemon, and the runs between the snapshots.
const LINES: u64 = 1_000_000;
const RUNS: u64 = 10;

/// More files than are written: all lines can be counted.
const SIZE: &str = "10M";
const KEEP: usize = 99;

const LIMIT: Duration = Duration::from_secs(60);

pub fn soak(programs: &Programs) -> io::Result<()> {
    println!(
        "rawdaemon --respawn -o --log-size {SIZE}, {} lines",
        LINES * RUNS
    );
    let (stamps, folder) = (Stamps::new()?, in_memory()?);
    let log = folder.path().join("log");
    let mut command = Command::new(rawdaemon());
    command.args(["--respawn", "--respawn-max", "0", "--respawn-good", "0"]);
    command
        .args(["--respawn-delay", "0.000000001", "-o"])
        .arg(&log);
    command.args(["--log-size", SIZE, "--log-keep", &KEEP.to_string(), "--"]);
    command.arg(programs.find("flood").unwrap_or_default());
    command.arg(&stamps.path).arg(LINES.to_string()).arg("stay");
    if !command.stdin(Stdio::null()).status()?.success() {
        return Err(io::Error::other("the daemon was not started"));
    }
    // One stamp at the begin of a run, and one when all its lines are in the pipe.
    let run = || stamps.wait(LIMIT).and_then(|_| stamps.wait(LIMIT));
    let mut daemon = run()?.pid;
    let supervisor = parent_of(daemon)?;
    let before = Snapshot::settled(supervisor, daemon)?;
    let began = Instant::now();
    for _ in 0..RUNS {
        kill_process(daemon, Signal::KILL)?;
        daemon = run()?.pid;
    }
    let span = began.elapsed();
    let after = Snapshot::settled(supervisor, daemon)?;
    kill_process(supervisor, Signal::TERM)?;
    waitpid(Some(supervisor), rustix::process::WaitOptions::empty())?;
    let rate = (LINES * RUNS * 80) as f64 / span.as_secs_f64() / 1e6;
    println!("    {:.1} s, {rate:.0} MB/s", span.as_secs_f64());
    compare(&before, &after)?;
    expect_no_children()?;
    count(&log)
}

/// Whether each line is there once, in order.
fn count(log: &Path) -> io::Result<()> {
    let mut expected = 0;
    let mut files = 0;
    for number in (0..=KEEP).rev() {
        let suffix = if number == 0 {
            String::new()
        } else {
            format!(".{number}")
        };
        let Ok(file) = File::open(format!("{}{suffix}", log.display())) else {
            continue;
        };
        files += 1;
        for line in BufReader::new(file).lines() {
            let line = line?;
            if line.starts_with("rawdaemon: ") {
                continue;
            }
            let number = line.get(..10).and_then(|digits| digits.parse::<u64>().ok());
            if number != Some(expected % LINES) || line.len() != 79 {
                let found = format!("line {expected} is {line:?}");
                return Err(io::Error::other(found));
            }
            expected += 1;
        }
    }
    println!("    {expected} lines in {files} files, none lost, torn or out of order");
    if expected != LINES * (RUNS + 1) {
        return Err(io::Error::other("lines are lost at the end"));
    }
    println!();
    Ok(())
}
