//! Starts from a process with much memory: a fork copies its page tables.
//!
//! The benchmark starts itself as the caller. One that daemonizes itself is a new process in each round, so
//! that none finds what the fork of another has left; one that starts a command does so many times.

mod detaching;
mod memory;
mod notes;
mod peers;
mod spawning;

use std::io;
use std::path::Path;

/// How much memory a caller has, and how often it is measured.
struct Size {
    mib: usize,
    /// Each with a caller of its own, which has to get the memory.
    detaching_rounds: usize,
    spawning_rounds: usize,
}

#[rustfmt::skip]
const SIZES: [Size; 5] = [
    Size { mib: 1, detaching_rounds: 300, spawning_rounds: 300 },
    Size { mib: 64, detaching_rounds: 50, spawning_rounds: 200 },
    Size { mib: 256, detaching_rounds: 25, spawning_rounds: 100 },
    Size { mib: 1024, detaching_rounds: 11, spawning_rounds: 60 },
    Size { mib: 4096, detaching_rounds: 7, spawning_rounds: 60 },
];

impl Size {
    fn name(&self) -> String {
        match self.mib {
            mib if mib < 1024 => format!("{mib} MiB"),
            mib => format!("{} GiB", mib / 1024),
        }
    }

    fn names(sizes: &[&Self]) -> Vec<String> {
        sizes.iter().map(|size| size.name()).collect()
    }
}

pub fn measure() -> io::Result<()> {
    let mut sizes = Vec::new();
    for size in &SIZES {
        if memory::has_room_for(size.mib)? {
            sizes.push(size);
        } else {
            println!(
                "left out: callers of {}, which are not available",
                size.name()
            );
        }
    }
    if sizes.is_empty() {
        return Ok(());
    }
    detaching::measure(&sizes)?;
    spawning::measure(&sizes)
}

/// A caller that daemonizes itself.
pub fn detach(way: &str, mib: &str) -> io::Result<()> {
    detaching::be_caller(number(way)?, number(mib)?)
}

/// A caller that starts commands.
pub fn spawn(mib: &str, rounds: &str, file: &Path) -> io::Result<()> {
    spawning::be_caller(number(mib)?, number(rounds)?, file)
}

fn number(text: &str) -> io::Result<usize> {
    text.parse().map_err(io::Error::other)
}
