//! The command: what it executes, and what it prints.

use std::fs;
use std::time::Duration;

use crate::support::{Daemon, Place, environment, eventually, pid_in};
use rustix::pipe::PipeFlags;

#[test]
fn working_directory_umask_and_environment() {
    let place = Place::new();
    fs::create_dir(place.path("inside")).unwrap();
    let mut command = place.rawdaemon([
        "-v",
        "-c",
        "inside",
        "-m",
        "027",
        "-E",
        "COLOUR=blue",
        "-E",
        "HOME=/x",
    ]);
    command.args([
        "-E",
        "COLOUR=red=green",
        "-o",
        "out",
        "-p",
        "pid",
        "sh",
        "-c",
    ]);
    command
        .arg("echo $COLOUR $HOME $KEPT; exec sleep 1000")
        .env("KEPT", "kept")
        .env("HOME", "/home");
    let daemon = place.start_by(&mut command);
    let state = daemon.state();
    assert_eq!(
        (state.directory, state.umask.as_str()),
        (place.path("inside"), "27")
    );
    // Paths in options are relative to the caller's directory.
    eventually("the line is written", || {
        place.read("out") == "red=green /x kept\n"
    });
    assert_eq!(pid_in(&place.path("pid")), daemon.pid);
}

#[test]
fn a_message_is_always_one_line() {
    let place = Place::new();
    let says = "rawdaemon: unknown option --a?rawdaemon: the daemon runs; see rawdaemon --help";
    place.fails(
        &mut place.rawdaemon(["--a\nrawdaemon: the daemon runs", "web"]),
        64,
        says,
    );
    let says = "rawdaemon: cannot find the command /a?[2Jb: No such file or directory (ENOENT)";
    place.fails(&mut place.rawdaemon(["/a\x1b[2Jb"]), 127, says);
    // The second byte of a control character above 127 is replaced, so that it is none.
    let says = "rawdaemon: cannot find the command /a\u{fffd}?2J\u{e9}: No such file or directory (ENOENT)";
    place.fails(&mut place.rawdaemon(["/a\u{9b}2J\u{e9}"]), 127, says);
}

#[test]
fn an_empty_environment_stays_empty() {
    let place = Place::new();
    let mut command = place.rawdaemon(["-o", "out", "/usr/bin/env"]);
    command.env_clear();
    assert_eq!(place.run(&mut command).code(), 0);
    let mut command = place.rawdaemon(["-o", "out1", "-E", "ONLY=1", "/usr/bin/env"]);
    command.env_clear();
    assert_eq!(place.run(&mut command).code(), 0);
    eventually("env has printed", || {
        place.path("out1").exists() && place.read("out1") == "ONLY=1\n"
    });
    assert_eq!(place.read("out"), "");
}

#[test]
fn a_command_may_get_a_name_and_no_environment() {
    let place = Place::new();
    let mark = format!(
        "RAWDAEMON_TEST={}",
        place.path("").file_name().unwrap().to_string_lossy()
    );
    let mut command = place.rawdaemon([
        "-v",
        "--clear-env",
        "-E",
        &mark,
        "-E",
        "A=1",
        "--argv0",
        "-web",
        "sleep",
        "1000",
    ]);
    let path = std::env::var("PATH").unwrap();
    let daemon = place.start_by(&mut command);
    assert_eq!(
        environment(daemon.pid),
        ["A=1".to_owned(), format!("PATH={path}")]
    );
    let line = fs::read(format!("/proc/{}/cmdline", daemon.pid)).unwrap();
    assert_eq!(line, b"-web\x001000\0");
    // Without PATH in the environment, the daemon gets none.
    let mut command = place.rawdaemon(["-v", "--clear-env", "-E", &mark, "/bin/sleep", "1000"]);
    let daemon = place.start_by(command.env_remove("PATH"));
    assert_eq!(environment(daemon.pid), [""; 0]);
}

#[test]
fn commands_are_found_as_by_a_shell() {
    let place = Place::new();
    fs::create_dir(place.path("bin")).unwrap();
    fs::create_dir(place.path("none")).unwrap();
    place.script("bin/web", "#!/bin/sh\necho \"$0 $1\"\nexec sleep 1000\n");
    // A file of that name earlier in PATH is skipped, since it is not executable.
    fs::write(place.path("none/web"), "").unwrap();
    let absolute = format!(
        "{}:{}:/usr/bin:/bin",
        place.path("none").display(),
        place.path("bin").display()
    );
    for (name, path) in [
        ("web", absolute.as_str()),
        ("web", "bin:/usr/bin:/bin"),
        ("bin/web", "/usr/bin:/bin"),
        ("./bin/../bin/web", "/usr/bin:/bin"),
    ] {
        let _ = fs::remove_file(place.path("out"));
        let mut command = place.rawdaemon(["-v", "-o", "out", name, "x"]);
        let daemon = place.start_by(command.env("PATH", path));
        eventually("the script has printed", || {
            place.read("out").ends_with("/bin/web x\n")
        });
        assert!(
            place.read("out").starts_with('/'),
            "the script can find itself, though it runs in /"
        );
        daemon.kill();
    }
    // PATH of the daemon's environment takes precedence.
    let path = format!("PATH={absolute}");
    let mut command = place.rawdaemon(["-v", "-E", &path, "-o", "out", "web", "y"]);
    let _daemon = place.start_by(command.env("PATH", "/nowhere"));
    eventually("the script has printed", || {
        place.read("out").ends_with("/bin/web y\n")
    });
}

#[test]
fn arguments_reach_the_command_unchanged() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    // With its zero byte, this is the longest argument that the kernel accepts.
    let long = "a".repeat((128 << 10) - 1);
    let not_utf8 = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    let mut command = place.rawdaemon([
        "-v",
        "-o",
        "out",
        "--",
        "sh",
        "-c",
        "printf '%s\\0' \"$@\"; exec sleep 1000",
        "sh",
    ]);
    command
        .args(["", "-v", "--", "a b\n"])
        .arg(not_utf8)
        .arg(&long);
    let _daemon = place.start_by(&mut command);
    let expected = [
        b"\0-v\0--\0a b\n\0\xff\xfe\0".to_vec(),
        long.into_bytes(),
        vec![0],
    ]
    .concat();
    eventually("all is written", || {
        fs::read(place.path("out")).unwrap() == expected
    });
}

#[test]
fn verbose_prints_each_step_and_quiet_prints_nothing() {
    let place = Place::new();
    let output = place.run(&mut place.rawdaemon([
        "-v", "-o", "out", "-p", "pid", "-l", "lock", "-n", "19", "sleep", "1000",
    ]));
    let daemon = Daemon::new(output.pid());
    let expected = format!(
        "rawdaemon: reset the signals\n\
         rawdaemon: opened standard output out\n\
         rawdaemon: closed the inherited descriptors\n\
         rawdaemon: opened /dev/null\n\
         rawdaemon: put the standard streams in place\n\
         rawdaemon: locked the lock file lock\n\
         rawdaemon: locked the pidfile pid\n\
         rawdaemon: set the umask\n\
         rawdaemon: entered the working directory /\n\
         rawdaemon: wrote the pidfile pid\n\
         rawdaemon: set the limits\n\
         rawdaemon: emptied the output files\n\
         rawdaemon: executed the command sleep\n\
         rawdaemon: the daemon runs as pid {}\n",
        daemon.pid
    );
    assert_eq!(
        (output.stderr.as_str(), output.stdout.as_str()),
        (expected.as_str(), "")
    );
    let output = place.run(&mut place.rawdaemon(["-q", "-p", "pid", "sleep", "1000"]));
    assert_eq!((output.code(), output.stderr.as_str()), (12, ""));
    // No stream becomes /dev/null here.
    let files = ["-i", "inherit", "-o", "out2", "-e", "err"];
    let command = [&["-v"], &files[..], &["sleep", "1000"]].concat();
    let output = place.run(&mut place.rawdaemon(command));
    drop(Daemon::new(output.pid()));
    assert!(!output.stderr.contains("/dev/null"), "{output:?}");
    let output = place.run(&mut place.rawdaemon(["-v", "-c", "/nowhere", "sleep", "1000"]));
    let expected = "rawdaemon: reset the signals\n\
                    rawdaemon: closed the inherited descriptors\n\
                    rawdaemon: opened /dev/null\n\
                    rawdaemon: put the standard streams in place\n\
                    rawdaemon: set the umask\n\
                    rawdaemon: cannot enter the working directory /nowhere: No such file or directory (ENOENT)\n";
    assert_eq!((output.code(), output.stderr.as_str()), (3, expected));
    // An empty command is refused before the start, so no step was taken.
    let output = place.run(&mut place.rawdaemon(["-v", ""]));
    let expected = "rawdaemon: cannot find the command : No such file or directory (ENOENT)\n";
    assert_eq!((output.code(), output.stderr.as_str()), (127, expected));
    // An executed daemon has taken all its steps, however it fails then.
    for (options, how, message) in [
        (&["-R", "fd:3"][..], "exit 3", "rawdaemon: the daemon ended"),
        (&["-t", "5"], "kill -9 $$", "rawdaemon: the daemon ended"),
        (
            &["-R", "fd:3"],
            "exec 3>&-; sleep 1",
            "rawdaemon: the daemon did not become ready:",
        ),
        (
            &["-R", "fd:3", "-t", "0.2"],
            "sleep 10",
            "rawdaemon: the daemon did not become ready within 200 ms; it was stopped; it wrote no line to its descriptor",
        ),
    ] {
        let mut command = place.rawdaemon(["-v"]);
        command.args(options).args(["sh", "-c", how]);
        let output = place.run(&mut command);
        let lines: Vec<_> = output.stderr.lines().collect();
        let [.., executed, last] = lines.as_slice() else {
            panic!("{output:?}")
        };
        assert_eq!(
            *executed, "rawdaemon: executed the command sh",
            "{output:?}"
        );
        assert!(last.starts_with(message), "{output:?}");
    }
    let output = place.run(&mut place.rawdaemon(["-p", "other", "true"]));
    assert_eq!(
        (
            output.code(),
            output.stderr.as_str(),
            output.stdout.as_str()
        ),
        (0, "", "")
    );
}

#[test]
fn help_fits_one_screen() {
    let place = Place::new();
    let output = place.run(&mut place.rawdaemon(["--help"]));
    assert_eq!((output.code(), output.stderr.as_str()), (0, ""));
    // One line is for the prompt.
    assert!(output.stdout.lines().count() < 24, "{}", output.stdout);
    assert!(
        output.stdout.lines().all(|line| line.len() <= 80),
        "{}",
        output.stdout
    );
    let output = place.run(&mut place.rawdaemon(["-V"]));
    assert_eq!(
        output.stdout,
        concat!("rawdaemon ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn a_watched_daemon_is_alive_at_the_end() {
    let place = Place::new();
    let output = place.run(&mut place.rawdaemon(["-v", "-t", "1", "sleep", "1000"]));
    assert_eq!(output.code(), 0);
    assert!(output.took >= Duration::from_secs(1), "{output:?}");
    let daemon = Daemon::new(output.pid());
    daemon.assert_alive();
    daemon.state().assert_well_behaved(daemon.pid);
}

#[test]
fn a_closed_standard_error_does_not_change_the_exit_code() {
    let place = Place::new();
    for (arguments, code) in [(&["-v", "sleep", "0"][..], 0), (&["/no/such/command"], 127)] {
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
        drop(reader);
        let status = place.rawdaemon(arguments).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let place = Place::new();
    let _daemon = place.start(["-p", "pid", "sleep", "1000"]);
    let lines = [
        (&["--help"][..], 1),
        (&["--version"], 1),
        // 1 would say that the daemon is dead.
        (&["--status", "-p", "pid"], 4),
        (&["-v", "--status", "-p", "pid"], 4),
    ];
    for (arguments, code) in lines {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = place.rawdaemon(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "rawdaemon: cannot write to standard output: No space left on device (ENOSPC)\n"
        );
    }
}
