//! In the foreground: every step except the forks and the session, under any supervisor.

use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;

use crate::support::{
    Place, State, before_exec, environment, eventually, example, has, has_test_programs, is_root,
    limit_descriptors, own_mounts, pid_in, strace_rawdaemon, tested_command,
};
use rustix::pipe::PipeFlags;
use rustix::process::Pid;

/// Gives the command a descriptor at another number, open across exec.
fn at(command: &mut Command, from: i32, to: i32) -> &mut Command {
    before_exec(command, move || {
        // SAFETY: numbers only.
        unsafe {
            libc::dup2(from, to);
            // If the numbers are equal, dup2 leaves the flag.
            libc::fcntl(to, libc::F_SETFD, 0);
        }
        Ok(())
    })
}

#[test]
fn the_command_is_executed_in_place() {
    let place = Place::new();
    let options = ["-f", "-p", "pid", "-m", "027", "-c", "/usr", "-o", "out"];
    let mut command = place.rawdaemon(options);
    command.args(["sleep", "1000"]);
    before_exec(&mut command, || {
        // SAFETY: numbers only.
        unsafe {
            libc::dup2(0, 77);
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
        }
        Ok(())
    });
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_child(&child);
    let comm = || fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    // It opens and closes files of its own before it sleeps.
    eventually("the command sleeps", || {
        comm() == "sleep\n" && State::of(pid).descriptors.len() == 4
    });
    let state = State::of(pid);
    assert_eq!(pid_in(&place.path("pid")), pid);
    assert_eq!(state.directory, Path::new("/usr"));
    assert_eq!((state.umask.as_str(), state.ignored.as_str()), ("27", ""));
    let own = State::of(rustix::process::getpid());
    assert_eq!(state.session, own.session);
    // Streams without a file stay the supervisor's.
    assert_eq!(state.descriptors[&0], own.descriptors[&0]);
    assert_eq!(state.descriptors[&1], place.path("out"));
    assert_eq!(state.descriptors[&2], own.descriptors[&2]);
    assert!(
        state
            .descriptors
            .values()
            .any(|path| *path == place.path("pid"))
    );

    let says = format!("rawdaemon: already running as pid {pid}");
    let mut second = place.rawdaemon(["-f", "-p", "pid", "sleep", "1000"]);
    let output = place.run(&mut second);
    assert_eq!((output.code(), output.stderr.trim_end()), (12, &*says));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_exit_status_is_that_of_the_command() {
    let place = Place::new();
    let output = place.run(&mut place.rawdaemon(["-f", "sh", "-c", "echo said; exit 9"]));
    assert_eq!((output.code(), output.stdout.as_str()), (9, "said\n"));
}

#[test]
fn failures_are_reported_on_the_old_standard_error() {
    let place = Place::new();
    let denied = "rawdaemon: cannot find the command /no/such: No such file or directory (ENOENT)";
    let files = ["-f", "-p", "pid", "-o", "log", "-e", "log"];
    let mut command = place.rawdaemon(files);
    place.fails(command.arg("/no/such"), 127, denied);
    assert_eq!(place.read("log"), "");
    assert!(!place.path("pid").exists());
    let directory = "rawdaemon: cannot enter the working directory /no/such: No such file or directory (ENOENT)";
    let mut command = place.rawdaemon(files);
    place.fails(command.args(["-c", "/no/such", "sleep", "1"]), 3, directory);
    assert!(!place.path("pid").exists());
}

#[test]
fn closed_streams_are_opened() {
    let place = Place::new();
    let mut command = place.rawdaemon(["-f", "sh", "-c", "readlink /proc/$$/fd/0 /proc/$$/fd/2"]);
    let output = place.run(before_exec(&mut command, || {
        // SAFETY: numbers only.
        unsafe {
            libc::close(0);
            libc::close(2);
        }
        Ok(())
    }));
    assert_eq!(output.code(), 0);
    assert_eq!(output.stdout, "/dev/null\n/dev/null\n");
}

#[test]
fn the_command_gets_the_supervisor_s_readiness_protocol() {
    let place = Place::new();
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
    // s6 gives a pipe.
    let script = ["sh", "-c", "echo ready >&7"];
    let mut command = place.rawdaemon(["-f", "-R", "fd:7"]);
    let output = place.run(at(command.args(script), writer.as_raw_fd(), 7));
    assert_eq!(output.code(), 0, "{output:?}");
    drop(writer);
    assert_eq!(
        std::io::read_to_string(fs::File::from(reader)).unwrap(),
        "ready\n"
    );
    // runit gives none. The lowest number is the one that open(2) returns.
    for (how, line) in [("fd:3", "echo ready >&3"), ("fd:7", "echo ready >&7")] {
        let mut command = place.rawdaemon(["-f", "-R", how, "sh", "-c", line]);
        let output = place.run(&mut command);
        assert_eq!((output.code(), output.stderr.as_str()), (0, ""), "{how}");
    }
    // systemd gives a name.
    let script = ["sh", "-c", "echo $NOTIFY_SOCKET"];
    let mut command = place.rawdaemon(["-f", "-R", "notify", "-t", "1"]);
    command.args(script).env("NOTIFY_SOCKET", "/run/notify");
    assert_eq!(place.run(&mut command).stdout, "/run/notify\n");
}

/// A shell that takes the place of a supervisor: it opens descriptors from 3 on, and becomes the command.
fn activated(place: &Place, count: &str, arguments: &[&str]) -> Command {
    let script = "exec 3<socket 4<socket 5<other; export LISTEN_PID=$$; exec \"$@\"";
    let mut command = place.program(Path::new("sh"), ["-c", script, "sh", tested_command()]);
    command.args(arguments);
    fs::write(place.path("socket"), "").unwrap();
    fs::write(place.path("other"), "").unwrap();
    command.env("LISTEN_FDS", count);
    command
        .env("LISTEN_FDNAMES", "a:b")
        .env("LISTEN_PIDFDID", "7");
    command
}

/// Prints the LISTEN variables, the shell's pid, and the files at descriptors 3 to 9.
const SHOW: &str =
    "echo $$; env | grep ^LISTEN_ | sort; ls -l /proc/$$/fd | sed -n 's/.* \\([3-9]\\) -> /\\1 /p'";

#[test]
fn the_supervisor_s_sockets_stay_open() {
    let place = Place::new();
    let options = ["-f", "-p", "pid", "-o", "out", "sh", "-c", SHOW];
    let mut command = activated(&place, "2", &options);
    let output = place.run(&mut command);
    assert_eq!((output.code(), output.stderr.as_str()), (0, ""));
    let text = place.read("out");
    let lines: Vec<_> = text.lines().collect();
    let socket = place.path("socket");
    let expected = [
        "LISTEN_FDNAMES=a:b".to_owned(),
        "LISTEN_FDS=2".to_owned(),
        format!("LISTEN_PID={}", lines[0]),
        "LISTEN_PIDFDID=7".to_owned(),
        format!("3 {}", socket.display()),
        format!("4 {}", socket.display()),
    ];
    assert_eq!(lines[1..7], expected, "{text}");
    assert!(!text.contains("other"), "{text}");
    // The variables are kept with a clean environment, too.
    let options = ["-f", "--clear-env", "sh", "-c", SHOW];
    let output = place.run(&mut activated(&place, "2", &options));
    assert!(output.stdout.contains("LISTEN_FDS=2\n"), "{output:?}");
    // A descriptor that is not open could become one of the launcher's own.
    let options = ["-f", "-p", "pid", "sh", "-c", SHOW];
    let output = place.run(&mut activated(&place, "4", &options));
    let says = "rawdaemon: cannot keep descriptor 6: Bad file descriptor (EBADF)\n";
    assert_eq!((output.code(), output.stderr.as_str()), (10, says));
}

#[test]
fn sockets_of_another_process_are_not_passed_on() {
    let place = Place::new();
    // Without --foreground, the daemon has another pid.
    let options = ["-o", "out", "-t", "0.5", "sh", "-c", SHOW];
    let output = place.run(&mut activated(&place, "2", &options));
    assert_eq!(output.code(), 5, "{output:?}");
    let printed = place.read("out");
    assert!(!printed.contains("LISTEN"), "{printed}");
    assert!(!printed.contains("socket"), "{printed}");
    for setting in ["LISTEN_PID=1", "LISTEN_FDS=x", "LISTEN_FDS=0"] {
        let script = format!(
            "exec 3<socket; export LISTEN_FDS=1 LISTEN_PID=$$; export {setting}; exec \"$@\""
        );
        let mut command = place.program(Path::new("sh"), ["-c", &script, "sh", tested_command()]);
        let output = place.run(command.args(["-f", "sh", "-c", SHOW]));
        assert_eq!(output.code(), 0, "{output:?}");
        assert!(!output.stdout.contains("LISTEN"), "{output:?}");
        assert!(!output.stdout.contains("socket"), "{output:?}");
    }
    // One that is set on purpose is kept.
    let options = ["-f", "-E", "LISTEN_FDS=1", "sh", "-c", SHOW];
    let output = place.run(place.rawdaemon(options).env("LISTEN_PID", "1"));
    assert!(output.stdout.contains("LISTEN_FDS=1\n"), "{output:?}");
}

#[test]
fn a_supervisor_s_watchdog_watches_the_command_in_the_foreground_only() {
    let place = Place::new();
    let show = ["sh", "-c", "env | grep ^WATCHDOG | sort"];
    let run = |options: &[&str]| {
        let mut command = place.rawdaemon(["-o", "out"]);
        command.args(options).args(show);
        command.env("WATCHDOG_USEC", "20000000");
        command.env("WATCHDOG_PID", "1234");
        place.run(&mut command);
        place.read("out")
    };
    let both = "WATCHDOG_PID=1234\nWATCHDOG_USEC=20000000\n";
    assert_eq!(run(&["-f"]), both);
    assert_eq!(run(&["-f", "--clear-env"]), both);
    assert_eq!(run(&["-t", "5"]), "");
    let asked_for = run(&["-t", "5", "-E", "WATCHDOG_USEC=1"]);
    assert_eq!(asked_for, "WATCHDOG_USEC=1\n");
}

/// Only a descriptor that is not open is replaced by `/dev/null`.
#[test]
fn a_readiness_descriptor_that_cannot_be_kept_is_told() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let (_reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
    let refuse = ["--inject=fcntl:error=EPERM:when=1"];
    let mut command = strace_rawdaemon(&place, &refuse, &["-f", "-R", "fd:7", "true"]);
    let output = place.run(at(&mut command, writer.as_raw_fd(), 7));
    let why = "Operation not permitted (EPERM)";
    let says = format!("rawdaemon: cannot make a channel between the processes: {why}\n");
    assert_eq!((output.code(), output.stderr), (20, says));
}

#[test]
fn the_first_process_of_a_container_may_be_the_command() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let unshare = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    let mut command = place.program(Path::new("unshare"), unshare);
    command.arg(tested_command());
    command.args(["-f", "-p", "pid", "sh", "-c", "echo $$; exit 4"]);
    before_exec(&mut command, || {
        own_mounts();
        Ok(())
    });
    let output = place.run(&mut command);
    assert_eq!((output.code(), output.stdout.as_str()), (4, "1\n"));
    assert_eq!(place.read("pid"), "1\n");
}

#[test]
fn a_program_may_stay_in_the_foreground() {
    if !has_test_programs() {
        return;
    }
    stays_in_the_foreground(&["foreground"]);
    // The signals that the program has blocked stay so unless it asks for another mask. This one opens a file.
    stays_in_the_foreground(&["foreground", "with its signals"]);
}

fn stays_in_the_foreground(case: &[&str]) {
    let place = Place::new();
    let mut command = place.program(&example("std_program"), case);
    let mut child = command
        .stdout(fs::File::create(place.path("out")).unwrap())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&child);
    eventually("the program goes on as the daemon", || {
        place.read("out").contains("as pid")
    });
    let folder = place.path("");
    let folder = folder.to_str().unwrap().trim_end_matches('/');
    let missing = "No such file or directory (ENOENT)";
    let folder_missing = "; its directory is missing, and mkdir makes it";
    let expected = [
        &format!("cannot open the file for standard output: {missing}{folder_missing}"),
        folder,
        &format!("cannot enter the working directory: {missing}"),
        folder,
        "cannot set a limit (nofile): Operation not permitted (EPERM)",
        folder,
        &format!("cannot find the command: {missing}"),
        "/usr",
        &format!("the daemon runs as pid {pid}"),
    ];
    assert_eq!(place.read("out").lines().collect::<Vec<_>>(), expected);
    assert_eq!(pid_in(&place.path("pid")), pid);
    let state = State::of(pid);
    assert_eq!(state.blocked.is_empty(), case.len() == 1);
    assert_eq!(state.ignored, "");
    let mut descriptors = state.descriptors;
    descriptors.retain(|_, path| *path != place.path("pid"));
    assert_eq!(descriptors.into_keys().collect::<Vec<_>>(), [0, 1, 2]);
    assert!(
        environment(pid)
            .iter()
            .all(|line| !line.starts_with("NOTIFY_SOCKET"))
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_failure_in_another_root_or_as_another_user_leaves_no_pid() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let (root, pidfile) = (place.path("root"), place.path("pid"));
    // In the other root, this path names another file.
    let other = root.join(pidfile.strip_prefix("/").unwrap());
    fs::create_dir_all(other.parent().unwrap()).unwrap();
    fs::write(&other, "").unwrap();
    for options in [["-r", root.to_str().unwrap()], ["-u", "65534:65534"]] {
        let mut command = place.rawdaemon(["-q", "-f", "-p", pidfile.to_str().unwrap()]);
        let output = place.run(command.args(options).arg("/no/such"));
        assert_eq!(output.code(), 127, "{output:?}");
        let text = fs::read_to_string(place.path("pid")).unwrap_or_default();
        assert_eq!(text, "", "{options:?}");
        assert!(other.exists(), "{options:?}");
    }
}

#[test]
fn verbose_prints_only_steps_that_were_taken() {
    let place = Place::new();
    // The copy of standard output gets descriptor 3, and the working directory none.
    let signals = "rawdaemon: reset the signals\n";
    for (limit, code, says) in [
        (
            3,
            9,
            "rawdaemon: cannot save descriptor 1: Invalid argument (EINVAL)\n".to_owned(),
        ),
        (
            4,
            8,
            format!(
                "{signals}rawdaemon: cannot open out for standard output: Too many open files (EMFILE)\n"
            ),
        ),
    ] {
        let mut command = place.rawdaemon(["-v", "-f", "-o", "out", "sleep", "1"]);
        let output = place.run(limit_descriptors(&mut command, limit));
        assert_eq!((output.code(), output.stderr), (code, says));
    }
}

/// The command takes the place of the process that could tell them afterwards.
#[test]
fn verbose_prints_the_steps_before_the_exec() {
    let place = Place::new();
    let steps = |stderr: &str| {
        let words = [
            "reset the signals",
            stderr,
            "closed the inherited descriptors",
            "put the standard streams in place",
            "set the umask",
            "entered the working directory /",
        ];
        let lines = words.iter().filter(|words| !words.is_empty());
        lines
            .map(|words| format!("rawdaemon: {words}\n"))
            .collect::<String>()
    };
    let output = place.run(&mut place.rawdaemon(["-fv", "sh", "-c", "echo said >&2; exit 3"]));
    let said = format!("{}said\n", steps(""));
    assert_eq!((output.code(), output.stderr), (3, said));
    let output =
        place.run(&mut place.rawdaemon(["-fva", "-e", "log", "sh", "-c", "echo said >&2"]));
    assert_eq!((output.code(), output.stderr.as_str()), (0, ""));
    let steps_to_log = steps("opened standard error log");
    assert_eq!(place.read("log"), format!("{steps_to_log}said\n"));
    // A failure is told where the command itself would be heard.
    let output = place.run(&mut place.rawdaemon(["-fva", "-e", "log", "/no/such"]));
    let failure =
        "rawdaemon: cannot find the command /no/such: No such file or directory (ENOENT)\n";
    assert_eq!(
        (output.code(), output.stderr),
        (127, steps_to_log + failure)
    );
    // Without a reader, the lines raise a SIGPIPE that must not reach the command.
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
    drop(reader);
    let mut command = place.rawdaemon(["-fv", "sh", "-c", "exit 3"]);
    assert_eq!(command.stderr(writer).status().unwrap().code(), Some(3));
}

#[test]
fn no_unused_descriptor_is_needed() {
    let place = Place::new();
    let mut command = place.rawdaemon(["-f", "/bin/echo", "said"]);
    let output = place.run(limit_descriptors(&mut command, 3));
    // The program's dynamic linker needs one.
    assert_eq!(output.code(), 127, "{output:?}");
    assert!(!output.stderr.contains("rawdaemon"), "{output:?}");
}

#[test]
fn a_pidfile_that_is_not_written_yet_keeps_its_text() {
    let place = Place::new();
    fs::write(place.path("pid"), "precious").unwrap();
    let mut command = place.rawdaemon(["-q", "-f", "-p", "pid", "-r", "/no/such", "sleep", "1"]);
    assert_eq!(place.run(&mut command).code(), 13);
    assert_eq!(place.read("pid"), "precious");
}
