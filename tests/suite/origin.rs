//! The library in a program that the crate `origin` starts: the program in `tests/origin`.

use crate::support::{Daemon, Place, eventually, origin_program};

#[test]
fn a_program_of_origin_becomes_a_daemon_and_its_thread_id_is_right() {
    let Some(program) = origin_program() else {
        return;
    };
    let place = Place::new();
    let output = place.run(&mut place.program(&program, ["pid", "log"]));
    assert_eq!(output.code(), 0, "{output:?}");
    let daemon = Daemon::new(output.pid());
    let pid = daemon.pid;
    let says = format!("the daemon runs as pid {pid}\n");
    assert_eq!((output.stdout, output.stderr), (says, String::new()));
    assert_eq!(place.read("pid"), format!("{pid}\n"));
    // `origin` remembers the thread id, and the kernel knows it.
    let ids = format!("thread {pid} to origin, {pid} to Linux\n");
    assert_eq!(place.read("log"), ids);
    // The daemon creates a thread.
    let threads = format!("/proc/{pid}/task");
    eventually("the daemon has two threads", || {
        std::fs::read_dir(&threads).unwrap().count() == 2
    });
    let output = place.run(&mut place.program(&program, ["pid", "log"]));
    let says = format!("origin-daemon: already running as pid {pid}\n");
    assert_eq!((output.code(), output.stderr), (12, says));
}

#[test]
fn a_program_of_origin_with_threads_is_not_forked() {
    let Some(program) = origin_program() else {
        return;
    };
    let place = Place::new();
    let output = place.run(&mut place.program(&program, ["--threads"]));
    let says = "origin-daemon: the process has other threads\n";
    assert_eq!((output.code(), &*output.stderr), (19, says));
    place.assert_no_process();
}

#[test]
fn a_program_of_origin_can_spawn_another() {
    let Some(program) = origin_program() else {
        return;
    };
    let place = Place::new();
    let daemon = place.start_by(&mut place.program(&program, ["--spawn"]));
    daemon.state().assert_well_behaved(daemon.pid);
    let name = std::fs::read_to_string(format!("/proc/{}/comm", daemon.pid));
    assert_eq!(name.unwrap(), "sleep\n");
}
