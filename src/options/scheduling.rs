//! The scheduling of a daemon: its policy, its I/O priority and its CPUs.

use linux_raw_sys::general::{SCHED_BATCH, SCHED_FIFO, SCHED_IDLE, SCHED_NORMAL, SCHED_RR};

use crate::text::{Lines, next_field, parse_number, split_once};

/// A scheduling policy (sched(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchedPolicy {
    /// `SCHED_OTHER`, the usual one.
    Other,
    /// `SCHED_FIFO`, with a priority from 1 to 99.
    Fifo(u8),
    /// `SCHED_RR`, with a priority from 1 to 99.
    RoundRobin(u8),
    /// `SCHED_BATCH`: its work can wait a little.
    Batch,
    /// `SCHED_IDLE`: runs when nothing else does. An ordinary user cannot leave it.
    Idle,
}

impl SchedPolicy {
    /// The numbers of the policy and the priority.
    pub(crate) const fn numbers(self) -> (u32, u32) {
        match self {
            Self::Other => (SCHED_NORMAL, 0),
            Self::Fifo(priority) => (SCHED_FIFO, priority as u32),
            Self::RoundRobin(priority) => (SCHED_RR, priority as u32),
            Self::Batch => (SCHED_BATCH, 0),
            Self::Idle => (SCHED_IDLE, 0),
        }
    }

    pub(super) const fn is_valid(self) -> bool {
        match self {
            Self::Fifo(priority) | Self::RoundRobin(priority) => priority > 0 && priority < 100,
            _ => true,
        }
    }

    /// Parses `other`, `batch`, `idle`, `fifo:N` or `rr:N`.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (index, number) = parse_class(text, POLICIES)?;
        let policy = match (index, number) {
            (0, None) => Self::Other,
            (1, Some(priority)) => Self::Fifo(priority),
            (2, Some(priority)) => Self::RoundRobin(priority),
            (3, None) => Self::Batch,
            (4, None) => Self::Idle,
            _ => return None,
        };
        policy.is_valid().then_some(policy)
    }
}

/// The names of the policies.
static POLICIES: Lines = Lines::new("other\nfifo\nrr\nbatch\nidle\n");

/// A class of I/O scheduling, with the level within the class: from 0, the highest, to 7 (ioprio_set(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IoPriority {
    /// Before all others. Needs CAP_SYS_ADMIN or, since Linux 5.14, CAP_SYS_NICE.
    Realtime(u8),
    /// The usual class. Its level is 4 by default.
    BestEffort(u8),
    /// When no other process needs the disk.
    Idle,
}

/// The level of a class that is given none.
const LEVEL: u8 = 4;

/// The largest level.
const LOWEST: u8 = 7;

impl IoPriority {
    const fn class_and_level(self) -> (u32, u8) {
        match self {
            Self::Realtime(level) => (1, level),
            Self::BestEffort(level) => (2, level),
            // Has no levels. ionice(1) sets this one.
            Self::Idle => (3, LOWEST),
        }
    }

    /// The priority as ioprio_set(2) takes it.
    pub(crate) const fn number(self) -> u32 {
        let (class, level) = self.class_and_level();
        class << 13 | level as u32
    }

    pub(super) const fn is_valid(self) -> bool {
        self.class_and_level().1 <= LOWEST
    }

    /// Parses `realtime`, `realtime:N`, `best-effort`, `best-effort:N` or `idle`. Without a number the level is 4.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (index, level) = parse_class(text, CLASSES)?;
        let priority = match (index, level) {
            (0, level) => Self::Realtime(level.unwrap_or(LEVEL)),
            (1, level) => Self::BestEffort(level.unwrap_or(LEVEL)),
            (2, None) => Self::Idle,
            _ => return None,
        };
        priority.is_valid().then_some(priority)
    }
}

/// The names of the classes.
static CLASSES: Lines = Lines::new("realtime\nbest-effort\nidle\n");

/// Parses `NAME` or `NAME:N`: the index of the name, and the number.
#[inline(never)]
fn parse_class(text: &[u8], names: Lines) -> Option<(usize, Option<u8>)> {
    let (name, number) = split_once(text, b':');
    let number = match number {
        Some(number) => Some(parse_number(number, 10)?.try_into().ok()?),
        None => None,
    };
    Some((names.position(name)?, number))
}

/// A set of CPUs, by their numbers from 0 to 1023 (sched_setaffinity(2)).
///
/// ```
/// use rawdaemon::CpuSet;
///
/// let mut cpus = CpuSet::new();
/// assert!(cpus.insert(0) && cpus.insert(2));
/// assert_eq!(CpuSet::parse(b"0,2"), Some(cpus));
/// assert!(!cpus.insert(1024));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CpuSet {
    words: [usize; WORDS],
}

/// The largest number of CPUs, as in the `cpu_set_t` of C libraries.
const CPUS: usize = 1024;
const WORDS: usize = CPUS / usize::BITS as usize;

impl CpuSet {
    /// The empty set. No start can use it.
    #[must_use]
    pub const fn new() -> Self {
        Self { words: [0; WORDS] }
    }

    /// Adds a CPU. False if its number is too large.
    pub fn insert(&mut self, cpu: usize) -> bool {
        let word = self
            .words
            .get_mut(cpu.wrapping_shr(usize::BITS.trailing_zeros()));
        let is_inside = word.is_some();
        if let Some(word) = word {
            *word |= 1_usize.wrapping_shl(cpu as u32);
        }
        is_inside
    }

    /// The bits of the set, as the kernel takes them.
    pub(crate) const fn words(&self) -> &[usize] {
        &self.words
    }

    /// Parses a list of numbers and ranges, separated by commas: `0-3,6`.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut set = Self::new();
        let mut rest = Some(text);
        while rest.is_some() {
            let (first, last) = split_once(next_field(&mut rest, b','), b'-');
            let first = parse_number(first, 10)?;
            let last = last.map_or(Some(first), |last| parse_number(last, 10))?;
            let is_range = first <= last && last < CPUS as u64;
            if !(is_range && (first..=last).all(|cpu| set.insert(cpu as usize))) {
                return None;
            }
        }
        Some(set)
    }
}

impl Default for CpuSet {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{CpuSet, IoPriority, SchedPolicy};

    #[test]
    fn policies_are_parsed() {
        let parse = |text: &str| SchedPolicy::parse(text.as_bytes());
        assert_eq!(parse("other").map(SchedPolicy::numbers), Some((0, 0)));
        assert_eq!(parse("fifo:1").map(SchedPolicy::numbers), Some((1, 1)));
        assert_eq!(parse("rr:99").map(SchedPolicy::numbers), Some((2, 99)));
        assert_eq!(parse("batch").map(SchedPolicy::numbers), Some((3, 0)));
        assert_eq!(parse("idle").map(SchedPolicy::numbers), Some((5, 0)));
        for bad in [
            "", "fifo", "fifo:0", "rr:100", "other:0", "rr:257", "rr:", "Idle",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn io_priorities_are_parsed() {
        let parse = |text: &str| IoPriority::parse(text.as_bytes()).map(IoPriority::number);
        assert_eq!(parse("realtime"), Some(1 << 13 | 4));
        assert_eq!(parse("realtime:0"), Some(1 << 13));
        assert_eq!(parse("best-effort:7"), Some(2 << 13 | 7));
        assert_eq!(parse("idle"), Some(3 << 13 | 7));
        for bad in ["", "idle:7", "best-effort:8", "realtime:", "none", "2"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn cpus_are_parsed() {
        let set = |cpus: &[usize]| {
            let mut set = CpuSet::new();
            assert!(cpus.iter().all(|cpu| set.insert(*cpu)));
            Some(set)
        };
        assert_eq!(CpuSet::parse(b"0"), set(&[0]));
        assert_eq!(CpuSet::parse(b"1023,62-65"), set(&[62, 63, 64, 65, 1023]));
        for bad in [
            "",
            "1024",
            "0-1024",
            "3-2",
            "0,",
            "-1",
            "0-",
            "a",
            "0-18446744073709551615",
        ] {
            assert_eq!(CpuSet::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
