//! Measures the cost of starting a daemon, beside other ways to start one.
//!
//! `cargo run --release --manifest-path tests/bench/Cargo.toml` measures all, one thing after the other,
//! and with `-- readiness`, `-- starts` or `-- callers` at its end only that. Nothing has to be built before.

mod callers;
mod programs;
mod readiness;
mod report;
mod starts;

use std::{env, io};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        // The benchmark starts itself as the program that is measured.
        ["daemon", how, file] => readiness::be_daemon(how, file.as_ref()),
        ["caller", way, mib] => callers::detach(way, mib),
        ["spawner", mib, rounds, file] => callers::spawn(mib, rounds, file.as_ref()),
        [] => measure(&["readiness", "starts", "callers"]),
        [what] => measure(&[what]),
        _ => Err(io::Error::other("one argument at most")),
    }
}

fn measure(what: &[&str]) -> io::Result<()> {
    programs::build_rawdaemon()?;
    // Daemons that have ended are reaped here.
    rustix::process::set_child_subreaper(Some(rustix::process::Pid::INIT))?;
    for what in what {
        match *what {
            "readiness" => readiness::measure()?,
            "starts" => starts::measure()?,
            "callers" => callers::measure()?,
            _ => return Err(io::Error::other("readiness, starts or callers")),
        }
    }
    Ok(())
}

/// Waits until no daemon is left.
fn reap() {
    while rustix::process::wait(rustix::process::WaitOptions::empty()).is_ok() {}
}
