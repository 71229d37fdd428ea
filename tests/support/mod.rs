//! What the tests share: a place of their own, the daemons that they own, and what the kernel says of them.
//!
//! The test process is a subreaper, so every daemon that a test starts becomes its child. Every
//! process of a test carries the test's mark in its environment, by which leftovers are found.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(unreachable_pub, missing_debug_implementations)]

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Once;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};

/// Longer than anything here takes on a slow machine.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The variable that marks the processes of a test.
const MARK: &str = "RAWDAEMON_TEST";

/// A folder of the test's own, and the mark of its processes. Both are gone when it is dropped.
pub struct Place {
    folder: tempfile::TempDir,
    mark: OsString,
}

/// What a program left when it had ended.
#[derive(Debug)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Output {
    pub fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| panic!("ended by a signal: {self:?}"))
    }

    /// The pid that the program has printed last on a line `… as pid N`.
    pub fn pid(&self) -> Pid {
        let said = format!("{}{}", self.stdout, self.stderr);
        let number = said
            .lines()
            .rev()
            .find_map(|line| line.rsplit_once("as pid ")?.1.parse().ok());
        Pid::from_raw(number.unwrap_or_else(|| panic!("no pid in {self:?}"))).unwrap()
    }
}

impl Place {
    pub fn new() -> Self {
        static SUBREAPER: Once = Once::new();
        SUBREAPER.call_once(|| rustix::process::set_child_subreaper(Some(Pid::INIT)).unwrap());
        let folder = tempfile::Builder::new()
            .prefix("rawdaemon-test-")
            .tempdir()
            .unwrap();
        // Daemons of the tests may run as anybody.
        fs::set_permissions(
            folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let mark = folder.path().file_name().unwrap().to_owned();
        Self { folder, mark }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap()).into_owned()
    }

    /// An executable file with this text.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let source = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap();
        fs::write(source.path(), text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(source.path(), mode).unwrap();
        self.executable(source.path(), name)
    }

    /// A copy of an executable file, where anybody may execute it.
    pub fn executable(&self, from: &Path, name: &str) -> PathBuf {
        let path = self.path(name);
        copy(from, &path);
        path
    }

    /// The command of this crate, marked, in the folder.
    pub fn rawdaemon<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Command {
        self.program(Path::new(env!("CARGO_BIN_EXE_rawdaemon")), arguments)
    }

    /// A program, marked, in the folder.
    pub fn program<I: IntoIterator<Item: AsRef<OsStr>>>(
        &self,
        path: &Path,
        arguments: I,
    ) -> Command {
        let mut command = Command::new(path);
        command
            .args(arguments)
            .env(MARK, &self.mark)
            .current_dir(self.folder.path());
        // What the test process itself has inherited is no part of the test.
        before_exec(&mut command, || {
            // SAFETY: numbers only: 4 is CLOSE_RANGE_CLOEXEC.
            unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 4) };
            // nohup(1) and a shell's `&` ignore these.
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
                // SAFETY: no handler is installed.
                unsafe { libc::signal(signal, libc::SIG_DFL) };
            }
            Ok(())
        });
        command
    }

    /// Runs a program to its end. What it prints goes to files, so that a daemon which holds on to
    /// them holds nothing up.
    pub fn run(&self, command: &mut Command) -> Output {
        let unique = tempfile::Builder::new()
            .prefix("said-")
            .tempdir_in(self.folder.path())
            .unwrap();
        let (stdout, stderr) = (unique.path().join("stdout"), unique.path().join("stderr"));
        command.stdin(std::process::Stdio::null());
        command
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap());
        let began = Instant::now();
        let mut child = command.spawn().unwrap();
        let child_pid = Pid::from_child(&child);
        let ended = wait_for(&watch(child_pid), DEADLINE);
        let took = began.elapsed();
        if !ended {
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        let text = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        let output = Output {
            status,
            stdout: text(&stdout),
            stderr: text(&stderr),
            took,
        };
        assert!(ended, "{command:?} did not return: {output:?}");
        output
    }

    /// Runs the command and takes the daemon that it says it has started.
    pub fn start<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Daemon {
        self.start_by(self.rawdaemon(["-v"]).args(arguments))
    }

    /// Runs a program that says which daemon it has started.
    pub fn start_by(&self, command: &mut Command) -> Daemon {
        let output = self.run(command);
        assert_eq!(output.code(), 0, "{output:?}");
        Daemon::new(output.pid())
    }

    /// Runs the command, which must fail with this code and say this, and leave nothing.
    pub fn fails(&self, command: &mut Command, code: i32, says: &str) -> Output {
        let output = self.run(command);
        assert_eq!(output.code(), code, "{command:?}: {output:?}");
        assert_eq!(output.stderr.trim_end(), says, "{command:?}");
        assert_eq!(output.stdout, "");
        self.assert_no_process();
        output
    }

    /// The processes with this place's mark. A process that is ending has lost its environment.
    pub fn processes(&self) -> Vec<Pid> {
        let mark = [MARK.as_bytes(), b"=", self.mark.as_bytes()].concat();
        let is_marked = |environment: Vec<u8>| {
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == mark)
        };
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let number = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            let Some(pid) = number.and_then(Pid::from_raw) else {
                continue;
            };
            if fs::read(entry.path().join("environ")).is_ok_and(is_marked) {
                found.push(pid);
            }
        }
        found
    }

    #[track_caller]
    pub fn assert_no_process(&self) {
        let left: Vec<_> = self.processes().into_iter().map(describe).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for pid in self.processes() {
            drop(Daemon::new(pid));
        }
    }
}

fn describe(pid: Pid) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    format!(
        "{pid}: {}",
        String::from_utf8_lossy(&line).replace('\0', " ")
    )
}

/// A daemon that the test owns: it is killed and reaped when this is dropped.
pub struct Daemon {
    pub pid: Pid,
    pidfd: OwnedFd,
}

impl Daemon {
    pub fn new(pid: Pid) -> Self {
        Self {
            pid,
            pidfd: watch(pid),
        }
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::pidfd_send_signal(&self.pidfd, signal).unwrap();
    }

    #[track_caller]
    pub fn assert_alive(&self) {
        assert!(
            !wait_for(&self.pidfd, Duration::ZERO),
            "{} has ended",
            self.pid
        );
    }

    /// Kills the daemon and waits until it is gone.
    pub fn kill(self) {}

    /// Waits for the daemon's own end.
    #[track_caller]
    pub fn ended(&self) {
        assert!(
            wait_for(&self.pidfd, DEADLINE),
            "{} has not ended",
            self.pid
        );
    }

    /// The state that the daemon has come to: it has been executed when its launcher returns, but
    /// its program may still be loading libraries.
    #[track_caller]
    pub fn state(&self) -> State {
        let sleeps = || {
            std::thread::sleep(Duration::from_millis(1));
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
            stat.rsplit_once(") ").unwrap().1.starts_with('S')
        };
        eventually("the daemon has come to rest", || (0..5).all(|_| sleeps()));
        State::of(self.pid)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        let ended = wait_for(&self.pidfd, DEADLINE);
        let reaped =
            rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
        assert!(
            ended && reaped.is_ok() || std::thread::panicking(),
            "{}: {reaped:?}",
            self.pid
        );
    }
}

/// A descriptor that can be read when the process has ended.
pub fn watch(pid: Pid) -> OwnedFd {
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap()
}

/// Whether the process ends within this time.
pub fn wait_for(pidfd: &OwnedFd, time: Duration) -> bool {
    let timeout = Timespec::try_from(time).unwrap();
    poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout)).unwrap() == 1
}

/// Asks again and again until the answer is yes.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < DEADLINE, "{what}: not after {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What `/proc` says of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub parent: i32,
    pub group: i32,
    pub session: i32,
    pub terminal: i32,
    pub directory: PathBuf,
    pub umask: String,
    pub blocked: String,
    pub ignored: String,
    pub caught: String,
    pub descriptors: BTreeMap<i32, PathBuf>,
}

impl State {
    pub fn of(pid: Pid) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let number = |index: usize| fields[index].parse().unwrap();
        let line = |name: &str| {
            let value = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap();
            value.trim().trim_start_matches('0').to_owned()
        };
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let descriptors = descriptors.filter_map(|entry| {
            let entry = entry.unwrap();
            let number = entry.file_name().to_str().unwrap().parse().unwrap();
            // What was closed between the two looks is not open.
            Some((number, fs::read_link(entry.path()).ok()?))
        });
        Self {
            parent: number(1),
            group: number(2),
            session: number(3),
            terminal: number(4),
            directory: fs::read_link(format!("/proc/{pid}/cwd")).unwrap(),
            umask: line("Umask:"),
            blocked: line("SigBlk:"),
            ignored: line("SigIgn:"),
            caught: line("SigCgt:"),
            descriptors: descriptors.collect(),
        }
    }

    /// The state that every daemon has which is started without an option.
    #[track_caller]
    pub fn assert_well_behaved(&self, pid: Pid) {
        let null = PathBuf::from("/dev/null");
        let own = rustix::process::getpid();
        let pid = pid.as_raw_pid();
        assert_eq!(
            self.parent,
            own.as_raw_pid(),
            "the parent is who reaps orphans"
        );
        assert_ne!(self.session, pid, "it must not lead a session");
        assert_ne!(self.group, pid, "it must not lead a group");
        assert_eq!(self.session, self.group);
        // A session that is led from outside this pid namespace has the number 0.
        assert_ne!(
            self.session,
            Self::of(own).session,
            "it must have left the caller's session"
        );
        assert_eq!(self.terminal, 0);
        assert_eq!(self.directory, Path::new("/"));
        assert_eq!(self.umask, "22");
        assert_eq!((self.blocked.as_str(), self.ignored.as_str()), ("", ""));
        let expected = BTreeMap::from([(0, null.clone()), (1, null.clone()), (2, null)]);
        assert_eq!(self.descriptors, expected);
    }
}

/// A line of `/proc/PID/status`, in words.
pub fn status_line(pid: Pid, name: &str) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    let words = value.unwrap().trim_start_matches(':').split_whitespace();
    words.map(str::to_owned).collect()
}

/// The environment of a process, a line to each variable, in order.
pub fn environment(pid: Pid) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let variables = bytes
        .split(|byte| *byte == 0)
        .filter(|text| !text.is_empty());
    let mut lines: Vec<_> = variables
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .filter(|line| !line.starts_with(MARK))
        .collect();
    lines.sort();
    lines
}

/// Copies a file that will be executed. Another process writes it: as long as it is open for writing
/// in any process, be it in the child that another test is just about to start, the kernel does not
/// execute it (ETXTBSY).
pub fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status().unwrap();
    assert!(copied.success(), "{}", from.display());
}

/// Lets something be done in the child between fork and exec.
pub fn before_exec(
    command: &mut Command,
    action: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) -> &mut Command {
    // SAFETY: the actions of these tests make system calls only.
    unsafe { command.pre_exec(action) }
}

/// A new terminal: the side that a terminal emulator has, and the name of the other.
pub fn terminal() -> (OwnedFd, CString) {
    let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
    let terminal = rustix::pty::openpt(flags).unwrap();
    rustix::pty::grantpt(&terminal).unwrap();
    rustix::pty::unlockpt(&terminal).unwrap();
    let name = rustix::pty::ptsname(&terminal, Vec::new()).unwrap();
    (terminal, name)
}

/// Lets the command lead a session that has this controlling terminal.
pub fn lead_session_on(command: &mut Command, name: CString) {
    before_exec(command, move || {
        rustix::process::setsid()?;
        // Without O_NOCTTY: the new session leader gets the terminal.
        let flags = rustix::fs::OFlags::RDWR;
        std::mem::forget(rustix::fs::open(&name, flags, rustix::fs::Mode::empty())?);
        Ok(())
    });
}

/// What is mounted from here on is seen by this process and its descendants only.
pub fn own_mounts() {
    // SAFETY: a number only.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
    mount(
        c"none".as_ptr(),
        c"/".as_ptr(),
        libc::MS_REC | libc::MS_PRIVATE,
    );
}

/// `mount(from, to, NULL, flags, NULL)`
pub fn mount(from: *const libc::c_char, to: *const libc::c_char, flags: libc::c_ulong) {
    let nothing = std::ptr::null();
    // SAFETY: the paths are strings, which the callers hold.
    let result = unsafe { libc::mount(from, to, nothing, flags, nothing.cast()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Runs the command where the kernel knows no `pidfd_open`, as before Linux 5.3.
pub fn without_pidfds(command: &mut Command) {
    let filter = |code, jump, value| libc::sock_filter {
        code,
        jt: jump,
        jf: 0,
        k: value,
    };
    // The number of the call lies at the start of what the filter sees (seccomp(2)).
    let load = filter((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0, 0);
    let is_it = filter(
        (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        1,
        libc::SYS_pidfd_open as u32,
    );
    let answer = |value| filter((libc::BPF_RET | libc::BPF_K) as u16, 0, value);
    let mut program = [
        load,
        is_it,
        answer(libc::SECCOMP_RET_ALLOW),
        answer(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
    ];
    before_exec(command, move || {
        let program = libc::sock_fprog {
            len: program.len() as u16,
            filter: program.as_mut_ptr(),
        };
        // SAFETY: numbers, and a filter that outlives the calls.
        unsafe {
            assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
            let mode = libc::SECCOMP_MODE_FILTER;
            assert_eq!(
                libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program),
                0
            );
        }
        Ok(())
    });
}

/// Runs the command where nothing lies at `/proc`. This needs root.
pub fn without_proc(command: &mut Command) {
    before_exec(command, || {
        own_mounts();
        mount_empty(c"/proc");
        Ok(())
    });
}

/// Mounts an empty file system.
pub fn mount_empty(to: &std::ffi::CStr) {
    let kind = c"tmpfs".as_ptr();
    // SAFETY: strings that outlive the call.
    let result = unsafe { libc::mount(kind, to.as_ptr(), kind, 0, std::ptr::null()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Whether a program is installed; if it is not, that is said, and the test has nothing to test.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// Whether the test runs as root; if it does not, that is said.
pub fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: this needs root");
    }
    root
}

/// A test program of this crate, which Cargo builds as an example.
pub fn example(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_rawdaemon"))
        .parent()
        .unwrap()
        .join("examples")
        .join(name);
    assert!(
        path.is_file(),
        "{} is missing: `cargo build --examples` builds it",
        path.display()
    );
    path
}

/// The pid in a pidfile, which must be just that and a newline.
#[track_caller]
pub fn pid_in(pidfile: &Path) -> Pid {
    let text = fs::read_to_string(pidfile).unwrap();
    Pid::from_raw(text.strip_suffix('\n').unwrap().parse().unwrap()).unwrap()
}

/// strace, which follows what a program starts, and makes the kernel refuse system calls or delay them. The
/// tracer goes on in the background as long as the daemon lives.
pub fn strace(place: &Place, options: &[&str], program: &Path) -> Command {
    let mut command = place.program(Path::new("strace"), ["-D", "-f", "-qq", "-o", "trace"]);
    command.args(options).arg(program);
    command
}

/// The command under strace.
pub fn strace_rawdaemon(place: &Place, options: &[&str], arguments: &[&str]) -> Command {
    let mut command = strace(place, options, Path::new(env!("CARGO_BIN_EXE_rawdaemon")));
    command.args(arguments);
    command
}

/// Runs the command under strace.
pub fn under_strace(place: &Place, options: &[&str], arguments: &[&str]) -> Output {
    place.run(&mut strace_rawdaemon(place, options, arguments))
}

/// As [`under_strace`], for a start that must fail. Nothing may be left of it but the tracer, which
/// ends by itself.
pub fn fails_under_strace(place: &Place, options: &[&str], arguments: &[&str]) -> Output {
    let output = under_strace(place, options, arguments);
    assert_ne!(output.code(), 0, "{output:?}");
    eventually("no process is left", || place.processes().is_empty());
    output
}
