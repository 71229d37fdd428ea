//! The rate at which a log is written: a program writes lines of 80 bytes, many at once, into a pipe.
//!
//! The time is from the program's first instruction until the process that writes the log has ended.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::programs::{Programs, libraries, library_path, rawdaemon};
use crate::reap;
use crate::report::{machine, median, now};
use crate::stamps::Stamps;

const ROUNDS: usize = 15;
const LINES: u64 = 1_000_000;
const LINE: u64 = 80;

/// How long the program may take until it begins.
const START: Duration = Duration::from_secs(10);

pub struct Logger {
    pub name: &'static str,
    pub program: &'static str,
    /// The arguments. The folder of the log follows, if the logger is not the command.
    arguments: &'static [&'static str],
    /// Its configuration file in that folder.
    config: Option<&'static str>,
}

const fn logger(
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
) -> Logger {
    Logger {
        name,
        program,
        arguments,
        config: None,
    }
}

const fn svlogd(
    name: &'static str,
    arguments: &'static [&'static str],
    config: &'static str,
) -> Logger {
    Logger {
        name,
        program: "svlogd",
        arguments,
        config: Some(config),
    }
}

#[rustfmt::skip]
pub const LOGGERS: [Logger; 13] = [
    logger("cat > file", "cat", &[]),
    logger("rawdaemon", "rawdaemon", &["--log-size", "1G"]),
    logger("s6-log", "s6-log", &["s268435456"]),
    svlogd("svlogd", &[], "s0\n"),
    logger("rawdaemon, files of 10 MB", "rawdaemon", &["--log-size", "10M", "--log-keep", "3"]),
    logger("s6-log, files of 10 MB", "s6-log", &["n3", "s10000000"]),
    svlogd("svlogd, files of 10 MB", &[], "s10000000\nn3\n"),
    logger("multilog, files of 10 MB", "multilog", &["n3", "s10000000"]),
    logger("rawdaemon, time stamps", "rawdaemon", &["--log-size", "1G", "--log-time", "utc"]),
    logger("s6-log, TAI64N stamps", "s6-log", &["t", "s268435456"]),
    logger("s6-log, ISO 8601 stamps", "s6-log", &["T", "s268435456"]),
    svlogd("svlogd, UTC stamps", &["-ttt"], "s0\n"),
    logger("multilog, TAI64N stamps", "multilog", &["t", "n3", "s10000000"]),
];

pub fn measure(programs: &Programs) -> io::Result<()> {
    let is_found = |logger: &&Logger| {
        let found = programs.find(logger.program).is_some();
        if !found {
            println!("skipped: {}: not found", logger.name);
        }
        found
    };
    let loggers: Vec<&Logger> = LOGGERS.iter().filter(is_found).collect();
    let mut spans: Vec<Vec<i64>> = loggers.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (logger, spans) in loggers.iter().zip(&mut spans) {
            match logger.measure(programs) {
                Ok(span) => spans.push(span),
                Err(error) => println!("skipped: {}: {error}", logger.name),
            }
        }
    }
    println!(
        "rate of a log in MB/s, {LINES} lines of {LINE} bytes, in memory, medians of {ROUNDS} rounds"
    );
    println!("{}", machine());
    println!(
        "{:42} {:>10} {:>8} {:>10}",
        "", "MB/s", "ratio", "best MB/s"
    );
    let rate = |span: i64| (LINES * LINE) as f64 * 1e3 / span as f64;
    let mut first = None;
    for (logger, mut spans) in loggers.iter().zip(spans) {
        if let (Some(median), Some(best)) = (median(&mut spans), spans.first()) {
            let (rate, best) = (rate(median), rate(*best));
            let ratio = rate / *first.get_or_insert(rate);
            println!("{:42} {rate:10.0} {ratio:8.2} {best:10.0}", logger.name);
        }
    }
    println!();
    Ok(())
}

impl Logger {
    /// Writes a log, and returns the time that this took.
    fn measure(&self, programs: &Programs) -> io::Result<i64> {
        let (stamps, folder) = (Stamps::new()?, in_memory()?);
        let log = folder.path().join("log");
        self.start(programs, &stamps.path, &log, &[LINES.to_string()])?;
        let began = stamps.wait(START)?.time;
        reap();
        Ok(now() - began)
    }

    /// Starts the logger, and the program that writes to it. Returns the process of the logger, if it is not the
    /// command: that starts both.
    pub fn start(
        &self,
        programs: &Programs,
        stamps: &Path,
        log: &Path,
        arguments: &[String],
    ) -> io::Result<Option<Child>> {
        let mut flood = Command::new(programs.find("flood").unwrap_or_default());
        flood.arg(stamps).args(arguments).stdin(Stdio::null());
        if self.program == "rawdaemon" {
            let mut command = Command::new(rawdaemon());
            command
                .arg("--respawn")
                .arg("-o")
                .arg(log)
                .args(self.arguments);
            command
                .arg("--")
                .arg(flood.get_program())
                .args(flood.get_args());
            let status = command.stdin(Stdio::null()).status()?;
            return match status.success() {
                true => Ok(None),
                false => Err(io::Error::other(status.to_string())),
            };
        }
        let mut logger = self.command(programs, log)?.stdin(Stdio::piped()).spawn()?;
        let pipe = logger.stdin.take().map_or(Stdio::null(), Stdio::from);
        // Nobody else has the pipe afterwards: the end of the program is the end of the logger.
        flood.stdout(pipe).spawn()?;
        Ok(Some(logger))
    }

    fn command(&self, programs: &Programs, log: &Path) -> io::Result<Command> {
        let mut command = Command::new(programs.find(self.program).unwrap_or_default());
        command.args(self.arguments).stderr(Stdio::null());
        if !libraries().is_empty() {
            command.env("LD_LIBRARY_PATH", library_path());
        }
        if self.program == "cat" {
            command.stdout(File::create(log)?);
            return Ok(command);
        }
        if let Some(config) = self.config {
            fs::create_dir(log)?;
            fs::write(log.join("config"), config)?;
        }
        command.arg(log);
        Ok(command)
    }
}

/// A folder in memory, if there is one: the disk is not to be measured.
pub fn in_memory() -> io::Result<tempfile::TempDir> {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    }
}
