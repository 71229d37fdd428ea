//! Supervisors: how soon a daemon runs again, what an idle supervisor costs, and how fast its log is.
//!
//! All candidates are measured in turn in one run. Those that are not found are skipped.

mod candidates;
mod latency;
mod log_lines;
mod log_memory;
mod log_rate;
mod memory;
mod process;
mod restarts;
mod sizes;
mod snapshot;

use std::io;

use candidates::{CANDIDATES, Candidate};
use process::Supervised;

use crate::programs::Programs;

pub fn measure() -> io::Result<()> {
    let programs = Programs::compile()?;
    if programs.find("stay").is_none() {
        println!("skipped: supervision: the daemon did not compile");
        return Ok(());
    }
    // Pages of a file that were not written yet would count as dirty.
    rustix::fs::sync();
    let found = find_candidates(&programs);
    latency::measure(&found, &programs)?;
    memory::measure(&found, &programs)?;
    sizes::print(&programs)?;
    log_memory::measure(&programs)?;
    log_rate::measure(&programs)
}

/// The soak: fails if descriptors, memory or processes of the supervisor or its log differ at the end.
pub fn soak() -> io::Result<()> {
    let programs = Programs::compile()?;
    rustix::fs::sync();
    restarts::soak(&programs)?;
    log_lines::soak(&programs)
}

/// The candidates that are installed and whose daemon begins.
fn find_candidates(programs: &Programs) -> Vec<&'static Candidate> {
    let works = |candidate: &&'static Candidate| {
        let started = Supervised::start(candidate, programs);
        if let Err(error) = &started {
            println!("skipped: {}: {error}", candidate.name);
        }
        started.is_ok()
    };
    CANDIDATES.iter().filter(works).collect()
}
