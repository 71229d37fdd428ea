//! The files of a daemon's standard streams.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::support::{Daemon, Place, before_exec, eventually, pid_in, skip, tested_command};
use rustix::process::Pid;

const SLEEP: [&str; 2] = ["sleep", "1000"];

#[test]
fn files_for_input_and_output() {
    let place = Place::new();
    fs::write(place.path("in"), "read this\n").unwrap();
    fs::write(place.path("out"), "old and long, long, long text\n").unwrap();
    fs::write(place.path("err"), "longer than the new text\n").unwrap();
    let program = "cat; echo to stderr >&2; exec sleep 1000";
    let daemon = place.start(["-iin", "--stdout=out", "-e", "err", "sh", "-c", program]);
    eventually("both are written", || place.read("err") == "to stderr\n");
    assert_eq!(place.read("out"), "read this\n");
    assert_eq!(
        daemon.state().descriptors,
        BTreeMap::from([
            (0, place.path("in")),
            (1, place.path("out")),
            (2, place.path("err"))
        ])
    );
    assert_eq!(flags(daemon.pid, 0) & libc::O_NONBLOCK, 0);
    assert_eq!(
        flags(daemon.pid, 1) & (libc::O_NONBLOCK | libc::O_APPEND),
        libc::O_APPEND
    );
}

/// The flags of an open file, from `/proc`.
fn flags(pid: Pid, fd: i32) -> i32 {
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).unwrap();
    let flags = info
        .lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .unwrap();
    i32::from_str_radix(flags.trim(), 8).unwrap()
}

#[test]
fn output_is_appended_on_request() {
    let place = Place::new();
    fs::write(place.path("log"), "old\n").unwrap();
    let daemon = place.start([
        "-a",
        "-o",
        "log",
        "-e",
        "log",
        "sh",
        "-c",
        "echo new; exec sleep 1000",
    ]);
    eventually("the line is written", || place.read("log") == "old\nnew\n");
    assert_ne!(flags(daemon.pid, 2) & libc::O_APPEND, 0);
}

#[test]
fn one_file_for_both_outputs_is_opened_once() {
    let place = Place::new();
    let program = "echo one; echo two >&2; echo three; echo four >&2; exec sleep 1000";
    std::os::unix::fs::symlink("log", place.path("link")).unwrap();
    // The paths may differ.
    for other in ["log", "./log", "link"] {
        let _daemon = place.start(["-o", "log", "-e", other, "sh", "-c", program]);
        eventually("all is written", || {
            place.read("log") == "one\ntwo\nthree\nfour\n"
        });
    }
}

#[test]
fn a_failed_start_leaves_output_files_as_they_were() {
    let place = Place::new();
    fs::write(place.path("log"), "precious").unwrap();
    let limit = "nofile=99999999999";
    for options in [["-i", "/no/such"], ["-c", "/no/such"], ["--rlimit", limit]] {
        let mut command = place.rawdaemon(["-q", "-o", "log"]);
        let output = place.run(command.args(options).args(SLEEP));
        assert!([3, 8, 17].contains(&output.code()), "{output:?}");
        assert_eq!(place.read("log"), "precious", "{options:?}");
    }
}

#[test]
fn new_files_are_not_writable_for_all() {
    let place = Place::new();
    let mut command = place.rawdaemon(["-v", "-o", "out", "-p", "pid", "sleep", "1000"]);
    before_exec(&mut command, || {
        rustix::process::umask(rustix::fs::Mode::empty());
        Ok(())
    });
    let _daemon = place.start_by(&mut command);
    let mode = |name| fs::metadata(place.path(name)).unwrap().mode() & 0o777;
    assert_eq!((mode("out"), mode("pid")), (0o644, 0o644));
}

#[test]
fn files_that_cannot_be_written_are_errors() {
    let place = Place::new();
    fs::create_dir(place.path("folder")).unwrap();
    let _socket = UnixListener::bind(place.path("socket")).unwrap();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        place.path("fifo"),
        rustix::fs::Mode::from_raw_mode(0o600),
    )
    .unwrap();
    for (name, why) in [
        ("folder", "Is a directory (EISDIR)"),
        ("socket", "No such device or address (ENXIO)"),
        ("fifo", "No such device or address (ENXIO)"),
    ] {
        let says = format!("rawdaemon: cannot open {name} for standard output: {why}");
        place.fails(
            &mut place.rawdaemon(["-o", name, "sleep", "1000"]),
            8,
            &says,
        );
        let says = format!("rawdaemon: cannot open {name} for standard error: {why}");
        place.fails(
            &mut place.rawdaemon(["-e", name, "sleep", "1000"]),
            8,
            &says,
        );
    }
}

#[test]
fn a_fifo_with_a_reader_is_written_to() {
    let place = Place::new();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        place.path("fifo"),
        rustix::fs::Mode::from_raw_mode(0o600),
    )
    .unwrap();
    let reader = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(place.path("fifo"))
        .unwrap();
    let daemon = place.start(["-o", "fifo", "sleep", "1000"]);
    assert_eq!(
        flags(daemon.pid, 1) & libc::O_NONBLOCK,
        0,
        "a full FIFO must block the daemon, not fail"
    );
    drop(reader);
}

#[test]
fn files_of_others_are_refused() {
    let place = Place::new();
    if rustix::process::geteuid().is_root() {
        skip("root may write everywhere");
        return;
    }
    fs::write(place.path("mine"), "").unwrap();
    fs::set_permissions(place.path("mine"), fs::Permissions::from_mode(0o444)).unwrap();
    let why = "Permission denied (EACCES)";
    let says = format!("rawdaemon: cannot open mine for standard output: {why}");
    place.fails(
        &mut place.rawdaemon(["-o", "mine", "sleep", "1000"]),
        8,
        &says,
    );
    let says = format!("rawdaemon: cannot use the pidfile mine: {why}");
    place.fails(
        &mut place.rawdaemon(["-p", "mine", "sleep", "1000"]),
        11,
        &says,
    );
    let _: PathBuf = place.path("mine");
}

#[test]
fn output_goes_to_the_end_of_a_file_that_was_truncated() {
    let place = Place::new();
    let program = "echo first; read -r _ < go; echo second; exec sleep 1000";
    rustix::fs::mkfifoat(rustix::fs::CWD, place.path("go"), 0o600.into()).unwrap();
    let _daemon = place.start(["-c", ".", "-o", "log", "sh", "-c", program]);
    eventually("the first line is written", || {
        place.read("log") == "first\n"
    });
    // As logrotate's copytruncate does.
    fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(place.path("log"))
        .unwrap();
    fs::write(place.path("go"), "\n").unwrap();
    eventually("the second is the first", || {
        place.read("log") == "second\n"
    });
}

#[test]
fn a_log_may_be_larger_than_32_bits_can_tell() {
    let place = Place::new();
    let start = |arguments: &[&str]| {
        let output = place.run(&mut place.rawdaemon(arguments));
        assert_eq!(output.code(), 0, "{output:?}");
    };
    let log = fs::File::create(place.path("log")).unwrap();
    // Sparse: it takes no room.
    for size in [(2 << 30) + 1, 5 << 30] {
        log.set_len(size).unwrap();
        start(&["-a", "-o", "log", "echo", "more"]);
        eventually("it is appended", || {
            log.metadata().unwrap().len() == size + 5
        });
    }
    start(&["-o", "log", "echo", "new"]);
    eventually("it is emptied", || place.read("log") == "new\n");
}

#[test]
fn streams_are_inherited_on_request() {
    let place = Place::new();
    let mut command = place.rawdaemon(["-i", "inherit", "-oinherit", "--stderr=inherit"]);
    let file = |name: &str| fs::File::create(place.path(name)).unwrap();
    fs::write(place.path("in"), "read this\n").unwrap();
    command
        .args([
            "-p",
            "pid",
            "sh",
            "-c",
            "cat; echo on standard error >&2; exec sleep 1000",
        ])
        .stdin(fs::File::open(place.path("in")).unwrap())
        .stdout(file("out"))
        .stderr(file("err"));
    assert!(command.status().unwrap().success());
    let daemon = Daemon::new(pid_in(&place.path("pid")));
    eventually("both are written", || {
        place.read("out") == "read this\n" && place.read("err") == "on standard error\n"
    });
    daemon.kill();

    // A stream that is closed becomes /dev/null.
    let script = "exec \"$0\" -v -o inherit sleep 1000 >&-";
    let mut command = place.program(Path::new("/bin/sh"), ["-c", script, tested_command()]);
    let output = place.run(&mut command);
    let daemon = Daemon::new(output.pid());
    let null = PathBuf::from("/dev/null");
    assert_eq!(daemon.state().descriptors[&1], null);
}

#[test]
fn paths_of_descriptors_are_those_of_the_launcher() {
    let place = Place::new();
    // Neither is kept, and each has the number of one of this crate's own.
    let script = "exec 3>log 4<in; \"$0\" -v -i /dev/fd/4 -o /dev/fd/3 -e /proc/self/fd/3 \
        -- sh -c 'cat; echo on standard error >&2; exec sleep 1000'";
    fs::write(place.path("in"), "read this\n").unwrap();
    let mut command = place.program(Path::new("/bin/sh"), ["-c", script, tested_command()]);
    let output = place.run(&mut command);
    let daemon = Daemon::new(output.pid());
    eventually("both are written", || {
        place.read("log") == "read this\non standard error\n"
    });
    let numbers: Vec<_> = daemon.state().descriptors.into_keys().collect();
    assert_eq!(numbers, [0, 1, 2]);
}

#[test]
fn no_path_names_a_pipe_of_the_start() {
    let place = Place::new();
    // Bytes that, on the verdict pipe, would be a success.
    let forge = "printf '\\376\\0\\0\\0\\071\\005\\0\\0'; exit 7";
    for fd in 3..12 {
        for how in [&["-t", "1"][..], &[], &["-R", "fd:20"], &["-v"]] {
            let path = format!("/dev/fd/{fd}");
            let mut command = place.rawdaemon(how);
            command.args(["-p", "pid", "-o", &path, "--", "sh", "-c", forge]);
            let output = place.run(&mut command);
            assert_eq!(output.code(), 8, "{path} {how:?}: {output:?}");
            assert!(!place.path("pid").exists(), "{path} {how:?}");
            place.assert_no_process();
        }
    }
}
