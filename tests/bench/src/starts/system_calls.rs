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
        let words = launcher.words(daemon);
        let argument = words.last().map(|word| format!("{word:?}"));
        let counted = count_calls(&words, argument.as_deref());
        reap();
        match counted {
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

/// Counts the system calls of a command, or those until it has executed a daemon with this argument.
pub fn count_calls(words: &[PathBuf], argument: Option<&str>) -> io::Result<usize> {
    let folder = tempfile::tempdir()?;
    let trace = folder.path().join("trace");
    let mut strace = ["strace", "-f", "-qq", "-s", "1000", "-o"]
        .map(PathBuf::from)
        .to_vec();
    strace.push(trace.clone());
    strace.extend_from_slice(words);
    let status = quiet(&strace).status()?;
    if !status.success() {
        return Err(io::Error::other(status.to_string()));
    }
    let text = fs::read_to_string(trace)?;
    Ok(match argument {
        Some(argument) => count_until_executed(&text, argument),
        None => text.lines().filter(|line| is_call(line)).count(),
    })
}

fn is_call(line: &str) -> bool {
    line.contains('(') && !line.contains("resumed>") && !line.contains("rt_sigaction(")
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
        if is_call(line) && !(is_daemon && is_executed) {
            count += 1;
        }
        is_executed |= is_daemon && is_exec(&line);
    }
    count
}
