//! The programs that the tests run: those of this crate, and what may not be installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{Output, Place, before_exec, eventually, skip};

/// Whether a program is installed; if it is not, that is said, and the test has nothing to test.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        skip(format!("{program} is not installed"));
    }
    found && (program != "strace" || may_trace())
}

/// Whether strace may trace what it starts, which a sandbox may refuse; if not, that is said.
fn may_trace() -> bool {
    static OUTCOME: OnceLock<Result<(), String>> = OnceLock::new();
    let outcome = OUTCOME.get_or_init(|| {
        let arguments = ["-qq", "-o", "/dev/null", "true"];
        let output = Command::new("strace").args(arguments).output().unwrap();
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    });
    if let Err(why) = outcome {
        skip(format!("strace may not trace here: {why}"));
    }
    outcome.is_ok()
}

/// A test program of this crate, which Cargo builds as an example.
pub fn example(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_rawdaemon"))
        .parent()
        .unwrap()
        .join("examples")
        .join(name);
    assert!(
        path.is_file(),
        "{} is missing: `cargo build --examples` builds it",
        path.display()
    );
    path
}

/// The program with `std` that uses the library, with the name of a case.
pub fn std_program(place: &Place, case: &str) -> Command {
    place.program(&example("std_program"), [case])
}

/// Runs a case of that program to its end.
pub fn run(place: &Place, case: &str) -> Output {
    place.run(&mut std_program(place, case))
}

/// Lets no core file be left by what dies on purpose.
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

/// strace, which follows what a program starts, and makes the kernel refuse system calls or delay them. The
/// tracer goes on in the background as long as the daemon lives.
pub fn strace(place: &Place, options: &[&str], program: &Path) -> Command {
    let mut command = place.program(Path::new("strace"), ["-D", "-f", "-qq", "-o", "trace"]);
    command.args(options).arg(program);
    command
}

/// The command under strace.
pub fn strace_rawdaemon(place: &Place, options: &[&str], arguments: &[&str]) -> Command {
    let mut command = strace(place, options, Path::new(env!("CARGO_BIN_EXE_rawdaemon")));
    command.args(arguments);
    command
}

/// Runs the command under strace.
pub fn under_strace(place: &Place, options: &[&str], arguments: &[&str]) -> Output {
    place.run(&mut strace_rawdaemon(place, options, arguments))
}

/// As [`under_strace`], for a start that must fail. Nothing may be left of it but the tracer, which
/// ends by itself.
pub fn fails_under_strace(place: &Place, options: &[&str], arguments: &[&str]) -> Output {
    let output = under_strace(place, options, arguments);
    assert_ne!(output.code(), 0, "{output:?}");
    eventually("no process is left", || place.processes().is_empty());
    output
}
