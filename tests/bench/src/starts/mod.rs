//! The cost of starting a command as a daemon: time, system calls, file size and memory.
//!
//! Each round measures every launcher once. The daemon is a program without a C library whose first action is
//! to read the clock. Launchers that are not installed are skipped. System calls are counted only if strace
//! is installed.

mod many;
mod memory;
mod system_calls;

pub use system_calls::count_calls;

use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::programs::Programs;
use crate::reap;
use crate::report::{now, report};
use crate::stamps::Stamps;

const ROUNDS: usize = 1000;

const ABOUT_TIMES: &str = "\
The start-up code of glibc executes 68 CPUID instructions, which virtual machines trap (about 8
microseconds each). The floor, rawdaemon and programs linked with musl do not execute them.
daemon(3), setsid -f and busybox do not report whether the daemon was executed.
";

struct Way {
    name: &'static str,
    /// The launcher, and its options before the path of the daemon.
    launcher: &'static [&'static str],
    /// The arguments between the path and the arguments of the daemon.
    between: &'static [&'static str],
    /// Whether the launcher leads a process group, like a job of an interactive shell.
    leads_group: bool,
}

const WAYS: [Way; 9] = [
    Way {
        name: "the floor, from a script",
        launcher: &["floor"],
        between: &[],
        leads_group: false,
    },
    Way {
        name: "the floor, as a job of a shell",
        launcher: &["floor"],
        between: &[],
        leads_group: true,
    },
    Way {
        name: "rawdaemon, from a script",
        launcher: &["rawdaemon"],
        between: &[],
        leads_group: false,
    },
    Way {
        name: "rawdaemon, as a job of a shell",
        launcher: &["rawdaemon"],
        between: &[],
        leads_group: true,
    },
    Way {
        name: "daemon(3) and execv, static with musl",
        launcher: &["daemon3"],
        between: &[],
        leads_group: false,
    },
    Way {
        name: "busybox start-stop-daemon -b",
        launcher: &["busybox", "start-stop-daemon", "-S", "-b", "-x"],
        between: &["--"],
        leads_group: false,
    },
    Way {
        name: "setsid -f",
        launcher: &["setsid", "-f"],
        between: &[],
        leads_group: false,
    },
    Way {
        name: "daemonize",
        launcher: &["daemonize"],
        between: &[],
        leads_group: false,
    },
    Way {
        name: "start-stop-daemon -b (dpkg)",
        launcher: &[
            "start-stop-daemon",
            "-S",
            "-q",
            "-b",
            "--pidfile",
            "/nonexistent",
            "--startas",
        ],
        between: &["--"],
        leads_group: false,
    },
];

/// An installed launcher.
struct Launcher {
    way: &'static Way,
    path: PathBuf,
}

impl Launcher {
    /// The command line that starts this daemon.
    fn words(&self, daemon: &[PathBuf]) -> Vec<PathBuf> {
        let options = self.way.launcher.iter().skip(1).map(PathBuf::from);
        let between = self.way.between.iter().map(PathBuf::from);
        let (program, arguments) = daemon.split_at(1);
        [self.path.clone()]
            .into_iter()
            .chain(options)
            .chain(program.iter().cloned())
            .chain(between)
            .chain(arguments.iter().cloned())
            .collect()
    }

    fn command(&self, daemon: &[PathBuf]) -> Command {
        let mut command = quiet(&self.words(daemon));
        command.current_dir("/");
        if self.way.leads_group {
            command.process_group(0);
        }
        command
    }
}

/// A command that prints nothing.
pub fn quiet(words: &[PathBuf]) -> Command {
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

pub fn measure() -> io::Result<()> {
    let programs = Programs::compile()?;
    let launchers = find_launchers(&programs);
    let stamps = Stamps::new()?;
    let Some(stamp) = programs.find("stamp") else {
        println!("skipped: starts: the daemon did not compile");
        return Ok(());
    };
    let daemon = [stamp, stamps.path.clone()];
    measure_times(&launchers, &daemon, &stamps, "");
    on_one_processor(|| {
        measure_times(&launchers, &daemon, &stamps, ", on one processor");
    })?;
    println!("{ABOUT_TIMES}");
    system_calls::count(&launchers, &daemon);
    memory::measure(&launchers)?;
    many::measure(&launchers, &daemon, &stamps)
}

fn find_launchers(programs: &Programs) -> Vec<Launcher> {
    let mut launchers = Vec::new();
    for way in &WAYS {
        match programs.find(way.launcher[0]) {
            Some(path) => launchers.push(Launcher { way, path }),
            None => println!("skipped: {}: not found", way.name),
        }
    }
    launchers
}

/// The times of one start, in nanoseconds since the start of the launcher.
struct Start {
    launcher_exited: Option<i64>,
    daemon_began: Option<i64>,
}

/// Runs this where only one processor can be used, as on many boards.
fn on_one_processor(measure: impl FnOnce()) -> io::Result<()> {
    let all = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    one.set(
        (0..CpuSet::MAX_CPU)
            .rfind(|cpu| all.is_set(*cpu))
            .unwrap_or_default(),
    );
    sched_setaffinity(None, &one)?;
    measure();
    Ok(sched_setaffinity(None, &all)?)
}

fn measure_times(launchers: &[Launcher], daemon: &[PathBuf], stamps: &Stamps, place: &str) {
    let mut starts: Vec<Vec<Start>> = launchers.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (launcher, starts) in launchers.iter().zip(&mut starts) {
            starts.push(measure_once(launcher, daemon, stamps));
        }
    }
    let rows = |pick: fn(&Start) -> Option<i64>| {
        let spans = move |starts: &Vec<Start>| starts.iter().filter_map(pick).collect();
        launchers
            .iter()
            .zip(&starts)
            .map(move |(launcher, starts)| (launcher.way.name, spans(starts)))
    };
    report(
        &format!("from the start of the launcher to its exit{place}"),
        rows(|start| start.launcher_exited),
    );
    report(
        &format!("from the start of the launcher to the first instruction of the daemon{place}"),
        rows(|start| start.daemon_began),
    );
}

fn measure_once(launcher: &Launcher, daemon: &[PathBuf], stamps: &Stamps) -> Start {
    let mut command = launcher.command(daemon);
    let started = now();
    let status = command.status();
    let exited = now();
    reap();
    let succeeded = status.is_ok_and(|status| status.success());
    Start {
        launcher_exited: succeeded.then_some(exited - started),
        daemon_began: stamps.take().first().map(|stamp| stamp.time - started),
    }
}
