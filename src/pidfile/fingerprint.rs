//! The fingerprint of a daemon in its pidfile: its pid, and the file's modification time. Makes no system
//! calls.
//!
//! A daemon that closes every descriptor when it starts, as sshd does, releases the lock on its pidfile.
//! It is then recognised by the modification time, which rawdaemon sets to one second before the creation
//! of the process. No other program sets such a time, and no other process has both this pid and this
//! creation time. If the clock is set, file and process no longer match, and the daemon is not
//! recognised. A false match requires that the clock is set by exactly the time between the creation of
//! two processes with the same pid.

use crate::protocol::{Nanoseconds, Pid, SECOND};
use crate::text::{next_field, parse_number, split_once};

/// The unit of times in `/proc`. `USER_HZ` is 100 on every supported architecture.
const TICK: Nanoseconds = SECOND / 100;

/// How long before the creation of the daemon its pidfile is dated. Other programs write a pidfile after
/// the creation of the process.
const MTIME_OFFSET: Nanoseconds = SECOND;

/// A process, as described by `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// The pid in the pid namespace of the `/proc` mount.
    pub pid: Pid,
    /// Whether it is a zombie, or dead.
    pub has_ended: bool,
    /// Whether it is exiting: it may already have closed its descriptors, and so released its locks.
    pub is_ending: bool,
    /// When it was created, in nanoseconds since boot, rounded down to a tick.
    pub created: Nanoseconds,
}

/// Parses `/proc/PID/stat` (proc_pid_stat(5)). The text may end after field 22.
#[must_use]
pub fn process(stat: &[u8]) -> Option<Process> {
    let (pid, _) = split_once(stat, b' ');
    // Field 2 is the name in parentheses. It may contain any character, but no later field contains a
    // parenthesis.
    let mut after_name = stat;
    while let (_, Some(rest)) = split_once(after_name, b')') {
        after_name = rest;
    }
    let (_, mut fields) = split_once(after_name, b' ');
    let mut field = || next_field(&mut fields, b' ');
    let state = field();
    for _ in 4..9 {
        field();
    }
    let flags = parse_number(field(), 10)?;
    for _ in 10..20 {
        field();
    }
    // The state and the flags are those of the main thread, which may end before the others.
    let is_single_threaded = parse_number(field(), 10)? <= 1;
    field();
    let ticks = parse_number(field(), 10)?;
    let has_ended = is_single_threaded && matches!(state, b"Z" | b"X" | b"x");
    Some(Process {
        pid: pid_of(pid)?,
        has_ended,
        is_ending: is_single_threaded && !has_ended && flags & PF_EXITING != 0,
        created: ticks.checked_mul(TICK)?,
    })
}

/// The flag of an exiting process, from the kernel's `sched.h`.
const PF_EXITING: u64 = 4;

/// The pid at the start of a file, ignoring white space before it and anything after it. It is not enough
/// to identify a daemon, but enough not to call it dead.
#[must_use]
pub fn pid_in(text: &[u8]) -> Option<Pid> {
    let blanks = text.iter().take_while(|byte| byte.is_ascii_whitespace());
    let text = text.get(blanks.count()..)?;
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    pid_of(text.get(..digits.count())?)
}

/// The pid in a pidfile that has nothing but digits and an optional newline.
#[must_use]
pub fn pid_of(text: &[u8]) -> Option<Pid> {
    let digits = text.strip_suffix(b"\n").unwrap_or(text);
    Pid::new(parse_number(digits, 10)?.try_into().ok()?)
}

/// The modification time for the pidfile of a process with this creation time, by the same clock.
#[must_use]
pub fn date(created: Nanoseconds) -> Option<Nanoseconds> {
    created.checked_sub(MTIME_OFFSET)
}

/// The result of comparing a process with a pidfile that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// The process has ended.
    Ended,
    /// The process is exiting.
    Ending,
    /// The process is the daemon that this crate has started with this pidfile.
    Daemon,
    /// The process was created before the file was written.
    Older,
    /// The process was created after the file was written, and so is not the one that wrote it, unless
    /// the clock was set in between.
    Younger,
}

impl Process {
    /// Compares the process with a pidfile. `written` is the file's modification time, `boot` the time of
    /// boot, both since the epoch.
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

/// Compares the modification time of a pidfile with the creation time of the process that it names.
#[must_use]
pub fn compare(written: Nanoseconds, created: Nanoseconds) -> Match {
    // Some file systems store whole seconds only.
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

    /// The stat file of a process with this name and state, created at this tick.
    fn stat(name: &str, state: &str, ticks: &str) -> std::string::String {
        stat_with(name, state, 0, 1, ticks)
    }

    fn stat_with(
        name: &str,
        state: &str,
        flags: u32,
        threads: u32,
        ticks: &str,
    ) -> std::string::String {
        let between = "10 11 12 13 14 15 16 17 18 19";
        format!("1234 ({name}) {state} 4 5 6 7 -1 {flags} {between} {threads} 0 {ticks} 23 24")
    }

    #[test]
    fn a_stat_file_is_parsed_with_any_name() {
        for name in ["sh", "a b", ")", ") Z (", "((", "", "1234 (x) Z 1 2"] {
            let found = process(stat(name, "S", "987").as_bytes()).unwrap();
            assert_eq!((found.pid.get(), found.has_ended), (1234, false), "{name}");
            assert_eq!(found.created, 987 * TICK);
            let found = process(stat(name, "Z", "0").as_bytes()).unwrap();
            assert_eq!((found.has_ended, found.created), (true, 0), "{name}");
        }
        let ends = |state, flags, threads| {
            let found = process(stat_with("sh", state, flags, threads, "9").as_bytes()).unwrap();
            (found.has_ended, found.is_ending)
        };
        assert_eq!(ends("S", 0x40_0000, 1), (false, false));
        assert_eq!(ends("R", 0x40_0004, 1), (false, true));
        assert_eq!(ends("Z", 0x40_0004, 1), (true, false));
        assert_eq!(ends("X", 4, 0), (true, false));
        assert_eq!(ends("Z", 4, 2), (false, false), "other threads are alive");
        let own = std::fs::read("/proc/self/stat").unwrap();
        let own_pid = std::process::id() as i32;
        assert_eq!(process(&own).unwrap().pid.get(), own_pid);
    }

    #[test]
    fn a_truncated_or_invalid_stat_file_is_refused() {
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
    fn a_pidfile_has_one_number_and_nothing_else() {
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
    fn the_pid_at_the_start_of_any_file_is_found() {
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
    fn only_the_daemon_of_the_pidfile_matches_its_time() {
        let created = 1_000_000 * SECOND + 340_000_000;
        let written = date(created).unwrap();
        let with = |created| compare(written, created);
        assert_eq!(with(created), Match::Daemon);
        // The two clocks are not read at the same moment.
        assert_eq!(with(created + TICK), Match::Daemon);
        assert_eq!(with(created - TICK), Match::Daemon);
        // The clock was set, or the pid was reused.
        assert_eq!(with(created + 3 * TICK), Match::Younger);
        assert_eq!(with(created - 3 * TICK), Match::Younger);
        assert_eq!(with(created - SECOND), Match::Older);
        assert_eq!(with(0), Match::Older);
        assert_eq!(with(u64::MAX), Match::Younger);
    }

    #[test]
    fn a_pidfile_that_another_program_has_written_never_matches() {
        let created = 1_000_000 * SECOND + 340_000_000;
        // The kernel sets a time up to a tick too early, and some file systems up to a second.
        for written in (created - 2 * TICK..created + 2 * SECOND).step_by(1_000_000) {
            assert_eq!(compare(written, created), Match::Older, "{written}");
            let rounded = written - written % SECOND;
            assert_eq!(compare(rounded, created), Match::Older, "{rounded}");
        }
        assert_eq!(compare(created - 4 * TICK, created), Match::Younger);
    }

    #[test]
    fn a_time_in_whole_seconds_matches() {
        let created = 1_000_000 * SECOND + 340_000_000;
        assert_eq!(compare(999_999 * SECOND, created), Match::Daemon);
        assert_eq!(compare(999_998 * SECOND, created), Match::Younger);
        assert_eq!(date(SECOND - 1), None);
        assert_eq!(compare(0, SECOND - 1), Match::Older);
    }
}
