//! Helpers: the folder and the daemons of a test, and the state of processes.
//!
//! The test process is a subreaper, so every daemon of a test becomes its child. Every process of a
//! test has the test's mark in its environment, by which leftovers are found.

mod built;
pub mod control;
mod daemon;
mod doc_examples;
mod packages;
mod place;
mod programs;
pub mod readiness;
mod root;
mod sandbox;
mod skipped;
mod state;
pub mod states;
pub mod supervised;

use std::ffi::CString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use rustix::pty::OpenptFlags;

pub use built::{
    OTHER_COMMAND, PROGRAMS, example, has_test_programs, package_folder, tested_command,
};
pub use daemon::{Daemon, children, wait_for, watch};
pub use doc_examples::{DocExample, doc_programs};
pub use packages::{client, fork_tests, nolibc_program, origin_program, port};
pub use place::{Output, Place, fails_beside};
pub use programs::{
    fails_under_strace, has, has_for, run, std_program, strace, strace_rawdaemon, under_strace,
    without_core,
};
pub use root::{is_root, is_root_for, may_become_others};
pub use sandbox::{
    filter, filter_from, has_filters, mount, mount_empty, own_mounts, trapping, without_pidfds,
    without_proc,
};
pub use skipped::{skip, skip_part};
pub use state::{State, environment, status_line};

/// Longer than any step of a test takes on a slow machine.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The variable that marks the processes of a test.
const MARK: &str = "RAWDAEMON_TEST";

/// Waits until a condition holds.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < DEADLINE, "{what}: not after {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Copies a file that will be executed. Another process writes it: the kernel does not execute a file
/// that is open for writing (ETXTBSY), even in a child that another test is forking.
pub fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status().unwrap();
    assert!(copied.success(), "{}", from.display());
    // All users may execute it, whatever the umask of the tests is.
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).unwrap();
}

/// An address on which nothing listens. Unlike a port of 127.0.0.1, no client gets it from the kernel
/// before the server of the test has bound it.
pub fn free_address() -> SocketAddrV4 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    // All of 127.0.0.0/8 is this machine. A process id has 22 bits, which leaves two for the call.
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let [_, a, b, c] = ((std::process::id() << 2) | (call % 4)).to_be_bytes();
    let listener = TcpListener::bind((Ipv4Addr::new(127, a, b, c), 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    SocketAddrV4::new(Ipv4Addr::new(127, a, b, c), port)
}

/// Runs the command with this limit of open files.
pub fn limit_descriptors(command: &mut Command, limit: u64) -> &mut Command {
    before_exec(command, move || {
        let limit = rustix::process::Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        Ok(rustix::process::setrlimit(
            rustix::process::Resource::Nofile,
            limit,
        )?)
    })
}

/// Runs an action in the child between fork and exec.
pub fn before_exec(
    command: &mut Command,
    action: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) -> &mut Command {
    // SAFETY: the actions of these tests make system calls only.
    unsafe { command.pre_exec(action) }
}

/// Programs of other tests do not inherit it.
const TERMINAL: OpenptFlags = OpenptFlags::RDWR
    .union(OpenptFlags::NOCTTY)
    .union(OpenptFlags::CLOEXEC);

/// Whether terminals can be opened. If not, the test is skipped.
pub fn has_terminals() -> bool {
    let opened = rustix::pty::openpt(TERMINAL);
    if let Err(error) = &opened {
        skip(format!("no terminal can be opened: {error}"));
    }
    opened.is_ok()
}

/// A new terminal: the side of the terminal emulator, and the name of the other side.
pub fn terminal() -> (OwnedFd, CString) {
    let terminal = rustix::pty::openpt(TERMINAL).unwrap();
    rustix::pty::grantpt(&terminal).unwrap();
    rustix::pty::unlockpt(&terminal).unwrap();
    let name = rustix::pty::ptsname(&terminal, Vec::new()).unwrap();
    (terminal, name)
}

/// Makes the command lead a session with this controlling terminal.
pub fn lead_session_on(command: &mut Command, name: CString) {
    before_exec(command, move || {
        rustix::process::setsid()?;
        // Without O_NOCTTY: the new session leader gets the terminal.
        let flags = rustix::fs::OFlags::RDWR;
        std::mem::forget(rustix::fs::open(&name, flags, rustix::fs::Mode::empty())?);
        Ok(())
    });
}

/// The pid in a pidfile, which must contain only that and a newline.
#[track_caller]
pub fn pid_in(pidfile: &Path) -> Pid {
    let text = fs::read_to_string(pidfile).unwrap();
    Pid::from_raw(text.strip_suffix('\n').unwrap().parse().unwrap()).unwrap()
}
