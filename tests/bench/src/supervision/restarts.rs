//! The soak of restarts: a daemon is killed thousands of times, by several signals.

use std::io;
use std::process::Command;
use std::time::Instant;

use rustix::process::{Signal, WaitOptions, kill_process, wait};

use super::candidates::{Candidate, Place};
use super::process::Supervised;
use super::snapshot::{Snapshot, compare};
use crate::programs::Programs;

/// The restarts before the first snapshot.
const WARM_UP: u32 = 50;

/// The signals that end the daemon, in turn.
const SIGNALS: [Signal; 3] = [Signal::KILL, Signal::SEGV, Signal::TERM];

/// The delay does not grow.
const DELAY: &str = "0.000000001:0.000000001";

/// The candidates, and how often they restart their daemon.
const SOAKS: [(u32, Candidate); 3] = [
    (
        10_000,
        Candidate {
            name: "rawdaemon --respawn -p",
            program: "rawdaemon",
            delay: Some(1),
            command: |place| place.rawdaemon(&["--respawn-delay", DELAY]),
        },
    ),
    // Many starts fail: the daemon is killed before its message was read.
    (
        10_000,
        Candidate {
            name: "the same, with -l, -o, --log-size, -R notify",
            program: "rawdaemon",
            delay: Some(1),
            command: with_files,
        },
    ),
    // Fewer: the supervisor looks at all processes of the machine to find what the daemon leaves.
    (
        1_000,
        Candidate {
            name: "the same, and the daemon leaves a child",
            program: "rawdaemon",
            delay: Some(1),
            command: |place| {
                let mut command = with_files(place)?;
                command.arg("child");
                Ok(command)
            },
        },
    ),
];

fn with_files(place: &Place) -> io::Result<Command> {
    let [lock, out] = ["lock", "out"].map(|name| place.path(name).display().to_string());
    let log = ["--log-size", "1M", "--respawn-delay", DELAY];
    place.rawdaemon(&[&["-l", &lock, "-o", &out, "-R", "notify"], &log[..]].concat())
}

pub fn soak(programs: &Programs) -> io::Result<()> {
    for (count, candidate) in &SOAKS {
        println!("{}, {count} restarts", candidate.name);
        let mut supervised = Supervised::start(candidate, programs)?;
        restart(&mut supervised, WARM_UP)?;
        let before = Snapshot::settled(supervised.supervisor, supervised.daemon)?;
        let began = Instant::now();
        restart(&mut supervised, *count)?;
        let span = began.elapsed().as_secs_f64();
        let after = Snapshot::settled(supervised.supervisor, supervised.daemon)?;
        println!(
            "    {span:.1} s, {:.0} µs each",
            span * 1e6 / f64::from(*count)
        );
        compare(&before, &after)?;
        drop(supervised);
        expect_no_children()?;
    }
    println!();
    Ok(())
}

fn restart(supervised: &mut Supervised, count: u32) -> io::Result<()> {
    for signal in SIGNALS.into_iter().cycle().take(count as usize) {
        // The supervisor has not reaped it: it is alive.
        kill_process(supervised.daemon, signal)?;
        supervised.next()?;
    }
    Ok(())
}

/// This process is a subreaper: what a supervisor leaves becomes its child.
pub fn expect_no_children() -> io::Result<()> {
    match wait(WaitOptions::NOHANG) {
        Err(rustix::io::Errno::CHILD) => Ok(()),
        _ => Err(io::Error::other("a process is left")),
    }
}
