//! The watch over a start: daemons that die or are late, and launchers that are interrupted.

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::time::{Duration, Instant};

use crate::support::readiness::sleeps;
use crate::support::supervised::end_processes;
use crate::support::{
    DEADLINE, Daemon, Output, Place, State, before_exec, eventually, fails_under_strace, has,
    strace_rawdaemon, under_strace, wait_for, watch,
};
use rustix::process::{Pid, Signal, kill_process};

/// The text before `after N ms`, and the milliseconds.
fn lived(output: &Output) -> (&str, u64) {
    let (before, after) = output.stderr.rsplit_once(" after ").unwrap();
    let (milliseconds, hints) = after.split_once(" ms").unwrap();
    let output = "; --stderr FILE keeps its output\n";
    let foreground = "; did it go into the background? It must stay in the foreground";
    let expected = match before.ends_with("exited with status 0") {
        true => [foreground, output].concat(),
        false => output.to_owned(),
    };
    assert_eq!(hints, expected);
    (before, milliseconds.parse().unwrap())
}

#[test]
fn a_daemon_that_dies_while_it_is_watched() {
    let place = Place::new();
    for (program, how) in [
        ("exit 3", "exited with status 3"),
        ("exit 0", "exited with status 0"),
        ("kill -SEGV $$", "killed by signal 11 (SIGSEGV)"),
        ("kill -KILL $$", "killed by signal 9 (SIGKILL)"),
        ("kill -40 $$", "killed by signal 40 (SIGRTMIN+6)"),
        ("sleep 0.2; exit 127", "exited with status 127"),
        // The shell dies, and its child keeps all descriptors open.
        ("sleep 1000 & exit 4", "exited with status 4"),
    ] {
        let mut command = place.rawdaemon(["-t", "10", "-p", "pid", "sh", "-c", program]);
        let output = place.run(before_exec(&mut command, || {
            rustix::process::setrlimit(
                rustix::process::Resource::Core,
                rustix::process::Rlimit {
                    current: Some(0),
                    maximum: Some(0),
                },
            )?;
            Ok(())
        }));
        assert_eq!(output.code(), 5, "{output:?}");
        let (text, milliseconds) = lived(&output);
        assert_eq!(text, format!("rawdaemon: the daemon ended too soon: {how}"));
        let least = if program.starts_with("sleep 0.2") {
            200
        } else {
            0
        };
        assert!((least..5000).contains(&milliseconds), "{output:?}");
        assert!(
            output.took < Duration::from_secs(5),
            "a death is reported at once: {output:?}"
        );
        assert!(!place.path("pid").exists());
        place.assert_no_process();
    }
}

/// The failure says where to look for the reason.
#[test]
fn a_daemon_that_dies_has_its_output_in_a_file() {
    let place = Place::new();
    let hint = |options: &[&str]| {
        let mut command = place.rawdaemon(["-t", "10"]);
        let output = place.run(command.args(options).args(["sh", "-c", "exit 3"]));
        assert_eq!(output.code(), 5, "{output:?}");
        let (_, hint) = output.stderr.split_once(" ms").unwrap();
        hint.trim_end().to_owned()
    };
    assert_eq!(hint(&["-e", "err"]), "; its output is in err");
    assert_eq!(hint(&["-o", "out", "-e", "err"]), "; its output is in err");
    assert_eq!(hint(&["-o", "out"]), "; its output is in out");
    assert_eq!(hint(&[]), "; --stderr FILE keeps its output");
    // It is on the caller's.
    assert_eq!(hint(&["-e", "inherit"]), "");
}

#[test]
fn newer_system_calls_may_be_missing() {
    if !has("strace") {
        return;
    }
    for errno in ["ENOSYS", "EPERM", "EACCES", "EOPNOTSUPP"] {
        let place = Place::new();
        let inject = |call| format!("--inject={call}:error={errno}");
        let faults = ["pidfd_open", "close_range"].map(inject);
        let faults = faults.each_ref().map(String::as_str);
        let output = under_strace(&place, &faults, &["-v", "-t", "1", "sleep", "1000"]);
        assert_eq!(output.code(), 0, "{errno}: {output:?}");
        let daemon = Daemon::new(output.pid());
        daemon.assert_alive();
        let descriptors: Vec<_> = daemon.state().descriptors.into_keys().collect();
        assert_eq!(descriptors, [0, 1, 2], "{errno}");
        drop(daemon);
        let arguments = ["-t", "10", "sh", "-c", "sleep 0.1; exit 3"];
        let output = fails_under_strace(&place, &faults, &arguments);
        assert_eq!(output.code(), 5, "{errno}: {output:?}");
        let says = "rawdaemon: the daemon ended too soon: exited with status 3";
        assert_eq!(lived(&output).0, says);
        assert!(output.took < Duration::from_secs(5), "{errno}: {output:?}");
    }
}

#[test]
fn a_daemon_killed_before_its_exec_is_a_failure() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let options = ["--inject=chdir:signal=SIGKILL"];
    let output = fails_under_strace(&place, &options, &["-p", "pid", "sleep", "1000"]);
    assert_eq!(output.code(), 5, "{output:?}");
    let says = "rawdaemon: the daemon ended too soon: killed by signal 9 (SIGKILL); \
        --stderr FILE keeps its output\n";
    assert_eq!(output.stderr, says);
    assert!(!place.path("pid").exists());
}

/// Another process may have its pid by then.
#[test]
fn a_daemon_that_has_been_reaped_is_not_signalled() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let calls = ["--trace=waitid,wait4,kill,pidfd_send_signal"];
    fails_under_strace(&place, &calls, &["-t", "10", "sh", "-c", "exit 3"]);
    let trace = place.read("trace");
    assert!(trace.contains("wait4("), "{trace}");
    // A group whose leader has been reaped keeps its id as long as it has members.
    assert!(!trace.replace("kill(-", "").contains("kill("), "{trace}");
    assert!(!trace.contains("pidfd_send_signal("), "{trace}");
}

#[test]
fn a_killed_intermediate_is_reported() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let output = fails_under_strace(
        &place,
        &["--inject=setsid:signal=SIGKILL"],
        &["-t", "0.1", "sleep", "1000"],
    );
    let says = "rawdaemon: lost track of the intermediate process: killed by signal 9 (SIGKILL)\n";
    assert_eq!((output.code(), output.stderr.as_str()), (22, says));
}

#[test]
fn a_daemon_that_cannot_execute_in_time_is_stopped() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let options = ["--inject=chdir:delay_enter=3s"];
    let output = fails_under_strace(
        &place,
        &options,
        &["-t", "0.1", "-p", "pid", "sleep", "1000"],
    );
    assert_eq!(output.code(), 6, "{output:?}");
    // strace may print a message of its own before.
    let says = "rawdaemon: the daemon did not become ready within 100 ms; it was stopped; it was not executed\n";
    assert!(output.stderr.ends_with(says), "{output:?}");
    assert!(!place.path("pid").exists());
}

#[test]
fn the_timeout_starts_at_the_exec() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let options = ["--inject=chdir:delay_enter=1500ms"];
    let arguments = ["-t", "2", "sh", "-c", "sleep 1; exit 3"];
    let output = fails_under_strace(&place, &options, &arguments);
    assert_eq!(output.code(), 5, "{output:?}");
}

#[test]
fn an_exec_is_waited_for_after_the_pipe_is_closed() {
    if !has("strace") {
        return;
    }
    // Linux 7.2 closes descriptors before it completes the exec.
    let options = ["--inject=setpgid:retval=0:when=1..4"];
    for arguments in [&["-t", "1"][..], &["-l", "lock"], &["-v"], &[]] {
        let place = Place::new();
        let arguments = [arguments, &["-p", "pid", "sleep", "1000"]].concat();
        let output = under_strace(&place, &options, &arguments);
        assert_eq!(output.code(), 0, "{output:?}");
        drop(Daemon::new(crate::support::pid_in(&place.path("pid"))));
        let trace = fs::read_to_string(place.path("trace")).unwrap();
        assert!(trace.contains("(INJECTED)"), "{trace}");
    }
}

#[test]
fn a_policy_that_refuses_setpgid_shows_no_exec() {
    if !has("strace") {
        return;
    }
    // The watch begins before the daemon fails.
    let faults = [
        "--inject=setpgid:error=EPERM",
        "--inject=chdir:delay_enter=1s",
    ];
    for arguments in [&["-p", "pid"][..], &["-v", "-p", "pid"]] {
        let place = Place::new();
        let arguments = [arguments, &["/no/such/command"]].concat();
        let output = fails_under_strace(&place, &faults, &arguments);
        assert_eq!(output.code(), 127, "{output:?}");
        assert!(!place.path("pid").exists(), "{output:?}");
    }
}

#[test]
fn an_interrupted_wait_does_not_restart() {
    if !has("strace") {
        return;
    }
    // Forty waits of the intermediate end with EINTR after 100 ms.
    let faults = ["--inject=ppoll:error=EINTR:delay_enter=100ms:when=1..40"];
    let place = Place::new();
    let output = under_strace(&place, &faults, &["-v", "-t", "1", "sleep", "1000"]);
    assert_eq!(output.code(), 0, "{output:?}");
    Daemon::new(output.pid()).assert_alive();
    assert!(output.took > Duration::from_secs(1), "{output:?}");
    assert!(output.took < Duration::from_secs(3), "{output:?}");
}

/// Delays the daemon between its pidfile and its exec.
const DELAY: [&str; 1] = ["--inject=umask:delay_exit=4s:when=3+"];

#[test]
fn a_terminated_launcher_ends_its_half_started_daemon() {
    if !has("strace") {
        return;
    }
    for options in [&["-p", "pid"][..], &["-t", "9", "-p", "pid"]] {
        let place = Place::new();
        let arguments = [options, &["sleep", "1000"]].concat();
        let mut command = strace_rawdaemon(&place, &DELAY, &arguments);
        let mut launcher = command.spawn().unwrap();
        eventually("the daemon has its pidfile", || place.path("pid").exists());
        kill_process(Pid::from_child(&launcher), Signal::TERM).unwrap();
        let end = launcher.wait().unwrap();
        assert_eq!(end.signal(), Some(libc::SIGTERM), "{options:?}");
        eventually("no process is left", || place.processes().is_empty());
        eventually("its pidfile is gone", || !place.path("pid").exists());
    }
}

#[test]
fn a_half_started_daemon_does_not_outlive_the_intermediate() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let arguments = ["-v", "-p", "pid", "sleep", "1000"];
    let mut command = strace_rawdaemon(&place, &DELAY, &arguments);
    let mut launcher = command.spawn().unwrap();
    let pid = Pid::from_child(&launcher);
    eventually("the daemon has its pidfile", || place.path("pid").exists());
    let is_intermediate = |other: &Pid| State::of(*other).parent == pid.as_raw_pid();
    let intermediate = place.processes().into_iter().find(is_intermediate);
    kill_process(intermediate.unwrap(), Signal::KILL).unwrap();
    assert_eq!(launcher.wait().unwrap().code(), Some(22));
    eventually("no process is left", || place.processes().is_empty());
    let trace = place.read("trace");
    assert!(!trace.contains("--- SIGSEGV"), "{trace}");
    // Another namespace's pid would mean another process in this one.
    assert!(!trace.contains(" kill("), "{trace}");
}

#[test]
fn a_killed_intermediate_is_missed_though_its_pipe_stays_open() {
    let place = Place::new();
    let mut command = place.rawdaemon(["-t", "1000", "sleep", "1000"]);
    // Only a group leader needs an intermediate.
    let null = || std::process::Stdio::null();
    command.stdin(null()).stdout(null()).stderr(null());
    let mut launcher = command.process_group(0).spawn().unwrap();
    let pid = Pid::from_child(&launcher).as_raw_pid();
    let mut daemon = None;
    eventually("the daemon sleeps", || {
        daemon = place.processes().into_iter().find(sleeps);
        daemon.is_some()
    });
    let daemon = Daemon::new(daemon.unwrap());
    let parent = Pid::from_raw(State::of(daemon.pid).parent).unwrap();
    assert_eq!(State::of(parent).parent, pid);
    // A write end of each of its pipes.
    let mut writers = Vec::new();
    for entry in fs::read_dir(format!("/proc/{parent}/fd")).unwrap() {
        let path = entry.unwrap().path();
        let target = fs::read_link(&path).unwrap_or_default();
        if target.to_string_lossy().starts_with("pipe:") {
            writers.push(fs::File::options().write(true).open(path).unwrap());
        }
    }
    assert!(!writers.is_empty());
    kill_process(parent, Signal::KILL).unwrap();
    let ended = wait_for(&watch(Pid::from_child(&launcher)), DEADLINE);
    launcher.kill().unwrap();
    assert_eq!((ended, launcher.wait().unwrap().code()), (true, Some(22)));
}

/// The numbers of a hexadecimal address after `start`.
fn address(line: &str, start: &str) -> Option<u64> {
    let digits = line.split_once(start)?.1.strip_prefix("0x")?;
    let end = digits.find(|c: char| !c.is_ascii_hexdigit());
    u64::from_str_radix(&digits[..end.unwrap_or(digits.len())], 16).ok()
}

#[test]
fn a_stack_is_not_unmapped_while_the_intermediate_runs() {
    if !has("strace") || cfg!(rawdaemon_plain_fork) {
        return;
    }
    // The launcher does not learn of the intermediate's end by wait4(2), and has the verdict long before.
    let faults = [
        "--inject=wait4:error=ECHILD",
        "--inject=exit_group:delay_enter=500ms",
    ];
    let place = Place::new();
    let output = under_strace(&place, &faults, &["-v", "sleep", "1000"]);
    assert_eq!(output.code(), 0, "{output:?}");
    drop(Daemon::new(output.pid()));
    let pid = |line: &str| line.split(' ').next().unwrap().to_owned();
    let trace = || place.read("trace");
    let created = trace();
    let mut lines = created.lines();
    let created = lines.find(|line| line.contains("CLONE_VM")).unwrap();
    let stack = address(created, "child_stack=").unwrap();
    // If the child makes a call first, the result is in a line of its own.
    let is_result = |line: &&str| pid(line) == pid(created) && line.contains("clone resumed");
    let result = match created.ends_with("<unfinished ...>") {
        true => lines.find(is_result).unwrap(),
        false => created,
    };
    let intermediate = result.rsplit(' ').next().unwrap();
    let is_end = |line: &str| {
        pid(line) == intermediate && line.contains("exit_group") && line.contains("= ?")
    };
    eventually("the intermediate ends", || trace().lines().any(is_end));
    let trace = trace();
    // It is unmapped afterwards, or never.
    for line in trace.lines().take_while(|line| !is_end(line)) {
        if let (true, Some(start)) = (pid(line) == pid(created), address(line, "munmap(")) {
            let size = line.split([',', ')', '<']).nth(1).unwrap().trim();
            let end = start + size.parse::<u64>().unwrap();
            assert!(!(start..end).contains(&stack), "{line}\n{trace}");
        }
    }
}

#[test]
fn an_intermediate_that_is_no_child_is_not_taken_for_one_that_has_ended() {
    if !has("strace") {
        return;
    }
    // The launcher leads a process group, and waits for the end of its intermediate alone.
    let place = Place::new();
    let options = ["-D", "--inject=wait4:error=ECHILD"];
    let mut command = strace_rawdaemon(&place, &options, &["sleep", "1000"]);
    let output = place.run(command.process_group(0));
    end_processes(&place);
    assert_eq!(output.code(), 0, "{output:?}");
}

#[test]
fn a_launcher_that_does_not_lead_the_session_can_be_interrupted() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    // A signal after the exec would end the launcher only.
    let delay = ["--inject=execve:delay_enter=3s"];
    let mut command = strace_rawdaemon(&place, &delay, &["/bin/sleep", "1000"]);
    command.process_group(0);
    let mut launcher = command.spawn().unwrap();
    let pid = Pid::from_child(&launcher);
    eventually("there is a daemon", || {
        let trace = fs::read_to_string(place.path("trace"));
        trace.is_ok_and(|trace| trace.contains("execve(\"/bin/sleep\""))
    });
    let began = Instant::now();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(launcher.wait().unwrap().signal(), Some(libc::SIGTERM));
    assert!(began.elapsed() < Duration::from_secs(2));
    eventually("no process is left", || place.processes().is_empty());
}

#[test]
fn no_answer_of_a_policy_is_taken_for_an_exec() {
    if !has("strace") {
        return;
    }
    for errno in ["EACCES", "EPERM", "ENOSYS", "EOPNOTSUPP"] {
        let refused = format!("--inject=setpgid:error={errno}");
        for how in [&["-p", "pid"][..], &["-v"], &["-v", "-t", "0.3"]] {
            let place = Place::new();
            for (what, fault, code) in [
                (&["-c", "/nowhere", "sleep", "1000"][..], None, 3),
                (&["/no/such"], None, 127),
                (&["sleep", "1000"], Some("--inject=chdir:signal=SIGKILL"), 5),
            ] {
                let options: Vec<_> = fault.into_iter().chain([refused.as_str()]).collect();
                let arguments = [how, what].concat();
                let output = fails_under_strace(&place, &options, &arguments);
                assert_eq!(output.code(), code, "{errno} {arguments:?}: {output:?}");
                assert!(!place.path("pid").exists());
            }
            let arguments = [how, &["sleep", "1000"]].concat();
            let output = under_strace(&place, &[&refused], &arguments);
            assert_eq!(output.code(), 0, "{errno} {arguments:?}: {output:?}");
        }
    }
}
