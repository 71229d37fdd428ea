//! Readiness: the launcher returns when the daemon is ready, or never will be.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::readiness::{
    DIED, LATE, SENT_NOTHING, SOON, WROTE_NOTHING, fails, in_mode, last_message, modes,
};
use crate::support::{
    Daemon, Output, Place, before_exec, eventually, example, fails_under_strace, has,
    has_test_programs, is_root, std_program, tested_command, under_strace,
};

const SILENT: &str = "rawdaemon: the daemon did not become ready: it closed its notification pipe";

/// The command with a shell script as the daemon, which gets a pipe at descriptor 3.
fn script(place: &Place, script: &str) -> Command {
    place.rawdaemon(["-v", "-R", "fd:3", "sh", "-c", script])
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
fn a_kept_descriptor_is_not_the_notification_pipe_too() {
    let place = Place::new();
    let mut command = place.rawdaemon(["--keep-fd", "5", "-R", "fd:5", "sleep", "1000"]);
    before_exec(&mut command, || {
        // SAFETY: numbers only.
        unsafe { libc::dup2(0, 5) };
        Ok(())
    });
    let says = "rawdaemon: cannot keep descriptor 5: Device or resource busy (EBUSY)";
    place.fails(&mut command, 10, says);
    // Another number can be kept.
    let mut command = place.rawdaemon(["-v", "--keep-fd", "5", "-R", "fd:3"]);
    command.args(["sh", "-c", "echo >&3; exec sleep 1000"]);
    before_exec(&mut command, || {
        // SAFETY: numbers only.
        unsafe { libc::dup2(0, 5) };
        Ok(())
    });
    let daemon = place.start_by(&mut command);
    assert!(daemon.state().descriptors.contains_key(&5));
    // The pipe replaces the caller's descriptor.
    let mut command = script(&place, "echo >&3; exec sleep 1000");
    before_exec(&mut command, || {
        // SAFETY: numbers only.
        unsafe { libc::dup2(0, 3) };
        Ok(())
    });
    place.start_by(&mut command).assert_alive();
}

#[test]
fn closing_the_pipe_without_a_newline_fails_at_once() {
    let place = Place::new();
    for text in [
        "exec 3>&-; exec sleep 1000",
        "printf ready >&3; exec 3>&-; exec sleep 1000",
        "exec sleep 1000 3>&-",
    ] {
        fails(&place, &mut script(&place, text), 18, SILENT);
    }
}

#[test]
fn a_death_is_reported_at_once_in_every_mode() {
    let place = Place::new();
    for (text, how) in [
        ("sleep 0.01; exit 3", "exited with status 3"),
        ("exit 0", "exited with status 0"),
        ("kill -SEGV $$", "killed by signal 11 (SIGSEGV)"),
        // A helper that keeps all descriptors open does not hide it.
        ("sleep 5 & exit 4", "exited with status 4"),
    ] {
        for (options, _) in modes() {
            let mut command = in_mode(&place, options);
            let output = place.run(crate::support::without_core(
                command.args(["sh", "-c", text]),
            ));
            let expected = format!("{DIED}{how}");
            let core_or_not = last_message(&output).replace(", core dumped", "");
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
fn without_pidfds_a_death_is_reported_as_fast() {
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
        assert_eq!(last_message(&output), format!("{DIED}exited with status 3"));
        assert!(output.took < SOON, "{output:?}");
        // Readiness works too.
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
    for (options, what) in [
        (["-R", "fd:3"], WROTE_NOTHING),
        (["-R", "notify"], SENT_NOTHING),
    ] {
        let says = [LATE, what].concat();
        let mut command = place.rawdaemon(options);
        let text = "trap 'echo printed >printed; exit' TERM; while :; do sleep 0.01; done";
        command.args(["-c", ".", "-t", "0.5", "sh", "-c", text]);
        fails(&place, &mut command, 6, &says);
        assert_eq!(place.read("printed"), "printed\n");
        fs::remove_file(place.path("printed")).unwrap();

        let mut command = place.rawdaemon(options);
        let text = "trap '' TERM; while :; do sleep 0.01; done";
        command.args(["-p", "pid", "-t", "0.5", "sh", "-c", text]);
        let output = place.run(&mut command);
        assert_eq!(
            (output.code(), last_message(&output)),
            (6, says),
            "{output:?}"
        );
        assert!(output.took > Duration::from_millis(1500), "{output:?}");
        assert!(!place.path("pid").exists());
        // The last `sleep` of the script may still run.
        eventually("nothing is left", || place.processes().is_empty());
    }
}

#[test]
fn a_daemon_that_writes_endlessly_is_stopped() {
    let place = Place::new();
    let says = [LATE, WROTE_NOTHING].concat();
    let text = "trap '' TERM PIPE; while :; do printf x >&3; done";
    let mut command = place.rawdaemon(["-R", "fd:3", "-t", "0.5", "sh", "-c", text]);
    fails(&place, &mut command, 6, &says);
    let text = "trap '' TERM PIPE; sleep 0.5; while :; do echo >&3; done";
    let mut command = place.rawdaemon(["-R", "fd:3", "-t", "0.01", "sh", "-c", text]);
    fails(&place, &mut command, 6, &says);
}

#[test]
fn a_daemon_s_own_word_counts_even_if_it_ends() {
    if !has("strace") {
        return;
    }
    // If the intermediate is delayed, the daemon has ended when its line is read.
    for slow in [&[][..], &["--inject=ppoll:delay_exit=1s"]] {
        let place = Place::new();
        let arguments = ["-v", "-R", "fd:3", "sh", "-c", "echo >&3; exit 3"];
        let output = under_strace(&place, slow, &arguments);
        assert_eq!(output.code(), 0, "{output:?}");
        drop(Daemon::open(output.pid()).unwrap());
    }
}

#[test]
fn a_daemon_that_cannot_be_stopped_is_not_waited_for() {
    if !is_root() || !has_test_programs() {
        return;
    }
    let place = Place::new();
    if !place.is_mounted_without(rustix::fs::StatVfsMountFlags::NOSUID) {
        return;
    }
    let program = place.executable(&example("std_program"), "program");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o4755);
    fs::set_permissions(&program, mode).unwrap();
    let launcher = place.executable(Path::new(tested_command()), "rawdaemon");
    let mut command = place.program(&launcher, ["-R", "fd:3", "-t", "1"]);
    command.arg(&program).arg("become root");
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    let output = place.run(&mut command);
    let says = LATE.replace("it was stopped", "the daemon still runs") + WROTE_NOTHING;
    assert_eq!((output.code(), last_message(&output)), (6, says));
    let left = place.processes();
    assert_eq!(left.len(), 1, "{output:?}");
    left.into_iter()
        .for_each(|daemon| drop(Daemon::new(daemon)));
}

fn library_fails(case: &str, code: i32, says: &str) -> Output {
    let place = Place::new();
    let output = place.run(&mut std_program(&place, case));
    let printed = output.stdout.trim_end();
    let printed = printed
        .split_once(" after ")
        .map_or(printed, |(printed, _)| printed);
    assert_eq!((output.code(), printed), (code, says), "{case}: {output:?}");
    assert!(output.took < SOON, "{output:?}");
    place.assert_no_process();
    if case == "refuse" {
        assert_eq!(place.read("out"), "tidied up\n");
    }
    output
}

#[test]
fn a_program_may_require_readiness() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let output = place.run(&mut std_program(&place, "ready"));
    assert_eq!(output.code(), 0, "{output:?}");
    assert!(output.took < SOON, "{output:?}");
    Daemon::new(output.pid()).assert_alive();
}

#[test]
fn a_program_may_refuse_to_start() {
    if !has_test_programs() {
        return;
    }
    let refused = "the daemon refused to start: ";
    let why = "Address already in use (EADDRINUSE)";
    library_fails("refuse", 18, &format!("{refused}{why}"));
    let why = "reason 7";
    library_fails("refuse by a number", 18, &format!("{refused}{why}"));
    library_fails("refuse and stay", 18, &format!("{refused}{why}"));
    let silent = "the daemon did not become ready: it closed its notification pipe";
    library_fails("drop", 18, silent);
    let died = "the daemon ended too soon: exited with status 3";
    library_fails("die", 5, died);
}

#[test]
fn a_program_that_does_not_report_readiness_is_stopped() {
    if !has_test_programs() {
        return;
    }
    let late = "the daemon did not become ready within 100 ms; it was stopped";
    let output = library_fails("never", 6, late);
    assert!(output.took < Duration::from_millis(1100), "{output:?}");
    let output = library_fails("never, and ignore SIGTERM", 6, late);
    assert!(output.took > Duration::from_millis(1100), "{output:?}");
}
