//! The fingerprint of a daemon. Makes no system calls.
//!
//! It is a hash of the daemon's start time, in clock ticks since boot, and the boot id. With the pid, it stands for one
//! process: no other process of this boot has the same pid and the same start time, and no clock has a part in it. The
//! pid itself is not hashed, as it is another one outside the daemon's pid namespace.
//!
//! Two places have it: the length of the lock on the pidfile, and the nanoseconds of the pidfile's modification time,
//! which only the owner of the file can choose. A daemon that closes every descriptor when it starts, as sshd does,
//! releases the lock, but keeps the other.

use crate::protocol::{Nanoseconds, Pid, SECOND};
use crate::text::{before, next_field, parse_number, split_once};

/// The unit of times in `/proc`. `USER_HZ` is 100 on every supported architecture.
pub(super) const TICK: Nanoseconds = SECOND / 100;

/// A process, as described by `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// The pid in the pid namespace of the `/proc` mount.
    pub pid: Pid,
    /// Its parent. `None` if that is in another pid namespace, or there is none.
    pub parent: Option<Pid>,
    /// Whether it is a zombie, or dead.
    pub has_ended: bool,
    /// Whether it is exiting: it may already have closed its descriptors, and so released its locks.
    pub is_ending: bool,
    /// When it was created, in clock ticks since boot.
    pub ticks: u64,
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
    let parent = pid_of(field());
    for _ in 5..9 {
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
        parent,
        has_ended,
        is_ending: is_single_threaded && !has_ended && flags & PF_EXITING != 0,
        ticks,
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
    let digits = before(text, b"\n").unwrap_or(text);
    Pid::new(parse_number(digits, 10)?.try_into().ok()?)
}

/// The length of the boot id, a UUID in `/proc/sys/kernel/random/boot_id`. It is another one after each boot.
pub const BOOT_ID_SIZE: usize = 36;

/// Stands for no fingerprint. A file system without nanoseconds keeps it.
pub const NO_FINGERPRINT: u32 = 0;

/// The fingerprint of a process that was created at this tick of this boot: less than a billion.
/// [`NO_FINGERPRINT`] if the boot id has another size.
///
/// The hash is FNV-1a (32 bits).
#[must_use]
pub fn fingerprint(ticks: u64, boot_id: &[u8]) -> u32 {
    if boot_id.len() != BOOT_ID_SIZE {
        return NO_FINGERPRINT;
    }
    let mut hash: u32 = 0x811c_9dc5;
    for byte in ticks.to_le_bytes().iter().chain(boot_id) {
        hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    }
    (hash % 999_999_999).saturating_add(1)
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
    /// It is another process.
    Other,
    /// The process exists, but one of the two fingerprints is not known.
    Unseen,
}

impl Process {
    /// Compares the process with the daemon of a pidfile. `own` is the fingerprint of the process, `recorded` that of
    /// the daemon.
    #[must_use]
    pub const fn compare(&self, own: u32, recorded: u32) -> Match {
        if self.has_ended {
            Match::Ended
        } else if self.is_ending {
            Match::Ending
        } else if own == NO_FINGERPRINT || recorded == NO_FINGERPRINT {
            Match::Unseen
        } else if own == recorded {
            Match::Daemon
        } else {
            Match::Other
        }
    }

    /// Whether the process was created after a file was written. `boot` is the time of boot by the present clock. Some
    /// file systems store whole seconds only.
    #[must_use]
    pub fn is_younger(&self, boot: Nanoseconds, written: Nanoseconds) -> bool {
        let created = self.ticks.saturating_mul(TICK).saturating_add(boot);
        created > written.saturating_add(SECOND)
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::{Match, NO_FINGERPRINT, SECOND, fingerprint, pid_in, pid_of, process};

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
            assert_eq!(found.parent.unwrap().get(), 4);
            assert_eq!(found.ticks, 987);
            let found = process(stat(name, "Z", "0").as_bytes()).unwrap();
            assert_eq!((found.has_ended, found.ticks), (true, 0), "{name}");
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
        for ticks in ["", "-1", "x", "18446744073709551616"] {
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
    fn a_fingerprint_is_of_one_process_of_one_boot() {
        let boot = b"0e9ec5bd-0a3a-4e6c-9a41-0b1f5f0a8c57";
        let own = fingerprint(987, boot);
        assert_eq!(own, 712_375_852);
        assert_ne!(fingerprint(988, boot), own);
        assert_ne!(fingerprint(987 << 32, boot), own);
        assert_ne!(
            fingerprint(987, b"0e9ec5bd-0a3a-4e6c-9a41-0b1f5f0a8c58"),
            own
        );
        for other in [&b""[..], &boot[1..]] {
            assert_eq!(fingerprint(987, other), NO_FINGERPRINT);
        }
        for ticks in 0..100_000 {
            let found = fingerprint(ticks, boot);
            assert!((1..1_000_000_000).contains(&found), "{found}");
        }
    }

    #[test]
    fn a_process_is_the_daemon_if_both_fingerprints_are_known_and_equal() {
        let process = process(stat("sh", "S", "987").as_bytes()).unwrap();
        assert_eq!(process.compare(5, 5), Match::Daemon);
        assert_eq!(process.compare(5, 6), Match::Other);
        assert_eq!(process.compare(NO_FINGERPRINT, 6), Match::Unseen);
        assert_eq!(process.compare(5, NO_FINGERPRINT), Match::Unseen);
        let ended = self::process(stat("sh", "Z", "987").as_bytes()).unwrap();
        assert_eq!(ended.compare(5, 5), Match::Ended);
        let ending = self::process(stat_with("sh", "R", 4, 1, "987").as_bytes()).unwrap();
        assert_eq!(ending.compare(5, 5), Match::Ending);
    }

    #[test]
    fn a_process_is_younger_than_a_file_that_was_written_before() {
        let process = process(stat("sh", "S", "100").as_bytes()).unwrap();
        // It was created one second after the boot.
        let boot = 1_000_000 * SECOND;
        assert!(process.is_younger(boot, boot - 1));
        // A file system may have rounded the time down.
        assert!(!process.is_younger(boot, boot));
        assert!(!process.is_younger(boot, u64::MAX));
        assert!(process.is_younger(u64::MAX, 0));
    }
}
