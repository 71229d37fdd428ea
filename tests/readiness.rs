//! Readiness: the launcher returns when the daemon is ready, and knows when it never will be.

#![allow(missing_docs, unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use support::{
    DEADLINE, Daemon, Output, Place, before_exec, environment, eventually, example,
    fails_under_strace, has, is_root, lead_session_on, terminal, under_strace, wait_for, watch,
};

/// Much less than the minute that a daemon may take.
const SOON: Duration = Duration::from_secs(10);

const DIED: &str = "rawdaemon: the daemon ended too soon: ";
const LATE: &str = "rawdaemon: the daemon did not get ready in time";
const SILENT: &str = "rawdaemon: the daemon refused to start: it closed its line without a word";

/// The command, with a shell script as the daemon that finds a pipe at descriptor 3.
fn script(place: &Place, script: &str) -> Command {
    place.rawdaemon(["-v", "-R", "fd:3", "sh", "-c", script])
}

/// What was said last, less the milliseconds that the daemon has lived.
fn said(output: &Output) -> &str {
    let line = output.stderr.lines().last().unwrap_or_default();
    line.split_once(" after ").map_or(line, |(said, _)| said)
}

#[track_caller]
fn fails(place: &Place, command: &mut Command, code: i32, says: &str) -> Output {
    let output = place.run(command);
    assert_eq!((output.code(), said(&output)), (code, says), "{output:?}");
    assert!(output.took < SOON, "{output:?}");
    place.assert_no_process();
    output
}

#[test]
fn a_line_on_the_descriptor_is_readiness() {
    let place = Place::new();
    for line in [
        "echo >&3",
        "echo ready >&3",
        "printf rea >&3; sleep 0.05; printf 'dy\\n' >&3",
        "printf 'ready\\nand more' >&3",
        "(echo >&3)",
        "head -c 1048576 /dev/zero >&3; echo >&3",
        "echo >&3; exec 3>&-",
    ] {
        let before = "sleep 0.05; test -e ready && exit 9; touch ready; ";
        let folder = place.path("");
        let here = format!("cd {}; rm -f ready; ", folder.display());
        let text = format!("{here}{before}{line}; exec sleep 1000");
        let daemon = place.start_by(&mut script(&place, &text));
        assert!(place.path("ready").exists(), "{line}: it waited");
        daemon.assert_alive();
    }
}

#[test]
fn the_descriptor_may_have_any_number() {
    let place = Place::new();
    for place_of_line in [3, 4, 5, 6, 7, 8, 9, 10, 11, 100] {
        let how = format!("fd:{place_of_line}");
        let path = format!("/proc/self/fd/{place_of_line}");
        let text = "echo >\"$0\"; exec sleep 1000";
        let command = ["-v", "-p", "pid", "-R", &how, "sh", "-c", text, &path];
        let daemon = place.start(command);
        let state = daemon.state();
        let open: Vec<_> = state.descriptors.keys().copied().collect();
        assert_eq!(open.len(), 5, "the streams, the lock, the pipe: {state:?}");
        let target = state.descriptors[&place_of_line].to_str().unwrap();
        assert!(target.starts_with("pipe:"), "{state:?}");
    }
    let channel = "rawdaemon: cannot make a channel between the processes";
    let mut command = place.rawdaemon(["-R", "fd:2000000000", "sleep", "1000"]);
    place.fails(
        &mut command,
        20,
        &format!("{channel}: Invalid argument (EINVAL)"),
    );
}

#[test]
fn one_descriptor_is_not_both_kept_and_the_line() {
    let place = Place::new();
    let mut command = place.rawdaemon(["--keep-fd", "5", "-R", "fd:5", "sleep", "1000"]);
    before_exec(&mut command, || {
        // SAFETY: numbers only.
        unsafe { libc::dup2(0, 5) };
        Ok(())
    });
    let says = "rawdaemon: cannot keep descriptor 5: Device or resource busy (EBUSY)";
    place.fails(&mut command, 10, says);
    // What the caller has there is closed, and the pipe lies there.
    let mut command = script(&place, "echo >&3; exec sleep 1000");
    before_exec(&mut command, || {
        // SAFETY: numbers only.
        unsafe { libc::dup2(0, 3) };
        Ok(())
    });
    place.start_by(&mut command).assert_alive();
}

#[test]
fn a_line_that_ends_without_a_newline_is_a_failure_at_once() {
    let place = Place::new();
    for text in [
        "exec 3>&-; exec sleep 1000",
        "printf ready >&3; exec 3>&-; exec sleep 1000",
        "exec sleep 1000 3>&-",
    ] {
        fails(&place, &mut script(&place, text), 18, SILENT);
    }
}

/// The ways to wait for a daemon, each with what the daemon says when it is ready.
fn modes() -> [(&'static [&'static str], &'static str); 4] {
    let notifier = "notifier";
    [
        (&["-t", "60"], ""),
        (&["-R", "fd:3"], "echo >&3"),
        (&["-R", "notify"], notifier),
        (&["-R", "notify:/"], notifier),
    ]
}

/// A command with the options of a mode.
fn in_mode(place: &Place, options: &[&str]) -> Command {
    let path = format!("notify:{}", place.path("socket").display());
    let options = options.iter().map(|option| match *option {
        "notify:/" => path.as_str(),
        option => option,
    });
    let mut command = place.rawdaemon(["-v", "-p", "pid"]);
    command.args(options);
    command
}

#[test]
fn a_daemon_that_dies_is_told_at_once_in_every_mode() {
    let place = Place::new();
    for (text, how) in [
        ("sleep 0.01; exit 3", "exited with status 3"),
        ("exit 0", "exited with status 0"),
        ("kill -SEGV $$", "killed by signal 11 (SIGSEGV)"),
        // A helper that holds on to everything does not hide it.
        ("sleep 5 & exit 4", "exited with status 4"),
    ] {
        for (options, _) in modes() {
            let mut command = in_mode(&place, options);
            let output = place.run(command.args(["sh", "-c", text]));
            let expected = format!("{DIED}{how}");
            let core_or_not = said(&output).replace(", core dumped", "");
            assert_eq!((output.code(), core_or_not), (5, expected), "{output:?}");
            assert!(output.took < Duration::from_secs(4), "{output:?}");
            assert!(!place.path("pid").exists() && !place.path("socket").exists());
            place.processes().into_iter().for_each(|helper| {
                drop(Daemon::new(helper));
            });
        }
    }
}

#[test]
fn without_pidfds_deaths_are_told_as_fast() {
    if !has("strace") {
        return;
    }
    for (options, _) in modes()
        .into_iter()
        .filter(|(options, _)| options[1] != "notify:/")
    {
        let place = Place::new();
        let arguments = [options, &["sh", "-c", "sleep 0.01; exit 3"]].concat();
        let faults = ["--inject=pidfd_open:error=ENOSYS"];
        let output = fails_under_strace(&place, &faults, &arguments);
        assert_eq!(output.code(), 5, "{output:?}");
        assert_eq!(said(&output), format!("{DIED}exited with status 3"));
        assert!(output.took < SOON, "{output:?}");
        // And a daemon that does not die is seen to be ready.
        let place = Place::new();
        let arguments = ["-v", "-R", "fd:3", "sh", "-c", "echo >&3; exec sleep 1000"];
        let output = under_strace(&place, &faults, &arguments);
        assert_eq!(output.code(), 0, "{output:?}");
        Daemon::new(output.pid()).assert_alive();
    }
}

#[test]
fn a_daemon_that_never_gets_ready_is_stopped() {
    let place = Place::new();
    for options in [["-R", "fd:3"], ["-R", "notify"]] {
        let mut command = place.rawdaemon(options);
        let text = "trap 'echo told >told; exit' TERM; while :; do sleep 0.01; done";
        command.args(["-c", ".", "-t", "0.5", "sh", "-c", text]);
        fails(&place, &mut command, 6, LATE);
        assert_eq!(place.read("told"), "told\n");
        fs::remove_file(place.path("told")).unwrap();

        let mut command = place.rawdaemon(options);
        let text = "trap '' TERM; while :; do sleep 0.01; done";
        command.args(["-p", "pid", "-t", "0.5", "sh", "-c", text]);
        let output = place.run(&mut command);
        assert_eq!((output.code(), said(&output)), (6, LATE), "{output:?}");
        assert!(output.took > Duration::from_millis(1500), "{output:?}");
        assert!(!place.path("pid").exists());
        // Its last child may still be asleep.
        eventually("nothing is left", || place.processes().is_empty());
    }
}

#[test]
fn who_never_stops_talking_is_stopped_all_the_same() {
    let place = Place::new();
    let text = "trap '' TERM PIPE; while :; do printf x >&3; done";
    let mut command = place.rawdaemon(["-R", "fd:3", "-t", "0.5", "sh", "-c", text]);
    fails(&place, &mut command, 6, LATE);
    let text = "trap '' TERM PIPE; sleep 0.1; while :; do echo >&3; done";
    let mut command = place.rawdaemon(["-R", "fd:3", "-t", "0.01", "sh", "-c", text]);
    fails(&place, &mut command, 6, LATE);
}

fn notifier(place: &Place, options: &[&str], words: &[&str]) -> Command {
    let mut command = place.rawdaemon(["-v", "-R", "notify"]);
    command.args(options).arg(example("notifier")).args(words);
    command
}

#[test]
fn ready_is_a_whole_line_of_a_datagram() {
    let place = Place::new();
    for word in [
        "say READY=1",
        "say READY=1\\n",
        "say STATUS=up\\nREADY=1",
        "say READY=1\\nSTATUS=up\\nMAINPID=1",
        "say READY=0\\nREADY=1",
        "say READY=1\\0",
        "long 4096 READY=1",
        "long 4097 READY=1\\n",
        "long 65536 READY=1",
        "long 200000 READY=1",
        "child READY=1",
        "grandchild READY=1",
    ] {
        let daemon = place.start_by(&mut notifier(&place, &[], &[word]));
        daemon.assert_alive();
    }
    for word in [
        "say XREADY=1",
        "say READY=10",
        "say READY=0",
        "say READY=1 ",
        "say X=\\0\\nREADY=1",
        "say STATUS=READY=1",
        "stranger READY=1",
        "too-long",
    ] {
        if word == "too-long" && !is_root() {
            continue;
        }
        // It gets its time for what it says after that.
        let words = [word, "say EXTEND_TIMEOUT_USEC=1", "print said"];
        let output = place.run(&mut notifier(&place, &["-t", "0.5", "-o", "out"], &words));
        let told = said(&output).split("; it said").next();
        assert_eq!((output.code(), told), (6, Some(LATE)), "{word}: {output:?}");
        assert_eq!(place.read("out"), "said\n", "{word}");
        eventually("nothing is left", || place.processes().is_empty());
    }
}

#[test]
fn a_daemon_that_leads_a_session_of_its_own_is_heard() {
    let place = Place::new();
    let words = ["child STATUS=x", "lead", "wait 10", "child READY=1"];
    // The leader of a group cannot lead a session; the daemon is none.
    place
        .start_by(&mut notifier(&place, &[], &words))
        .assert_alive();
}

#[test]
fn what_else_sd_notify_can_say() {
    let place = Place::new();
    let says = "rawdaemon: the daemon refused to start: No such file or directory (ENOENT)";
    let mut command = notifier(&place, &[], &["say ERRNO=2\\nREADY=1"]);
    fails(&place, &mut command, 18, says);
    let words = ["say STATUS=no disk", "say ERRNO=5"];
    let says = "rawdaemon: the daemon refused to start: Input/output error (EIO); it said: no disk";
    fails(&place, &mut notifier(&place, &[], &words), 18, says);
    // The last word counts, even of a daemon that is dead when it is heard.
    let words = ["burst", "say STATUS=no disk", "say ERRNO=5", "exit 3"];
    for _ in 0..20 {
        fails(&place, &mut notifier(&place, &[], &words), 18, says);
    }

    // Microseconds, from then on.
    let words = [
        "say EXTEND_TIMEOUT_USEC=20000000",
        "wait 1400",
        "say READY=1",
    ];
    let daemon = place.start_by(&mut notifier(&place, &["-t", "1"], &words));
    daemon.assert_alive();
    drop(daemon);
    let words = ["say EXTEND_TIMEOUT_USEC=3000", "wait 20000"];
    let mut command = notifier(&place, &["-t", "1"], &words);
    let output = fails(&place, &mut command, 6, LATE);
    assert!(output.took > Duration::from_millis(990), "{output:?}");
    assert!(output.took < Duration::from_secs(3), "{output:?}");

    // Descriptors that come along are closed.
    let words = ["barrier", "barrier", "say READY=1"];
    let daemon = place.start_by(&mut notifier(&place, &[], &words));
    daemon.assert_alive();
}

#[test]
fn a_status_is_one_line_and_shown_on_request() {
    let place = Place::new();
    let words = ["say STATUS=half", "say STATUS=a\\x1b[31m\tb", "say READY=1"];
    let output = place.run(&mut notifier(&place, &[], &words));
    let daemon = Daemon::new(output.pid());
    daemon.assert_alive();
    let told: Vec<_> = output
        .stderr
        .lines()
        .filter(|line| line.contains("says"))
        .collect();
    let expected = [
        "rawdaemon: the daemon says: half",
        "rawdaemon: the daemon says: a\\x1b[31m?b",
    ];
    assert_eq!(told, expected);
    // Without -v it comes only with a failure.
    let mut command = place.rawdaemon(["-R", "notify"]);
    let words = ["say STATUS=first", "say STATUS=second", "exit 3"];
    let output = place.run(command.arg(example("notifier")).args(words));
    assert_eq!(output.code(), 5);
    let (line, status) = output.stderr.trim_end().rsplit_once("; ").unwrap();
    assert!(line.starts_with(DIED) && !line.contains('\n'), "{output:?}");
    assert_eq!(status, "it said: second");
}

/// Whether the daemon `sleep` has been executed.
fn sleeps(pid: &Pid) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/comm"));
    name.is_ok_and(|name| name == "sleep\n")
}

/// A launcher that waits, and the daemon that it waits for.
struct Waiting {
    launcher: Child,
    daemon: Pid,
    pidfd: OwnedFd,
}

impl Waiting {
    /// Until the daemon, which sleeps, has been executed.
    fn start(place: &Place, command: &mut Command) -> Self {
        let launcher = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(place.path("stderr")).unwrap())
            .spawn()
            .unwrap();
        let mut found = None;
        eventually("the daemon sleeps", || {
            found = place.processes().into_iter().find(sleeps);
            found.is_some()
        });
        let daemon = found.unwrap();
        Self {
            launcher,
            daemon,
            pidfd: watch(daemon),
        }
    }

    /// Waits until the daemon is gone, which the intermediate reaps.
    fn daemon_ended(&self) {
        assert!(wait_for(&self.pidfd, DEADLINE), "{} lives", self.daemon);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.launcher), signal).unwrap();
    }
}

#[test]
fn who_interrupts_the_launcher_ends_what_was_half_started() {
    for (options, _) in modes() {
        for signal in [Signal::INT, Signal::TERM, Signal::KILL, Signal::HUP] {
            let place = Place::new();
            let mut command = in_mode(&place, options);
            let mut waiting = Waiting::start(&place, command.args(["sleep", "1000"]));
            assert!(place.path("pid").exists());
            waiting.signal(signal);
            let status = waiting.launcher.wait().unwrap();
            assert_eq!(status.signal(), Some(signal.as_raw()));
            waiting.daemon_ended();
            eventually("nothing is left", || {
                place.processes().is_empty()
                    && !place.path("pid").exists()
                    && !place.path("socket").exists()
            });
        }
    }
}

#[test]
fn who_is_ready_and_dead_is_dead() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    // Whoever listens is slow: the daemon has long ended when its word is heard.
    let slow = "--inject=ppoll:delay_exit=100ms";
    let arguments = ["-R", "fd:3", "sh", "-c", "echo >&3; exit 3"];
    let output = fails_under_strace(&place, &[slow], &arguments);
    let says = format!("{DIED}exited with status 3");
    assert_eq!((output.code(), said(&output)), (5, says.as_str()));
}

#[test]
fn who_starts_many_at_once_and_is_killed_leaves_none() {
    for _ in 0..8 {
        let place = Place::new();
        let mut launcher = std_program(&place, "many at once").spawn().unwrap();
        eventually("all daemons sleep", || {
            place.processes().iter().filter(|pid| sleeps(pid)).count() == 4
        });
        launcher.kill().unwrap();
        launcher.wait().unwrap();
        eventually("nothing is left", || place.processes().is_empty());
    }
}

#[test]
fn a_launcher_that_is_stopped_for_a_while_hears_how_it_failed() {
    let says = "rawdaemon: the daemon refused to start: Input/output error (EIO)";
    let place = Place::new();
    let words = ["say STATUS=begun", "wait 300", "flood", "say ERRNO=5"];
    let (status, told) = stopped_for_a_while(&place, &words);
    assert_eq!(status, Some(18), "{told}");
    let last = told.trim_end().lines().last().unwrap();
    assert_eq!(last.split("; it said").next(), Some(says));
    place.assert_no_process();
}

#[test]
fn a_socket_at_a_path_is_gone_whatever_fails() {
    let place = Place::new();
    let how = format!("notify:{}", place.path("socket").display());
    let mut command = place.rawdaemon(["-q", "-R", &how, "sleep", "1000"]);
    before_exec(&mut command, || {
        // Enough for the socket, and not for the next pipe.
        let limit = rustix::process::Rlimit {
            current: Some(5),
            maximum: Some(5),
        };
        Ok(rustix::process::setrlimit(
            rustix::process::Resource::Nofile,
            limit,
        )?)
    });
    let output = place.run(&mut command);
    assert_eq!(output.code(), 20, "{output:?}");
    assert!(!place.path("socket").exists());
}

#[test]
fn who_asks_for_time_again_and_again_is_seen_to_die() {
    let place = Place::new();
    let words = ["extend", "wait 300", "exit 3"];
    let says = format!("{DIED}exited with status 3");
    let output = place.run(&mut notifier(&place, &["-t", "5"], &words));
    assert_eq!(
        (output.code(), said(&output)),
        (5, says.as_str()),
        "{output:?}"
    );
    assert!(output.took < Duration::from_secs(3), "{output:?}");
    place.processes().into_iter().for_each(|helper| {
        drop(Daemon::new(helper));
    });
}

#[test]
fn a_daemon_that_cannot_be_stopped_is_not_waited_for() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let program = place.executable(&example("std_program"), "program");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o4755);
    fs::set_permissions(&program, mode).unwrap();
    let launcher = place.executable(Path::new(env!("CARGO_BIN_EXE_rawdaemon")), "rawdaemon");
    let mut command = place.program(&launcher, ["-R", "fd:3", "-t", "1"]);
    command.arg(&program).arg("become root");
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    let output = place.run(&mut command);
    assert_eq!((output.code(), said(&output)), (6, LATE), "{output:?}");
    let left = place.processes();
    assert_eq!(left.len(), 1, "{output:?}");
    left.into_iter()
        .for_each(|daemon| drop(Daemon::new(daemon)));
}

#[test]
fn a_launcher_that_is_stopped_for_a_while_loses_nothing() {
    let place = Place::new();
    let words = ["say STATUS=begun", "wait 300", "flood", "say READY=1"];
    let (status, told) = stopped_for_a_while(&place, &words);
    assert_eq!(status, Some(0), "{told}");
    let daemon = told.rsplit_once("as pid ").unwrap().1.trim();
    let daemon = Daemon::new(Pid::from_raw(daemon.parse().unwrap()).unwrap());
    daemon.assert_alive();
}

/// What the launcher of such a daemon said, and its exit code, when it was stopped meanwhile.
fn stopped_for_a_while(place: &Place, words: &[&str]) -> (Option<i32>, String) {
    let mut command = notifier(place, &[], words);
    let mut launcher = command
        .stderr(fs::File::create(place.path("stderr")).unwrap())
        .spawn()
        .unwrap();
    eventually("the daemon has begun", || {
        place.read("stderr").contains("begun")
    });
    let pid = Pid::from_child(&launcher);
    kill_process(pid, Signal::STOP).unwrap();
    std::thread::sleep(Duration::from_millis(600));
    assert!(launcher.try_wait().unwrap().is_none());
    kill_process(pid, Signal::CONT).unwrap();
    let status = launcher.wait().unwrap();
    (status.code(), place.read("stderr"))
}

/// What the command says on a terminal, until the test ends it.
fn on_terminal(place: &Place, arguments: &[&str]) -> (Child, fs::File) {
    let (terminal, name) = terminal();
    let mut command = place.rawdaemon(arguments);
    let path = std::ffi::OsStr::from_bytes(name.to_bytes());
    let side = fs::OpenOptions::new().write(true).open(path).unwrap();
    lead_session_on(command.stderr(side), name);
    (command.spawn().unwrap(), terminal.into())
}

#[test]
fn an_interrupt_from_the_keyboard_ends_what_was_half_started() {
    let place = Place::new();
    let arguments = ["-R", "fd:3", "-p", "pid", "sleep", "1000"];
    let (mut launcher, mut terminal) = on_terminal(&place, &arguments);
    eventually("the daemon sleeps", || place.processes().iter().any(sleeps));
    terminal.write_all(b"\x03").unwrap();
    let status = launcher.wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::INT.as_raw()));
    eventually("nothing is left", || {
        place.processes().is_empty() && !place.path("pid").exists()
    });
}

#[test]
fn a_terminal_shows_how_long_it_takes() {
    let place = Place::new();
    let notifier = example("notifier");
    let arguments = [
        "-v",
        "-R",
        "notify",
        "-t",
        "30",
        notifier.to_str().unwrap(),
        "wait 1200",
        "say STATUS=half",
        "wait 1000",
        "say READY=1",
    ];
    let (mut launcher, mut terminal) = on_terminal(&place, &arguments);
    assert_eq!(launcher.wait().unwrap().code(), Some(0));
    let mut shown = Vec::new();
    // The end is an error: nobody is at the other side any more.
    assert!(terminal.read_to_end(&mut shown).is_err());
    let shown = String::from_utf8_lossy(&shown).into_owned();
    let line = |seconds, status| {
        let what = "rawdaemon: waiting for the daemon to get ready";
        format!("\r{what}, {seconds} s of 30 s{status}\x1b[K")
    };
    let (waiting, done) = shown.split_once("\r\x1b[K").unwrap();
    assert_eq!(
        waiting,
        [line(1, ""), line(1, ": half"), line(2, ": half")].concat()
    );
    assert!(done.starts_with("rawdaemon: reset the signals"), "{done:?}");
    let pid = done.trim_end().rsplit_once("as pid ").unwrap().1;
    Daemon::new(Pid::from_raw(pid.parse().unwrap()).unwrap()).assert_alive();
}

/// Where a daemon is to send its datagrams.
fn socket_of(pid: Pid) -> SocketAddr {
    let variables = environment(pid);
    let name = variables
        .iter()
        .find_map(|variable| variable.strip_prefix("NOTIFY_SOCKET="));
    let name = name.unwrap();
    match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).unwrap(),
        None => SocketAddr::from_pathname(name).unwrap(),
    }
}

#[test]
fn strangers_are_not_heard() {
    let place = Place::new();
    for (options, _) in modes().into_iter().filter(|(_, says)| *says == "notifier") {
        let mut command = in_mode(&place, options);
        let mut waiting = Waiting::start(&place, command.args(["-t", "2", "sleep", "1000"]));
        let address = socket_of(waiting.daemon);
        let socket = UnixDatagram::unbound().unwrap();
        socket.send_to_addr(b"READY=1", &address).unwrap();
        socket.send_to_addr(b"ERRNO=1", &address).unwrap();
        if is_root() {
            // Another user's process.
            let words = ["say READY=1", "exit 0"];
            let mut command = Command::new(place.executable(&example("notifier"), "notifier"));
            let name = address.as_pathname().map_or_else(
                || format!("@{}", address.as_abstract_name().unwrap().escape_ascii()),
                |path| path.display().to_string(),
            );
            command.args(words).env("NOTIFY_SOCKET", name);
            std::os::unix::process::CommandExt::uid(&mut command, 65534);
            assert!(command.status().unwrap().success());
        }
        let status = waiting.launcher.wait().unwrap();
        assert_eq!(status.code(), Some(6), "{}", place.read("stderr"));
        waiting.daemon_ended();
        place.assert_no_process();
    }
}

#[test]
fn the_socket_may_have_a_path() {
    let place = Place::new();
    let path = place.path("socket");
    let how = format!("notify:{}", path.display());
    let start = |words: &[&str]| {
        let mut command = place.rawdaemon(["-v", "-R", &how]);
        command.arg(example("notifier")).args(words);
        command
    };
    // A launcher that was killed has left one there.
    drop(UnixDatagram::bind(&path).unwrap());
    assert!(path.exists());
    let daemon = place.start_by(&mut start(&["say READY=1", "barrier", "print said"]));
    eventually("the socket is gone", || !path.exists());
    daemon.assert_alive();
    drop(daemon);
    // Who sends no barrier may be started again at once, after the daemon has ended.
    for _ in 0..10 {
        place.start_by(&mut start(&["say READY=1"])).assert_alive();
    }
    eventually("the socket is gone", || !path.exists());

    let in_use = "rawdaemon: cannot make a channel between the processes: \
        Address already in use (EADDRINUSE)";
    let socket = UnixDatagram::bind(&path).unwrap();
    fails(&place, &mut start(&[]), 20, in_use);
    drop(socket);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    fails(&place, &mut start(&[]), 20, in_use);
    assert_eq!(place.read("socket"), "precious");

    let long = format!("notify:/{}", "x".repeat(200));
    let mut command = place.rawdaemon(["-R", &long, "sleep", "1000"]);
    let says =
        "rawdaemon: cannot make a channel between the processes: File name too long (ENAMETOOLONG)";
    fails(&place, &mut command, 20, says);
}

#[test]
fn the_launcher_s_own_socket_is_not_the_daemon_s() {
    let place = Place::new();
    let variables = |options: &[&str]| {
        let mut command = place.rawdaemon(["-v"]);
        let text = "echo >&3; exec sleep 1000";
        command.args(options).args(["sh", "-c", text]);
        command.env("NOTIFY_SOCKET", "/run/systemd/notify");
        let daemon = place.start_by(&mut command);
        let all = environment(daemon.pid);
        let own = |variable: &String| variable.starts_with("NOTIFY_SOCKET=");
        all.into_iter().filter(own).collect::<Vec<_>>()
    };
    assert_eq!(variables(&["-R", "fd:3"]), [""; 0]);
    let given = ["-R", "fd:3", "-E", "NOTIFY_SOCKET=/mine"];
    assert_eq!(variables(&given), ["NOTIFY_SOCKET=/mine"]);

    let mut command = notifier(&place, &["-o", "out"], &["say READY=1"]);
    command.env("NOTIFY_SOCKET", "/run/systemd/notify");
    let daemon = place.start_by(&mut command);
    let all = environment(daemon.pid);
    let own: Vec<_> = all
        .iter()
        .filter(|variable| variable.starts_with("NOTIFY_SOCKET="))
        .collect();
    assert!(
        own.len() == 1 && own[0].starts_with("NOTIFY_SOCKET=@"),
        "{own:?}"
    );
}

fn std_program(place: &Place, case: &str) -> Command {
    place.program(&example("std_program"), [case])
}

fn library_fails(case: &str, code: i32, says: &str) -> Output {
    let place = Place::new();
    let output = place.run(&mut std_program(&place, case));
    let told = output.stdout.trim_end();
    let told = told.split_once(" after ").map_or(told, |(told, _)| told);
    assert_eq!((output.code(), told), (code, says), "{case}: {output:?}");
    assert!(output.took < SOON, "{output:?}");
    place.assert_no_process();
    if case == "refuse" {
        assert_eq!(place.read("out"), "tidied up\n");
    }
    output
}

#[test]
fn a_program_may_have_to_say_that_it_is_ready() {
    let place = Place::new();
    let output = place.run(&mut std_program(&place, "ready"));
    assert_eq!(output.code(), 0, "{output:?}");
    assert!(output.took < SOON, "{output:?}");
    Daemon::new(output.pid()).assert_alive();
}

#[test]
fn a_program_may_say_that_it_cannot_start() {
    let refused = "the daemon refused to start: ";
    let why = "Address already in use (EADDRINUSE)";
    library_fails("refuse", 18, &format!("{refused}{why}"));
    let why = "reason 7";
    library_fails("refuse by a number", 18, &format!("{refused}{why}"));
    library_fails("refuse and stay", 18, &format!("{refused}{why}"));
    let why = "it closed its line without a word";
    library_fails("drop", 18, &format!("{refused}{why}"));
    let died = "the daemon ended too soon: exited with status 3";
    library_fails("die", 5, died);
}

#[test]
fn a_program_that_does_not_say_it_is_stopped() {
    let late = "the daemon did not get ready in time";
    let output = library_fails("never", 6, late);
    assert!(output.took < Duration::from_millis(1100), "{output:?}");
    let output = library_fails("never, and ignore SIGTERM", 6, late);
    assert!(output.took > Duration::from_millis(1100), "{output:?}");
}

#[test]
fn a_program_s_launcher_may_be_killed() {
    let place = Place::new();
    let mut launcher = std_program(&place, "wait for ever").spawn().unwrap();
    let mut daemon = None;
    eventually("the daemon has begun", || {
        // Its working directory is another.
        let has_begun = |pid: &Pid| {
            let directory = fs::read_link(format!("/proc/{pid}/cwd"));
            directory.is_ok_and(|directory| directory.to_str() == Some("/"))
        };
        daemon = place.processes().into_iter().find(has_begun);
        daemon.is_some()
    });
    let pidfd = watch(daemon.unwrap());
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    assert!(wait_for(&pidfd, DEADLINE));
}
