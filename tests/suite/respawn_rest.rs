//! What a supervised daemon leaves: its children are ended; the supervisor keeps nothing of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::support::control::{ask, ask_on, kernels, says};
use crate::support::supervised::{Supervised, named, pids};
use crate::support::{DEADLINE, Place, State, eventually, has, status_line, wait_for, watch};
use rustix::process::{Pid, Signal};

/// Starts children of three kinds: one of the daemon's group, one in a session of its own, and one whose parent has
/// ended.
fn daemon_with_children(signals: &str) -> String {
    let child = format!("{signals}; echo $$ >>children; exec sleep 1000");
    format!(
        "sh -c '{child}' & setsid sh -c '{child}' & \
         (setsid sh -c '{child}' & setsid sh -c '{child}' &) ; echo up >>log; wait; exec sleep 1000"
    )
}

fn start_children<'p>(place: &'p Place, signals: &str, options: &[&str]) -> Supervised<'p> {
    let folder = place.path("");
    let script = daemon_with_children(signals);
    let options = [&["-c", folder.to_str().unwrap()], options].concat();
    Supervised::start(place, &options, &["sh", "-c", &script])
}

#[test]
fn the_children_of_a_daemon_end_before_it_is_started_again() {
    if !has("setsid") {
        return;
    }
    for signals in ["true", "trap \"\" TERM"] {
        let place = Place::new();
        let supervised = start_children(&place, signals, &["--respawn-delay=0.01"]);
        let children: Vec<_> = pids(&place, "children", 4).into_iter().map(watch).collect();
        let daemon = supervised.kill_daemon();
        supervised.next(daemon);
        for child in &children {
            assert!(wait_for(child, std::time::Duration::ZERO), "{signals}");
        }
        let children: Vec<_> = pids(&place, "children", 8)
            .into_iter()
            .map(Pid::as_raw_pid)
            .collect();
        // The daemon, its four children, and the supervisor.
        eventually("they run", || place.processes().len() == 6);
        let zombies = zombies_below(supervised.pid);
        assert!(zombies.is_empty(), "{zombies:?}");
        assert_eq!(children.len(), 8);
        says(&ask(&place, &["--stop"]), 0, "", "");
        supervised.ends_cleanly();
    }
}

#[test]
fn the_children_of_a_daemon_that_does_not_get_ready_delay_no_restart() {
    let place = Place::new();
    // The first run gets ready. Each further one fails at once, and leaves a child in its group.
    let script = "[ -e ran ] && { sleep 1000 & exit 3; }; >ran; echo >&3; exit 3";
    let folder = place.path("");
    let options = [
        "-R",
        "fd:3",
        "--respawn-delay=0.001:0.001",
        "--respawn-max=60",
        "-c",
        folder.to_str().unwrap(),
    ];
    let supervised = Supervised::start(&place, &options, &["sh", "-c", script]);
    // If the supervisor took these children for processes that live, each restart would take more than a second.
    supervised.ended();
    place.assert_no_process();
}

#[test]
fn the_children_of_a_daemon_end_at_a_stop() {
    if !has("setsid") {
        return;
    }
    for kernel in kernels() {
        for is_signal in [false, true] {
            let place = Place::new();
            let supervised = start_children(&place, "true", &[]);
            let children: Vec<_> = pids(&place, "children", 4).into_iter().map(watch).collect();
            match is_signal {
                true => supervised.signal(Signal::TERM),
                false => says(&ask_on(&place, kernel, &["--stop"]), 0, "", ""),
            }
            supervised.ends_cleanly();
            for child in &children {
                assert!(wait_for(child, std::time::Duration::ZERO), "{}", kernel.0);
            }
        }
    }
}

#[test]
fn the_children_of_a_daemon_that_is_done_end() {
    if !has("setsid") {
        return;
    }
    let place = Place::new();
    let folder = place.path("");
    let child = "echo $$ >>children; exec sleep 1000";
    let script =
        format!("setsid sh -c '{child}' & until [ -e go ]; do sleep 0.01; done; exec true");
    let options = ["-c", folder.to_str().unwrap()];
    let supervised = Supervised::start(&place, &options, &["sh", "-c", &script]);
    pids(&place, "children", 1);
    fs::write(place.path("go"), "").unwrap();
    supervised.ends_cleanly();
}

#[test]
fn the_pidfile_names_no_process_that_has_ended() {
    if !has("setsid") {
        return;
    }
    let place = Place::new();
    let supervised = start_children(&place, "trap \"\" TERM", &["--respawn-delay=600"]);
    pids(&place, "children", 4);
    let daemon = supervised.kill_daemon();
    // Its children take five seconds to end.
    eventually("it has been reaped", || {
        !fs::exists(format!("/proc/{daemon}")).unwrap()
    });
    eventually("the file is empty", || named(&place).is_none());
    assert!(place.processes().len() > 1, "that was before their end");
    let status = ask(&place, &["--status"]);
    assert_eq!(status.code(), 2, "{status:?}");
    supervised.says(2, "next start in");
    assert_eq!(place.read("pid"), "");
    assert_eq!(place.processes(), [supervised.pid]);
    supervised.signal(Signal::TERM);
    supervised.ends_cleanly();
}

#[test]
fn the_group_of_the_daemon_can_be_killed() {
    let place = Place::new();
    let folder = place.path("");
    let script = "sh -c 'echo $$ >>children; exec sleep 1000' & wait";
    let options = ["-c", folder.to_str().unwrap(), "--respawn-delay=0.01"];
    let supervised = Supervised::start(&place, &options, &["sh", "-c", script]);
    let child = watch(pids(&place, "children", 1)[0]);
    let daemon = supervised.daemon();
    rustix::process::kill_process_group(daemon, Signal::KILL).unwrap();
    supervised.next(daemon);
    assert!(wait_for(&child, DEADLINE));
    assert!(!supervised.has_ended());
    let output = ask(&place, &["--stop", "--process-group"]);
    says(&output, 0, "", "");
    supervised.ends_cleanly();
}

/// The zombies whose parent is this process.
fn zombies_below(parent: Pid) -> Vec<String> {
    let stats = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let rest = stat.rsplit_once(") ")?.1.to_owned();
            let mut fields = rest.split(' ');
            let is_zombie = fields.next() == Some("Z");
            let is_child = fields.next() == Some(&parent.to_string());
            (is_zombie && is_child).then_some(stat)
        });
    stats.collect()
}

/// What a supervisor has: its descriptors, and its memory in pages.
fn belongings(supervisor: Pid) -> (BTreeMap<i32, PathBuf>, String, Vec<String>) {
    let statm = fs::read_to_string(format!("/proc/{supervisor}/statm")).unwrap();
    let mut pages = statm.split(' ');
    let (size, data) = (pages.next().unwrap().to_owned(), pages.nth(4).unwrap());
    let maps = fs::read_to_string(format!("/proc/{supervisor}/maps")).unwrap();
    assert!(!data.is_empty());
    let maps = maps.lines().map(str::to_owned).collect();
    (State::of(supervisor).descriptors, size, maps)
}

#[test]
fn a_supervisor_gathers_nothing_over_a_hundred_restarts() {
    for readiness in ["exec", "fd:3", "notify"] {
        let place = Place::new();
        let options = [
            "--respawn-delay=0.001:0.002",
            "--respawn-max=0",
            "-l",
            "lock",
            "-R",
            readiness,
        ];
        let supervised = if readiness == "notify" {
            if !crate::support::has_test_programs() {
                return;
            }
            let program = crate::support::example("notifier");
            Supervised::start(
                &place,
                &options,
                &[program.to_str().unwrap(), "say READY=1"],
            )
        } else {
            let script = "[ -e /proc/self/fd/3 ] && echo >&3; exec sleep 1000";
            Supervised::start(&place, &options, &["sh", "-c", script])
        };
        let restart = |count: u32, from: u32| {
            for number in from..from + count {
                let daemon = supervised.kill_daemon();
                supervised.next(daemon);
                // It is ready.
                supervised.says(0, &format!("; restarts: {number}"));
            }
        };
        restart(3, 1);
        let before = belongings(supervised.pid);
        restart(100, 4);
        let zombies = zombies_below(supervised.pid);
        assert!(zombies.is_empty(), "{readiness}: {zombies:?}");
        let after = belongings(supervised.pid);
        // A socket has another number each time.
        let names = |of: &(BTreeMap<i32, PathBuf>, String, Vec<String>)| {
            let name = |path: &PathBuf| {
                let name = path.display().to_string();
                name.split('[').next().unwrap().to_owned()
            };
            let fds: BTreeMap<i32, String> =
                of.0.iter().map(|(fd, path)| (*fd, name(path))).collect();
            fds
        };
        assert_eq!(names(&before), names(&after), "{readiness}");
        assert_eq!((&before.1, &before.2), (&after.1, &after.2), "{readiness}");
        assert_eq!(place.processes().len(), 2, "{readiness}");
    }
}

#[test]
fn a_supervisor_is_small_and_quiet() {
    let place = Place::new();
    let supervised = Supervised::start(&place, &[], &["sleep", "1000"]);
    supervised.says(0, "restarts: 0");
    let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", supervised.pid)).unwrap();
    let dirty = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:"));
    let kilobytes: u32 = dirty
        .unwrap()
        .trim()
        .strip_suffix(" kB")
        .unwrap()
        .parse()
        .unwrap();
    // The release build has less: tests/bench measures it.
    assert!(kilobytes <= 64, "{rollup}");
    let switches = || status_line(supervised.pid, "voluntary_ctxt_switches");
    let before = switches();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(switches(), before, "nothing has woken it");
    // It holds no descriptor but its own.
    let state = State::of(supervised.pid);
    let own = state.descriptors.values().filter(|path| {
        let name = path.to_str().unwrap();
        ["/dev/null", "anon_inode:[signalfd]"].contains(&name)
            || [place.path("pid"), place.path("pid.supervisor")].contains(path)
    });
    assert_eq!(own.count(), state.descriptors.len(), "{state:?}");
    assert_eq!(state.session, supervised.pid.as_raw_pid());
    assert_eq!(state.terminal, 0);
}
