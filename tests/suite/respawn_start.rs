//! The starts of a supervisor: the first, which fails as any other, and those that follow.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::support::control::{ask, says};
use crate::support::supervised::{Supervised, assert_no_file, end_processes, named, respawn};
use crate::support::{
    Place, State, before_exec, eventually, example, has, has_test_programs, is_root_for,
};
use rustix::process::Signal;

const SHORT: &str = "--respawn-delay=0.01";

#[test]
fn a_first_start_that_fails_leaves_nothing() {
    let place = Place::new();
    fs::write(place.path("text"), "no program").unwrap();
    let passwd = place.path("text");
    fs::set_permissions(&passwd, fs::Permissions::from_mode(0o644)).unwrap();
    let text = passwd.to_str().unwrap();
    for (code, arguments) in [
        (127, &["nosuch"][..]),
        (127, &["/no/such/program"]),
        (126, &[text]),
        (3, &["-c", "/no/such", "sleep", "1000"]),
        (8, &["-o", "/no/such/file", "sleep", "1000"]),
        (8, &["-i", "/no/such/file", "sleep", "1000"]),
        (5, &["-t", "5", "sh", "-c", "exit 7"]),
        (5, &["-t", "5", "sh", "-c", "sleep 1000 & exit 7"]),
        (5, &["-t", "5", "sh", "-c", "kill -KILL $$"]),
        (6, &["-R", "fd:3", "-t", "0.2", "sleep", "1000"]),
        (6, &["-R", "notify", "-t", "0.2", "sleep", "1000"]),
        (
            6,
            &[
                "-R",
                "notify",
                "-t",
                "0.2",
                "sh",
                "-c",
                "trap '' TERM; sleep 1000 & wait; wait",
            ],
        ),
        (
            18,
            &["-R", "fd:3", "sh", "-c", "exec 3>&-; exec sleep 1000"],
        ),
        (10, &["--keep-fd", "77", "sleep", "1000"]),
        (11, &["-l", "/no/such/lock", "sleep", "1000"]),
    ] {
        for pidfile in [&["-p", "pid"][..], &["-p", "pid", "-l", "lock"], &[]] {
            let mut start = place.rawdaemon(["--respawn"]);
            start.args(pidfile).args(arguments);
            // Without folders that this user may not search.
            start.env("PATH", "/usr/local/bin:/usr/bin:/bin");
            let output = place.run(&mut start);
            assert_eq!(output.code(), code, "{arguments:?}: {output:?}");
            // The supervisor may just be ending.
            eventually("no process is left", || place.processes().is_empty());
            assert_no_file(&place);
        }
    }
    for (code, pidfile) in [(11, "/no/such/pid"), (11, "/")] {
        let output = place.run(&mut place.rawdaemon(["--respawn", "-p", pidfile, "sleep", "9"]));
        assert_eq!(output.code(), code, "{output:?}");
        eventually("no process is left", || place.processes().is_empty());
    }
}

#[test]
fn a_first_start_that_fails_as_a_user_leaves_nothing() {
    if !is_root_for("another user") {
        return;
    }
    let place = Place::new();
    for (code, arguments) in [
        (16, &["-u", "no-such-user", "sleep", "1000"][..]),
        (15, &["-g", "no-such-group", "sleep", "1000"]),
        (126, &["-u", "65534:65534", "/root/no-such"]),
    ] {
        let mut start = place.rawdaemon(["--respawn", "-p", "pid"]);
        let output = place.run(start.args(arguments));
        assert!(
            [code, 127].contains(&output.code()),
            "{arguments:?}: {output:?}"
        );
        eventually("no process is left", || place.processes().is_empty());
        assert_no_file(&place);
    }
}

#[test]
fn a_restart_that_does_not_get_ready_is_a_failure() {
    if !has_test_programs() {
        return;
    }
    let program = example("notifier");
    let program = program.to_str().unwrap();
    for (readiness, ready, late) in [
        (
            "fd:3",
            "echo >&3; exec sleep 1000".to_owned(),
            "exec sleep 1000".to_owned(),
        ),
        (
            "notify",
            format!("exec {program} 'say READY=1'"),
            format!("exec {program} 'say STATUS=busy'"),
        ),
    ] {
        let place = Place::new();
        let folder = place.path("");
        let script = format!("echo run >>log; if [ -e late ]; then {late}; else {ready}; fi");
        let options = [
            "-c",
            folder.to_str().unwrap(),
            "-R",
            readiness,
            "-t",
            "0.4",
            SHORT,
        ];
        let options = [&options[..], &["--respawn-max=2"]].concat();
        let supervised = Supervised::start(&place, &options, &["sh", "-c", &script]);
        let daemon = supervised.kill_daemon();
        supervised.next(daemon);
        supervised.says(0, "restarts: 1");
        fs::write(place.path("late"), "").unwrap();
        supervised.kill_daemon();
        supervised.ended();
        // The second restart, and none after that.
        assert_eq!(place.read("log"), "run\nrun\nrun\n");
        place.assert_no_process();
        let status = ask(&place, &["--status"]);
        let text = "gave up; restarts: 2, last ended: the daemon did not become ready within";
        assert!(status.stderr.contains(text), "{status:?}");
        assert_eq!(status.code(), 1);
    }
}

#[test]
fn a_restart_that_refuses_is_a_failure_and_one_that_is_ready_is_none() {
    let place = Place::new();
    let folder = place.path("");
    let script = "if [ -e refuse ]; then exec 3>&-; else echo >&3; fi; exec sleep 1000";
    let options = [
        "-c",
        folder.to_str().unwrap(),
        "-R",
        "fd:3",
        SHORT,
        "--respawn-max=0",
    ];
    let supervised = Supervised::start(&place, &options, &["sh", "-c", script]);
    fs::write(place.path("refuse"), "").unwrap();
    let daemon = supervised.kill_daemon();
    supervised.says(2, "last ended: the daemon");
    fs::remove_file(place.path("refuse")).unwrap();
    supervised.next(daemon);
    supervised.says(0, "restarts: ");
    says(&ask(&place, &["--stop"]), 0, "", "");
    supervised.ends_cleanly();
}

#[test]
fn the_output_is_emptied_by_the_first_start_only() {
    for append in [false, true] {
        let place = Place::new();
        fs::write(place.path("out"), "old\n").unwrap();
        let mut options = vec!["-o", "out", "-e", "out", SHORT];
        if append {
            options.push("-a");
        }
        let script = "echo run; exec sleep 1000";
        let supervised = Supervised::start(&place, &options, &["sh", "-c", script]);
        let runs = |count| {
            eventually("it has written", || {
                let text = fs::read_to_string(place.path("out")).unwrap_or_default();
                text.lines().filter(|line| *line == "run").count() == count
            });
        };
        runs(1);
        supervised.kill_daemon();
        runs(2);
        supervised.kill_daemon();
        runs(3);
        let text = place.read("out");
        assert_eq!(text.starts_with("old\n"), append, "{text}");
        // What the supervisor says is there, too.
        let said = "rawdaemon: restarts: 0, last ended: killed by signal 9 (SIGKILL)";
        assert_eq!(text.matches(said).count(), 1, "{text}");
        fs::remove_file(place.path("out")).unwrap();
        // The file is opened anew.
        supervised.kill_daemon();
        runs(1);
    }
}

/// Forks a child that lives on as the daemon, as nginx does on USR2.
const HANDS_OVER: &str = "
import os, signal, socket, sys, time
def say(text):
    name = os.environ['NOTIFY_SOCKET']
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.sendto(text.encode(), '\\0' + name[1:] if name[0] == '@' else name)
def hand_over(*_):
    child = os.fork()
    if child:
        say('MAINPID=%d' % child)
        os.waitid(os.P_PID, child, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    else:
        open('child', 'w').write('%d\\n' % os.getpid())
signal.signal(signal.SIGUSR2, hand_over)
if len(sys.argv) > 1:
    hand_over()
say('READY=1')
while True:
    time.sleep(1000)
";

#[test]
fn the_main_process_is_followed() {
    if !has("python3") {
        return;
    }
    let place = Place::new();
    let folder = place.path("");
    let script = place.script("web.py", HANDS_OVER);
    let options = ["-c", folder.to_str().unwrap(), "-R", "notify", SHORT];
    let command = ["python3", script.to_str().unwrap()];
    let supervised = Supervised::start(&place, &options, &command);
    let first = supervised.daemon();
    says(&ask(&place, &["--signal", "USR2"]), 0, "", "");
    let second = supervised.next(first);
    eventually("the child has told its pid", || {
        fs::read_to_string(place.path("child")).is_ok_and(|text| text == format!("{second}\n"))
    });
    says(&ask(&place, &["--status"]), 0, &format!("{second}\n"), "");
    // The end of the first is not the end of the daemon.
    rustix::process::kill_process(first, Signal::KILL).unwrap();
    eventually("it has been reaped", || {
        !fs::exists(format!("/proc/{first}")).unwrap()
    });
    says(&ask(&place, &["--status"]), 0, &format!("{second}\n"), "");
    assert!(!supervised.has_ended());
    // That of the second is.
    rustix::process::kill_process(second, Signal::KILL).unwrap();
    let third = supervised.next(second);
    assert_ne!(third, first);
    supervised.says(0, "restarts: 1");
    // It is stopped, too.
    says(&ask(&place, &["--signal", "USR2"]), 0, "", "");
    let fourth = supervised.next(third);
    let line = format!("rawdaemon: stopped pid {fourth} with SIGTERM\n");
    says(&ask(&place, &["-v", "--stop"]), 0, "", &line);
    supervised.ends_cleanly();
}

#[test]
fn a_watchdog_that_is_missed_ends_the_daemon() {
    if !has_test_programs() {
        return;
    }
    let program = example("notifier");
    let program = program.to_str().unwrap();
    for (words, is_ended) in [
        (&["say READY=1"][..], true),
        (&["say READY=1", "say WATCHDOG=1"], true),
        (&["say READY=1", "say WATCHDOG=trigger"], true),
        (&["say READY=1", "say EXTEND_TIMEOUT_USEC=600000000"], false),
        (&["say READY=1", "forever WATCHDOG=1"], false),
    ] {
        let place = Place::new();
        let is_triggered = words.iter().any(|word| word.ends_with("trigger"));
        let limit = match (is_ended, is_triggered) {
            (true, false) => "0.4",
            (true, true) => "600",
            // A busy machine may need some time to run the daemon.
            (false, _) => "2",
        };
        let options = [
            "-R",
            "notify",
            "--watchdog",
            limit,
            SHORT,
            "--rlimit=core=0",
        ];
        let supervised = Supervised::start(&place, &options, &[&[program], words].concat());
        let daemon = supervised.daemon();
        if is_ended {
            supervised.next(daemon);
            supervised.tells("last ended: killed by signal 6 (SIGABRT)");
        } else {
            std::thread::sleep(Duration::from_millis(3000));
            assert_eq!(named(&place), Some(daemon));
            supervised.says(0, "restarts: 0");
        }
    }
}

#[test]
fn kept_descriptors_are_there_at_each_start() {
    let place = Place::new();
    let file = fs::File::create(place.path("kept")).unwrap();
    let number = file.as_raw_fd();
    let options = ["--keep-fd", "9", "--keep-fd", "50", "-l", "lock", SHORT];
    let mut start = respawn(&place, &options, &["sleep", "1000"]);
    before_exec(&mut start, move || {
        for kept in [9, 50] {
            // SAFETY: numbers only.
            assert_eq!(unsafe { libc::dup2(number, kept) }, kept);
            // The file may have that number already.
            // SAFETY: numbers only.
            assert_eq!(unsafe { libc::fcntl(kept, libc::F_SETFD, 0) }, 0);
        }
        Ok(())
    });
    let supervised = Supervised::start_by(&place, &mut start);
    let mut daemon = supervised.daemon();
    let kept = |pid| {
        eventually("it runs", || {
            let name = fs::read_to_string(format!("/proc/{pid}/comm"));
            name.is_ok_and(|name| name == "sleep\n")
        });
        let descriptors = State::of(pid).descriptors;
        descriptors
            .into_iter()
            .filter(|(_, path)| path.ends_with("kept"))
            .map(|(fd, _)| fd)
            .collect::<Vec<_>>()
    };
    for _ in 0..5 {
        assert_eq!(kept(daemon), [9, 50]);
        supervised.kill_daemon();
        daemon = supervised.next(daemon);
    }
    drop(file);
    assert_eq!(kept(daemon), [9, 50]);
}

#[test]
fn a_notification_descriptor_may_have_any_number() {
    for number in ["3", "4", "5", "6", "7", "8", "30", "241", "242"] {
        for log in [&[][..], &["-o", "out", "--log-size=64K"]] {
            let place = Place::new();
            let readiness = format!("fd:{number}");
            // A shell redirects to a descriptor above 9 by a path only.
            let script = format!("echo up; echo >/dev/fd/{number}; exec sleep 1000");
            let options = ["-R", &readiness, SHORT, "-l", "lock"];
            let options = [&options[..], log].concat();
            let supervised = Supervised::start(&place, &options, &["sh", "-c", &script]);
            for restarts in 1..=2 {
                let daemon = supervised.kill_daemon();
                supervised.next(daemon);
                supervised.says(0, &format!("restarts: {restarts}"));
            }
            let other = place.run(&mut place.rawdaemon(["-p", "pid", "true"]));
            assert_eq!(other.code(), 12, "{number}: {other:?}");
            if !log.is_empty() {
                eventually("it is logged", || {
                    place.read("out").matches("up\n").count() == 3
                });
            }
            says(&ask(&place, &["--stop"]), 0, "", "");
            supervised.ends_cleanly();
        }
    }
}

#[test]
fn a_lock_file_alone_is_enough() {
    let place = Place::new();
    let start = ["--respawn", SHORT, "-l", "lock"];
    let supervised = {
        let mut command = place.rawdaemon(start);
        Supervised::start_by(&place, command.args(["sleep", "1000"]))
    };
    let sleeping = || {
        let is_asleep = |pid: &rustix::process::Pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm"));
            name.is_ok_and(|name| name == "sleep\n")
        };
        place.processes().into_iter().find(is_asleep)
    };
    eventually("it sleeps", || sleeping().is_some());
    let daemon = sleeping().unwrap();
    for _ in 0..2 {
        for start in [&start[..], &["-l", "lock"]] {
            let output = place.run(place.rawdaemon(start).arg("true"));
            assert_eq!(output.code(), 12, "{output:?}");
        }
        let daemon = sleeping().unwrap();
        rustix::process::kill_process(daemon, Signal::KILL).unwrap();
        eventually("there is another", || {
            sleeping().is_some_and(|next| next != daemon)
        });
    }
    assert_ne!(sleeping(), Some(daemon));
    assert_no_file(&place);
    // The daemon keeps others away without its supervisor.
    supervised.kill();
    let output = place.run(&mut place.rawdaemon(["-l", "lock", "true"]));
    assert_eq!(output.code(), 12, "{output:?}");
    end_processes(&place);
    let daemon = place.start(["-l", "lock", "sleep", "1000"]);
    daemon.assert_alive();
}

#[test]
fn no_file_at_all_is_enough() {
    let place = Place::new();
    let mut command = place.rawdaemon(["--respawn", SHORT, "--respawn-max=3"]);
    let wait = "until [ -e go ]; do sleep 0.01; done";
    let script = format!(
        "cd {}; {wait}; echo run >>log; exit 1",
        place.path("").display()
    );
    let supervised = Supervised::start_by(&place, command.args(["sh", "-c", &script]));
    fs::write(place.path("go"), "").unwrap();
    supervised.ended();
    assert_eq!(place.read("log").lines().count(), 4);
    let mut command = place.rawdaemon(["--respawn", SHORT, "sleep", "1000"]);
    let supervised = Supervised::start_by(&place, &mut command);
    supervised.signal(Signal::TERM);
    supervised.ends_cleanly();
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 2);
}
