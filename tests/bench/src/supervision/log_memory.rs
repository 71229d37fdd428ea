//! The memory of an idle process that writes a log, after a thousand lines.

use std::process::Child;
use std::time::Duration;
use std::{io, thread};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::log_rate::{LOGGERS, Logger, in_memory};
use super::process::{children_of, field, parent_of};
use crate::programs::Programs;
use crate::reap;
use crate::report::machine;
use crate::stamps::Stamps;

/// The compared ones in [`LOGGERS`].
const NAMES: [&str; 4] = [
    "rawdaemon, files of 10 MB",
    "s6-log, files of 10 MB",
    "svlogd, files of 10 MB",
    "multilog, files of 10 MB",
];

const LINES: u64 = 1000;
const LIMIT: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(10);

/// A logger whose program has written its lines, and stays.
struct Running {
    name: &'static str,
    /// The process that ends all others.
    end: Pid,
    logger: Pid,
    _peer: Option<Child>,
    _folder: TempDir,
}

pub fn measure(programs: &Programs) -> io::Result<()> {
    let compared = LOGGERS.iter().filter(|one| NAMES.contains(&one.name));
    let found = compared.filter(|one| programs.find(one.program).is_some());
    let running: Vec<Running> = found
        .map(|logger| start(logger, programs))
        .collect::<io::Result<_>>()?;
    thread::sleep(Duration::from_secs(2));
    let wake_ups = |one: &Running| field(one.logger, "status", "voluntary_ctxt_switches:");
    let before: Vec<i64> = running.iter().map(wake_ups).collect::<io::Result<_>>()?;
    thread::sleep(IDLE);
    println!("memory of an idle log process in KiB, and wake-ups in 10 s");
    println!("{}", machine());
    println!(
        "{:42} {:>9} {:>8} {:>8}",
        "", "anonymous", "Rss", "wake-ups"
    );
    for (one, before) in running.iter().zip(before) {
        let woken = wake_ups(one)? - before;
        let anonymous = field(one.logger, "smaps_rollup", "Anonymous:")?;
        let rss = field(one.logger, "smaps_rollup", "Rss:")?;
        println!("{:42} {anonymous:9} {rss:8} {woken:8}", one.name);
    }
    println!();
    for one in &running {
        kill_process(one.end, Signal::TERM)?;
    }
    reap();
    Ok(())
}

fn start(logger: &'static Logger, programs: &Programs) -> io::Result<Running> {
    let (stamps, folder) = (Stamps::new()?, in_memory()?);
    let arguments = [LINES.to_string(), "stay".to_owned()];
    let peer = logger.start(
        programs,
        &stamps.path,
        &folder.path().join("log"),
        &arguments,
    )?;
    stamps.wait(LIMIT)?;
    let flood = stamps.wait(LIMIT)?.pid;
    let (end, pid) = match &peer {
        Some(peer) => (flood, Pid::from_child(peer)),
        None => {
            let supervisor = parent_of(flood)?;
            let children = children_of(supervisor)?;
            let logger = children.into_iter().find(|child| *child != flood);
            (
                supervisor,
                logger.ok_or_else(|| io::Error::other("no log process"))?,
            )
        }
    };
    Ok(Running {
        name: logger.name,
        end,
        logger: pid,
        _peer: peer,
        _folder: folder,
    })
}
