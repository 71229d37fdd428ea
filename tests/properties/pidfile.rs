//! Properties of every `/proc/PID/stat`, of every text of a pidfile, and of every comparison of their times.

use rawdaemon::Pid;
use rawdaemon::internal::{Match, Nanoseconds, Process, compare, date, pid_in, pid_of, process};

const SECOND: Nanoseconds = 1_000_000_000;
const TICK: Nanoseconds = SECOND / 100;

/// Checks one pidfile and one process. The data is the modification time of the file and the time of boot, eight
/// bytes each, and a text: the contents of the file, and of `/proc/PID/stat`.
pub fn check(data: &[u8]) {
    let (written, rest) = number(data);
    let (boot, text) = number(rest);
    check_pids(text);
    let found = process(text);
    assert_eq!(found, second_process(text));
    let created = found.map_or(0, |process| process.created);
    check_times(written, created.saturating_add(boot));
    let Some(found) = found else { return };
    let expected = match found {
        Process {
            has_ended: true, ..
        } => Match::Ended,
        Process {
            is_ending: true, ..
        } => Match::Ending,
        _ => second_compare(written, created.saturating_add(boot)),
    };
    assert_eq!(found.compare(written, boot), expected);
    assert!(!(found.has_ended && found.is_ending));
}

fn number(data: &[u8]) -> (u64, &[u8]) {
    let (head, rest) = data.split_at(data.len().min(8));
    let mut bytes = [0; 8];
    bytes[..head.len()].copy_from_slice(head);
    (u64::from_le_bytes(bytes), rest)
}

fn digits(text: &str) -> Option<u64> {
    let all = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| all)
}

fn pid(text: &str) -> Option<Pid> {
    Pid::new(digits(text)?.try_into().ok()?)
}

/// A newline after the pid is part of a pidfile, and does no harm elsewhere.
fn pid_line(text: &str) -> Option<Pid> {
    pid(text.strip_suffix('\n').unwrap_or(text))
}

fn check_pids(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let bytes = text.as_bytes();
    let line = pid_line(&text);
    assert_eq!(pid_of(bytes), line);
    let start = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
    let end = start.find(|other: char| !other.is_ascii_digit());
    let first = pid(&start[..end.unwrap_or(start.len())]);
    assert_eq!(pid_in(bytes), first);
    // What one program takes for a pid, the other does not take for another.
    assert!(line.is_none() || line == first);
}

/// Reads the fields with their numbers in proc_pid_stat(5).
fn second_process(text: &[u8]) -> Option<Process> {
    let text = String::from_utf8_lossy(text);
    let after_name = text.rsplit(')').next()?;
    // Field 2 is the name, and a space follows it.
    let fields: Vec<_> = after_name.split(' ').skip(1).collect();
    let field = |number: usize| fields.get(number - 3).copied();
    let flags = digits(field(9)?)?;
    let threads = digits(field(20)?)?;
    let ended = threads < 2 && matches!(field(3)?, "Z" | "X" | "x");
    Some(Process {
        pid: pid_line(text.split(' ').next()?)?,
        has_ended: ended,
        is_ending: threads < 2 && !ended && flags & 4 == 4,
        created: digits(field(22)?)?.checked_mul(TICK)?,
    })
}

/// Compares these times, and all that are near the limits of a match.
fn check_times(written: Nanoseconds, created: Nanoseconds) {
    assert_eq!(compare(written, created), second_compare(written, created));
    assert_eq!(date(created), created.checked_sub(SECOND));
    let near = [0, 1, TICK, 2 * TICK, 2 * TICK + 1, SECOND, SECOND + 1];
    for from in [created, created.saturating_sub(SECOND), written] {
        for away in near {
            for other in [from.saturating_add(away), from.saturating_sub(away)] {
                for other in [other, other - other % SECOND] {
                    assert_eq!(compare(other, created), second_compare(other, created));
                }
            }
        }
    }
    // A file that the daemon itself has written is not one that this crate has dated.
    assert_ne!(compare(created, created), Match::Daemon);
    if let Some(date) = date(created) {
        assert_eq!(compare(date, created), Match::Daemon);
        assert_eq!(compare(date - date % SECOND, created), Match::Daemon);
    }
}

fn second_compare(written: Nanoseconds, created: Nanoseconds) -> Match {
    let (file, process) = (i128::from(written), i128::from(created));
    let (second, tick) = (i128::from(SECOND), i128::from(TICK));
    let is_whole = file % second == 0;
    // The file is dated a second before the process, to two ticks, or rounded down to a second.
    let off = file - (process - second);
    let matches =
        (-2 * tick..=2 * tick).contains(&off) || is_whole && (1 - second..=0).contains(&off);
    if matches && process >= second {
        Match::Daemon
    } else if process - file > if is_whole { second } else { 2 * tick } {
        Match::Younger
    } else {
        Match::Older
    }
}
