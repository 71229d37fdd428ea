//! Callers that daemonize.

use std::fs::File;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use std::{env, io};

use super::notes::{new_page, take_page};
use super::peers::WAYS;
use super::{Size, memory};
use crate::reap;
use crate::report::TableBySize;

/// How long a daemon runs, so that its exit does not compete with the original.
pub const LIFE: Duration = Duration::from_millis(20);

const ABOUT: &str = "\
With fork's daemon, the call ends when it exits the original. The daemon(3) of the C library also exits the
original, but this cannot be measured. These two, daemonize, and fork-rs without a timeout only report that
the daemon was forked.
";

pub fn measure(sizes: &[&Size]) -> io::Result<()> {
    let (notes, page) = new_page()?;
    let names = WAYS.each_ref().map(|way| way.name);
    let mut until_daemon = TableBySize::new(&names, Size::names(sizes));
    let mut until_end = TableBySize::new(&names, Size::names(sizes));
    for (column, size) in sizes.iter().enumerate() {
        eprintln!(
            "callers of {}, {} rounds …",
            size.name(),
            size.detaching_rounds
        );
        let mut works = [true; WAYS.len()];
        for _ in 0..size.detaching_rounds {
            for (row, works) in works.iter_mut().enumerate().filter(|(_, works)| **works) {
                notes.clear();
                if let Err(error) = run_caller(row, size.mib, &page) {
                    println!("skipped: {}, {}: {error}", names[row], size.name());
                    *works = false;
                    continue;
                }
                until_daemon.add(row, column, notes.until_daemon());
                until_end.add(row, column, notes.until_end());
            }
        }
    }
    until_daemon.print("from the call to its return in the daemon");
    until_end.print("from the call to its end in the original");
    println!("{ABOUT}");
    Ok(())
}

/// Runs a caller, and waits for it and its daemon.
fn run_caller(way: usize, mib: usize, page: &File) -> io::Result<()> {
    let mut command = Command::new(env::current_exe()?);
    command
        .arg("caller")
        .arg(way.to_string())
        .arg(mib.to_string());
    let status = command
        .stdin(page.try_clone()?)
        .stdout(Stdio::null())
        .status()?;
    reap();
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(status.to_string()))
    }
}

/// The caller: daemonizes in this way.
pub fn caller_main(way: usize, mib: usize) -> io::Result<()> {
    let notes = take_page()?;
    memory::occupy(mib)?;
    notes.call();
    // A failed start is not measured in either process.
    (WAYS[way].call)(notes).inspect_err(|_| notes.clear())?;
    if !notes.is_original() {
        sleep(LIFE);
    }
    Ok(())
}
