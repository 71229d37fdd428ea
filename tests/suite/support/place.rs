//! A place of the test's own, and the programs that run there.

use std::ffi::{OsStr, OsString};
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
        // The kernel tells of paths without symbolic links.
        let parent = fs::canonicalize(std::env::temp_dir()).unwrap();
        let folder = tempfile::Builder::new()
            .prefix("rawdaemon-test-")
            .tempdir_in(parent)
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

    /// Whether the place's file system is mounted without this flag; if not, that is said.
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

    /// A copy of an executable file, where anybody may execute it.
    pub fn executable(&self, from: &Path, name: &str) -> PathBuf {
        let path = self.path(name);
        copy(from, &path);
        path
    }

    /// The command of this crate, marked, in the folder.
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
        // What the test process itself has inherited is no part of the test.
        before_exec(&mut command, || {
            // SAFETY: numbers only: 4 is CLOSE_RANGE_CLOEXEC.
            if unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 4) } != 0 {
                close_on_exec()?;
            }
            // nohup(1) and a shell's `&` ignore some, and Cargo those that a C library keeps to itself.
            let default = [0_u64; 4];
            for signal in 1..=64 {
                // SAFETY: no handler is installed; the kernel reads no more than this.
                unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &default, 0, 8) };
            }
            Ok(())
        });
        command
    }

    /// Runs a program to its end. What it prints goes to files, so that a daemon which holds on to
    /// them holds nothing up.
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
            settle(pid);
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
            match Daemon::open(pid) {
                Ok(daemon) => drop(daemon),
                // It has ended meanwhile.
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

/// What `close_range` does, where the kernel does not know it.
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

/// A start that fails beside a daemon that runs.
pub fn fails_beside(place: &Place, arguments: &[&str], code: i32, says: &str) -> Output {
    let before = place.processes();
    let output = place.run(&mut place.rawdaemon(arguments));
    assert_eq!((output.code(), output.stderr.trim_end()), (code, says));
    assert_eq!(place.processes(), before);
    output
}
