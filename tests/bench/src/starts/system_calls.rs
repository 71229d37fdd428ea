//! The number of system calls of a start.

use std::path::PathBuf;
use std::{fs, io};

use super::{Launcher, quiet};
use crate::reap;
use crate::report::machine;

/// Counts the system calls of each launcher. Needs strace.
pub fn count(launchers: &[Launcher], daemon: &[PathBuf]) {
    println!("system calls of all processes until the daemon is executed, except rt_sigaction");
    println!("{}", machine());
    // A program started by strace is not a process group leader.
    for launcher in launchers
        .iter()
        .filter(|launcher| !launcher.way.leads_group)
    {
        match count_calls(&launcher.words(daemon)) {
            Ok(count) => println!("{:42} {count:7}", launcher.way.name),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                println!("skipped: strace is not installed");
                break;
            }
            Err(error) => println!("skipped: {}: {error}", launcher.way.name),
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

/// Counts the calls in a trace until the daemon with this argument is executed.
fn count_until_executed(trace: &str, argument: &str) -> usize {
    let pid = |line: &str| line.split(' ').next().map(str::to_owned);
    // The last process to call execve is the daemon. Its calls after that are not counted.
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
