//! A launcher that waits: it is interrupted, stopped, or killed, and shows the time on a terminal.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::time::Duration;

use crate::support::readiness::{DIED, Waiting, in_mode, modes, notifier, sleeps};
use crate::support::{
    DEADLINE, Daemon, Place, eventually, example, has_for, has_terminals, has_test_programs,
    lead_session_on, std_program, strace, terminal, wait_for, watch,
};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn interrupting_the_launcher_ends_the_half_started_daemon() {
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
fn killing_a_launcher_of_many_ends_all_half_started_daemons() {
    if !has_test_programs() {
        return;
    }
    let is_traced = has_for("strace", "pipes that are all there before the first clone");
    for delays in [false, false, false, false, is_traced] {
        let place = Place::new();
        let mut command = std_program(&place, "many at once");
        if delays {
            let delay = ["--inject=pipe2:delay_exit=500ms"];
            command = strace(&place, &delay, &example("std_program"));
            command.arg("many at once");
        }
        let mut launcher = command.spawn().unwrap();
        eventually("all daemons sleep", || {
            place.processes().iter().filter(|pid| sleeps(pid)).count() == 4
        });
        launcher.kill().unwrap();
        launcher.wait().unwrap();
        eventually("nothing is left", || place.processes().is_empty());
    }
}

#[test]
fn a_launcher_that_is_stopped_for_a_while_reports_the_failure() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let words = ["say STATUS=begun", &until(&place), "flood", "exit 7"];
    let (status, printed) = stopped_for_a_while(&place, &words);
    assert_eq!(status, Some(5), "{printed}");
    let last = printed.trim_end().lines().last().unwrap();
    assert!(last.starts_with(DIED), "{printed}");
    assert!(last.contains("exited with status 7"), "{printed}");
    place.assert_no_process();
}

#[test]
fn a_launcher_that_is_stopped_for_a_while_loses_nothing() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let words = ["say STATUS=begun", &until(&place), "flood", "say READY=1"];
    let (status, printed) = stopped_for_a_while(&place, &words);
    assert_eq!(status, Some(0), "{printed}");
    let daemon = printed.rsplit_once("as pid ").unwrap().1.trim();
    let daemon = Daemon::new(Pid::from_raw(daemon.parse().unwrap()).unwrap());
    daemon.assert_alive();
}

/// The notifier's word to wait until the launcher is stopped.
fn until(place: &Place) -> String {
    format!("until {}", place.path("go").display())
}

/// Stops the launcher of such a daemon for a while, and returns its exit code and what it printed.
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
    fs::write(place.path("go"), "").unwrap();
    std::thread::sleep(Duration::from_millis(600));
    assert!(launcher.try_wait().unwrap().is_none());
    kill_process(pid, Signal::CONT).unwrap();
    let status = launcher.wait().unwrap();
    (status.code(), place.read("stderr"))
}

/// Starts the command on a terminal, and returns it with the terminal's other side.
fn on_terminal(place: &Place, arguments: &[&str]) -> (Child, fs::File) {
    let (terminal, name) = terminal();
    let mut command = place.rawdaemon(arguments);
    let path = std::ffi::OsStr::from_bytes(name.to_bytes());
    let side = fs::OpenOptions::new().write(true).open(path).unwrap();
    lead_session_on(command.stderr(side), name);
    (command.spawn().unwrap(), terminal.into())
}

#[test]
fn an_interrupt_from_the_keyboard_ends_the_half_started_daemon() {
    if !has_terminals() {
        return;
    }
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
    if !has_terminals() || !has_test_programs() {
        return;
    }
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
        "say STATUS=half of the work, and the other half is yet to be done",
        "wait 1000",
        "say READY=1",
    ];
    let (mut launcher, mut terminal) = on_terminal(&place, &arguments);
    assert_eq!(launcher.wait().unwrap().code(), Some(0));
    let mut shown = Vec::new();
    // Reading ends with an error, since no process has the terminal open.
    assert!(terminal.read_to_end(&mut shown).is_err());
    let shown = String::from_utf8_lossy(&shown).into_owned();
    let line = |seconds, status| {
        let what = "rawdaemon: waiting for the daemon to become ready";
        format!("\r{what}, {seconds} s of 30 s{status}\x1b[K")
    };
    // The last of 80 columns stays free.
    let half = ": half of the wor";
    let (waiting, done) = shown.split_once("\r\x1b[K").unwrap();
    assert_eq!(
        waiting,
        [line(1, ""), line(1, half), line(2, half)].concat()
    );
    assert!(done.starts_with("rawdaemon: reset the signals"), "{done:?}");
    let pid = done.trim_end().rsplit_once("as pid ").unwrap().1;
    Daemon::new(Pid::from_raw(pid.parse().unwrap()).unwrap()).assert_alive();
}

#[test]
fn a_program_s_launcher_may_be_killed() {
    if !has_test_programs() {
        return;
    }
    // While it waits, it blocks no signal.
    for signal in [Signal::KILL, Signal::TERM] {
        let place = Place::new();
        let mut launcher = std_program(&place, "wait for ever").spawn().unwrap();
        let mut daemon = None;
        eventually("the daemon has begun", || {
            // It has left the launcher's working directory.
            let has_begun = |pid: &Pid| {
                let directory = fs::read_link(format!("/proc/{pid}/cwd"));
                directory.is_ok_and(|directory| directory.to_str() == Some("/"))
            };
            daemon = place.processes().into_iter().find(has_begun);
            daemon.is_some()
        });
        let pidfd = watch(daemon.unwrap());
        kill_process(Pid::from_child(&launcher), signal).unwrap();
        assert!(wait_for(&pidfd, DEADLINE), "{signal:?}");
        assert_eq!(launcher.wait().unwrap().signal(), Some(signal.as_raw()));
    }
}
