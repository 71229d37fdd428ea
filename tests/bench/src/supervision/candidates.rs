//! The supervisors.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A supervisor.
pub struct Candidate {
    pub name: &'static str,
    pub program: &'static str,
    /// The delay of a restart that is asked for, in nanoseconds. `None` if it does not restart.
    pub delay: Option<i64>,
    /// The command line that supervises the daemon.
    pub command: fn(&Place) -> io::Result<Command>,
}

/// What a command line needs.
pub struct Place<'a> {
    pub program: &'a Path,
    /// The daemon.
    pub daemon: &'a Path,
    /// Its argument.
    pub stamps: &'a Path,
    /// A folder for this supervisor. The FIFO is in it.
    pub folder: &'a Path,
}

impl Place<'_> {
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The program with these words, and the daemon.
    fn program(&self, words: &[&str]) -> io::Result<Command> {
        let mut command = Command::new(self.program);
        command.args(words).arg(self.daemon).arg(self.stamps);
        Ok(command)
    }

    /// The program on a service directory. The daemon itself is `run`: a shell would take time, too.
    fn service(&self, words: &[&str]) -> io::Result<Command> {
        symlink(self.daemon, self.path("run"))?;
        let mut command = Command::new(self.program);
        command.args(words).arg(self.folder);
        Ok(command)
    }

    pub fn rawdaemon(&self, options: &[&str]) -> io::Result<Command> {
        let mut command = Command::new(self.program);
        command.args(["--respawn", "--respawn-max", "0", "--respawn-good", "0"]);
        command.arg("-p").arg(self.path("pid")).args(options);
        command.arg("--").arg(self.daemon).arg(self.stamps);
        Ok(command)
    }
}

/// The folders that supervise-daemon expects, in a mount namespace of its own.
const OPENRC: &str =
    "mount -t tmpfs tmpfs /run && mkdir -p /run/openrc/options/bench && exec \"$@\"";

pub const CANDIDATES: [Candidate; 10] = [
    Candidate {
        name: "rawdaemon --respawn-delay 0.001",
        program: "rawdaemon",
        delay: Some(1_000_000),
        command: |place| place.rawdaemon(&["--respawn-delay", "0.001"]),
    },
    Candidate {
        name: "rawdaemon, the least delay (1 ns)",
        program: "rawdaemon",
        delay: Some(1),
        command: |place| place.rawdaemon(&["--respawn-delay", "0.000000001"]),
    },
    Candidate {
        name: "runsv (runit)",
        program: "runsv",
        delay: Some(0),
        command: |place| place.service(&[]),
    },
    Candidate {
        name: "busybox runsv",
        program: "busybox",
        delay: Some(0),
        command: |place| place.service(&["runsv"]),
    },
    Candidate {
        name: "s6-supervise",
        program: "s6-supervise",
        delay: Some(0),
        command: |place| place.service(&[]),
    },
    Candidate {
        name: "supervise (daemontools)",
        program: "supervise",
        delay: Some(0),
        command: |place| place.service(&[]),
    },
    Candidate {
        name: "daemon --respawn (libslack)",
        program: "daemon",
        delay: Some(0),
        command: |place| {
            let pidfile = format!("--pidfile={}", place.path("pid").display());
            // No configuration file; a daemon in a folder that others may write to; no long pause.
            place.program(&["-N", "-U", "--respawn", "--attempts=100", &pidfile, "--"])
        },
    },
    Candidate {
        name: "supervise-daemon (OpenRC)",
        program: "supervise-daemon",
        delay: Some(0),
        command: |place| {
            let mut command = Command::new("unshare");
            command.args(["-m", "sh", "-c", OPENRC, "sh"]);
            command.arg(place.program).args(["bench", "--start"]);
            command.arg("--pidfile").arg(place.path("pid"));
            command.args(["--respawn-max", "0"]).arg(place.daemon);
            command.arg("--").arg(place.stamps);
            command.env("RC_SVCNAME", "bench");
            Ok(command)
        },
    },
    Candidate {
        name: "tini",
        program: "tini",
        delay: None,
        command: |place| place.program(&["-s", "--"]),
    },
    Candidate {
        name: "dumb-init",
        program: "dumb-init",
        delay: None,
        command: |place| place.program(&["--"]),
    },
];
