//! How many system calls a start is.

use std::path::PathBuf;
use std::{fs, io};

use super::{Launcher, quiet};
use crate::reap;
use crate::report::machine;

/// Counts the system calls of every launcher, where strace is installed.
pub fn count(launchers: &[Launcher], daemon: &[PathBuf]) {
    println!("system calls of all processes until the daemon is executed, without rt_sigaction");
    println!("{}", machine());
    // A program that strace starts leads no process group.
    for launcher in launchers
        .iter()
        .filter(|launcher| !launcher.way.leads_group)
    {
        match count_calls(&launcher.words(daemon)) {
            Ok(count) => println!("{:42} {count:7}", launcher.way.name),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                println!("left out: strace is not installed");
                break;
            }
            Err(error) => println!("left out: {}: {error}", launcher.way.name),
        }
    }
    println!();
}

fn count_calls(words: &[PathBuf]) -> io::Result<usize> {
    let folder = tempfile::tempdir()?;
    let trace = folder.path().join("trace");
    let mut strace = ["strace", "-f", "-qq", "-s", "1000", "-o"]
        .map(PathBuf::from)
        .to_vec();
    strace.push(trace.clone());
    strace.extend_from_slice(words);
    let status = quiet(&strace).status()?;
    reap();
    if !status.success() {
        return Err(io::Error::other(status.to_string()));
    }
    let last_word = words.last().map(|word| format!("{word:?}"));
    let text = fs::read_to_string(trace)?;
    Ok(count_until_executed(&text, &last_word.unwrap_or_default()))
}

/// Counts the calls in a trace until the daemon, which has this argument, is executed.
fn count_until_executed(trace: &str, argument: &str) -> usize {
    let pid = |line: &str| line.split(' ').next().map(str::to_owned);
    // The daemon's own calls are those of the process that has executed last.
    let is_exec = |line: &&str| line.contains("execve(") && line.contains(argument);
    let daemon = trace.lines().rfind(is_exec).and_then(pid);
    let mut is_executed = false;
    let mut count = 0;
    for line in trace.lines() {
        let is_daemon = pid(line) == daemon;
        let is_call =
            line.contains('(') && !line.contains("resumed>") && !line.contains("rt_sigaction(");
        if is_call && !(is_daemon && is_executed) {
            count += 1;
        }
        is_executed |= is_daemon && is_exec(&line);
    }
    count
}
