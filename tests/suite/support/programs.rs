//! Programs that may not be installed, and test programs of this package.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use super::{Output, Place, before_exec, eventually, example, skip, skip_part, tested_command};

/// Whether a program is installed and works. If not, the test is skipped.
pub fn has(program: &str) -> bool {
    lacks(program).inspect(|why| skip(why)).is_none()
}

/// As [`has`], for a part of the test.
pub fn has_for(program: &str, part: &str) -> bool {
    let report = |why: &String| skip_part(format!("{part}: {why}"));
    lacks(program).inspect(report).is_none()
}

/// Why a program cannot be used.
fn lacks(program: &str) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
        return Some(format!("{program} is not installed"));
    }
    (program == "strace").then(may_not_trace)?
}

/// Why strace may not trace what it starts: a sandbox may refuse that.
fn may_not_trace() -> Option<String> {
    static WHY: LazyLock<Option<String>> = LazyLock::new(|| {
        let arguments = ["-qq", "-o", "/dev/null", "true"];
        let output = Command::new("strace").args(arguments).output().unwrap();
        let why = String::from_utf8_lossy(&output.stderr);
        (!output.status.success()).then(|| format!("strace may not trace: {}", why.trim_end()))
    });
    WHY.clone()
}

/// The test program with `std`, with the name of a case.
pub fn std_program(place: &Place, case: &str) -> Command {
    place.program(&example("std_program"), [case])
}

/// Runs a case of that program to its end.
pub fn run(place: &Place, case: &str) -> Output {
    place.run(&mut std_program(place, case))
}

/// Keeps a program that dies on purpose from leaving a core file.
pub fn without_core(command: &mut Command) -> &mut Command {
    before_exec(command, || {
        let core = rustix::process::Resource::Core;
        let limit = rustix::process::Rlimit {
            current: Some(0),
            ..rustix::process::getrlimit(core)
        };
        Ok(rustix::process::setrlimit(core, limit)?)
    })
}

/// strace on a program and its descendants, with options that fail or delay system calls. The tracer
/// runs in the background as long as the daemon lives.
pub fn strace(place: &Place, options: &[&str], program: &Path) -> Command {
    let mut command = place.program(Path::new("strace"), ["-D", "-f", "-qq", "-o", "trace"]);
    command.args(options).arg(program);
    command
}

/// The command under strace.
pub fn strace_rawdaemon(place: &Place, options: &[&str], arguments: &[&str]) -> Command {
    let mut command = strace(place, options, Path::new(tested_command()));
    command.args(arguments);
    command
}

/// Runs the command under strace.
pub fn under_strace(place: &Place, options: &[&str], arguments: &[&str]) -> Output {
    place.run(&mut strace_rawdaemon(place, options, arguments))
}

/// As [`under_strace`], for a start that must fail and leave no process but the tracer, which ends by
/// itself.
pub fn fails_under_strace(place: &Place, options: &[&str], arguments: &[&str]) -> Output {
    let output = under_strace(place, options, arguments);
    assert_ne!(output.code(), 0, "{output:?}");
    eventually("no process is left", || place.processes().is_empty());
    output
}
