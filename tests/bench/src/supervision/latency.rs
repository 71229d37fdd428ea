//! The time from the SIGKILL of a daemon to the first instruction of the next one.
//!
//! All supervisors run during all rounds. In each round the daemon of each is killed, after all of them have
//! run for more than a second: several supervisors delay the restart of a shorter run.

use std::time::Duration;
use std::{io, thread};

use rustix::process::{Signal, kill_process};

use super::candidates::Candidate;
use super::process::Supervised;
use crate::programs::Programs;
use crate::report::{now, report};

const ROUNDS: usize = 30;

/// How long each daemon has run at least when it is killed.
const RUN: Duration = Duration::from_millis(1100);

pub fn measure(candidates: &[&'static Candidate], programs: &Programs) -> io::Result<()> {
    let restarting = candidates.iter().filter(|one| one.delay.is_some());
    let mut running: Vec<Supervised> = restarting
        .map(|candidate| Supervised::start(candidate, programs))
        .collect::<io::Result<_>>()?;
    let mut spans: Vec<Vec<i64>> = running.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        thread::sleep(RUN);
        for (supervised, spans) in running.iter_mut().zip(&mut spans) {
            // The supervisor has not reaped it: it is alive.
            let killed = now();
            kill_process(supervised.daemon, Signal::KILL)?;
            match supervised.next() {
                Ok(stamp) => {
                    spans.push(stamp.time - killed - supervised.candidate.delay.unwrap_or(0));
                }
                Err(error) => println!("not restarted: {}: {error}", supervised.candidate.name),
            }
        }
    }
    let names = running.iter().map(|supervised| supervised.candidate.name);
    report(
        "from the SIGKILL of a daemon to the first instruction of the next, less the delay asked for",
        names.zip(spans),
    );
    Ok(())
}
