//! Memory that processes share, and the evidence that they no longer do.

use crate::support::{
    Daemon, Place, eventually, example, has, has_test_programs, run, strace, strace_rawdaemon,
};

/// The daemon takes its time for a step, in the memory of the original.
const SLOW: &str = "--inject=chdir:delay_enter=1s";

#[track_caller]
fn assert_no_crash(place: &Place) {
    let trace = place.read("trace");
    assert!(!trace.contains("killed by SIGSEGV"), "{trace}");
}

#[test]
fn a_daemon_whose_status_is_not_known_keeps_its_stack() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    // The intermediate asks whether the daemon has ended, and learns that it is no child.
    let interrupt = "--inject=ppoll:error=EINTR:when=1";
    let no_child = "--inject=wait4:error=ECHILD";
    let faults = [SLOW, interrupt, no_child];
    let mut command = strace_rawdaemon(&place, &faults, &["-R", "fd:3", "sleep", "0"]);
    let output = place.run(&mut command);
    assert_eq!(output.code(), 22, "{output:?}");
    eventually("the daemon has ended", || place.processes().is_empty());
    assert_no_crash(&place);
}

#[test]
fn the_notification_fd_takes_the_number_of_no_pipe_of_the_crate() {
    if !has("strace") || !has_test_programs() {
        return;
    }
    let place = Place::new();
    // The intermediate is killed while the daemon takes its steps. The original sees by its verdict pipe that
    // the daemon still uses the memory.
    let faults = [SLOW, "--inject=pidfd_open:signal=KILL"];
    let mut command = strace(&place, &faults, &example("std_program"));
    let output = place.run(command.arg("ready at an own pipe"));
    assert_eq!(output.code(), 22, "{output:?}");
    eventually("all have ended", || place.processes().is_empty());
    let trace = place.read("trace");
    assert!(trace.contains("killed by SIGKILL"), "{trace}");
    let pid = |line: &str| line.split(' ').next().unwrap().to_owned();
    let mut exits = trace.lines().filter(|line| line.contains("exit_group("));
    let (original, last) = (trace.lines().next().map(pid), exits.next_back().map(pid));
    assert_eq!(original, last, "the daemon leaves first: {trace}");
    assert_no_crash(&place);
}

#[test]
fn the_original_waits_for_its_copy() {
    if !has("strace") || !has_test_programs() {
        return;
    }
    let place = Place::new();
    // The daemon is a copy of what the original's memory is when the intermediate creates it.
    let delay = ["--inject=clone:delay_enter=1s"];
    let mut command = strace(&place, &delay, &example("std_program"));
    let daemon = place.start_by(command.arg("defaults"));
    daemon.assert_alive();
    assert_no_crash(&place);
}

/// What each kind of start says.
const REFUSED: &str =
    "cannot create the intermediate process: Resource deadlock avoided (EDEADLK)\n";

#[test]
fn a_start_within_the_callback_of_a_start_is_refused() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let output = run(&place, "start within a start");
    assert_eq!(output.code(), 0, "{output:?}");
    let daemons: Vec<_> = place.processes().into_iter().map(Daemon::new).collect();
    assert_eq!(daemons.len(), 2, "{output:?}");
    let (outcomes, _) = output.stdout.split_once("the daemon runs as pid").unwrap();
    assert_eq!(outcomes, REFUSED.repeat(5));
    daemons.iter().for_each(|daemon| daemon.assert_alive());
}

#[test]
fn a_start_within_the_action_of_a_start_is_refused() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let output = run(&place, "start within an action");
    assert_eq!(output.code(), 0, "{output:?}");
    let daemon = Daemon::new(output.pid());
    assert_eq!(place.processes(), [daemon.pid]);
    assert_eq!(place.read("outcomes"), REFUSED.repeat(5));
}
