//! The command from outside: the daemon's state, and its options.

#![allow(missing_docs, unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use support::{
    DEADLINE, Daemon, Place, before_exec, eventually, lead_session_on, pid_in, terminal,
};

const SLEEP: [&str; 2] = ["sleep", "1000"];

#[test]
fn the_daemon_is_detached() {
    let place = Place::new();
    let daemon = place.start(SLEEP);
    daemon.state().assert_well_behaved(daemon.pid);
    assert_eq!(
        fs::read_to_string(format!("/proc/{}/comm", daemon.pid)).unwrap(),
        "sleep\n"
    );
}

#[test]
fn nothing_of_the_caller_s_state_is_left() {
    let place = Place::new();
    let mut command = place.rawdaemon(["-v", "sleep", "1000"]);
    before_exec(&mut command, || {
        for fd in [9, 10, 251] {
            // SAFETY: numbers only.
            unsafe { libc::dup2(0, fd) };
        }
        // SAFETY: the set is initialized by sigfillset; nothing else is touched.
        unsafe {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::sigprocmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
            for signal in [
                libc::SIGHUP,
                libc::SIGUSR1,
                libc::SIGCHLD,
                libc::SIGPIPE,
                40,
            ] {
                libc::signal(signal, libc::SIG_IGN);
            }
            libc::umask(0o077);
        }
        Ok(())
    });
    let daemon = place.start_by(&mut command);
    daemon.state().assert_well_behaved(daemon.pid);
}

#[test]
fn descriptors_0_to_2_may_be_closed_in_every_combination() {
    for closed in 0..8 {
        let place = Place::new();
        let pidfile = place.path("pid");
        let mut command = place.rawdaemon(["-p", "pid", "sleep", "1000"]);
        before_exec(&mut command, move || {
            for fd in (0..3).filter(|fd| closed & (1 << fd) != 0) {
                // SAFETY: a number only.
                unsafe { libc::close(fd) };
            }
            Ok(())
        });
        assert_eq!(place.run(&mut command).code(), 0);
        let daemon = Daemon::new(pid_in(&pidfile));
        let mut state = daemon.state();
        let lock = state.descriptors.split_off(&3);
        assert_eq!(
            lock.into_values().collect::<Vec<_>>(),
            [pidfile],
            "the lock and nothing else"
        );
        state.assert_well_behaved(daemon.pid);
    }
}

#[test]
fn a_foreground_job_s_terminal_is_left_behind() {
    let place = Place::new();
    let (terminal, name) = terminal();
    // The daemon opens a terminal that no session has: one that led its session would get it.
    let opens_it = format!(
        "exec 3<>{}; echo opened; exec sleep 1000",
        name.to_str().unwrap()
    );
    let mut command = place.rawdaemon(["-v", "-o", "out", "sh", "-c", &opens_it]);
    lead_session_on(&mut command, name);
    let daemon = place.start_by(&mut command);
    assert_eq!(daemon.state().terminal, 0);
    eventually("the daemon has opened the terminal", || {
        place.read("out") == "opened\n"
    });
    assert_eq!(
        daemon.state().terminal,
        0,
        "it must not become the controlling terminal"
    );
    drop(terminal);
    daemon.signal(Signal::CONT);
    daemon.assert_alive();
}

#[test]
fn a_hang_up_of_the_caller_s_terminal_does_not_reach_the_daemon() {
    let place = Place::new();
    let (terminal, name) = terminal();
    let mut command = place.rawdaemon(["-v", "sleep", "1000"]);
    lead_session_on(&mut command, name);
    let daemon = place.start_by(&mut command);
    drop(terminal);
    daemon.assert_alive();
    daemon.state().assert_well_behaved(daemon.pid);
}

#[test]
fn nothing_of_the_caller_s_pipe_is_held() {
    let place = Place::new();
    let line = format!(
        "x=$({} -v sleep 1000 2>&1); echo \"$x\"",
        env!("CARGO_BIN_EXE_rawdaemon")
    );
    let output = place.run(&mut place.program(Path::new("/bin/sh"), ["-c", &line]));
    assert!(output.took < DEADLINE / 2, "{output:?}");
    Daemon::new(output.pid()).assert_alive();
}

#[test]
fn files_for_input_and_output() {
    let place = Place::new();
    fs::write(place.path("in"), "read this\n").unwrap();
    fs::write(place.path("out"), "old and long, long, long text\n").unwrap();
    fs::write(place.path("err"), "old\n").unwrap();
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
        0
    );
}

/// The flags of an open file, as `/proc` gives them.
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
    // However it is spelled.
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
fn new_files_are_not_for_everybody_to_write() {
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
fn outputs_that_nobody_could_write_to_are_errors() {
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
    // Files named in options are where the caller stands.
    eventually("the line is written", || {
        place.read("out") == "red=green /x kept\n"
    });
    assert_eq!(pid_in(&place.path("pid")), daemon.pid);
}

#[test]
fn a_message_is_one_line_whatever_is_in_it() {
    let place = Place::new();
    let says = "rawdaemon: unknown option --a?rawdaemon: the daemon runs; see rawdaemon --help";
    place.fails(
        &mut place.rawdaemon(["--a\nrawdaemon: the daemon runs", "web"]),
        64,
        says,
    );
    let says = "rawdaemon: cannot find the command /a?[2Jb: No such file or directory (ENOENT)";
    place.fails(&mut place.rawdaemon(["/a\x1b[2Jb"]), 127, says);
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
fn commands_are_found_as_the_shell_finds_them() {
    let place = Place::new();
    fs::create_dir(place.path("bin")).unwrap();
    fs::create_dir(place.path("none")).unwrap();
    place.script("bin/web", "#!/bin/sh\necho \"$0 $1\"\nexec sleep 1000\n");
    // Another file of that name earlier in PATH that cannot be executed is passed over.
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
    // PATH of the daemon's own environment counts.
    let path = format!("PATH={absolute}");
    let mut command = place.rawdaemon(["-v", "-E", &path, "-o", "out", "web", "y"]);
    let _daemon = place.start_by(command.env("PATH", "/nowhere"));
    eventually("the script has printed", || {
        place.read("out").ends_with("/bin/web y\n")
    });
}

#[test]
fn arguments_reach_the_command_as_they_are() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    // With the zero byte at its end, as long as the kernel takes one.
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
fn verbose_tells_each_step_and_quiet_tells_nothing() {
    let place = Place::new();
    let output = place.run(&mut place.rawdaemon([
        "-v", "-o", "out", "-p", "pid", "-l", "lock", "-n", "5", "sleep", "1000",
    ]));
    let daemon = Daemon::new(output.pid());
    let expected = format!(
        "rawdaemon: reset the signals and closed the inherited descriptors\n\
         rawdaemon: opened as standard output out\n\
         rawdaemon: locked the lock file lock\n\
         rawdaemon: locked the pidfile pid\n\
         rawdaemon: set the umask\n\
         rawdaemon: entered /\n\
         rawdaemon: wrote the pidfile pid\n\
         rawdaemon: set the limits\n\
         rawdaemon: executed sleep\n\
         rawdaemon: the daemon runs as pid {}\n",
        daemon.pid
    );
    assert_eq!(
        (output.stderr.as_str(), output.stdout.as_str()),
        (expected.as_str(), "")
    );
    let output = place.run(&mut place.rawdaemon(["-q", "-p", "pid", "sleep", "1000"]));
    assert_eq!((output.code(), output.stderr.as_str()), (12, ""));
    let output = place.run(&mut place.rawdaemon(["-v", "-c", "/nowhere", "sleep", "1000"]));
    let expected = "rawdaemon: reset the signals and closed the inherited descriptors\n\
                    rawdaemon: set the umask\n\
                    rawdaemon: cannot enter the working directory /nowhere: No such file or directory (ENOENT)\n";
    assert_eq!((output.code(), output.stderr.as_str()), (3, expected));
    // Who exits by itself, or says that it cannot start, was executed; who is killed, nobody knows.
    for (how, says) in [
        (
            "exit 3",
            &["rawdaemon: executed sh", "rawdaemon: the daemon ended"][..],
        ),
        (
            "exec 3>&-; sleep 1",
            &["rawdaemon: executed sh", "rawdaemon: the daemon refused"],
        ),
        ("kill -9 $$", &["rawdaemon: the daemon ended"]),
    ] {
        let mut command = place.rawdaemon(["-v", "-R", "fd:3", "sh", "-c", how]);
        let output = place.run(&mut command);
        let lines: Vec<_> = output.stderr.lines().collect();
        let last = &lines[lines.len().saturating_sub(2)..];
        assert_eq!(last.len(), says.len(), "{output:?}");
        assert!(
            last.iter()
                .zip(says)
                .all(|(line, says)| line.starts_with(says)),
            "{output:?}"
        );
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
    // The prompt needs a line too.
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
fn nobody_listening_does_not_change_the_exit_code() {
    let place = Place::new();
    for (arguments, code) in [(&["-v", "sleep", "0"][..], 0), (&["/no/such/command"], 127)] {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        drop(reader);
        let status = place.rawdaemon(arguments).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_working_directory_that_is_gone_does_not_matter() {
    let place = Place::new();
    fs::create_dir(place.path("gone")).unwrap();
    let start = [env!("CARGO_BIN_EXE_rawdaemon"), "-v", "sleep", "1000"];
    let shell = [
        "-c",
        "cd gone && rmdir ../gone && PATH=:$PATH exec \"$@\"",
        "sh",
    ];
    let mut command = place.program(Path::new("/bin/sh"), shell.into_iter().chain(start));
    let daemon = place.start_by(&mut command);
    daemon.state().assert_well_behaved(daemon.pid);
}

#[test]
fn what_a_caller_may_not_do_is_refused() {
    let place = Place::new();
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may write everywhere");
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
