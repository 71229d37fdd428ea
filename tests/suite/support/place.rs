//! The folder of a test, and the programs that run in it.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Once;
use std::time::{Duration, Instant};

use rustix::fs::StatVfsMountFlags;
use rustix::io::Errno;
use rustix::process::Pid;

use super::state::settle;
use super::{
    DEADLINE, Daemon, MARK, OTHER_COMMAND, PROGRAMS, before_exec, copy, skip, tested_command,
    wait_for, watch,
};

/// The folder of a test, and the mark of its processes. Dropping it removes the folder and ends the
/// processes.
pub struct Place {
    folder: tempfile::TempDir,
    mark: OsString,
}

/// The result of a program.
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

    /// The pid in the last printed line that ends in `as pid N`.
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
        // The kernel reports paths without symbolic links.
        let parent = fs::canonicalize(std::env::temp_dir()).unwrap();
        let folder = tempfile::Builder::new()
            .prefix("rawdaemon-test-")
            .tempdir_in(parent)
            .unwrap();
        // Daemons of the tests run as various users.
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

    /// Whether the folder's file system is mounted without this flag. If not, the test is skipped.
    pub fn is_mounted_without(&self, flag: StatVfsMountFlags) -> bool {
        let flags = rustix::fs::statvfs(self.folder.path()).unwrap().f_flag;
        if flags.contains(flag) {
            skip(format!(
                "the folder for temporary files is mounted with {flag:?}"
            ));
        }
        !flags.contains(flag)
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

    /// A copy of an executable file that all users may execute.
    pub fn executable(&self, from: &Path, name: &str) -> PathBuf {
        let path = self.path(name);
        copy(from, &path);
        path
    }

    /// The command under test, marked, in the folder.
    pub fn rawdaemon<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Command {
        self.program(Path::new(tested_command()), arguments)
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
            .env_remove("NOTIFY_SOCKET")
            .env_remove(OTHER_COMMAND)
            .env_remove(PROGRAMS)
            .current_dir(self.folder.path());
        // Descriptors that the test process inherited are no part of the test.
        before_exec(&mut command, || {
            // SAFETY: numbers only: 4 is CLOSE_RANGE_CLOEXEC.
            if unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 4) } != 0 {
                close_on_exec()?;
            }
            // nohup(1) and a shell's `&` ignore some signals, and Cargo those that a C library reserves.
            let default = [0_u64; 4];
            for signal in 1..=64 {
                // SAFETY: no handler is installed, and the kernel reads only this.
                unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &default, 0, 8) };
            }
            Ok(())
        });
        command
    }

    /// Runs a program to its end. It prints to files, since a daemon might keep pipes open.
    pub fn run(&self, command: &mut Command) -> Output {
        self.run_within(command, DEADLINE)
    }

    #[track_caller]
    pub fn run_within(&self, command: &mut Command, deadline: Duration) -> Output {
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
        let ended = wait_for(&watch(child_pid), deadline);
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

    /// Runs the command and returns its daemon.
    pub fn start<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Daemon {
        self.start_by(self.rawdaemon(["-v"]).args(arguments))
    }

    /// Runs a program that prints the pid of its daemon, and returns the daemon.
    pub fn start_by(&self, command: &mut Command) -> Daemon {
        let output = self.run(command);
        assert_eq!(output.code(), 0, "{output:?}");
        Daemon::new(output.pid())
    }

    /// Runs the command, which must fail with this code and message, and leave no process.
    pub fn fails(&self, command: &mut Command, code: i32, says: &str) -> Output {
        let output = self.run(command);
        assert_eq!(output.code(), code, "{command:?}: {output:?}");
        assert_eq!(output.stderr.trim_end(), says, "{command:?}");
        assert_eq!(output.stdout, "");
        self.assert_no_process();
        output
    }

    /// The variable that marks the processes of this test.
    pub fn variable(&self) -> CString {
        CString::new([MARK.as_bytes(), b"=", self.mark.as_bytes()].concat()).unwrap()
    }

    /// The processes with this mark, or with an open file of this test, as nginx writes its title over its environment.
    /// A process that is exiting has neither.
    pub fn processes(&self) -> Vec<Pid> {
        let mark = self.variable().into_bytes();
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
            settle(pid);
            if fs::read(entry.path().join("environ")).is_ok_and(is_marked)
                || self.has_file_of(&entry.path())
            {
                found.push(pid);
            }
        }
        found
    }

    /// Whether a process has a file of this test open. The test itself may, and so may a child of it that has not been
    /// executed yet.
    fn has_file_of(&self, process: &Path) -> bool {
        let link = |path: &Path| fs::read_link(path).unwrap_or_default();
        let fds = fs::read_dir(process.join("fd")).into_iter().flatten();
        let has_file = fds
            .flatten()
            .any(|fd| link(&fd.path()).starts_with(self.path("")));
        has_file && link(&process.join("exe")) != link(Path::new("/proc/self/exe"))
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
            match Daemon::open(pid) {
                Ok(daemon) => drop(daemon),
                // It has ended in the meantime.
                Err(Errno::SRCH) => {}
                Err(error) => assert!(std::thread::panicking(), "{pid}: {error}"),
            }
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

/// Does the work of `close_range` on kernels without it.
fn close_on_exec() -> std::io::Result<()> {
    for entry in fs::read_dir("/proc/self/fd")? {
        let number = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let Some(fd) = number.filter(|fd| *fd > 2) {
            // SAFETY: numbers only.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}

/// Checks a start that fails while a daemon runs.
pub fn fails_beside(place: &Place, arguments: &[&str], code: i32, says: &str) -> Output {
    let before = place.processes();
    let output = place.run(&mut place.rawdaemon(arguments));
    assert_eq!((output.code(), output.stderr.trim_end()), (code, says));
    assert_eq!(place.processes(), before);
    output
}
