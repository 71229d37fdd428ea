//! `--list`, and the line of `--status --verbose`: what is known of the daemons of several pidfiles.

use std::fs;

use crate::support::control::{ask_on, start_unlocked};
use crate::support::{Output, Place, has, is_root_for, without_proc};
use rustix::process::Pid;

fn list(place: &Place, files: &[&str]) -> Output {
    place.run(place.rawdaemon(["--list"]).args(files))
}

/// The line of a daemon that has the lock: the file, and what follows the pid.
fn locked(file: &str, pid: Pid) -> String {
    format!("{file}: running, and holds the lock on its pidfile; pid {pid}")
}

/// The user, the seconds of the age, and the command line, of what follows the pid.
fn facts(text: &str) -> (String, u64, String) {
    let (user, rest) = text
        .strip_prefix(", user ")
        .unwrap()
        .split_once(", for ")
        .unwrap();
    let (age, command) = rest.split_once(": ").unwrap();
    let seconds = age.split(' ').map(|part| {
        let (count, unit) = part.split_at(part.len() - 1);
        let size = match unit {
            "d" => 86400,
            "h" => 3600,
            "m" => 60,
            "s" => 1,
            _ => panic!("{age}"),
        };
        count.parse::<u64>().unwrap() * size
    });
    (user.into(), seconds.sum(), command.into())
}

#[test]
fn each_pidfile_has_a_line() {
    let place = Place::new();
    let daemon = place.start(["-p", "pid", "sh", "-c", "sleep 1000; true", "a b"]);
    fs::write(place.path("dead"), "4194305\n").unwrap();
    fs::create_dir(place.path("folder")).unwrap();
    let output = list(&place, &["pid", "dead", "missing", "folder", "pid"]);
    let lines: Vec<_> = output.stdout.lines().collect();
    assert_eq!(
        (output.code(), output.stderr.as_str()),
        (4, ""),
        "{output:?}"
    );
    let (_, text) = lines[0].split_at(locked("pid", daemon.pid).len());
    assert_eq!(lines[0], locked("pid", daemon.pid) + text);
    let (user, age, command) = facts(text);
    assert_eq!(user, rustix::process::geteuid().as_raw().to_string());
    assert!(age < 60, "{text}");
    assert_eq!(command, "sh -c sleep 1000; true a b");
    assert_eq!(lines[1], "dead: dead, but its pidfile exists");
    assert_eq!(lines[2], "missing: not running");
    assert_eq!(
        lines[3],
        "folder: cannot use the pidfile: not a regular file"
    );
    assert!(lines[4].starts_with(&locked("pid", daemon.pid)));
    // The code is 0 only if all run; otherwise, that of the worst.
    for (files, code) in [
        (&["pid"][..], 0),
        (&["pid", "dead"], 1),
        (&["dead", "missing", "pid"], 3),
        (&["missing", "folder", "dead"], 4),
    ] {
        let output = list(&place, files);
        assert_eq!(output.code(), code, "{output:?}");
        assert_eq!(output.stdout.lines().count(), files.len());
    }
    let output = place.run(&mut place.rawdaemon(["-qL", "pid", "dead"]));
    assert_eq!((output.code(), output.stdout.as_str()), (1, ""));
    // One that has never been a daemon of ours.
    let own = std::process::id();
    fs::write(place.path("unknown"), format!("{own}\n")).unwrap();
    let output = list(&place, &["unknown"]);
    let start = format!("unknown: unknown (no lock), it may run as pid {own}");
    assert!(
        output.code() == 4 && output.stdout.starts_with(&start),
        "{output:?}"
    );
    assert!(
        output.stdout[start.len()..].starts_with(", user "),
        "{output:?}"
    );
}

#[test]
fn an_age_has_days_hours_minutes_and_seconds() {
    let place = Place::new();
    // Process 1 is as old as the machine, or its container.
    fs::write(place.path("first"), "1\n").unwrap();
    let output = list(&place, &["first"]);
    let (_, text) = output.stdout.trim_end().split_once("run as pid 1").unwrap();
    let (_, age, _) = facts(text);
    let stat = fs::read_to_string("/proc/1/stat").unwrap();
    let ticks = stat
        .rsplit_once(") ")
        .unwrap()
        .1
        .split(' ')
        .nth(19)
        .unwrap();
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    let expected = uptime as u64 - ticks.parse::<u64>().unwrap() / 100;
    assert!(expected.abs_diff(age) <= 30, "{expected}: {text}");
}

#[test]
fn a_verbose_status_has_the_line_too() {
    let place = Place::new();
    let daemon = start_unlocked(&place);
    let output = ask_on(&place, ("whole", |_| {}), &["-v", "--status"]);
    assert_eq!(
        (output.code(), output.stdout),
        (0, format!("{}\n", daemon.pid))
    );
    let (how, rest) = output
        .stderr
        .split_once(&format!("; pid {}", daemon.pid))
        .unwrap();
    assert!(how.starts_with("rawdaemon: running, by "), "{how}");
    assert_eq!(facts(rest.trim_end()).2, "sleep 1000");
}

#[test]
fn the_user_is_that_of_the_process() {
    if !is_root_for("a daemon of another user") || !has("setpriv") {
        return;
    }
    let place = Place::new();
    // It becomes the user without an exec afterwards, so its files in /proc are root's.
    let script = "import os, time; os.setuid(65534); open('up', 'w'); time.sleep(1000)";
    if !has("python3") {
        return;
    }
    fs::set_permissions(
        place.path(""),
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    let folder = place.path("");
    let _daemon = place.start([
        "-p",
        "pid",
        "-c",
        folder.to_str().unwrap(),
        "python3",
        "-c",
        script,
    ]);
    crate::support::eventually("it is the user", || place.path("up").exists());
    let output = list(&place, &["pid"]);
    assert!(output.stdout.contains(", user 65534, for "), "{output:?}");
}

#[test]
fn without_proc_there_is_the_pid() {
    if !is_root_for("a kernel without /proc") {
        return;
    }
    let place = Place::new();
    let daemon = place.start(["-p", "pid", "sleep", "1000"]);
    let mut command = place.rawdaemon(["--list", "pid"]);
    without_proc(&mut command);
    let output = place.run(&mut command);
    assert_eq!(
        (output.code(), output.stdout),
        (0, locked("pid", daemon.pid) + "\n")
    );
}

#[test]
fn lines_that_cannot_be_written_are_no_success() {
    let place = Place::new();
    let _daemon = place.start(["-p", "pid", "sleep", "1000"]);
    let mut command = place.rawdaemon(["--list", "pid"]);
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = command.stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let says = String::from_utf8_lossy(&output.stderr);
    assert!(
        says.starts_with("rawdaemon: cannot write to standard output: "),
        "{says}"
    );
}
