//! What a pidfile without a lock still says of its daemon: a pid, and when the file was dated.
//!
//! A daemon that closes every descriptor at its start, as sshd does, gives up the lock on its pidfile.
//! For these there is second evidence: rawdaemon dates the pidfile a second before the process was
//! created that it names. No other program dates a file like that, and no other process than that one
//! has this pid and began at that moment. When the clock is set, the file and the process do not agree
//! any more, and nothing is believed; they agree by mistake only if the clock was set by just the time
//! between two processes with the same pid.

use crate::protocol::{Nanoseconds, Pid};
use crate::text::{next_field, parse_number, split_once};

/// A second in nanoseconds.
const SECOND: Nanoseconds = 1_000_000_000;

/// `/proc` counts times in hundredths of a second (`USER_HZ`) on every architecture here.
const TICK: Nanoseconds = SECOND / 100;

/// How long before its daemon was created a pidfile is dated.
const BEFORE: Nanoseconds = SECOND;

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its pid, in the namespace that `/proc` shows.
    pub pid: Pid,
    /// Whether it has ended, and its parent has not waited for it yet.
    pub has_ended: bool,
    /// Whether it is about to end: its descriptors, and with them its locks, may be closed already.
    pub is_ending: bool,
    /// When it was created, counted from the boot of the machine, less than a tick too early.
    pub created: Nanoseconds,
}

/// Understands `/proc/PID/stat` (proc_pid_stat(5)); the text may end behind the 22nd field.
#[must_use]
pub fn process(stat: &[u8]) -> Option<Process> {
    let (pid, _) = split_once(stat, b' ');
    // The second field is a name in parentheses, which may contain anything, but none follows it.
    let mut behind_name = stat;
    while let (_, Some(rest)) = split_once(behind_name, b')') {
        behind_name = rest;
    }
    let (_, mut fields) = split_once(behind_name, b' ');
    let mut field = || next_field(&mut fields, b' ');
    let state = field();
    for _ in 4..9 {
        field();
    }
    let flags = parse_number(field(), 10)?;
    for _ in 10..20 {
        field();
    }
    // Of a process whose first thread has ended, others may go on.
    let is_last = parse_number(field(), 10)? <= 1;
    field();
    let ticks = parse_number(field(), 10)?;
    let has_ended = is_last && matches!(state, b"Z" | b"X" | b"x");
    Some(Process {
        pid: pid_of(pid)?,
        has_ended,
        is_ending: is_last && !has_ended && flags & EXITING != 0,
        created: ticks.checked_mul(TICK)?,
    })
}

/// The kernel's `PF_EXITING`.
const EXITING: u64 = 4;

/// The pid that a file begins with, whatever follows: enough for a doubt, and for no more.
#[must_use]
pub fn pid_in(text: &[u8]) -> Option<Pid> {
    let blanks = text.iter().take_while(|byte| byte.is_ascii_whitespace());
    let text = text.get(blanks.count()..)?;
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    pid_of(text.get(..digits.count())?)
}

/// The pid in a pidfile: digits, and perhaps a newline.
#[must_use]
pub fn pid_of(text: &[u8]) -> Option<Pid> {
    let digits = text.strip_suffix(b"\n").unwrap_or(text);
    Pid::new(parse_number(digits, 10)?.try_into().ok()?)
}

/// The date of the pidfile of a process that was created then, by the same clock.
#[must_use]
pub fn date(created: Nanoseconds) -> Option<Nanoseconds> {
    created.checked_sub(BEFORE)
}

/// How a process stands to a pidfile that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// It has ended.
    Ended,
    /// It is about to end.
    Ending,
    /// It is the daemon that this crate has started with the file.
    Daemon,
    /// It was created before the file was written.
    Older,
    /// It was created after that, and so is another one, unless the clock was set meanwhile.
    Younger,
}

impl Process {
    /// How it stands to a file that was written then, on a machine that was booted then.
    #[must_use]
    pub fn compare(&self, written: Nanoseconds, boot: Nanoseconds) -> Match {
        if self.has_ended {
            Match::Ended
        } else if self.is_ending {
            Match::Ending
        } else {
            compare(written, self.created.saturating_add(boot))
        }
    }
}

/// Compares when a pidfile was written and when the process was created that it names.
#[must_use]
pub fn compare(written: Nanoseconds, created: Nanoseconds) -> Match {
    // Some file systems keep whole seconds only.
    let is_rounded = written % SECOND == 0;
    if let Some(date) = date(created) {
        let is_rounded_date = is_rounded && written == date.saturating_sub(date % SECOND);
        if is_rounded_date || written.abs_diff(date) <= 2 * TICK {
            return Match::Daemon;
        }
    }
    let latest = if is_rounded { SECOND } else { 2 * TICK };
    if created > written.saturating_add(latest) {
        Match::Younger
    } else {
        Match::Older
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::{Match, SECOND, TICK, compare, date, pid_in, pid_of, process};

    /// Of a process with this name and state, which was created at this tick.
    fn stat(name: &str, state: &str, ticks: &str) -> std::string::String {
        with(name, state, 0, 1, ticks)
    }

    fn with(name: &str, state: &str, flags: u32, threads: u32, ticks: &str) -> std::string::String {
        let between = "10 11 12 13 14 15 16 17 18 19";
        format!("1234 ({name}) {state} 4 5 6 7 -1 {flags} {between} {threads} 0 {ticks} 23 24")
    }

    #[test]
    fn a_process_is_understood_whatever_its_name() {
        for name in ["sh", "a b", ")", ") Z (", "((", "", "1234 (x) Z 1 2"] {
            let found = process(stat(name, "S", "987").as_bytes()).unwrap();
            assert_eq!((found.pid.get(), found.has_ended), (1234, false), "{name}");
            assert_eq!(found.created, 987 * TICK);
            let found = process(stat(name, "Z", "0").as_bytes()).unwrap();
            assert_eq!((found.has_ended, found.created), (true, 0), "{name}");
        }
        let ends = |state, flags, threads| {
            let found = process(with("sh", state, flags, threads, "9").as_bytes()).unwrap();
            (found.has_ended, found.is_ending)
        };
        assert_eq!(ends("S", 0x40_0000, 1), (false, false));
        assert_eq!(ends("R", 0x40_0004, 1), (false, true));
        assert_eq!(ends("Z", 0x40_0004, 1), (true, false));
        assert_eq!(ends("X", 4, 0), (true, false));
        assert_eq!(ends("Z", 4, 2), (false, false), "its threads go on");
        let own = std::fs::read("/proc/self/stat").unwrap();
        let own_pid = std::process::id() as i32;
        assert_eq!(process(&own).unwrap().pid.get(), own_pid);
    }

    #[test]
    fn what_is_no_process_is_none() {
        let whole = stat("sh", "S", "987");
        let end = whole.find("987").unwrap();
        for length in 0..end {
            assert_eq!(process(&whole.as_bytes()[..length]), None);
        }
        for ticks in [
            "",
            "-1",
            "x",
            "18446744073709551615",
            "18446744073709551616",
        ] {
            assert_eq!(process(stat("sh", "S", ticks).as_bytes()), None, "{ticks}");
        }
    }

    #[test]
    fn a_pidfile_is_one_number_or_says_nothing() {
        assert_eq!(pid_of(b"1234\n").unwrap().get(), 1234);
        assert_eq!(pid_of(b"1234").unwrap().get(), 1234);
        for text in [
            "",
            "\n",
            "0\n",
            "-1\n",
            "+5\n",
            " 5\n",
            "5 \n",
            "5\n\n",
            "5\n6",
            "5x",
            "2147483648",
            "4294967297",
            "99999999999999999999",
        ] {
            assert_eq!(pid_of(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_pid_that_is_followed_by_more_is_a_doubt() {
        for text in [
            "5",
            "5\n",
            " 5\n",
            "5\n/var/lib\n",
            "5\r\n",
            "5 and more",
            "\t5x",
        ] {
            assert_eq!(pid_in(text.as_bytes()).unwrap().get(), 5, "{text:?}");
        }
        for text in ["", "\n", "x5", "-5", "0 1", "99999999999999999999 5"] {
            assert_eq!(pid_in(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn only_its_own_daemon_agrees_with_the_date() {
        let created = 1_000_000 * SECOND + 340_000_000;
        let written = date(created).unwrap();
        let with = |created| compare(written, created);
        assert_eq!(with(created), Match::Daemon);
        // The two clocks are not read at one moment.
        assert_eq!(with(created + TICK), Match::Daemon);
        assert_eq!(with(created - TICK), Match::Daemon);
        // The clock was set, or the pid is another's.
        assert_eq!(with(created + 3 * TICK), Match::Younger);
        assert_eq!(with(created - 3 * TICK), Match::Younger);
        assert_eq!(with(created - SECOND), Match::Older);
        assert_eq!(with(0), Match::Older);
        assert_eq!(with(u64::MAX), Match::Younger);
    }

    #[test]
    fn a_file_that_another_program_has_written_is_never_the_daemon_s() {
        let created = 1_000_000 * SECOND + 340_000_000;
        // The kernel dates a file up to a tick too early, and some file systems a second.
        for written in (created - 2 * TICK..created + 2 * SECOND).step_by(1_000_000) {
            assert_eq!(compare(written, created), Match::Older, "{written}");
            let rounded = written - written % SECOND;
            assert_eq!(compare(rounded, created), Match::Older, "{rounded}");
        }
        assert_eq!(compare(created - 4 * TICK, created), Match::Younger);
    }

    #[test]
    fn whole_seconds_are_enough() {
        let created = 1_000_000 * SECOND + 340_000_000;
        assert_eq!(compare(999_999 * SECOND, created), Match::Daemon);
        assert_eq!(compare(999_998 * SECOND, created), Match::Younger);
        assert_eq!(date(SECOND - 1), None);
        assert_eq!(compare(0, SECOND - 1), Match::Older);
    }
}
