//! A daemon of the table with its folder and address, and the command on it.

use std::cell::Cell;
use std::ffi::CString;
use std::fs;
use std::net::SocketAddrV4;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::processes::Running;
use super::table::Row;
use crate::support::{
    DEADLINE, Daemon, Place, before_exec, free_address, is_root, mount, mount_empty, own_mounts,
    skip, tested_command,
};

/// A daemon of the table, with what it needs.
pub struct Service {
    pub row: &'static Row,
    pub place: Place,
    /// `DIR` of the table.
    pub home: PathBuf,
    /// `IP` and `PORT` of the table.
    pub address: SocketAddrV4,
    /// What its answers contain since a SIGHUP, if that has changed.
    pub answer: Cell<Option<&'static [u8]>>,
    is_root: bool,
}

/// What the command did: its exit code, and what it printed.
pub type Said = (i32, String, String);

/// Said nothing, and all is well.
pub fn quiet() -> Said {
    (0, String::new(), String::new())
}

impl Service {
    /// Makes the daemon's files. Without its program, the test is skipped.
    pub fn new(row: &'static Row) -> Option<Self> {
        let is_installed = |folder: &str| Path::new(folder).join(row.program).is_file();
        if !search_path().split(':').any(is_installed) {
            let (program, package) = (row.program, row.package);
            skip(format!("{program} (package {package}) is not installed"));
            return None;
        }
        let hides = !row.hidden.is_empty() && rustix::process::geteuid().is_root();
        if (row.needs_root || hides) && !is_root() {
            return None;
        }
        let place = Place::new();
        let home = place.path("home");
        fs::create_dir(&home).unwrap();
        // Some daemons become other users.
        fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
        let service = Self {
            row,
            place,
            home,
            address: free_address(),
            answer: Cell::new(None),
            is_root: rustix::process::geteuid().is_root(),
        };
        for (name, text) in row.files {
            let path = service.home.join(name);
            fs::write(&path, service.fill_in(text)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        service.prepare();
        Some(service)
    }

    fn prepare(&self) {
        if self.row.prepare.is_empty() {
            return;
        }
        let mut shell = self
            .place
            .program(Path::new("sh"), ["-c", self.row.prepare]);
        shell.env("PATH", search_path()).current_dir(&self.home);
        if self.is_root && !self.row.user.is_empty() {
            let (user, group) = account(self.row.user);
            chown(&self.home, Some(user), Some(group)).unwrap();
            shell.uid(user).gid(group);
        }
        // Compilers and databases take their time on a busy machine.
        let output = self.place.run_within(&mut shell, 3 * DEADLINE);
        assert_eq!(output.code(), 0, "{output:?}");
    }

    /// The text with the daemon's folder and address.
    pub fn fill_in(&self, text: &str) -> String {
        text.replace("DIR", self.home.to_str().unwrap())
            .replace("IP", &self.address.ip().to_string())
            .replace("PORT", &self.address.port().to_string())
    }

    /// A shell that becomes the command, with these options and the words of a line.
    fn command(&self, options: &[&str], line: &str) -> Command {
        let script = format!("exec \"$0\" -p pid \"$@\" {}", self.fill_in(line));
        let mut shell = self
            .place
            .program(Path::new("sh"), ["-c", &script, tested_command()]);
        shell.args(options).env("PATH", search_path());
        shell
    }

    /// The command on the daemon's pidfile.
    pub fn run(&self, options: &[&str]) -> Said {
        let output = self.place.run(&mut self.command(options, ""));
        (output.code(), output.stdout, output.stderr)
    }

    /// A start, with these options besides.
    pub fn starting(&self, options: &[&str]) -> Command {
        let mut options = [&["-a", "-o", "log", "-e", "log"], options].concat();
        if self.is_root && !self.row.user.is_empty() {
            options.extend(["-u", self.row.user]);
        }
        let mut command = self.command(&options, self.row.line);
        if self.is_root && !self.row.hidden.is_empty() {
            self.hide(&mut command);
        }
        command
    }

    /// Only the daemon sees these folders and this file.
    fn hide(&self, command: &mut Command) {
        let row = self.row;
        let replacement = row.replaced.map(|(name, path)| {
            let own = self.home.join(name);
            (CString::new(own.as_os_str().as_bytes()).unwrap(), path)
        });
        before_exec(command, move || {
            if row.has_no_network {
                // SAFETY: a number only.
                assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
            }
            own_mounts();
            for (folder, inside) in row.hidden {
                mount_empty(folder);
                inside.map_or(Ok(()), fs::create_dir)?;
            }
            if let Some((own, path)) = &replacement {
                mount(own.as_ptr(), path.as_ptr(), libc::MS_BIND);
            }
            Ok(())
        });
    }

    pub fn start(&self, options: &[&str]) -> Running {
        let mut command = self.starting(&[options, &["-v"]].concat());
        let output = self.place.run(&mut command);
        assert_eq!(output.code(), 0, "{output:?}: {}", self.place.read("log"));
        let running = Running::new(Daemon::new(output.pid()));
        self.serves(&running);
        running
    }

    /// A start while the daemon runs.
    pub fn start_again(&self) -> Said {
        let output = self.place.run(&mut self.starting(&[]));
        (output.code(), output.stdout, output.stderr)
    }

    pub fn status(&self) -> Said {
        self.run(&["--status"])
    }
}

/// Where the programs of Debian's packages are, and then where the caller's are.
fn search_path() -> String {
    let mut folders: Vec<String> = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .map(String::from)
        .into();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    folders.extend(versions.map(|entry| format!("{}/bin", entry.unwrap().path().display())));
    folders.extend(std::env::var("PATH"));
    folders.join(":")
}

/// The numbers of a user and of its group.
fn account(name: &str) -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let fields = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let user = fields.into_iter().find(|fields| fields[0] == name).unwrap();
    (user[2].parse().unwrap(), user[3].parse().unwrap())
}
