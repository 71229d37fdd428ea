//! Starts from processes with much memory: fork copies their page tables.
//!
//! The benchmark executes itself as the caller. A caller that daemonizes is a new process in each round,
//! so that earlier forks do not affect it. A caller that starts commands is one process for all rounds.

mod by_hand;
mod detaching;
mod memory;
mod notes;
mod peers;
mod spawning;

use std::io;
use std::path::Path;

/// The memory of a caller, and the number of rounds.
struct Size {
    mib: usize,
    /// Fewer, because each round starts a caller and allocates its memory.
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

/// Measures callers of all sizes, or of this one, in MiB.
pub fn measure(only: Option<&str>) -> io::Result<()> {
    let only = only.map(number).transpose()?;
    let mut sizes = Vec::new();
    for size in SIZES
        .iter()
        .filter(|size| only.is_none_or(|mib| mib == size.mib))
    {
        if memory::has_room_for(size.mib)? {
            sizes.push(size);
        } else {
            println!(
                "skipped: callers of {}: not enough memory available",
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

/// The caller that daemonizes.
pub fn detach(way: &str, mib: &str) -> io::Result<()> {
    detaching::caller_main(number(way)?, number(mib)?)
}

/// The caller that starts commands.
pub fn spawn([mib, rounds, ways]: [&str; 3], file: &Path) -> io::Result<()> {
    spawning::caller_main(number(mib)?, number(rounds)?, number(ways)?, file)
}

fn number(text: &str) -> io::Result<usize> {
    text.parse().map_err(io::Error::other)
}
