//! The tests of the crate `fork` that call its daemonizers, with those of rawdaemon in their place.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::support::{DEADLINE, Place, children, fork_tests, wait_for, watch};

/// A test that must pass, or the end of what a test says that differs on purpose.
type Expected = Result<(), &'static str>;

/// The files of tests, and in those with a harness the names of the tests.
const TESTS: [(&str, &[&str], Expected); 7] = [
    (
        "daemon_tests",
        &[
            "test_daemon_creates_detached_process",
            "test_daemon_with_nochdir",
            "test_daemon_with_command_execution",
            "test_daemon_no_controlling_terminal",
            "test_daemon_never_returns_parent",
        ],
        Ok(()),
    ),
    // The daemon of `fork` is a member of its session leader's process group. This one leads its own.
    (
        "daemon_tests",
        &["test_daemon_process_group"],
        Err("should NOT be session leader"),
    ),
    (
        "checked_daemon_tests",
        &[
            "parent_returns_only_after_detached_daemon_is_ready",
            "failure_after_detachment_preserves_stage_and_errno",
            "daemon_can_report_initialization_failure",
            "dropped_notifier_is_reported_as_abandoned_startup",
            "startup_timeout_kills_the_owned_daemon_group",
            "preserved_descriptor_survives_detachment",
            "startup_handshake_retries_repeated_eintr",
        ],
        Ok(()),
    ),
    ("daemon_waitid_denied", &[], Ok(())),
    // `fork` refuses to start a daemon while SIGCHLD is ignored. rawdaemon starts it.
    (
        "sigchld_ignored",
        &[],
        Err("daemon accepted auto-reaping owner"),
    ),
    (
        "waitable_children",
        &[],
        Err("unexpected daemon result: Ok(Parent("),
    ),
    // `fork` fails if close_range(2) is refused after it has worked. rawdaemon finds the descriptors in `/proc`.
    (
        "descriptor_fallback",
        &[],
        Err("successful-probe/failed-range contract failed"),
    ),
];

/// Runs a test to its end, and reaps its daemons meanwhile, since some tests wait until those are gone.
/// Returns whether it has passed, and what it says.
fn run(program: &Path, name: &str, test: Option<&str>) -> (bool, String) {
    let place = Place::new();
    let mut command = place.program(&place.executable(program, name), test);
    if test.is_some() {
        command.arg("--exact");
    }
    command.env("TMPDIR", place.path(""));
    let file = |name| File::create(place.path(name)).unwrap();
    command
        .stdin(Stdio::null())
        .stdout(file("out"))
        .stderr(file("err"));
    let mut launcher = command.spawn().unwrap();
    let launcher_pid = Pid::from_child(&launcher);
    let pidfd = watch(launcher_pid);
    // A harness runs a test in a thread with its name. A fork of the thread inherits the first 15 bytes.
    let thread = test.map_or(name, |test| &test[..15]);
    let began = Instant::now();
    loop {
        let has_ended = wait_for(&pidfd, Duration::from_millis(5));
        let mut orphans = children(name);
        orphans.extend(children(thread));
        orphans.retain(|pid| *pid != launcher_pid);
        for pid in &orphans {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            let reaped = waitid(WaitId::Pid(*pid), options);
            assert!(matches!(reaped, Ok(_) | Err(Errno::CHILD)), "{reaped:?}");
        }
        if has_ended && orphans.is_empty() && place.processes().is_empty() {
            break;
        }
        let late = began.elapsed() > DEADLINE;
        assert!(!late, "{name} {test:?}: {}", place.read("err"));
    }
    let status = launcher.wait().unwrap();
    (status.success(), place.read("out") + &place.read("err"))
}

#[test]
fn the_tests_of_fork_pass() {
    let mut files = TESTS.map(|(file, ..)| file).to_vec();
    files.dedup();
    let Some(programs) = fork_tests(&files) else {
        return;
    };
    for (number, (file, tests, expected)) in TESTS.iter().enumerate() {
        let index = files.iter().position(|other| other == file).unwrap();
        let program = &programs[index];
        let name = format!("fork-test-{number}");
        let single = tests.is_empty().then_some(None);
        for test in tests.iter().copied().map(Some).chain(single) {
            let (mut passed, mut says) = run(program, &name, test);
            match expected {
                Ok(()) => {
                    // Those wait for half a second, which can be too short on a busy machine. The signals of
                    // this one may go to the first thread of the harness, which may not run in time.
                    let interrupts = test == Some("startup_handshake_retries_repeated_eintr");
                    for _ in 0..2 {
                        if !passed && (*file == "daemon_tests" || interrupts) {
                            (passed, says) = run(program, &name, test);
                        }
                    }
                    let has_run = test.is_none() || says.contains("1 passed");
                    assert!(passed && has_run, "{file} {test:?}: {says}");
                }
                Err(end) => assert!(!passed && says.contains(end), "{file}: {says}"),
            }
        }
    }
}
