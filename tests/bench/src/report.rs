//! The clock, and tables of results.

use rustix::time::{ClockId, clock_gettime};

/// The monotonic clock, in nanoseconds. It is the same in all processes.
pub fn now() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// The kernel and the processors of this machine.
pub fn machine() -> String {
    let uname = rustix::system::uname();
    format!(
        "Linux {} {}, {} processors",
        uname.release().to_string_lossy(),
        uname.machine().to_string_lossy(),
        std::thread::available_parallelism().map_or(0, usize::from),
    )
}

/// Returns `None` if there are no spans.
pub fn median(spans: &mut [i64]) -> Option<i64> {
    percentile(spans, 50)
}

fn percentile(spans: &mut [i64], percent: usize) -> Option<i64> {
    spans.sort_unstable();
    spans.get(spans.len() * percent / 100).copied()
}

/// Prints a table of spans in nanoseconds, with a row for each way and ratios to the first row. Skips ways
/// without spans.
pub fn report(title: &str, rows: impl Iterator<Item = (&'static str, Vec<i64>)>) {
    println!("{title}, in microseconds");
    println!("{}", machine());
    println!(
        "{:42} {:>7} {:>10} {:>10} {:>10} {:>8}",
        "", "rounds", "median", "90 %", "99 %", "ratio"
    );
    let mut first = None;
    for (name, mut spans) in rows {
        let Some(median) = median(&mut spans) else {
            continue;
        };
        let tail = |spans: &mut [i64], percent| percentile(spans, percent).unwrap_or_default();
        let first = *first.get_or_insert(median);
        println!(
            "{:42} {:7} {:10.1} {:10.1} {:10.1} {:8.2}",
            name,
            spans.len(),
            median as f64 / 1e3,
            tail(&mut spans, 90) as f64 / 1e3,
            tail(&mut spans, 99) as f64 / 1e3,
            median as f64 / first as f64,
        );
    }
    println!();
}

/// A table of medians, with a row for each way and a column for each size.
pub struct TableBySize {
    ways: Vec<&'static str>,
    sizes: Vec<String>,
    /// By way and size, in nanoseconds.
    spans: Vec<Vec<Vec<i64>>>,
}

impl TableBySize {
    pub fn new(ways: &[&'static str], sizes: Vec<String>) -> Self {
        Self {
            ways: ways.to_vec(),
            spans: vec![vec![Vec::new(); sizes.len()]; ways.len()],
            sizes,
        }
    }

    /// Adds a span. `None` if it was not measured.
    pub fn add(&mut self, way: usize, size: usize, span: Option<i64>) {
        self.spans[way][size].extend(span);
    }

    pub fn median(&mut self, way: usize, size: usize) -> Option<i64> {
        median(&mut self.spans[way][size])
    }

    /// Prints the table, with ratios to the first row.
    pub fn print(&mut self, title: &str) {
        println!("{title}, in microseconds: medians, and ratios to the first row");
        println!("{}", machine());
        let sizes = self
            .sizes
            .iter()
            .map(|size| format!(" {size:>10} {:>7}", ""));
        println!("{:34}{}", "", sizes.collect::<String>().trim_end());
        let rounds = (0..self.sizes.len()).map(|size| self.spans[0][size].len());
        let rounds = rounds.map(|rounds| format!(" {rounds:10} {:>7}", ""));
        println!("{:34}{}", "rounds", rounds.collect::<String>().trim_end());
        for way in 0..self.ways.len() {
            let cells = (0..self.sizes.len()).map(|size| self.cell(way, size));
            let cells: String = cells.collect();
            println!("{:34}{}", self.ways[way], cells.trim_end());
        }
        println!();
    }

    fn cell(&mut self, way: usize, size: usize) -> String {
        match (self.median(way, size), self.median(0, size)) {
            (Some(median), Some(first)) => {
                let ratio = median as f64 / first as f64;
                format!(" {:10.1} {ratio:7.3}", median as f64 / 1e3)
            }
            _ => format!(" {:>10} {:>7}", "-", ""),
        }
    }
}
