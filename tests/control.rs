//! `--status`, `--stop`, `--signal` and `--restart`: the daemon, and never another process.

#![allow(missing_docs, unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod support;

use std::ffi::CString;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use rawdaemon::{ExitCode, Owner, Pidfile, Stage};
use rustix::process::Signal;
use support::{
    DEADLINE, Daemon, Output, Place, eventually, has, is_root, pid_in, wait_for, watch,
    without_pidfds, without_proc,
};

/// What a kernel may lack, and how the command is made to run on one that does.
type Kernel = (&'static str, fn(&mut Command));

fn kernels() -> Vec<Kernel> {
    let mut kernels: Vec<Kernel> = vec![("whole", |_| {}), ("without pidfds", without_pidfds)];
    if is_root() {
        kernels.push(("without /proc", without_proc));
    }
    kernels
}

/// Runs the command with these options and the pidfile.
fn ask_on(place: &Place, kernel: Kernel, options: &[&str]) -> Output {
    let mut command = place.rawdaemon(options);
    command.args(["-p", "pid"]);
    kernel.1(&mut command);
    place.run(&mut command)
}

fn ask(place: &Place, options: &[&str]) -> Output {
    ask_on(place, ("whole", |_| {}), options)
}

/// What is said: the code, and all that is printed.
#[track_caller]
fn says(output: &Output, code: i32, stdout: &str, stderr: &str) {
    let found = (
        output.code(),
        output.stdout.as_str(),
        output.stderr.as_str(),
    );
    assert_eq!(found, (code, stdout, stderr));
}

/// A process that no pidfile of the tests means, and that ends with the test.
struct Bystander(std::process::Child);

impl Bystander {
    fn new(place: &Place) -> Self {
        let mut command = place.program(Path::new("sleep"), ["1000"]);
        Self(command.spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    #[track_caller]
    fn assert_alive(&mut self) {
        assert!(self.0.try_wait().unwrap().is_none(), "it was signalled");
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

const UNKNOWN: &str = "rawdaemon: unknown (no lock), it may run as pid";
const NOT_RUNNING: &str = "rawdaemon: not running\n";
const DEAD: &str = "rawdaemon: dead, and its pidfile is left\n";

/// A daemon that writes down the signals that it gets.
const LOGS: &str = "for s in HUP INT TERM; do trap \"echo $s >>log\" $s; done; echo up >>log; \
                    while :; do sleep 0.01; done";

/// A daemon that has closed every descriptor, and with them its lock.
const CLOSES: &str = "for n in 3 4 5 6 7 8 9; do eval \"exec $n>&-\"; done; exec sleep 1000";

/// Starts a script that works in the test's folder, and waits until it is up.
fn start_script(place: &Place, script: &str) -> Daemon {
    let folder = place.path("");
    let folder = folder.to_str().unwrap();
    let _ = fs::remove_file(place.path("log"));
    let daemon = place.start(["-p", "pid", "-c", folder, "sh", "-c", script]);
    if script.contains(">>log") {
        eventually("it is up", || place.path("log").exists());
    }
    daemon
}

/// Starts a daemon that gives up its lock, and waits until it has.
fn start_unlocked(place: &Place) -> Daemon {
    let daemon = place.start(["-p", "pid", "sh", "-c", CLOSES]);
    let comm = format!("/proc/{}/comm", daemon.pid);
    eventually("it has closed all", || {
        fs::read_to_string(&comm).is_ok_and(|name| name == "sleep\n")
    });
    daemon
}

#[test]
fn a_daemon_is_found_and_stopped_whatever_its_pidfile_says() {
    for kernel in kernels() {
        let place = Place::new();
        let mut bystander = Bystander::new(&place);
        let number = bystander.pid().to_string();
        for text in [
            "",
            "garbage",
            "0",
            "1",
            "-1",
            "99999999999999999999",
            &number,
        ] {
            let daemon = place.start(["-p", "pid", "sleep", "1000"]);
            assert_eq!(pid_in(&place.path("pid")), daemon.pid);
            fs::write(place.path("pid"), text).unwrap();
            let output = ask_on(&place, kernel, &["--status"]);
            says(&output, 0, &format!("{}\n", daemon.pid), "");
            let output = ask_on(&place, kernel, &["--stop"]);
            says(&output, 0, "", "");
            daemon.ended();
            bystander.assert_alive();
            // A text of somebody else is not removed.
            let left = fs::read_to_string(place.path("pid")).unwrap_or_default();
            assert_eq!(left, text);
        }
    }
}

#[test]
fn a_daemon_that_is_stopped_leaves_nothing() {
    for kernel in kernels() {
        let place = Place::new();
        let daemon = place.start(["-p", "pid", "sleep", "1000"]);
        let output = ask_on(&place, kernel, &["-vK"]);
        says(
            &output,
            0,
            "",
            &format!("rawdaemon: stopped pid {}\n", daemon.pid),
        );
        daemon.ended();
        assert!(!place.path("pid").exists(), "{}", kernel.0);
        says(&ask_on(&place, kernel, &["--status"]), 3, "", NOT_RUNNING);
    }
}

#[test]
fn when_nothing_runs_there_is_nothing_to_do() {
    for kernel in kernels() {
        let place = Place::new();
        says(&ask_on(&place, kernel, &["-T"]), 3, "", NOT_RUNNING);
        says(&ask_on(&place, kernel, &["-qT"]), 3, "", "");
        for action in [&["--stop"][..], &["--signal", "HUP"]] {
            let with = |option| [action, &[option]].concat();
            says(&ask_on(&place, kernel, action), 0, "", NOT_RUNNING);
            says(
                &ask_on(&place, kernel, &with("--strict")),
                7,
                "",
                NOT_RUNNING,
            );
            says(&ask_on(&place, kernel, &with("-q")), 0, "", "");
        }
        assert!(!place.path("pid").exists());
    }
}

#[test]
fn a_dead_daemon_is_dead_be_it_a_zombie() {
    for kernel in kernels() {
        let place = Place::new();
        let daemon = place.start(["-p", "pid", "sleep", "1000"]);
        daemon.signal(Signal::KILL);
        daemon.ended();
        for _ in ["as a zombie", "as nothing"] {
            says(&ask_on(&place, kernel, &["--status"]), 1, "", DEAD);
            says(&ask_on(&place, kernel, &["-s", "TERM"]), 0, "", NOT_RUNNING);
            if place.processes().is_empty() {
                continue;
            }
        }
        assert_eq!(pid_in(&place.path("pid")), daemon.pid);
        daemon.kill();
        says(&ask_on(&place, kernel, &["--status"]), 1, "", DEAD);
        says(&ask_on(&place, kernel, &["--stop"]), 0, "", NOT_RUNNING);
        assert!(!place.path("pid").exists(), "a stop leaves nothing");
    }
}

#[test]
fn a_pidfile_that_nobody_has_locked_is_not_believed() {
    for kernel in kernels() {
        let place = Place::new();
        let mut bystander = Bystander::new(&place);
        let pid = bystander.pid();
        // Each with the pid that it may mean.
        let texts = [
            (String::new(), None),
            ("garbage".into(), None),
            ("0\n".into(), None),
            ("1\n".into(), Some(1)),
            ("-1\n".into(), None),
            (format!("-{pid}\n"), None),
            ("99999999999999999999\n".into(), None),
            (format!("{pid} and more\n"), Some(pid)),
            (format!("{pid}\n{pid}\n"), Some(pid)),
            (format!(" {pid}\n"), Some(pid)),
            (format!("{pid}\n"), Some(pid)),
            (pid.to_string(), Some(pid)),
        ];
        for (text, named) in texts {
            for action in [&["--status"][..], &["--stop"], &["-s", "KILL"]] {
                fs::write(place.path("pid"), &text).unwrap();
                let output = ask_on(&place, kernel, action);
                let (code, line) = match (named, action[0]) {
                    (Some(pid), _) => (4, format!("{UNKNOWN} {pid}\n")),
                    (None, "--status") => (1, DEAD.to_owned()),
                    (None, _) => (0, NOT_RUNNING.to_owned()),
                };
                says(&output, code, "", &line);
                bystander.assert_alive();
                let is_removed = text.is_empty() && action[0] == "--stop";
                assert_eq!(place.path("pid").exists(), !is_removed, "{text:?}");
            }
        }
    }
}

#[test]
fn a_pidfile_is_trusted_if_that_is_asked_for_and_nothing_speaks_against_it() {
    for kernel in kernels() {
        let place = Place::new();
        let mut bystander = Bystander::new(&place);
        let pid = bystander.pid();
        let trust = |action| ask_on(&place, kernel, &["--trust-pidfile", action]);
        let write = |text: &str, mode| {
            fs::write(place.path("pid"), text).unwrap();
            fs::set_permissions(place.path("pid"), fs::Permissions::from_mode(mode)).unwrap();
        };
        // Process 1, and files that anybody may have written.
        write("1\n", 0o644);
        // Were this to fail, this signal does no harm.
        says(&trust("--signal=URG"), 4, "", &format!("{UNKNOWN} 1\n"));
        write(&format!("{pid} and more\n"), 0o644);
        says(&trust("--stop"), 4, "", &format!("{UNKNOWN} {pid}\n"));
        for mode in [0o666, 0o664] {
            write(&format!("{pid}\n"), mode);
            says(&trust("--stop"), 4, "", &format!("{UNKNOWN} {pid}\n"));
        }
        // A process that was created after the file was written.
        write(&format!("{pid}\n"), 0o644);
        if kernel.0 != "without /proc" {
            let before = SystemTime::now() - Duration::from_secs(3600);
            let file = fs::File::options()
                .write(true)
                .open(place.path("pid"))
                .unwrap();
            file.set_modified(before).unwrap();
            says(&trust("--stop"), 4, "", &format!("{UNKNOWN} {pid}\n"));
            bystander.assert_alive();
            file.set_modified(SystemTime::now()).unwrap();
        }
        bystander.assert_alive();
        says(&trust("--status"), 4, "", &format!("{UNKNOWN} {pid}\n"));
        let child = watch(rustix::process::Pid::from_child(&bystander.0));
        says(&trust("--signal=STOP"), 0, "", "");
        assert!(!wait_for(&child, Duration::ZERO));
        // It is stopped, so the first signal waits.
        let output = ask_on(
            &place,
            kernel,
            &["-K", "--trust-pidfile", "--retry=TERM/0.1/KILL/9"],
        );
        says(&output, 0, "", "");
        assert!(wait_for(&child, Duration::ZERO));
        assert!(!place.path("pid").exists());
    }
}

#[test]
fn a_daemon_that_has_given_up_its_lock_is_known_by_the_date() {
    let place = Place::new();
    let daemon = start_unlocked(&place);
    let (pid, line) = (daemon.pid, format!("{UNKNOWN} {}\n", daemon.pid));
    for kernel in kernels() {
        let output = ask_on(&place, kernel, &["-vT"]);
        let by_date = "rawdaemon: running, by the date of its pidfile (no lock)\n";
        if kernel.0 == "without /proc" {
            says(&output, 4, "", &line);
        } else {
            says(&output, 0, &format!("{pid}\n"), by_date);
        }
        says(&ask_on(&place, kernel, &["--stop"]), 4, "", &line);
        says(&ask_on(&place, kernel, &["-s9"]), 4, "", &line);
    }
    // A second start is refused, and leaves the file as it is; a restart stops nothing.
    let running = format!("rawdaemon: already running as pid {pid}\n");
    let again = place.run(&mut place.rawdaemon(["-p", "pid", "sleep", "1000"]));
    says(&again, 12, "", &running);
    let restart = ["--restart", "-p", "pid", "sleep", "1000"];
    says(&place.run(&mut place.rawdaemon(restart)), 24, "", &line);
    says(&ask(&place, &["--status"]), 0, &format!("{pid}\n"), "");
    daemon.assert_alive();
    // More text, another date, or the clock was set: nothing is known.
    let file = fs::File::options()
        .write(true)
        .open(place.path("pid"))
        .unwrap();
    let date = file.metadata().unwrap().modified().unwrap();
    file.set_modified(date + Duration::from_millis(100))
        .unwrap();
    says(&ask(&place, &["--status"]), 4, "", &line);
    let text = fs::read(place.path("pid")).unwrap();
    fs::write(place.path("pid"), [&text, &b"more\n"[..]].concat()).unwrap();
    file.set_modified(date).unwrap();
    says(&ask(&place, &["--status"]), 4, "", &line);
    fs::write(place.path("pid"), text).unwrap();
    file.set_modified(date).unwrap();
    if has("strace") {
        // The clocks are read again if this process was not let run in between.
        let delay = [
            "-qq",
            "-o",
            "trace",
            "--inject=clock_gettime:delay_enter=60ms:when=2",
        ];
        let mut command = place.program(Path::new("strace"), delay);
        command.args([env!("CARGO_BIN_EXE_rawdaemon"), "--status", "-p", "pid"]);
        says(&place.run(&mut command), 0, &format!("{pid}\n"), "");
    }
    says(&ask(&place, &["--stop", "--trust-pidfile"]), 0, "", "");
    daemon.ended();
    assert!(!place.path("pid").exists());
}

#[test]
fn a_stale_pidfile_does_not_block_a_start_or_a_restart() {
    let place = Place::new();
    let mut bystander = Bystander::new(&place);
    for action in [&["-v"][..], &["-v", "--restart"]] {
        fs::write(place.path("pid"), format!("{}\n", bystander.pid())).unwrap();
        let start = [action, &["-p", "pid", "sleep", "1000"]].concat();
        let daemon = place.start_by(&mut place.rawdaemon(&start));
        assert_eq!(pid_in(&place.path("pid")), daemon.pid);
        bystander.assert_alive();
    }
    // With trust it is what the restart is for.
    let pid = bystander.pid();
    fs::write(place.path("pid"), format!("{pid}\n")).unwrap();
    let trust = [
        "-v",
        "--restart",
        "--trust-pidfile",
        "-p",
        "pid",
        "sleep",
        "1000",
    ];
    let daemon = place.start_by(&mut place.rawdaemon(trust));
    assert_eq!(pid_in(&place.path("pid")), daemon.pid);
    assert!(bystander.0.try_wait().unwrap().is_some());
}

#[test]
fn the_command_does_not_take_itself_for_the_daemon() {
    let place = Place::new();
    for (action, code, line) in [("--status", 1, DEAD), ("--stop", 0, NOT_RUNNING)] {
        let script = "echo $$ >pid; exec \"$0\" \"$@\"";
        let mut command = place.program(Path::new("sh"), ["-c", script]);
        command.args([
            env!("CARGO_BIN_EXE_rawdaemon"),
            action,
            "--trust-pidfile",
            "-p",
            "pid",
        ]);
        says(&place.run(&mut command), code, "", line);
    }
}

#[test]
fn a_pidfile_that_cannot_be_removed_is_emptied() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let daemon = place.start(["-p", "pid", "sleep", "1000"]);
    let refuse = ["-qq", "-o", "trace", "--inject=unlinkat:error=EACCES"];
    let mut command = place.program(Path::new("strace"), refuse);
    command.args([env!("CARGO_BIN_EXE_rawdaemon"), "--stop", "-p", "pid"]);
    says(&place.run(&mut command), 0, "", "");
    daemon.ended();
    assert_eq!(place.read("pid"), "");
}

#[test]
fn a_start_that_is_stopped_is_not_taken_for_the_daemon() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let daemon = start_unlocked(&place);
    std::thread::scope(|scope| {
        // It has the lock, and does not know yet that the daemon runs without one.
        let start = scope.spawn(|| {
            let delay = "--inject=pidfd_open:delay_enter=1500ms:when=1";
            support::under_strace(&place, &[delay], &["-p", "pid", "sleep", "1000"])
        });
        eventually("it has the lock", || {
            let output = ask(&place, &["--status"]);
            output.code() == 0 && output.stdout != format!("{}\n", daemon.pid)
        });
        let line = format!("{UNKNOWN} {}\n", daemon.pid);
        says(&ask(&place, &["--stop"]), 4, "", &line);
        assert_eq!(start.join().unwrap().code(), 12);
    });
    daemon.assert_alive();
}

#[test]
fn signals_arrive_by_name_and_number() {
    for kernel in kernels() {
        let place = Place::new();
        let daemon = start_script(&place, LOGS);
        for (signal, name) in [("HUP", "HUP"), ("SIGINT", "INT"), ("15", "TERM")] {
            let output = ask_on(&place, kernel, &["-v", "--signal", signal]);
            says(
                &output,
                0,
                "",
                &format!("rawdaemon: signalled pid {}\n", daemon.pid),
            );
            eventually("it has arrived", || {
                place.read("log").ends_with(&format!("{name}\n"))
            });
        }
        daemon.assert_alive();
        for bad in ["0", "65", "hup", ""] {
            let output = ask_on(&place, kernel, &["--signal", bad]);
            assert_eq!(
                (output.code(), output.stdout.as_str()),
                (64, ""),
                "{output:?}"
            );
        }
        daemon.assert_alive();
    }
}

#[test]
fn a_daemon_that_ignores_what_it_gets_is_killed_in_the_end() {
    for kernel in kernels() {
        let place = Place::new();
        for (options, order) in [
            (&["--stop", "-t", "0.2"][..], "up\nTERM\n"),
            (&["--stop", "--kill-after", "0.2"], "up\nTERM\n"),
            (&["--stop", "--signal", "INT", "-t0.2"], "up\nINT\n"),
            (&["--stop", "--retry", "0.2"], "up\nTERM\n"),
            (
                &["-K", "--retry", "INT/0.2/SIGHUP/0.2/9/5"],
                "up\nINT\nHUP\n",
            ),
        ] {
            let daemon = start_script(&place, LOGS);
            let output = ask_on(&place, kernel, options);
            says(&output, 0, "", "");
            assert!(output.took >= Duration::from_millis(200), "{output:?}");
            assert!(wait_for(&watch(daemon.pid), Duration::ZERO) || kernel.0 != "whole");
            daemon.ended();
            assert_eq!(place.read("log"), order, "{options:?}");
            assert!(!place.path("pid").exists());
        }
        let daemon = start_script(&place, LOGS);
        let output = ask_on(&place, kernel, &["--stop", "--retry", "TERM/0.2/INT/0.1"]);
        let pid = daemon.pid;
        let line = format!("rawdaemon: has not ended in time, and still runs as pid {pid}\n");
        says(&output, 1, "", &line);
        daemon.assert_alive();
        assert_eq!(pid_in(&place.path("pid")), pid);
    }
}

#[test]
fn what_may_not_be_signalled_is_told() {
    if !is_root() {
        return;
    }
    for kernel in kernels() {
        let place = Place::new();
        let daemon = place.start(["-p", "pid", "sleep", "1000"]);
        for action in [
            &["--stop"][..],
            &["--signal", "TERM"],
            &["-K", "--process-group"],
        ] {
            let mut command = place.rawdaemon(action);
            command.args(["-p", "pid"]);
            kernel.1(&mut command);
            support::before_exec(&mut command, || {
                become_nobody();
                Ok(())
            });
            let line = "rawdaemon: cannot signal the daemon: Operation not permitted (EPERM)\n";
            says(&place.run(&mut command), 4, "", line);
        }
        daemon.assert_alive();
        // To ask is free.
        let mut command = place.rawdaemon(["--status", "-p", "pid"]);
        command.uid(65534).gid(65534);
        says(
            &place.run(&mut command),
            0,
            &format!("{}\n", daemon.pid),
            "",
        );
    }
}

/// Becomes nobody: after all that needs root.
fn become_nobody() {
    // SAFETY: numbers only.
    assert_eq!(unsafe { libc::syscall(libc::SYS_setuid, 65534) }, 0);
}

#[test]
fn what_is_no_pidfile_is_told() {
    let place = Place::new();
    fs::create_dir(place.path("folder")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, place.path("fifo"), rustix::fs::Mode::RWXU).unwrap();
    fs::write(place.path("file"), "").unwrap();
    std::os::unix::fs::symlink("file", place.path("link")).unwrap();
    fs::write(place.path("two"), "").unwrap();
    fs::hard_link(place.path("two"), place.path("names")).unwrap();
    for (path, why) in [
        ("folder", "not a regular file"),
        ("fifo", "not a regular file"),
        ("link", "Too many levels of symbolic links (ELOOP)"),
        ("two", "Too many links (EMLINK)"),
        ("file/pid", "Not a directory (ENOTDIR)"),
    ] {
        for action in ["--status", "--stop"] {
            let output = place.run(&mut place.rawdaemon([action, "-p", path]));
            let line = format!("rawdaemon: cannot use the pidfile {path}: {why}\n");
            says(&output, 4, "", &line);
        }
    }
    let output = place.run(&mut place.rawdaemon(["--stop"]));
    says(
        &output,
        64,
        "",
        "rawdaemon: no pidfile given; see rawdaemon --help\n",
    );
    let output = place.run(&mut place.rawdaemon(["--restart", "-p", "pid"]));
    says(
        &output,
        64,
        "",
        "rawdaemon: no command given; see rawdaemon --help\n",
    );
}

#[test]
fn a_group_is_signalled_as_a_whole_if_it_is_the_daemon_s() {
    for kernel in kernels() {
        let place = Place::new();
        let script = "(trap '' TERM; sleep 1000 & echo $! >>log; wait) & exec sleep 1000";
        let child = || {
            eventually("the child is there", || place.read("log").ends_with('\n'));
            let child = place.read("log").trim_end().parse().unwrap();
            watch(rustix::process::Pid::from_raw(child).unwrap())
        };
        let daemon = start_script(&place, script);
        let left = child();
        says(&ask_on(&place, kernel, &["--stop"]), 0, "", "");
        daemon.ended();
        assert!(
            !wait_for(&left, Duration::ZERO),
            "only the daemon was meant"
        );
        for pid in place.processes() {
            drop(Daemon::new(pid));
        }
        // The child ignores the first signal, and gets the second.
        let daemon = start_script(&place, script);
        let left = child();
        says(
            &ask_on(&place, kernel, &["-K", "--process-group", "-t", "0.3"]),
            0,
            "",
            "",
        );
        daemon.ended();
        assert!(wait_for(&left, DEADLINE));
        for pid in place.processes() {
            drop(Daemon::new(pid));
        }
    }
}

#[test]
fn a_group_of_the_caller_s_session_is_left_alone() {
    let place = Place::new();
    let mut command = place.rawdaemon(["-f", "-p", "pid", "sleep", "1000"]);
    // A group of its own: that of the tests must not be in danger.
    let mut child = command.process_group(0).spawn().unwrap();
    eventually("it runs", || ask(&place, &["-qT"]).code() == 0);
    let output = ask(&place, &["--stop", "--process-group"]);
    let line = "rawdaemon: cannot signal the daemon: Operation not permitted (EPERM)\n";
    says(&output, 4, "", line);
    assert!(child.try_wait().unwrap().is_none());
    says(&ask(&place, &["--stop"]), 0, "", "");
    assert_eq!(child.wait().unwrap().code(), None);
}

#[test]
fn a_restart_is_a_stop_and_a_start() {
    let place = Place::new();
    let start = ["-p", "pid", "sleep", "1000"];
    let restart = ["-v", "--restart", "-p", "pid", "sleep", "1000"];
    let first = place.start_by(&mut place.rawdaemon(restart));
    let second = place.start_by(&mut place.rawdaemon(restart));
    first.ended();
    assert_eq!(pid_in(&place.path("pid")), second.pid);
    // What runs already is a success, if that is asked for.
    let ok = |options: &[&str]| place.run(place.rawdaemon(options).args(start));
    let line = format!("rawdaemon: already running as pid {}\n", second.pid);
    says(&ok(&[]), 12, "", &line);
    says(&ok(&["--start-or-ok"]), 0, "", "");
    let output = ok(&["--start-or-ok", "-v"]);
    assert!(
        output.code() == 0 && output.stderr.ends_with(&line),
        "{output:?}"
    );
    // A daemon that does not end is not replaced.
    drop(second);
    let stubborn = start_script(&place, LOGS);
    let restart = ["--retry=INT/0.1", "--restart", "-p", "pid", "sleep", "1000"];
    let pid = stubborn.pid;
    let line = format!("rawdaemon: has not ended in time, and still runs as pid {pid}\n");
    says(&place.run(&mut place.rawdaemon(restart)), 25, "", &line);
    stubborn.assert_alive();
    assert_eq!(pid_in(&place.path("pid")), pid);
}

#[test]
fn two_stops_at_once_are_both_right() {
    for kernel in kernels() {
        let place = Place::new();
        let slow = "trap 'sleep 0.3; exit' TERM; echo up >>log; while :; do sleep 0.01; done";
        let daemon = start_script(&place, slow);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(ask_on(&place, kernel, &["-qK"]).code(), 0));
            }
        });
        daemon.ended();
        assert!(!place.path("pid").exists());
    }
}

#[test]
fn a_daemon_that_is_replaced_while_it_is_looked_at_is_not_missed() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let first = place.start(["-p", "pid", "sleep", "1000"]);
    let second = std::thread::scope(|scope| {
        // It has the first answer, and waits with its second question.
        let stop = scope.spawn(|| {
            let delay = "--inject=pidfd_open:delay_enter=1000ms:when=1";
            let mut command = place.program(Path::new("strace"), ["-qq", "-o", "trace", delay]);
            command.arg(env!("CARGO_BIN_EXE_rawdaemon"));
            place.run(command.args(["-v", "--stop", "-p", "pid"]))
        });
        eventually("it has the first answer", || {
            fs::read_to_string(place.path("trace")).is_ok_and(|said| said.contains("pidfd_open"))
        });
        let number = first.pid.to_string();
        first.kill();
        let second = place.start(["-p", "pid", "sleep", "1000"]);
        let line = format!("rawdaemon: stopped pid {}\n", second.pid);
        assert_ne!(second.pid.to_string(), number);
        says(&stop.join().unwrap(), 0, "", &line);
        second
    });
    second.ended();
    assert!(!place.path("pid").exists());
}

#[test]
fn a_stop_during_a_start_is_told_by_both() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    std::thread::scope(|scope| {
        let start = scope.spawn(|| {
            // The daemon has locked and written its pidfile, and waits with all that follows.
            let delay = "--inject=utimensat:delay_exit=1000ms";
            support::under_strace(&place, &[delay], &["-p", "pid", "sleep", "1000"])
        });
        eventually("it has its pidfile", || {
            fs::read_to_string(place.path("pid")).is_ok_and(|text| text.ends_with('\n'))
        });
        says(&ask(&place, &["--stop"]), 0, "", "");
        let output = start.join().unwrap();
        assert_eq!(output.code(), 5, "{output:?}");
        assert!(
            output.stderr.contains("killed by signal 15 (SIGTERM)"),
            "{output:?}"
        );
    });
    assert!(!place.path("pid").exists());
    eventually("no process is left", || place.processes().is_empty());
}

#[test]
fn a_pid_that_another_process_has_got_is_not_signalled() {
    if !is_root() || !has("unshare") {
        return;
    }
    let place = Place::new();
    // In a pid namespace of its own, where the next pid can be chosen.
    let script = place.script(
        "reuse",
        "#!/bin/sh
        rawdaemon() { \"$RAWDAEMON\" \"$@\"; }
        rawdaemon -p pid sleep 1000 || exit 1
        pid=$(cat pid)
        kill -9 $pid
        while kill -0 $pid 2>/dev/null; do sleep 0.01; done
        # So much later that no rounding hides it.
        sleep 0.1
        echo $((pid - 1)) >/proc/sys/kernel/ns_last_pid
        sleep 1000 &
        [ $! = $pid ] || exit 2
        for options in --status --stop '-s KILL' '--stop --trust-pidfile'; do
            rawdaemon -p pid $options 2>>said
            echo $options: $? >>said
        done
        kill -0 $pid || exit 3
        grep -q 'State:.S' /proc/$pid/status || exit 4
        rawdaemon -v -p pid sleep 1000 2>/dev/null || exit 5
        rawdaemon --stop -p pid || exit 6
        kill -0 $pid || exit 7
        ",
    );
    for mount in ["--mount-proc", "--mount"] {
        let _ = fs::remove_file(place.path("said"));
        let mut command = place.program(Path::new("unshare"), ["--pid", "--fork", mount]);
        command.arg(&script);
        command.env("RAWDAEMON", env!("CARGO_BIN_EXE_rawdaemon"));
        if mount == "--mount" {
            // `/proc` is that of another namespace, and speaks of other processes.
            let text = fs::read_to_string(&script).unwrap();
            let text = text.replace("grep -q", "true");
            // Where `/proc` says nothing, trust is all that counts.
            fs::write(&script, text.replace(" '--stop --trust-pidfile'", "")).unwrap();
        }
        let output = place.run(&mut command);
        assert_eq!(output.code(), 0, "{mount}: {output:?}");
        let said = place.read("said");
        let codes: Vec<_> = said
            .lines()
            .filter_map(|line| line.rsplit_once(": "))
            .collect();
        let expected = [
            ("--status", "4"),
            ("--stop", "4"),
            ("-s KILL", "4"),
            ("--stop --trust-pidfile", "4"),
        ];
        if mount == "--mount-proc" {
            let codes: Vec<_> = codes
                .iter()
                .filter(|(name, _)| name.starts_with('-'))
                .collect();
            assert_eq!(codes, expected.iter().collect::<Vec<_>>(), "{said}");
        }
    }
}

#[test]
fn a_daemon_in_another_pid_namespace_runs_and_cannot_be_signalled() {
    if !is_root() || !has("unshare") {
        return;
    }
    let place = Place::new();
    let script = "\"$0\" -p pid sleep 1000; touch up; exec sleep 1000";
    let mut command = place.program(Path::new("unshare"), ["--pid", "--fork", "--kill-child"]);
    command.args(["sh", "-c", script, env!("CARGO_BIN_EXE_rawdaemon")]);
    let mut inside = command.spawn().unwrap();
    eventually("it runs", || place.path("up").exists());
    // By its real number, the daemon has one here; from a third namespace it has none.
    let outside = ask(&place, &["--status"]);
    assert_eq!(outside.code(), 0, "{outside:?}");
    assert_ne!(outside.stdout.trim_end(), place.read("pid").trim_end());
    for (action, code, line) in [
        ("--status", 0, "rawdaemon: running, without a pid here\n"),
        (
            "--stop",
            4,
            "rawdaemon: cannot signal the daemon: No such process (ESRCH)\n",
        ),
    ] {
        let mut command = place.program(Path::new("unshare"), ["--pid", "--fork"]);
        command.args([env!("CARGO_BIN_EXE_rawdaemon"), action, "-p", "pid"]);
        says(&place.run(&mut command), code, "", line);
    }
    says(&ask(&place, &["--stop"]), 0, "", "");
    inside.kill().unwrap();
    inside.wait().unwrap();
    eventually("no process is left", || place.processes().is_empty());
}

#[test]
fn the_library_does_the_same() {
    let place = Place::new();
    let path = CString::new(place.path("pid").into_os_string().into_encoded_bytes()).unwrap();
    let pidfile = Pidfile::new(&path);
    let stages = [Stage {
        signal: 15,
        wait: DEADLINE,
    }];
    assert_eq!(pidfile.owner(), Ok(Owner::NotRunning));
    assert_eq!(pidfile.stop(&stages), Ok(None));
    let daemon = start_script(&place, LOGS);
    let pid = rawdaemon::Pid::new(daemon.pid.as_raw_pid()).unwrap();
    assert_eq!(pidfile.owner(), Ok(Owner::Running(pid)));
    assert_eq!(pidfile.signal(1), Ok(Some(pid)));
    eventually("it has arrived", || place.read("log") == "up\nHUP\n");
    let short = [Stage {
        signal: 2,
        wait: Duration::from_millis(50),
    }];
    assert_eq!(
        pidfile.stop(&short).unwrap_err().code(),
        ExitCode::StillRunning
    );
    assert_eq!(pidfile.signal(0), Ok(Some(pid)), "signal 0 is none");
    assert_eq!(
        pidfile.signal(65).unwrap_err().code(),
        ExitCode::SignalFailed
    );
    let kill = [Stage {
        signal: 9,
        wait: DEADLINE,
    }];
    assert_eq!(pidfile.stop(&kill), Ok(Some(pid)));
    daemon.ended();
    assert_eq!(pidfile.owner(), Ok(Owner::NotRunning));
    let unlocked = start_unlocked(&place);
    let pid = rawdaemon::Pid::new(unlocked.pid.as_raw_pid()).unwrap();
    assert_eq!(pidfile.owner(), Ok(Owner::Unlocked(pid)));
    assert_eq!(pidfile.signal(15).unwrap_err().code(), ExitCode::NoLock);
    assert_eq!(pidfile.trust(true).stop(&stages), Ok(Some(pid)));
    unlocked.ended();
}

#[test]
fn a_lock_for_reading_means_nothing() {
    let place = Place::new();
    fs::write(place.path("pid"), "").unwrap();
    let file = fs::File::open(place.path("pid")).unwrap();
    // SAFETY: all zeros is a flock: the whole file.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_RDLCK as _;
    // SAFETY: the kernel reads a flock.
    let locked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) };
    assert_eq!(locked, 0);
    says(&ask(&place, &["--status"]), 1, "", DEAD);
    let busy = "rawdaemon: cannot use the pidfile pid: Device or resource busy (EBUSY)";
    place.fails(
        &mut place.rawdaemon(["-p", "pid", "sleep", "1000"]),
        11,
        busy,
    );
    says(&ask(&place, &["--signal", "TERM"]), 0, "", NOT_RUNNING);
}

#[test]
fn a_group_outlives_its_leader() {
    if !has("setsid") {
        return;
    }
    let place = Place::new();
    let script = "(trap '' TERM; echo up >>log; exec sleep 1000) & exec sleep 1000";
    let folder = place.path("");
    let folder = folder.to_str().unwrap();
    let daemon = place.start(["-p", "pid", "-c", folder, "setsid", "sh", "-c", script]);
    eventually("it is up", || place.path("log").exists());
    assert_eq!(
        support::State::of(daemon.pid).session,
        daemon.pid.as_raw_pid()
    );
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| ask(&place, &["-K", "--process-group", "-t", "1"]));
        daemon.ended();
        // Its number is given to no process, for the group has it.
        daemon.kill();
        says(&stop.join().unwrap(), 0, "", "");
    });
    place.assert_no_process();
}

#[test]
fn what_is_started_while_it_is_looked_for_is_found() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    fs::write(place.path("pid"), format!("{}\n", std::process::id())).unwrap();
    std::thread::scope(|scope| {
        // It knows that nobody has the lock, and has yet to read the file.
        let status = scope.spawn(|| {
            let delay = "--inject=read:delay_enter=1000ms:when=1";
            let mut command = place.program(Path::new("strace"), ["-qq", "-o", "trace", delay]);
            command.args(["-P", place.path("pid").to_str().unwrap()]);
            command.arg(env!("CARGO_BIN_EXE_rawdaemon"));
            place.run(command.arg("--status").arg("-p").arg(place.path("pid")))
        });
        eventually("it has asked", || {
            fs::read_to_string(place.path("trace")).is_ok_and(|said| said.contains("F_GETLK"))
        });
        let daemon = place.start(["-p", "pid", "sleep", "1000"]);
        says(&status.join().unwrap(), 0, &format!("{}\n", daemon.pid), "");
    });
}

#[test]
fn a_process_that_takes_the_pid_is_looked_at_again() {
    if !is_root() || !has("unshare") || !has("strace") {
        return;
    }
    let place = Place::new();
    let script = place.script(
        "replace",
        "#!/bin/sh
        sleep 1000 &
        victim=$!
        echo $victim >pid
        sleep 0.1
        # The third is the second question's own.
        strace -qq -o trace --inject=pidfd_open:delay_enter=1500ms:when=3 \
            \"$RAWDAEMON\" --stop --trust-pidfile -p pid &
        stop=$!
        until [ \"$(grep -c pidfd_open trace 2>/dev/null)\" = 3 ]; do sleep 0.01; done
        kill -9 $victim
        wait $victim 2>/dev/null
        echo $((victim - 1)) >/proc/sys/kernel/ns_last_pid
        sleep 1000 &
        [ $! = $victim ] || exit 2
        wait $stop
        [ $? = 4 ] || exit 3
        kill -0 $victim || exit 4
        grep -q 'State:.S' /proc/$victim/status || exit 5
        ",
    );
    let mut command = place.program(Path::new("unshare"), ["--pid", "--fork", "--mount-proc"]);
    command
        .arg(&script)
        .env("RAWDAEMON", env!("CARGO_BIN_EXE_rawdaemon"));
    let output = place.run(&mut command);
    assert_eq!(output.code(), 0, "{output:?}");
}
