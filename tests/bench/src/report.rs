//! The clock, and the tables.

use rustix::time::{ClockId, clock_gettime};

/// The clock, in nanoseconds. All processes of a machine have the same.
pub fn now() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// What the numbers depend on.
pub fn machine() -> String {
    let uname = rustix::system::uname();
    format!(
        "Linux {} {}, {} processors",
        uname.release().to_string_lossy(),
        uname.machine().to_string_lossy(),
        std::thread::available_parallelism().map_or(0, usize::from),
    )
}

/// That of no spans is not known.
pub fn median(spans: &mut [i64]) -> Option<i64> {
    at_percent(spans, 50)
}

fn at_percent(spans: &mut [i64], percent: usize) -> Option<i64> {
    spans.sort_unstable();
    spans.get(spans.len() * percent / 100).copied()
}

/// Prints a table of spans in nanoseconds, a row to each way, with ratios to the first; what could not be
/// measured is left out.
pub fn report(what: &str, rows: impl Iterator<Item = (&'static str, Vec<i64>)>) {
    println!("{what}, in microseconds");
    println!("{}", machine());
    println!(
        "{:42} {:>7} {:>10} {:>10} {:>8}",
        "", "rounds", "median", "90 %", "ratio"
    );
    let mut first = None;
    for (name, mut spans) in rows {
        let (Some(median), Some(late)) = (median(&mut spans), at_percent(&mut spans, 90)) else {
            continue;
        };
        let first = *first.get_or_insert(median);
        println!(
            "{:42} {:7} {:10.1} {:10.1} {:8.2}",
            name,
            spans.len(),
            median as f64 / 1e3,
            late as f64 / 1e3,
            median as f64 / first as f64,
        );
    }
    println!();
}
