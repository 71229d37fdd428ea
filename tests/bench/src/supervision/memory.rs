//! What an idle supervisor costs: its memory, and how often it wakes up.
//!
//! Ten of each run at once, so that the proportional set size (Pss) shows what one more costs: the pages of
//! the file are shared. Each has restarted its daemon once. Private dirty pages are compared with anonymous
//! ones. The two are the same if no page of the file itself is dirty; a file that was just linked has dirty
//! pages, until they are written to disk.

use std::time::Duration;
use std::{io, thread};

use rustix::process::{Pid, Signal, kill_process};

use super::candidates::Candidate;
use super::process::{Supervised, field};
use crate::programs::Programs;
use crate::report::{machine, median};

const INSTANCES: usize = 10;

/// How long the supervisors may settle, and how long they are then observed.
const SETTLE: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(10);

const COLUMNS: [&str; 4] = ["Private_Dirty:", "Anonymous:", "Pss:", "Rss:"];

pub fn measure(candidates: &[&'static Candidate], programs: &Programs) -> io::Result<()> {
    let instances = candidates.iter().flat_map(|one| [*one; INSTANCES]);
    let mut running: Vec<Supervised> = instances
        .map(|candidate| Supervised::start(candidate, programs))
        .collect::<io::Result<_>>()?;
    thread::sleep(SETTLE);
    for supervised in &mut running {
        if supervised.candidate.delay.is_some() {
            kill_process(supervised.daemon, Signal::KILL)?;
            supervised.next()?;
        }
    }
    thread::sleep(SETTLE);
    let before: Vec<i64> = wake_ups(&running)?;
    thread::sleep(IDLE);
    let after: Vec<i64> = wake_ups(&running)?;

    println!(
        "memory of an idle supervisor in KiB, median of {INSTANCES} that run at once, and wake-ups in 10 s"
    );
    println!("{}", machine());
    println!(
        "{:42} {:>13} {:>9} {:>8} {:>8} {:>8}",
        "", "private dirty", "anonymous", "Pss", "Rss", "wake-ups"
    );
    let counts: Vec<i64> = before
        .iter()
        .zip(&after)
        .map(|(before, after)| after - before)
        .collect();
    for (index, group) in running.chunks(INSTANCES).enumerate() {
        let mut cells = [0; COLUMNS.len()];
        for (cell, column) in cells.iter_mut().zip(COLUMNS) {
            let values = group
                .iter()
                .map(|one| field(one.supervisor, "smaps_rollup", column));
            let mut values = values.collect::<io::Result<Vec<i64>>>()?;
            *cell = median(&mut values).unwrap_or_default();
        }
        let [dirty, anonymous, pss, rss] = cells;
        let woken = counts
            .chunks(INSTANCES)
            .nth(index)
            .and_then(|counts| counts.iter().max());
        let (name, woken) = (candidates[index].name, woken.copied().unwrap_or_default());
        println!("{name:42} {dirty:13} {anonymous:9} {pss:8} {rss:8} {woken:8}");
    }
    println!();
    Ok(())
}

fn wake_ups(running: &[Supervised]) -> io::Result<Vec<i64>> {
    running
        .iter()
        .map(|one| context_switches(one.supervisor))
        .collect()
}

/// The voluntary context switches of a process. Each is the end of a time in which it ran.
fn context_switches(pid: Pid) -> io::Result<i64> {
    field(pid, "status", "voluntary_ctxt_switches:")
}
