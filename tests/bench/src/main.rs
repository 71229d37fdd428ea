//! Measures the cost of starting a daemon with rawdaemon and with its peers.
//!
//! `cargo run --release --manifest-path tests/bench/Cargo.toml` runs all benchmarks. Append `-- readiness`,
//! `-- starts`, `-- control`, `-- callers` (`-- callers 1`: of 1 MiB) or `-- supervision` to run only that one,
//! `-- soak` for the soak, which runs only when asked for. The benchmark builds the programs that it measures.

mod callers;
mod control;
mod programs;
mod readiness;
mod report;
mod stamps;
mod starts;
mod supervision;

use std::{env, io};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        // The benchmark executes itself as the measured daemon or caller.
        ["daemon", protocol, file] => readiness::daemon_main(protocol, file.as_ref()),
        ["caller", way, mib] => callers::detach(way, mib),
        ["spawner", mib, rounds, ways, file] => callers::spawn([mib, rounds, ways], file.as_ref()),
        [] => measure(
            &["readiness", "starts", "control", "callers", "supervision"],
            None,
        ),
        [benchmark] => measure(&[benchmark], None),
        ["callers", mib] => measure(&["callers"], Some(mib)),
        _ => Err(io::Error::other("expected at most one benchmark")),
    }
}

fn measure(benchmarks: &[&str], size: Option<&str>) -> io::Result<()> {
    programs::build_rawdaemon()?;
    // The daemons become children of this process, which reaps them.
    rustix::process::set_child_subreaper(Some(rustix::process::Pid::INIT))?;
    for benchmark in benchmarks {
        match *benchmark {
            "readiness" => readiness::measure()?,
            "starts" => starts::measure()?,
            "control" => control::measure()?,
            "callers" => callers::measure(size)?,
            "supervision" => supervision::measure()?,
            "soak" => supervision::soak()?,
            _ => {
                let names = "readiness, starts, control, callers, supervision or soak";
                return Err(io::Error::other(format!("expected {names}")));
            }
        }
    }
    Ok(())
}

/// Waits for all children and daemons.
fn reap() {
    while rustix::process::wait(rustix::process::WaitOptions::empty()).is_ok() {}
}
