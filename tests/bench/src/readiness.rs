//! The time from a daemon's readiness notification to the return of its launcher.
//!
//! Each round measures every way once, so that other load on the machine affects all of them. A way that
//! always waits for its timeout is measured in three rounds only.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::{Command, Stdio, exit};
use std::time::Duration;
use std::{env, fs, io};

use rawdaemon::{DaemonizeOptions, Identity};

use crate::report::{now, report};
use crate::{programs, reap};

const ROUNDS: usize = 300;
const WAITING_ROUNDS: usize = 3;

/// How long a daemon runs after its notification. If it exits too early, the start fails.
const LIFE: Duration = Duration::from_millis(20);

struct Way {
    name: &'static str,
    rounds: usize,
    /// Starts a daemon that writes the time of its notification to this file. Returns the time at which the
    /// launcher returned.
    start: fn(&Path) -> io::Result<i64>,
}

static WAYS: [Way; 5] = [
    Way {
        name: "daemonize, notify",
        rounds: ROUNDS,
        start: |file| daemonize(file, true),
    },
    Way {
        name: "daemonize without notify (timeout)",
        rounds: WAITING_ROUNDS,
        start: |file| daemonize(file, false),
    },
    Way {
        name: "rawdaemon -R fd:3",
        rounds: ROUNDS,
        start: |file| launch(&mut rawdaemon("fd:3"), "fd", file),
    },
    Way {
        name: "rawdaemon -R notify",
        rounds: ROUNDS,
        start: |file| launch(&mut rawdaemon("notify"), "notify", file),
    },
    Way {
        name: "start-stop-daemon --notify-await (dpkg)",
        rounds: ROUNDS,
        start: |file| {
            let mut command = Command::new("start-stop-daemon");
            command.args([
                "-S",
                "-q",
                "-b",
                "--notify-await",
                "--pidfile",
                "/nonexistent",
            ]);
            command.arg("--startas").arg(env::current_exe()?).arg("--");
            launch(&mut command, "notify", file)
        },
    },
];

pub fn measure() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("notified");
    let mut rounds = WAYS.each_ref().map(|way| way.rounds);
    let mut spans: [Vec<i64>; WAYS.len()] = Default::default();
    for round in 0..ROUNDS {
        for ((way, rounds), spans) in WAYS.iter().zip(&mut rounds).zip(&mut spans) {
            if round >= *rounds {
                continue;
            }
            match (way.start)(&file) {
                Ok(returned) => {
                    reap();
                    let notified: i64 = fs::read_to_string(&file)?
                        .parse()
                        .map_err(io::Error::other)?;
                    spans.push(returned - notified);
                    fs::remove_file(&file)?;
                }
                Err(error) => {
                    println!("skipped: {}: {error}", way.name);
                    *rounds = 0;
                }
            }
        }
    }
    let rows = WAYS.iter().zip(spans).map(|(way, spans)| (way.name, spans));
    report(
        "from the readiness notification to the return of the launcher",
        rows,
    );
    Ok(())
}

fn daemonize(file: &Path, notifies: bool) -> io::Result<i64> {
    match DaemonizeOptions::new()
        .daemonize()
        .map_err(io::Error::other)?
    {
        Identity::Original(_) => Ok(now()),
        Identity::Daemon(ready) => {
            let notified = now();
            if notifies {
                let _ = ready.notify();
                std::thread::sleep(LIFE);
            } else {
                std::thread::sleep(Duration::from_secs(1) + LIFE);
            }
            fs::write(file, notified.to_string())?;
            exit(0);
        }
    }
}

fn rawdaemon(readiness: &str) -> Command {
    let mut command = Command::new(programs::rawdaemon());
    command
        .args(["-R", readiness])
        .arg(env::current_exe().unwrap_or_default());
    command
}

fn launch(command: &mut Command, protocol: &str, file: &Path) -> io::Result<i64> {
    let status = command
        .arg("daemon")
        .arg(protocol)
        .arg(file)
        .stdin(Stdio::null())
        .status()?;
    let returned = now();
    if status.success() {
        Ok(returned)
    } else {
        Err(io::Error::other(status.to_string()))
    }
}

/// The daemon: reports that it is ready, and writes the time to the file.
pub fn daemon_main(protocol: &str, file: &Path) -> io::Result<()> {
    let notified;
    if protocol == "fd" {
        notified = now();
        fs::write("/proc/self/fd/3", "\n")?;
    } else {
        let name = env::var("NOTIFY_SOCKET").map_err(io::Error::other)?;
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        notified = now();
        socket.send_to_addr(b"READY=1", &address)?;
    }
    std::thread::sleep(LIFE);
    fs::write(file, notified.to_string())
}
