//! The privileges of the tests: root may lack capabilities, or be root of a user namespace only.

use std::fs;

use super::{skip, skip_part};

/// A capability: its name and number.
type Capability = (&'static str, u32);

const KILL: Capability = ("kill", 5);
const SETGID: Capability = ("setgid", 6);
const SETUID: Capability = ("setuid", 7);

/// The capabilities that tests use as root.
const ROOT: [Capability; 11] = [
    ("chown", 0),
    ("dac_override", 1),
    KILL,
    SETGID,
    SETUID,
    ("setpcap", 8),
    ("net_admin", 12),
    ("sys_chroot", 18),
    ("sys_ptrace", 19),
    ("sys_admin", 21),
    ("mknod", 27),
];

/// Whether the test runs as root with all capabilities that tests use. If not, the test is skipped.
pub fn is_root() -> bool {
    may(&ROOT)
}

/// As [`is_root`], for a part of the test.
pub fn is_root_for(part: &str) -> bool {
    let report = |missing: &String| skip_part(format!("{part}: needs {missing}"));
    missing(&ROOT).inspect(report).is_none()
}

/// Whether the test can run something as another user. If not, the test is skipped.
pub fn may_become_others() -> bool {
    may(&[KILL, SETGID, SETUID])
}

fn may(capabilities: &[Capability]) -> bool {
    let report = |missing: &String| skip(format!("needs {missing}"));
    missing(capabilities).inspect(report).is_none()
}

fn missing(capabilities: &[Capability]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("root".into());
    }
    // Other namespaces have fewer users, and their root may not change most mounts and limits.
    let users = fs::read_to_string("/proc/self/uid_map").unwrap();
    if !users.split_whitespace().eq(["0", "0", "4294967295"]) {
        return Some("root of the initial user namespace".into());
    }
    let lacking = lacks(capabilities).join(", ");
    (!lacking.is_empty()).then(|| format!("root with the capabilities {lacking}"))
}

/// The capabilities that this process lacks.
fn lacks(capabilities: &[Capability]) -> Vec<&'static str> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = u64::from_str_radix(effective.unwrap().trim(), 16).unwrap();
    let missing = capabilities
        .iter()
        .filter(|(_, number)| effective & (1 << number) == 0);
    missing.map(|(name, _)| *name).collect()
}
