//! The command under the name of daemonize(1): the same options, and the exit codes 0 and 1.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Daemon, Output, Place, has, is_root_for, pid_in, tested_command};
use rustix::process::Pid;

/// The command by the other name.
fn daemonize(place: &Place) -> PathBuf {
    let path = place.path("daemonize");
    symlink(tested_command(), &path).unwrap();
    path
}

/// Command lines, with `~` for the folder, and the exit code.
const CASES: &[(&[&str], i32)] = &[
    (&["-p", "~/a.pid", "/bin/sleep", "1000"], 0),
    (
        &[
            "-v",
            "-a",
            "-c",
            "/tmp",
            "-o",
            "~/out",
            "-e",
            "~/err",
            "-p",
            "~/b.pid",
            "/bin/sleep",
            "1000",
        ],
        0,
    ),
    (&["-l", "~/lock", "/bin/sleep", "1000"], 0),
    (&["-l", "~/lock", "/bin/sleep", "1000"], 1),
    (&["-p", "~/both", "-l", "~/both", "/bin/sleep", "1000"], 0),
    (&["-p", "~/both", "-l", "~/both", "/bin/sleep", "1000"], 1),
    (
        &[
            "-E",
            "A=1",
            "-E",
            "A=2",
            "-p",
            "~/env.pid",
            "/bin/sleep",
            "1000",
        ],
        0,
    ),
    (&["--", "/bin/true"], 0),
    (&["/bin/sh", "-c", "exit 3"], 0),
    (&["/bin/nosuch"], 1),
    (&["/etc/passwd"], 1),
    (&["/tmp"], 1),
    (&["-c", "/nosuch", "/bin/true"], 1),
    (&["-u", "nosuch", "/bin/true"], 1),
    (&["-p", "/nosuch/pid", "/bin/true"], 1),
    (&["-o", "/nosuch/out", "/bin/true"], 1),
    (&["-E", "A", "/bin/true"], 1),
];

/// Runs all cases in a folder of their own, and returns what they have left.
fn run_cases(program: &dyn Fn(&Place) -> PathBuf) -> Vec<String> {
    let place = Place::new();
    let path = program(&place);
    let folder = place.path("");
    let folder = folder.to_str().unwrap().trim_end_matches('/');
    for (arguments, code) in CASES {
        let arguments = arguments
            .iter()
            .map(|argument| argument.replace('~', folder));
        let output = place.run(&mut place.program(&path, arguments.collect::<Vec<_>>()));
        assert_eq!(
            output.code(),
            *code,
            "{arguments:?}: {output:?}",
            arguments = CASES
        );
    }
    let state = |name: &str| {
        let pid = pid_in(&place.path(name));
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
        let link = |file: &str| fs::read_link(format!("/proc/{pid}/{file}")).unwrap();
        let umask = read("status")
            .lines()
            .find(|line| line.starts_with("Umask"))
            .map(str::to_owned);
        let streams = [link("fd/0"), link("fd/1"), link("fd/2")];
        let streams = streams.map(|path| {
            path.strip_prefix(folder)
                .map(Path::to_owned)
                .unwrap_or(path)
        });
        let variables = read("environ");
        let variables: Vec<_> = variables
            .split('\0')
            .filter(|text| text.starts_with("A="))
            .collect();
        format!(
            "{name}: {umask:?} {:?} {streams:?} {variables:?}",
            link("cwd")
        )
    };
    ["a.pid", "b.pid", "both", "env.pid"].map(state).to_vec()
}

#[test]
fn called_as_daemonize_it_does_as_daemonize() {
    let ours = run_cases(&daemonize);
    if has("daemonize") {
        assert_eq!(ours, run_cases(&|_| "/usr/bin/daemonize".into()));
    }
}

fn start(place: &Place, command: &mut Command) -> (Output, Daemon) {
    let output = place.run(command);
    assert_eq!(output.code(), 0, "{output:?}");
    let pid = pid_in(&place.path("pid"));
    (output, Daemon::new(pid))
}

#[test]
fn what_differs_from_daemonize() {
    let place = Place::new();
    let path = daemonize(&place);
    // The path may be relative, and without -v nothing is printed.
    let (output, daemon) = start(
        &place,
        &mut place.program(&path, ["-p", "pid", "sleep", "1000"]),
    );
    assert_eq!(
        (output.stdout, output.stderr),
        (String::new(), String::new())
    );
    // A daemon that runs is not started again, without -l either.
    let output = place.run(&mut place.program(&path, ["-p", "pid", "sleep", "1000"]));
    let says = format!("rawdaemon: already running as pid {}\n", daemon.pid);
    assert_eq!((output.code(), output.stderr), (1, says));
    // All other options are there.
    let output = place.run(&mut place.program(&path, ["--stop", "-p", "pid"]));
    assert_eq!(output.code(), 0, "{output:?}");
    daemon.ended();
    let output = place.run(&mut place.program(&path, ["--status", "-p", "pid"]));
    assert_eq!(
        (output.code(), output.stderr.as_str()),
        (1, "rawdaemon: not running\n")
    );
    let output = place.run(&mut place.program(&path, ["-x"]));
    assert_eq!(output.code(), 1, "{output:?}");
}

#[test]
fn only_the_last_part_of_the_name_counts() {
    let place = Place::new();
    for name in ["mydaemonize", "daemonize.real"] {
        let path = place.path(name);
        symlink(tested_command(), &path).unwrap();
        let output = place.run(&mut place.program(&path, ["/bin/nosuch"]));
        assert_eq!(output.code(), 127, "{name}: {output:?}");
    }
}

#[test]
fn the_umask_is_that_of_the_caller_and_the_pidfile_that_of_the_user() {
    let place = Place::new();
    let path = daemonize(&place);
    let umask = |pid: Pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        line.unwrap().trim().to_owned()
    };
    let script = "umask 077; exec \"$0\" \"$@\"";
    let run = |options: &[&str]| {
        let mut command = place.program(Path::new("/bin/sh"), ["-c", script]);
        command
            .arg(&path)
            .args(options)
            .args(["-p", "pid", "sleep", "1000"]);
        start(&place, &mut command).1
    };
    assert_eq!(umask(run(&[]).pid), "0077");
    assert_eq!(umask(run(&["-m", "027"]).pid), "0027");
    if is_root_for("a daemon of another user") {
        let daemon = run(&["-u", "65534:65534"]);
        let owner = fs::metadata(place.path("pid")).unwrap().uid();
        assert_eq!(owner, 65534);
        drop(daemon);
    }
}
