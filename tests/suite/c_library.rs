//! A daemon that is a copy of the original, and what its C library remembers of process and thread.

use std::process::Command;

use crate::support::{Daemon, Place, eventually, example, has, has_test_programs, skip, strace};

/// Runs a case and returns what its daemon writes.
fn written(case: &str) -> String {
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
    assert_eq!(written("thread id"), "0 0\n");
}

#[test]
fn the_thread_is_known_if_the_kernel_has_another_address() {
    if !has_test_programs() {
        return;
    }
    // glibc does this since 2.43. A small number is stored there, which may equal the thread's id.
    assert_eq!(written("another place"), "0 0, untouched\n");
}

#[test]
fn a_remembered_process_id_is_corrected() {
    if !has_test_programs() {
        return;
    }
    // glibc remembers it until 2.24.
    assert_eq!(written("process id"), "its own\n");
}

#[test]
fn a_process_in_the_foreground_keeps_its_mutexes() {
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
fn locks_and_signals_work_in_the_daemon() {
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
fn the_area_of_sequences_is_not_searched_for() {
    if !has("strace") || !has_test_programs() {
        return;
    }
    let place = Place::new();
    let mut command = strace(&place, &["--trace=rseq"], &example("c_library"));
    let output = place.run(command.arg("nothing"));
    assert_eq!(output.code(), 0, "{output:?}");
    let daemon = Daemon::new(output.pid());
    daemon.assert_alive();
    let trace = place.read("trace");
    let of_daemon = format!("{} ", daemon.pid);
    let calls = trace.lines().filter(|line| !line.starts_with(&of_daemon));
    // glibc registers it. Then there is one question, or two without an area.
    assert!(calls.count() <= 3, "{trace}");
}

#[test]
fn an_area_of_sequences_that_glibc_does_not_know_is_inherited() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let mut command = program(&place, "own sequences");
    let output = place.run(command.env("GLIBC_TUNABLES", "glibc.pthread.rseq=0"));
    assert_eq!(output.code(), 0, "{output:?}");
    let _daemon = Daemon::new(output.pid());
    if !output.stdout.starts_with("registered: 0\n") {
        skip(format!("no area can be registered: {output:?}"));
        return;
    }
    eventually("the daemon has written", || {
        place.read("out").ends_with('\n')
    });
    assert_eq!(place.read("out"), format!("{}\n", libc::EBUSY));
}

#[test]
fn the_daemon_repeats_what_its_c_library_has_registered() {
    if !has("strace") || !has_test_programs() {
        return;
    }
    let place = Place::new();
    let calls = "--trace=set_robust_list,sigaltstack,rseq";
    // Newer versions of strace print the area's content instead of its address.
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
    // strace prints pids of its own namespace, which is that of the test.
    assert!(!of_daemon.is_empty(), "{trace}");
    for call in ["set_robust_list(0x", "sigaltstack({ss_sp=0x", "rseq(0x"] {
        // The kernel has refused some calls, and an area that is unregistered is not the C library's.
        let is_given_back = |line: &str| {
            let end = line.replace(", 0, ", ", 0x1, ");
            call.starts_with("rseq") && before.iter().any(|(_, line)| line.trim() == end)
        };
        let is_told = |line: &str| {
            line.starts_with(call) && !line.contains(" = -1 E") && !is_given_back(line)
        };
        let Some((_, told)) = before.iter().find(|(_, line)| is_told(line.trim())) else {
            println!("the C library has registered nothing by {call})");
            continue;
        };
        let told = told.trim().strip_suffix("= 0").unwrap();
        let again = of_daemon
            .iter()
            .find(|(_, line)| line.trim().starts_with(told));
        let (_, again) = again.unwrap_or_else(|| panic!("{told}: {trace}"));
        // A copy of the caller inherits its registration.
        assert!(again.ends_with("= 0") || again.contains("EBUSY"), "{again}");
    }
}
