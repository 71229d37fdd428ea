//! The log of a supervised daemon: no line is lost, torn or written twice, and the daemon never waits.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::support::{
    DEADLINE, Daemon, Place, State, before_exec, eventually, is_root, own_mounts, pid_in, skip,
    status_line, without_pidfds,
};

/// Writes numbered lines, and notes in another file what it has written.
const FLOOD: &str = "exec 3>>progress; i=0
    while [ $i -lt 20000 ]; do i=$((i+1)); echo $$ $i of the run; echo $$ $i >&3; done
    exec sleep 1000";

/// Starts a supervised script in the folder of the test, with these options. Returns the supervisor.
fn start(place: &Place, options: &[&str], script: &str) -> Daemon {
    start_by(place, &mut supervised(place, options, script))
}

fn supervised(place: &Place, options: &[&str], script: &str) -> Command {
    let folder = place.path("");
    let mut command = place.rawdaemon(["--respawn", "--respawn-delay", "0.01", "-p", "pid", "-c"]);
    command
        .arg(folder)
        .args(options)
        .args(["--", "sh", "-c", script]);
    command
}

fn start_by(place: &Place, command: &mut Command) -> Daemon {
    let output = place.run(command);
    assert_eq!(output.code(), 0, "{output:?}");
    let state = place.read("pid.supervisor");
    let supervisor = state.lines().next().unwrap().parse().unwrap();
    Daemon::new(Pid::from_raw(supervisor).unwrap())
}

/// Stops the daemon with its supervisor, and checks that nothing is left.
fn stop(place: &Place, supervisor: Daemon) {
    let output = place.run(&mut place.rawdaemon(["--stop", "-p", "pid"]));
    assert_eq!(output.code(), 0, "{output:?}");
    supervisor.ended();
    drop(supervisor);
    place.assert_no_process();
}

/// The process that writes the log: the child of the supervisor that is no daemon.
fn logger(place: &Place, supervisor: &Daemon) -> Option<Pid> {
    let daemon = fs::read_to_string(place.path("pid")).unwrap_or_default();
    let parent = supervisor.pid.as_raw_pid().to_string();
    place.processes().into_iter().find(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let is_child = rest.split(' ').nth(1) == Some(&parent);
        is_child && stat.contains("(rawdaemon) ") && daemon.trim() != pid.to_string()
    })
}

fn old(path: &Path, number: u32) -> PathBuf {
    PathBuf::from(format!("{}.{number}", path.display()))
}

/// The text of all files of a log, the oldest first.
fn whole_log(path: &Path) -> String {
    let count = (1..1000)
        .take_while(|number| old(path, *number).exists())
        .count();
    let mut files: Vec<_> = (1..=count as u32)
        .rev()
        .map(|number| old(path, number))
        .collect();
    files.push(path.to_owned());
    files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap_or_default())
        .collect()
}

/// The number of the last line of each run, in the order of the runs.
fn runs(text: &str) -> Vec<(String, u32)> {
    let mut runs: Vec<(String, u32)> = Vec::new();
    for line in text.lines() {
        let (run, number) = line.split_once(' ').unwrap();
        let number = number.split(' ').next().unwrap().parse().unwrap();
        match runs.last_mut() {
            Some((last, count)) if last == run => *count = number,
            _ => runs.push((run.to_owned(), number)),
        }
    }
    runs
}

/// Checks that the log has each line that was noted, whole, once and in order. Returns the number of the supervisor's
/// own lines.
#[track_caller]
fn assert_whole(log: &str, progress: &str) -> usize {
    let is_own = |line: &&str| line.starts_with("rawdaemon: ");
    let mut expected: BTreeMap<String, u32> = BTreeMap::new();
    for line in log.lines().filter(|line| !is_own(line)) {
        let mut words = line.splitn(3, ' ');
        let run = words.next().unwrap().to_owned();
        let next = expected.entry(run).or_default();
        *next += 1;
        assert_eq!(words.next(), Some(next.to_string().as_str()), "{line:?}");
        assert_eq!(words.next(), Some("of the run"), "{line:?}");
    }
    for (run, noted) in runs(progress) {
        let logged = expected.get(&run).copied().unwrap_or_default();
        assert!(
            noted <= logged && logged <= noted + 1,
            "{run}: {noted}, {logged}"
        );
    }
    assert!(log.ends_with('\n'));
    log.lines().filter(is_own).count()
}

/// Waits until a run has noted this line.
fn wait_for_line(place: &Place, line: u32) {
    eventually("it writes lines", || {
        let text = fs::read_to_string(place.path("progress")).unwrap_or_default();
        let last = text.lines().last().and_then(|line| line.rsplit_once(' '));
        let daemon = fs::read_to_string(place.path("pid")).unwrap_or_default();
        last.is_some_and(|(run, number)| {
            run == daemon.trim() && number.parse().is_ok_and(|number: u32| number >= line)
        })
    });
}

#[test]
fn no_line_is_lost_when_the_daemon_is_killed_in_a_flood() {
    for time in [&[][..], &["--log-time", "utc"]] {
        let place = Place::new();
        let size = ["-o", "log", "--log-size", "64K", "--log-keep", "999"];
        let supervisor = start(&place, &[&size, time].concat(), FLOOD);
        for line in [3000, 9000, 1, 20_000] {
            wait_for_line(&place, line);
            let daemon = pid_in(&place.path("pid"));
            rustix::process::kill_process(daemon, Signal::KILL).unwrap();
            eventually("it is started again", || {
                let pid = place.read("pid");
                pid.ends_with('\n') && pid.trim() != daemon.to_string()
            });
        }
        wait_for_line(&place, 20_000);
        stop(&place, supervisor);
        let path = place.path("log");
        let mut log = whole_log(&path);
        if !time.is_empty() {
            let lines = log.lines().map(|line| line.split_once("Z ").unwrap().1);
            log = lines.flat_map(|line| [line, "\n"]).collect();
        }
        assert_eq!(assert_whole(&log, &place.read("progress")), 4);
        assert_eq!(runs(&place.read("progress")).len(), 5);
        for number in 1.. {
            let Ok(text) = fs::read(old(&path, number)) else {
                assert!(number > 10, "{number}");
                break;
            };
            assert!(text.len() <= 65536 && text.ends_with(b"\n"), "{number}");
            assert!(text.len() > 65000, "{number}: {}", text.len());
        }
    }
}

#[test]
fn no_line_is_lost_when_the_log_is_ended_in_a_flood() {
    let place = Place::new();
    let options = ["-o", "log", "--log-size", "64K", "--log-keep", "999"];
    let supervisor = start(&place, &options, FLOOD);
    for line in [1000, 5000, 9000] {
        wait_for_line(&place, line);
        let log = logger(&place, &supervisor).unwrap();
        rustix::process::kill_process(log, Signal::TERM).unwrap();
        eventually("it is started again", || {
            logger(&place, &supervisor).is_some_and(|other| other != log)
        });
    }
    wait_for_line(&place, 20_000);
    stop(&place, supervisor);
    let log = whole_log(&place.path("log"));
    assert_eq!(assert_whole(&log, &place.read("progress")), 0);
}

/// The daemon writes on, on a kernel without pidfds too.
#[test]
fn a_log_that_is_killed_is_started_again() {
    for prepare in [|_: &mut Command| {}, without_pidfds] {
        let place = Place::new();
        let script = "while sleep 0.01; do echo line; done";
        let mut command = supervised(&place, &["-o", "log", "--log-time", "boot"], script);
        prepare(&mut command);
        let supervisor = start_by(&place, &mut command);
        for _ in 0..3 {
            let log = logger(&place, &supervisor).unwrap();
            let before = place.read("log").len();
            rustix::process::kill_process(log, Signal::KILL).unwrap();
            eventually("it writes again", || {
                logger(&place, &supervisor).is_some_and(|other| other != log)
                    && place.read("log").len() > before
            });
        }
        stop(&place, supervisor);
    }
}

#[test]
fn the_log_outlives_a_supervisor_that_is_killed() {
    let place = Place::new();
    let script = "while sleep 0.01; do echo line; done";
    let supervisor = start(&place, &["-o", "log", "--log-size", "1M"], script);
    let daemon = Daemon::new(pid_in(&place.path("pid")));
    let log = Daemon::new(logger(&place, &supervisor).unwrap());
    supervisor.kill();
    let before = place.read("log").len();
    eventually("it writes on", || place.read("log").len() > before + 10);
    daemon.assert_alive();
    daemon.kill();
    // A `sleep` may have the pipe for a moment longer.
    log.ended();
    drop(log);
    assert!(place.read("log").ends_with("line\n"));
}

#[test]
fn old_files_have_numbers_and_the_owner_and_mode_of_the_log() {
    let place = Place::new();
    let path = place.path("log");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(7), Some(8)).unwrap();
    }
    let first = fs::metadata(&path).unwrap();
    let options = ["-o", "log", "--log-size", "4K", "--log-keep", "2"];
    let supervisor = start(&place, &options, FLOOD);
    wait_for_line(&place, 20_000);
    stop(&place, supervisor);
    assert!(!old(&path, 3).exists());
    for file in [path.clone(), old(&path, 1), old(&path, 2)] {
        let found = fs::metadata(&file).unwrap();
        let expected = (first.uid(), first.gid(), 0o100_640);
        assert_eq!((found.uid(), found.gid(), found.mode()), expected);
        assert!(found.len() <= 4096, "{}", file.display());
    }
    assert!(place.read("log").ends_with(" 20000 of the run\n"));
}

#[test]
fn a_file_that_was_moved_or_removed_is_made_anew() {
    let place = Place::new();
    let script = "while sleep 0.001; do echo a line of some length; done";
    let supervisor = start(&place, &["-o", "log", "--log-size", "4K"], script);
    let path = place.path("log");
    // By a signal,
    eventually("it writes", || path.exists());
    fs::rename(&path, place.path("moved")).unwrap();
    supervisor.signal(Signal::USR1);
    eventually("it is made anew", || path.exists());
    // and when it would be rotated.
    let _ = fs::remove_file(&path);
    eventually("it is made anew", || path.exists());
    let is_whole = |line: &str| line == "a line of some length";
    assert!(place.read("moved").lines().all(is_whole));
    stop(&place, supervisor);
    assert!(whole_log(&path).lines().all(is_whole));
}

#[test]
fn a_line_that_the_daemon_leaves_unfinished_is_ended() {
    let place = Place::new();
    let script = "echo begin; printf unfinished; kill -9 $$";
    let options = ["-o", "log", "--log-size", "1M", "--respawn-max", "1"];
    let supervisor = start(&place, &options, script);
    supervisor.ended();
    let said = |text: &str| text.starts_with("rawdaemon: ");
    let log = place.read("log");
    let lines: Vec<_> = log.lines().filter(|line| !said(line)).collect();
    assert_eq!(lines, ["begin", "unfinished", "begin", "unfinished"]);
    assert_eq!(log.lines().filter(|line| said(line)).count(), 2, "{log}");
}

#[test]
fn a_log_that_cannot_be_written_fails_the_start() {
    let place = Place::new();
    let mut command = supervised(
        &place,
        &["-o", "none/log", "--log-size", "4K"],
        "sleep 1000",
    );
    let output = place.run(&mut command);
    assert_eq!(output.code(), 8, "{output:?}");
    assert!(output.stderr.contains("none/log"), "{output:?}");
    place.assert_no_process();
    // A link would be renamed in place of its file.
    std::os::unix::fs::symlink("file", place.path("link")).unwrap();
    let mut command = supervised(&place, &["-o", "link", "--log-size", "4K"], "sleep 1000");
    assert_eq!(place.run(&mut command).code(), 8);
    place.assert_no_process();
}

#[test]
fn an_idle_log_has_little_memory_of_its_own() {
    let place = Place::new();
    let options = ["-o", "log", "--log-size", "64K", "--log-time", "utc"];
    let supervisor = start(&place, &options, FLOOD);
    wait_for_line(&place, 20_000);
    let log = logger(&place, &supervisor).unwrap();
    let rollup = format!("/proc/{log}/smaps_rollup");
    if fs::read_to_string(&rollup).is_err() {
        skip("this kernel has no smaps_rollup");
        return stop(&place, supervisor);
    }
    eventually("its memory is given back", || {
        let text = fs::read_to_string(&rollup).unwrap();
        let dirty = text
            .lines()
            .find_map(|line| line.strip_prefix("Private_Dirty:"));
        let kilobytes: u32 = dirty
            .unwrap()
            .trim()
            .strip_suffix(" kB")
            .unwrap()
            .parse()
            .unwrap();
        kilobytes <= 32
    });
    let switches = || status_line(log, "voluntary_ctxt_switches");
    let before = switches();
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(switches(), before, "it wakes up");
    stop(&place, supervisor);
}

/// It uses the working directory of the caller only if its path is relative.
#[test]
fn the_log_has_nothing_of_its_caller() {
    let place = Place::new();
    for (path, directory) in [
        ("log".into(), place.path("").canonicalize().unwrap()),
        (place.path("log"), PathBuf::from("/")),
    ] {
        let options = ["-o", path.to_str().unwrap(), "--log-size", "1M"];
        let supervisor = start(&place, &options, "echo line; exec sleep 1000");
        eventually("it is written", || place.read("log") == "line\n");
        let log = logger(&place, &supervisor).unwrap();
        let state = State::of(log);
        assert_eq!(state.directory, directory);
        assert_eq!(state.group, log.as_raw_pid());
        let locks = [place.path("pid"), place.path("pid.supervisor")];
        let files: Vec<_> = state.descriptors.values().collect();
        // The log, two pipes, and a signalfd.
        assert_eq!(files.len(), 4, "{files:?}");
        assert!(!files.iter().any(|file| locks.contains(file)), "{files:?}");
        stop(&place, supervisor);
        fs::remove_file(place.path("log")).unwrap();
    }
}

/// A shell script in mounts of its own, which runs the command.
fn in_own_mounts(place: &Place, script: &str, command: &Command) -> Command {
    let script = format!("set -e; {script}; exec \"$@\"");
    let mut shell = place.program(Path::new("/bin/sh"), ["-c", &script, "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    before_exec(&mut shell, || {
        own_mounts();
        Ok(())
    });
    shell
}

#[test]
fn lines_that_do_not_fit_on_a_disk_are_counted() {
    if !is_root() {
        return;
    }
    for options in [
        &["--log-time", "boot"][..],
        &["--log-size", "16K", "--log-keep", "99"],
    ] {
        let place = Place::new();
        fs::create_dir(place.path("disk")).unwrap();
        // A page of the disk does not end with a line.
        let script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i of the flood; done
            touch done; until [ -e free ]; do sleep 0.01; done
            echo 20001 of the flood; echo 20002 of the flood; touch end; exec sleep 1000";
        let options = [&["-o", "disk/log"], options].concat();
        let command = supervised(&place, &options, script);
        let mount = "mount -t tmpfs -o size=256k none disk; head -c 220000 /dev/zero >disk/filler";
        let supervisor = start_by(&place, &mut in_own_mounts(&place, mount, &command));
        // The daemon does not wait for the disk.
        eventually("all is written", || place.path("done").exists());
        let disk = place.path("disk");
        let disk = disk.strip_prefix("/").unwrap();
        let disk = Path::new("/proc")
            .join(supervisor.pid.to_string())
            .join("root")
            .join(disk);
        fs::remove_file(disk.join("filler")).unwrap();
        fs::write(place.path("free"), "").unwrap();
        eventually("the last lines are there", || {
            whole_log(&disk.join("log")).ends_with("20002 of the flood\n")
        });
        let log = whole_log(&disk.join("log"));
        let (mut last, mut dropped, mut notices) = (0, 0, 0);
        for line in log.lines() {
            let line = line.split_once("] ").map_or(line, |(_, line)| line);
            if let Some(count) = line.strip_prefix("rawdaemon: ") {
                let count = count.strip_suffix(" lines dropped").unwrap();
                dropped += count.parse::<u32>().unwrap();
                notices += 1;
                continue;
            }
            let number = line.strip_suffix(" of the flood").unwrap().parse().unwrap();
            last = std::mem::replace(&mut dropped, 0) + last + 1;
            assert_eq!(last, number, "{options:?}: {log}");
        }
        assert_eq!((last, dropped), (20_002, 0));
        for number in 1.. {
            let Ok(file) = fs::metadata(old(&disk.join("log"), number)) else {
                break;
            };
            assert!(file.len() > 0, "{number}");
        }
        assert!(notices > 0);
        stop(&place, supervisor);
    }
}

#[test]
fn the_kernel_takes_each_line_as_a_record() {
    if !is_root() {
        return;
    }
    let opened = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/kmsg");
    let mut kmsg = match opened {
        Ok(kmsg) => kmsg,
        Err(error) => return skip(format!("/dev/kmsg: {error}")),
    };
    std::io::Seek::seek(&mut kmsg, std::io::SeekFrom::End(0)).unwrap();
    let place = Place::new();
    // A burst, a line longer than a record, and one without an end.
    let script = "i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo line $i; done; echo
        printf '%02000d\\n' 7; printf end; exec sleep 1000";
    let name = format!("test-{}", std::process::id());
    let supervisor = start(&place, &["--log", "kmsg", "--argv0", &name], script);
    let mut found = Vec::new();
    let prefix = format!("{name}: ");
    let mut read = || {
        let mut record = [0; 8192];
        loop {
            match kmsg.read(&mut record) {
                Ok(length) => {
                    let record = String::from_utf8_lossy(&record[..length]).into_owned();
                    let (head, text) = record.split_once(';').unwrap();
                    if let Some(text) = text.lines().next().unwrap().strip_prefix(&prefix) {
                        assert!(head.starts_with("30,"), "{head}");
                        found.push(text.to_owned());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Records were overwritten.
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EPIPE)),
            }
        }
        found.clone()
    };
    eventually("the long line is there", || read().len() >= 53);
    stop(&place, supervisor);
    let records = read();
    let lines: Vec<_> = (1..=50).map(|number| format!("line {number}")).collect();
    assert_eq!(records[..50], lines);
    let long = records[50..53].concat();
    assert_eq!(long, format!("{:02000}", 7));
    assert_eq!(records[53..], ["end"]);
}

/// The socket that is `/dev/log` for what [`start_with_log`] starts.
fn bind_log(place: &Place) -> UnixDatagram {
    let socket = UnixDatagram::bind(place.path("socket")).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

fn start_with_log(place: &Place, options: &[&str], script: &str) -> Daemon {
    let mounts = "mkdir dev; mount -t tmpfs none dev; touch dev/null
        mount --bind /dev/null dev/null; ln -s $PWD/socket dev/log; mount --rbind dev /dev";
    let command = supervised(place, options, script);
    start_by(place, &mut in_own_mounts(place, mounts, &command))
}

fn receive(socket: &UnixDatagram) -> String {
    let mut record = [0; 2048];
    let length = socket.recv(&mut record).unwrap();
    String::from_utf8_lossy(&record[..length]).into_owned()
}

/// The number of dropped lines that a line tells.
fn dropped_lines(line: &str) -> Option<u32> {
    let number = line.strip_prefix("rawdaemon: ")?;
    number.strip_suffix(" lines dropped")?.parse().ok()
}

#[test]
fn a_busy_syslogd_does_not_stop_the_daemon() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    // More than a pipe and the memory of the log hold.
    let script = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); echo $i; done; touch done
        until [ -e read ]; do sleep 0.01; done
        echo 60001; exec sleep 1000";
    let socket = bind_log(&place);
    let supervisor = start_with_log(&place, &["--log", "syslog", "--argv0", "web"], script);
    eventually("all is written", || place.path("done").exists());
    let (mut last, mut dropped) = (0, 0);
    while last < 60001 {
        let record = receive(&socket);
        let text = record.strip_prefix("<30>web: ").unwrap();
        if let Some(count) = dropped_lines(text) {
            dropped += count;
            last += count;
            continue;
        }
        last += 1;
        assert_eq!(text, last.to_string());
        if last == 1 {
            fs::write(place.path("read"), "").unwrap();
        }
    }
    assert!(dropped > 0);
    stop(&place, supervisor);
}

#[test]
fn syslogd_gets_each_line_when_it_is_there() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let script = "echo one; echo two
        until [ -e absent ]; do sleep 0.01; done
        i=0; while [ $i -lt 5000 ]; do i=$((i+1)); echo lost; done; touch lost
        until [ -e back ]; do sleep 0.01; done
        echo three; exec sleep 1000";
    let options = ["--log", "syslog:local3", "--argv0", "web"];
    let socket = bind_log(&place);
    let supervisor = start_with_log(&place, &options, script);
    assert_eq!(receive(&socket), "<158>web: one");
    assert_eq!(receive(&socket), "<158>web: two");
    drop(socket);
    // A child that another test creates has it, too, until its exec: what it gets is not lost to the log.
    let client = UnixDatagram::unbound().unwrap();
    eventually("the socket is closed", || {
        client.connect(place.path("socket")).is_err()
    });
    fs::remove_file(place.path("socket")).unwrap();
    fs::write(place.path("absent"), "").unwrap();
    // The daemon does not wait.
    eventually("it goes on", || place.path("lost").exists());
    let log = logger(&place, &supervisor).unwrap();
    let sleeps = || {
        std::thread::sleep(Duration::from_millis(2));
        let stat = fs::read_to_string(format!("/proc/{log}/stat")).unwrap();
        stat.contains(") S ")
    };
    eventually("the lines are dropped", || (0..10).all(|_| sleeps()));
    let socket = bind_log(&place);
    fs::write(place.path("back"), "").unwrap();
    assert_eq!(receive(&socket), "<158>web: rawdaemon: 5000 lines dropped");
    assert_eq!(receive(&socket), "<158>web: three");
    stop(&place, supervisor);
}
