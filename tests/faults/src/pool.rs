//! The workers, each a process of its own: tracing and reaping are a process's business.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::faults::Case;
use crate::report::Report;

/// A worker, and the pipes to it. It ends when its standard input does.
pub struct Member {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Member {
    pub fn start(command: &Path) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--worker")
            .arg(command)
            // What signals its group reaches no other worker.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let missing = || io::Error::other("a pipe to a worker is missing");
        let input = child.stdin.take().ok_or_else(missing)?;
        let output = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        Ok(Self {
            child,
            input: Some(input),
            output,
        })
    }

    pub fn ask(&mut self, question: &str) -> io::Result<String> {
        let mut answer = String::new();
        if let Some(input) = &mut self.input {
            writeln!(input, "{question}")?;
            self.output.read_line(&mut answer)?;
        }
        match answer.strip_suffix('\n') {
            Some(answer) => Ok(answer.to_owned()),
            None => Err(io::Error::other("a worker has ended")),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

/// Runs the cases in order, several at a time, and starts none after the limit.
pub fn run(
    command: &Path,
    cases: Vec<Case>,
    workers: usize,
    limit: Option<Duration>,
    report: Report,
) -> io::Result<Report> {
    let began = Instant::now();
    let queue = Mutex::new(cases.into_iter());
    let report = Mutex::new(report);
    thread::scope(|scope| {
        let work = || -> io::Result<()> {
            let mut member = Member::start(command)?;
            while limit.is_none_or(|limit| began.elapsed() < limit) {
                let Some(case) = next(&queue) else { break };
                let answer = member.ask(&case.to_string());
                if answer.is_err() {
                    member = Member::start(command)?;
                }
                let answer = answer.unwrap_or_else(|error| format!("wrong\t0\tuntrue\t{error}"));
                lock(&report).add(&case, &answer);
            }
            Ok(())
        };
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a thread has panicked")))?;
        }
        Ok::<(), io::Error>(())
    })?;
    let mut report = report
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    report.took = began.elapsed();
    report.left_out = lock(&queue).len();
    Ok(report)
}

fn next(queue: &Mutex<std::vec::IntoIter<Case>>) -> Option<Case> {
    lock(queue).next()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
