//! What a C library remembers of its process and thread is true in a daemon that is a copy of it.

use std::process::Command;

use crate::support::{Daemon, Place, eventually, example, has, has_test_programs, strace};

/// What the daemon has written of this case.
fn said(case: &str) -> String {
    let place = Place::new();
    let output = place.run(&mut program(&place, case));
    assert_eq!(output.code(), 0, "{output:?}");
    let _daemon = Daemon::new(output.pid());
    eventually("the daemon has written", || {
        place.path("out").exists() && place.read("out").ends_with('\n')
    });
    place.read("out")
}

fn program(place: &Place, case: &str) -> Command {
    place.program(&example("c_library"), [case])
}

#[test]
fn the_c_library_of_the_daemon_knows_its_thread() {
    if !has_test_programs() {
        return;
    }
    assert_eq!(said("thread id"), "0 0\n");
}

#[test]
fn the_thread_is_known_where_the_kernel_is_told_another_place() {
    if !has_test_programs() {
        return;
    }
    // As glibc does since 2.43: there stands a small number, which the thread's id may be too.
    assert_eq!(said("another place"), "0 0, untouched\n");
}

#[test]
fn a_process_id_that_is_remembered_is_put_right() {
    if !has_test_programs() {
        return;
    }
    // As glibc did until 2.24.
    assert_eq!(said("process id"), "its own\n");
}

#[test]
fn who_stays_in_the_foreground_holds_what_it_held() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let mut command = program(&place, "foreground");
    let mut process = command.spawn().unwrap();
    eventually("it has written", || {
        place.path("out").exists() && place.read("out").ends_with('\n')
    });
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(place.read("out"), "held\n");
}

#[test]
fn the_daemon_does_not_hold_the_mutexes_of_the_original() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let output = place.run(&mut program(&place, "robust mutexes"));
    assert_eq!(output.code(), 0, "{output:?}");
    Daemon::new(output.pid()).assert_alive();
    assert!(output.stdout.ends_with("\nuntouched\n"), "{output:?}");
}

#[test]
fn its_locks_and_signals_work_in_the_daemon() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    // Until 2.34, glibc sends the signal to the id that it remembers.
    let output = place.run(&mut program(&place, "mutex"));
    assert_eq!(output.code(), 0, "{output:?}");
    Daemon::new(output.pid()).ended();
    assert_eq!(place.read("out"), "[0, 35, 0, 0, 0, 0, 0] 35\n");
}

#[test]
fn the_kernel_knows_of_the_daemon_what_its_c_library_has_told() {
    if !has("strace") || !has_test_programs() {
        return;
    }
    let place = Place::new();
    let calls = "--trace=set_robust_list,sigaltstack,rseq";
    // Newer ones show what is in the area, and not where it is.
    let calls = [calls, "-e", "raw=rseq"];
    let mut command = strace(&place, &calls, &example("c_library"));
    let output = place.run(command.arg("nothing"));
    assert_eq!(output.code(), 0, "{output:?}");
    let daemon = Daemon::new(output.pid());
    daemon.assert_alive();
    let trace = place.read("trace");
    let (of_daemon, before): (Vec<_>, Vec<_>) = trace
        .lines()
        .filter_map(|line| line.split_once(' '))
        .partition(|(pid, _)| *pid == daemon.pid.to_string());
    // strace counts pids in its own namespace, which is that of the test.
    assert!(!of_daemon.is_empty(), "{trace}");
    for call in ["set_robust_list(0x", "sigaltstack({ss_sp=0x", "rseq(0x"] {
        // What the kernel has refused, it has not been told; and an area that is given back was none of the
        // C library's.
        let is_given_back = |line: &str| {
            let end = line.replace(", 0, ", ", 0x1, ");
            call.starts_with("rseq") && before.iter().any(|(_, line)| line.trim() == end)
        };
        let is_told = |line: &str| {
            line.starts_with(call) && !line.contains(" = -1 E") && !is_given_back(line)
        };
        let Some((_, told)) = before.iter().find(|(_, line)| is_told(line.trim())) else {
            println!("the C library has told nothing by {call})");
            continue;
        };
        let told = told.trim().strip_suffix("= 0").unwrap();
        let again = of_daemon
            .iter()
            .find(|(_, line)| line.trim().starts_with(told));
        let (_, again) = again.unwrap_or_else(|| panic!("{told}: {trace}"));
        // A copy of the caller itself has inherited its sequences.
        assert!(again.ends_with("= 0") || again.contains("EBUSY"), "{again}");
    }
}
