//! The daemon's process group: it leads one, and a failed start ends all of it.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::support::{Daemon, Place, State, eventually, wait_for, watch};

/// A child that writes its pid to a file. The shell waits until it has.
const CHILD: &str = "sh -c 'echo $$ >child.new; mv child.new child; exec sleep 1000' &
    until [ -s child ]; do sleep 0.01; done; ";

fn child(place: &Place) -> Pid {
    let pid = place.read("child").trim_end().parse().unwrap();
    Pid::from_raw(pid).unwrap()
}

#[test]
fn the_group_is_the_daemon_s_own() {
    for leads_group in [false, true] {
        let place = Place::new();
        let script = format!("{CHILD} exec sleep 1000");
        let folder = place.path("");
        let mut command = place.rawdaemon(["-v", "-c", folder.to_str().unwrap(), "sh", "-c"]);
        if leads_group {
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        }
        let daemon = place.start_by(command.arg(script));
        eventually("the child is there", || place.path("child").exists());
        let state = State::of(daemon.pid);
        assert_eq!(state.group, daemon.pid.as_raw_pid());
        assert_eq!(State::of(child(&place)).group, state.group);
        let left = watch(child(&place));
        kill_process_group(daemon.pid, Signal::KILL).unwrap();
        daemon.ended();
        assert!(wait_for(&left, Duration::from_secs(20)));
        eventually("nothing is left", || place.processes().is_empty());
    }
}

#[test]
fn a_daemon_that_kills_its_group_kills_no_other_process() {
    // The launcher would tell another story if the intermediate were hit.
    for (signal, how) in [("KILL", "9 (SIGKILL)"), ("TERM", "15 (SIGTERM)")] {
        for options in [&["-t", "10"][..], &["-R", "fd:3"]] {
            let place = Place::new();
            let script = format!("kill -{signal} 0; sleep 1000");
            let output = place.run(place.rawdaemon(options).args(["sh", "-c", &script]));
            assert_eq!(output.code(), 5, "{output:?}");
            let says = format!("the daemon ended too soon: killed by signal {how} after ");
            assert!(output.stderr.contains(&says), "{output:?}");
            place.assert_no_process();
        }
    }
}

#[test]
fn a_failed_start_ends_the_children_too() {
    for (end, options, code) in [
        ("exit 3", &["-t", "10"][..], 5),
        ("exec sleep 1000", &["-R", "fd:3", "-t", "0.5"], 6),
        ("exec 3>&-; exec sleep 1000", &["-R", "fd:3"], 18),
        // It ignores the first signal, as do its children.
        ("trap '' TERM; sleep 1000 & exit 3", &["-t", "10"], 5),
    ] {
        let place = Place::new();
        let folder = place.path("");
        let mut command = place.rawdaemon(["-c", folder.to_str().unwrap(), "-p", "pid"]);
        // The child holds no end of the pipe.
        let script = format!("{} {end}", CHILD.replacen("&", "3>&- &", 1));
        let output = place.run(command.args(options).args(["sh", "-c", &script]));
        assert_eq!(output.code(), code, "{output:?}");
        assert!(place.path("child").exists(), "{output:?}");
        place.assert_no_process();
        assert!(!place.path("pid").exists());
    }
}

#[test]
fn a_stopped_member_of_the_group_hangs_up_nothing() {
    for script in [
        "kill -STOP $$; exec sleep 1000",
        "sleep 1000 & kill -STOP $!; exec sleep 1000",
    ] {
        for leads_group in [false, true] {
            let place = Place::new();
            let mut command = place.rawdaemon(["-v", "-t", "0.3", "sh", "-c", script]);
            if leads_group {
                std::os::unix::process::CommandExt::process_group(&mut command, 0);
            }
            let daemon = place.start_by(&mut command);
            let name = format!("/proc/{}/comm", daemon.pid);
            eventually("it goes on", || {
                fs::read_to_string(&name).unwrap() == "sleep\n"
            });
            std::thread::sleep(Duration::from_millis(50));
            daemon.assert_alive();
            kill_process_group(daemon.pid, Signal::KILL).unwrap();
            daemon.ended();
            eventually("nothing is left", || place.processes().is_empty());
        }
    }
}

#[test]
fn a_policy_may_keep_the_daemon_in_the_session_s_group() {
    if !crate::support::has("strace") {
        return;
    }
    let place = Place::new();
    let refused = ["--inject=setpgid:error=EPERM"];
    let output = crate::support::under_strace(&place, &refused, &["-v", "sleep", "1000"]);
    assert_eq!(output.code(), 0, "{output:?}");
    let daemon = Daemon::new(output.pid());
    let state = State::of(daemon.pid);
    assert_eq!(state.group, state.session);
}
