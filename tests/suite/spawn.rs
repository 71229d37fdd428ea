//! Programs that start daemons and go on, with all of their threads.

use std::ffi::CStr;
use std::fs;
use std::thread;

use crate::support::{
    DEADLINE, Daemon, Place, eventually, example, has, has_test_programs, is_root, run,
    std_program, strace, tested_command,
};
use rawdaemon::{CStrings, Cause, DaemonizeOptions, Errno, Error, ErrorKind, Readiness, argv};

#[test]
fn a_program_can_spawn_another() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let daemon = place.start_by(&mut std_program(&place, "spawn"));
    daemon.state().assert_well_behaved(daemon.pid);
}

#[test]
fn a_standard_stream_is_no_descriptor_for_readiness() {
    for fd in [-1, 0, 1, 2] {
        let options = DaemonizeOptions::new().ready(Readiness::Descriptor(fd));
        let error = options.spawn(c"true", argv![c"true"], argv![]).unwrap_err();
        let expected = Error::new(ErrorKind::Usage, Cause::Errno(Errno::EINVAL));
        let expected = expected.about(rawdaemon::Subject::Readiness);
        assert_eq!(error, expected, "{fd}");
    }
}

#[test]
fn a_threaded_process_is_not_forked_but_may_spawn() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let output = run(&place, "threads");
    assert_eq!(output.code(), 0, "{output:?}");
    let says = "the process has other threads\n";
    assert!(output.stdout.starts_with(says), "{output:?}");
    let daemon = Daemon::new(output.pid());
    daemon.state().assert_well_behaved(daemon.pid);
}

#[test]
fn spawning_disturbs_no_thread() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let mut command = std_program(&place, "threads that spawn");
    command.arg(tested_command());
    let output = place.run_within(&mut command, 10 * DEADLINE);
    assert_eq!(output.code(), 0, "{output:?}");
    let spawned = if cfg!(rawdaemon_plain_fork) {
        "1000 spawned\n"
    } else {
        "10000 spawned\n"
    };
    assert_eq!(output.stdout, spawned);
    place.assert_no_process();
}

#[test]
fn settings_that_belong_to_the_memory_stay_the_caller_s() {
    if !is_root() || !has_test_programs() {
        return;
    }
    let place = Place::new();
    // The value must differ from that of the tests.
    let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    let other = if own == "500\n" { "501" } else { "500" };
    let output = place.run(std_program(&place, "as others").arg(other));
    assert_eq!(output.code(), 0, "{output:?}");
    let pids = place.processes();
    let daemons: Vec<_> = pids.into_iter().map(Daemon::new).collect();
    assert_eq!(daemons.len(), 3);
    let printed = output
        .stdout
        .lines()
        .filter(|line| line.starts_with("dumpable"));
    let printed: Vec<_> = printed.collect();
    assert!(printed[0].starts_with("dumpable 1"), "{printed:?}");
    assert_eq!(printed, [printed[0]; 4]);
    let adjusted = daemons.iter().filter(|daemon| {
        let file = format!("/proc/{}/oom_score_adj", daemon.pid);
        fs::read_to_string(file).unwrap().trim_end() == other
    });
    assert_eq!(adjusted.count(), 1);
}

#[test]
fn a_panic_in_the_progress_callback_leaves_nothing() {
    // SAFETY: numbers only. Orphans of the panic become children of this process.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    let text = format!("RAWDAEMON_TEST=a panic of {}\0", std::process::id());
    let mark = CStr::from_bytes_with_nul(text.as_bytes()).unwrap();
    let mark = [Some(mark.into()), None];
    let envp = CStrings::new(&mark).unwrap();
    let argv = argv![c"sleep", c"1000"];
    let options = DaemonizeOptions::new().ready(Readiness::Descriptor(9));
    // The list has the thread's own children only, not the orphans of the process.
    let start = || {
        let caught = std::panic::catch_unwind(|| {
            options.spawn_with_progress(c"/bin/sleep", argv, envp, &mut |_| {
                panic!("not to be shown")
            })
        });
        caught.unwrap_err();
        fs::read_to_string("/proc/thread-self/children")
    };
    let children = thread::scope(|scope| scope.spawn(start).join().unwrap());
    let marked = fs::read_dir("/proc").unwrap().filter(|entry| {
        let file = entry.as_ref().unwrap().path().join("environ");
        fs::read(file).is_ok_and(|environment| environment == text.as_bytes())
    });
    assert_eq!(marked.count(), 0);
    match children {
        Ok(children) => assert_eq!(children, "", "the intermediate is no zombie"),
        Err(error) => println!("not looked for zombies: {error}"),
    }
}

#[test]
fn a_start_that_fails_leaves_the_caller_as_it_was() {
    if !has("strace") || !has_test_programs() {
        return;
    }
    for (fault, code) in [
        ("pipe2:error=EMFILE:when=1", 20),
        ("clone:error=EAGAIN", 21),
        ("setsid:error=EPERM", 2),
        ("chdir:error=EIO", 3),
    ] {
        let place = Place::new();
        let inject = format!("--inject={fault}");
        let mut command = strace(&place, &[&inject], &example("std_program"));
        let output = place.run(command.arg("spawn fails"));
        assert_eq!(output.code(), code, "{fault}: {output:?}");
        eventually("no process is left", || place.processes().is_empty());
    }
}

#[test]
fn only_daemonize_copies_memory() {
    if !has("strace") || !has_test_programs() {
        return;
    }
    let clones = |case| {
        let place = Place::new();
        let mut command = strace(&place, &["--trace=clone"], &example("std_program"));
        let output = place.run(command.arg(case));
        let daemon = Daemon::new(output.pid());
        daemon.assert_alive();
        let trace = place.read("trace");
        let shares = |line: &str| Some(line.split_once("flags=")?.1.starts_with("CLONE_VM|"));
        trace.lines().filter_map(shares).collect::<Vec<_>>()
    };
    let shares = !cfg!(rawdaemon_plain_fork);
    assert_eq!(clones("no timeout"), [shares, false]);
    assert_eq!(clones("defaults"), [shares, false]);
    assert_eq!(clones("spawn"), [shares, shares]);
}
