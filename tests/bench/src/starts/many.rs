//! Many starts, in a row and at once.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command};

use super::Launcher;
use crate::reap;
use crate::report::{machine, median, now};
use crate::stamps::Stamps;

const ROUNDS: usize = 5;
const IN_A_ROW: usize = 1000;
const AT_ONCE: usize = 100;

/// The measured launchers.
const NAMES: [&str; 3] = ["floor", "rawdaemon", "daemonize"];

/// The results of all rounds of one launcher.
#[derive(Default)]
struct Outcome {
    starts: usize,
    /// The mean span of a start in each round, in nanoseconds.
    spans: Vec<i64>,
    /// Launchers that exited with 0.
    succeeded: usize,
    /// Daemons that wrote a stamp.
    began: usize,
}

pub fn measure(launchers: &[Launcher], daemon: &[PathBuf], stamps: &Stamps) -> io::Result<()> {
    let chosen = |launcher: &&Launcher| {
        !launcher.way.leads_group && NAMES.contains(&launcher.way.launcher[0])
    };
    let launchers: Vec<&Launcher> = launchers.iter().filter(chosen).collect();
    let mut in_a_row: Vec<Outcome> = launchers.iter().map(|_| Outcome::default()).collect();
    let mut at_once: Vec<Outcome> = launchers.iter().map(|_| Outcome::default()).collect();
    for _ in 0..ROUNDS {
        for (launcher, outcome) in launchers.iter().zip(&mut in_a_row) {
            let command = launcher.command(daemon);
            outcome.add(IN_A_ROW, stamps, || start_in_a_row(command))?;
        }
        for (launcher, outcome) in launchers.iter().zip(&mut at_once) {
            let command = launcher.command(daemon);
            outcome.add(AT_ONCE, stamps, || start_at_once(command))?;
        }
    }
    println!(
        "starts from one process, {IN_A_ROW} in a row and {AT_ONCE} at once, in {ROUNDS} rounds"
    );
    println!("{}", machine());
    println!(
        "{:42} {:>7} {:>10} {:>12} {:>14}",
        "", "starts", "per second", "exit code 0", "daemons began"
    );
    for (launcher, outcome) in launchers.iter().zip(in_a_row) {
        outcome.print(launcher.way.launcher[0], "in a row");
    }
    for (launcher, outcome) in launchers.iter().zip(at_once) {
        outcome.print(launcher.way.launcher[0], "at once");
    }
    println!();
    Ok(())
}

/// Returns the number of launchers that exited with 0.
fn start_in_a_row(mut command: Command) -> io::Result<usize> {
    let mut succeeded = 0;
    for _ in 0..IN_A_ROW {
        succeeded += usize::from(command.status()?.success());
    }
    Ok(succeeded)
}

/// Returns the number of launchers that exited with 0.
fn start_at_once(mut command: Command) -> io::Result<usize> {
    let children: io::Result<Vec<Child>> = (0..AT_ONCE).map(|_| command.spawn()).collect();
    let mut succeeded = 0;
    for mut child in children? {
        succeeded += usize::from(child.wait()?.success());
    }
    Ok(succeeded)
}

impl Outcome {
    /// Adds one round.
    fn add(
        &mut self,
        starts: usize,
        stamps: &Stamps,
        start: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<()> {
        // Discards the stamps of earlier starts.
        stamps.take();
        let called = now();
        self.succeeded += start()?;
        self.spans.push((now() - called) / starts as i64);
        self.starts += starts;
        reap();
        self.began += stamps.take().len();
        Ok(())
    }

    fn print(mut self, name: &str, order: &str) {
        println!(
            "{:42} {:7} {:10.0} {:12} {:14}",
            format!("{name}, {order}"),
            self.starts,
            1e9 / median(&mut self.spans).unwrap_or_default() as f64,
            self.succeeded,
            self.began,
        );
    }
}
