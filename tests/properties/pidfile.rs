//! Properties of every `/proc/PID/stat`, of every text of a pidfile, and of every fingerprint.

use rawdaemon::Pid;
use rawdaemon::internal::{
    BOOT_ID_SIZE, Match, NO_FINGERPRINT, Nanoseconds, Process, fingerprint, pid_in, pid_of, process,
};

const SECOND: Nanoseconds = 1_000_000_000;
const TICK: Nanoseconds = SECOND / 100;

/// Checks one pidfile and one process. The data is the modification time of the file and the time of boot, eight
/// bytes each, and a text: the contents of the file, of `/proc/PID/stat`, and the boot id.
pub fn check(data: &[u8]) {
    let (written, rest) = number(data);
    let (boot, text) = number(rest);
    check_pids(text);
    let found = process(text);
    assert_eq!(found, second_process(text));
    check_fingerprint(written, text);
    let Some(found) = found else { return };
    assert!(!(found.has_ended && found.is_ending));
    for (own, recorded, expected) in [
        (1, 1, Match::Daemon),
        (1, 2, Match::Other),
        (NO_FINGERPRINT, 1, Match::Unseen),
        (1, NO_FINGERPRINT, Match::Unseen),
    ] {
        let expected = match found {
            Process {
                has_ended: true, ..
            } => Match::Ended,
            Process {
                is_ending: true, ..
            } => Match::Ending,
            _ => expected,
        };
        assert_eq!(found.compare(own, recorded), expected);
    }
    let created = u128::from(found.ticks) * u128::from(TICK) + u128::from(boot);
    if let Ok(created) = u64::try_from(created) {
        let late = i128::from(created) - i128::from(written);
        assert_eq!(found.is_younger(boot, written), late > i128::from(SECOND));
    }
}

fn check_fingerprint(ticks: u64, boot_id: &[u8]) {
    let found = fingerprint(ticks, boot_id);
    if boot_id.len() == BOOT_ID_SIZE {
        assert_eq!(found, second_fingerprint(ticks, boot_id));
        assert_ne!(found, NO_FINGERPRINT);
    } else {
        assert_eq!(found, NO_FINGERPRINT);
    }
    // It fits into the nanoseconds of a time.
    assert!(Nanoseconds::from(found) < SECOND);
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
        parent: pid_line(field(4)?),
        has_ended: ended,
        is_ending: threads < 2 && !ended && flags & 4 == 4,
        ticks: digits(field(22)?)?,
    })
}

/// FNV-1a, by the definition of its authors.
fn second_fingerprint(ticks: u64, boot_id: &[u8]) -> u32 {
    let mut hash = 2_166_136_261_u64;
    for byte in ticks
        .to_le_bytes()
        .into_iter()
        .chain(boot_id.iter().copied())
    {
        hash = (hash ^ u64::from(byte)) * 16_777_619 % (1 << 32);
    }
    (hash % 999_999_999 + 1) as u32
}
