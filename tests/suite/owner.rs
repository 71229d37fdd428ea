//! The process that a pidfile stands for: the daemon, and never another.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::support::control::{
    NOT_RUNNING, ask, ask_on, distrusted, kernels, says, start_unlocked, unknown,
};
use crate::support::{
    Place, eventually, has, is_root, is_root_for, pid_in, skip, tested_command, under_strace,
    wait_for, watch,
};
use rustix::process::Signal;

/// A process that is no daemon, and that ends with the test.
struct Bystander(std::process::Child);

impl Bystander {
    fn new(place: &Place) -> Self {
        let mut command = place.program(Path::new("sleep"), ["1000"]);
        Self(command.spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    #[track_caller]
    fn assert_alive(&mut self) {
        assert!(self.0.try_wait().unwrap().is_none(), "it was signalled");
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

const DEAD: &str = "rawdaemon: dead, but its pidfile exists\n";

#[test]
fn a_daemon_is_found_and_stopped_despite_a_wrong_text() {
    for kernel in kernels() {
        let place = Place::new();
        let mut bystander = Bystander::new(&place);
        let number = bystander.pid().to_string();
        for text in [
            "",
            "garbage",
            "0",
            "1",
            "-1",
            "99999999999999999999",
            &number,
        ] {
            let daemon = place.start(["-p", "pid", "sleep", "1000"]);
            assert_eq!(pid_in(&place.path("pid")), daemon.pid);
            fs::write(place.path("pid"), text).unwrap();
            let output = ask_on(&place, kernel, &["--status"]);
            says(&output, 0, &format!("{}\n", daemon.pid), "");
            let output = ask_on(&place, kernel, &["--stop"]);
            says(&output, 0, "", "");
            daemon.ended();
            bystander.assert_alive();
            // A foreign text is not removed.
            let left = fs::read_to_string(place.path("pid")).unwrap_or_default();
            assert_eq!(left, text);
        }
    }
}

#[test]
fn a_dead_daemon_is_dead_even_as_a_zombie() {
    for kernel in kernels() {
        let place = Place::new();
        let daemon = place.start(["-p", "pid", "sleep", "1000"]);
        daemon.signal(Signal::KILL);
        daemon.ended();
        for _ in ["as a zombie", "as nothing"] {
            says(&ask_on(&place, kernel, &["--status"]), 1, "", DEAD);
            says(&ask_on(&place, kernel, &["-s", "TERM"]), 0, "", NOT_RUNNING);
            if place.processes().is_empty() {
                continue;
            }
        }
        assert_eq!(pid_in(&place.path("pid")), daemon.pid);
        daemon.kill();
        // Nothing is changing, so the command does not wait for that.
        eventually("it answers at once", || {
            let output = ask_on(&place, kernel, &["--status"]);
            says(&output, 1, "", DEAD);
            output.took < Duration::from_secs(1)
        });
        says(&ask_on(&place, kernel, &["--stop"]), 0, "", NOT_RUNNING);
        assert!(!place.path("pid").exists(), "a stop leaves nothing");
    }
}

#[test]
fn an_unlocked_pidfile_is_not_believed() {
    for kernel in kernels() {
        let place = Place::new();
        let mut bystander = Bystander::new(&place);
        let pid = bystander.pid();
        // Each text with the pid in it.
        let texts = [
            (String::new(), None),
            ("garbage".into(), None),
            ("0\n".into(), None),
            ("1\n".into(), Some(1)),
            ("-1\n".into(), None),
            (format!("-{pid}\n"), None),
            ("99999999999999999999\n".into(), None),
            (format!("{pid} and more\n"), Some(pid)),
            (format!("{pid}\n{pid}\n"), Some(pid)),
            (format!(" {pid}\n"), Some(pid)),
            (format!("{pid}\n"), Some(pid)),
            (pid.to_string(), Some(pid)),
        ];
        for (text, named) in texts {
            for action in [&["--status"][..], &["--stop"], &["-s", "KILL"]] {
                fs::write(place.path("pid"), &text).unwrap();
                let output = ask_on(&place, kernel, action);
                let (code, line) = match (named, action[0]) {
                    (Some(pid), _) => (4, unknown(pid)),
                    (None, "--status") => (1, DEAD.to_owned()),
                    (None, _) => (0, NOT_RUNNING.to_owned()),
                };
                says(&output, code, "", &line);
                bystander.assert_alive();
                assert_eq!(fs::read_to_string(place.path("pid")).unwrap(), text);
            }
        }
    }
}

#[test]
fn a_pidfile_is_trusted_on_request_unless_it_is_refuted() {
    for kernel in kernels() {
        let place = Place::new();
        let mut bystander = Bystander::new(&place);
        let pid = bystander.pid();
        let trust = |action| ask_on(&place, kernel, &["--trust-pidfile", action]);
        let write = |text: &str, mode| {
            fs::write(place.path("pid"), text).unwrap();
            fs::set_permissions(place.path("pid"), fs::Permissions::from_mode(mode)).unwrap();
        };
        // Process 1, malformed text, and files that other users may write.
        write("1\n", 0o644);
        // If the refusal fails, this signal does no harm.
        says(&trust("--signal=URG"), 4, "", &distrusted(1));
        write(&format!("{pid} and more\n"), 0o644);
        says(&trust("--stop"), 4, "", &distrusted(pid));
        for mode in [0o666, 0o664] {
            write(&format!("{pid}\n"), mode);
            says(&trust("--stop"), 4, "", &distrusted(pid));
        }
        // The process is younger than the file.
        write(&format!("{pid}\n"), 0o644);
        if kernel.0 != "without /proc" {
            let before = SystemTime::now() - Duration::from_secs(3600);
            let file = fs::File::options()
                .write(true)
                .open(place.path("pid"))
                .unwrap();
            file.set_modified(before).unwrap();
            says(&trust("--stop"), 4, "", &distrusted(pid));
            bystander.assert_alive();
            file.set_modified(SystemTime::now()).unwrap();
        }
        bystander.assert_alive();
        says(&trust("--status"), 4, "", &distrusted(pid));
        let child = watch(rustix::process::Pid::from_child(&bystander.0));
        says(&trust("--signal=STOP"), 0, "", "");
        assert!(!wait_for(&child, Duration::ZERO));
        // The process is stopped, so the first signal stays pending.
        let output = ask_on(
            &place,
            kernel,
            &["-K", "--trust-pidfile", "--retry=TERM/0.1/KILL/9"],
        );
        says(&output, 0, "", "");
        assert!(wait_for(&child, Duration::ZERO));
        assert!(!place.path("pid").exists());
    }
}

#[test]
fn a_daemon_without_its_lock_is_known_by_its_fingerprint() {
    for kernel in kernels() {
        let place = Place::new();
        let daemon = start_unlocked(&place);
        let pid = daemon.pid;
        let (status, stop, signal) = (&["-vT"][..], &["--stop"], &["--signal=URG"]);
        if kernel.0 == "without /proc" {
            for action in [status, stop, signal] {
                says(&ask_on(&place, kernel, action), 4, "", &unknown(pid));
            }
        } else {
            let output = ask_on(&place, kernel, status);
            let how = format!(
                "rawdaemon: running, by its fingerprint (it has released its lock); pid {pid}"
            );
            assert_eq!((output.code(), &output.stdout), (0, &format!("{pid}\n")));
            assert!(output.stderr.starts_with(&how), "{output:?}");
            says(&ask_on(&place, kernel, signal), 0, "", "");
        }
        daemon.assert_alive();
        // A second start fails and leaves the file unchanged.
        let running = format!("rawdaemon: already running as pid {pid}\n");
        let again = place.run(&mut place.rawdaemon(["-p", "pid", "sleep", "1000"]));
        says(&again, 12, "", &running);
        says(&ask(&place, &["--status"]), 0, &format!("{pid}\n"), "");
        if kernel.0 != "without /proc" {
            says(&ask_on(&place, kernel, stop), 0, "", "");
            daemon.ended();
            assert!(!place.path("pid").exists());
        }
    }
    let place = Place::new();
    let daemon = start_unlocked(&place);
    let restart = ["-v", "--restart", "-p", "pid", "sleep", "1000"];
    let second = place.start_by(&mut place.rawdaemon(restart));
    daemon.ended();
    assert_eq!(pid_in(&place.path("pid")), second.pid);
}

#[test]
fn a_file_that_was_changed_has_no_fingerprint() {
    let place = Place::new();
    let daemon = start_unlocked(&place);
    let line = unknown(daemon.pid);
    let file = fs::File::options()
        .write(true)
        .open(place.path("pid"))
        .unwrap();
    let date = file.metadata().unwrap().modified().unwrap();
    // Only the nanoseconds count, since the clock may have been set.
    file.set_modified(date + Duration::from_secs(1000)).unwrap();
    says(&ask(&place, &["-qT"]), 0, "", "");
    file.set_modified(date + Duration::from_nanos(1)).unwrap();
    says(&ask(&place, &["--status"]), 4, "", &line);
    let text = fs::read(place.path("pid")).unwrap();
    fs::write(place.path("pid"), [&text, &b"more\n"[..]].concat()).unwrap();
    file.set_modified(date).unwrap();
    says(&ask(&place, &["--status"]), 4, "", &line);
    fs::write(place.path("pid"), text).unwrap();
    file.set_modified(date).unwrap();
    says(&ask(&place, &["--stop"]), 0, "", "");
    daemon.ended();
}

#[test]
fn a_user_who_owns_the_pidfile_cannot_choose_the_daemon() {
    if !is_root_for("a file of another user") {
        return;
    }
    let place = Place::new();
    let daemon = start_unlocked(&place);
    std::os::unix::fs::chown(place.path("pid"), Some(65534), None).unwrap();
    says(&ask(&place, &["--stop"]), 4, "", &unknown(daemon.pid));
    daemon.assert_alive();
}

#[test]
fn a_stale_pidfile_does_not_block_a_start_or_a_restart() {
    let place = Place::new();
    let mut bystander = Bystander::new(&place);
    for action in [&["-v"][..], &["-v", "--restart"]] {
        fs::write(place.path("pid"), format!("{}\n", bystander.pid())).unwrap();
        let start = [action, &["-p", "pid", "sleep", "1000"]].concat();
        let daemon = place.start_by(&mut place.rawdaemon(&start));
        assert_eq!(pid_in(&place.path("pid")), daemon.pid);
        bystander.assert_alive();
    }
    // With --trust-pidfile, the restart stops it.
    let pid = bystander.pid();
    fs::write(place.path("pid"), format!("{pid}\n")).unwrap();
    let trust = [
        "-v",
        "--restart",
        "--trust-pidfile",
        "-p",
        "pid",
        "sleep",
        "1000",
    ];
    let daemon = place.start_by(&mut place.rawdaemon(trust));
    assert_eq!(pid_in(&place.path("pid")), daemon.pid);
    assert!(bystander.0.try_wait().unwrap().is_some());
}

#[test]
fn the_command_is_not_taken_for_the_daemon() {
    let place = Place::new();
    for (action, code, line) in [("--status", 1, DEAD), ("--stop", 0, NOT_RUNNING)] {
        let script = "echo $$ >pid; exec \"$0\" \"$@\"";
        let mut command = place.program(Path::new("sh"), ["-c", script]);
        command.args([tested_command(), action, "--trust-pidfile", "-p", "pid"]);
        says(&place.run(&mut command), code, "", line);
    }
}

#[test]
fn other_files_are_refused() {
    let place = Place::new();
    fs::create_dir(place.path("folder")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, place.path("fifo"), rustix::fs::Mode::RWXU).unwrap();
    fs::write(place.path("file"), "").unwrap();
    std::os::unix::fs::symlink("file", place.path("link")).unwrap();
    fs::write(place.path("two"), "").unwrap();
    fs::hard_link(place.path("two"), place.path("names")).unwrap();
    for (path, why) in [
        ("folder", "not a regular file"),
        ("fifo", "not a regular file"),
        ("link", "Too many levels of symbolic links (ELOOP)"),
        ("two", "Too many links (EMLINK)"),
        ("file/pid", "Not a directory (ENOTDIR)"),
    ] {
        for action in ["--status", "--stop"] {
            let output = place.run(&mut place.rawdaemon([action, "-p", path]));
            let line = format!("rawdaemon: cannot use the pidfile {path}: {why}\n");
            says(&output, 4, "", &line);
        }
    }
    let output = place.run(&mut place.rawdaemon(["--stop"]));
    says(
        &output,
        64,
        "",
        "rawdaemon: no pidfile given; see rawdaemon --help\n",
    );
    let output = place.run(&mut place.rawdaemon(["--restart", "-p", "pid"]));
    says(
        &output,
        64,
        "",
        "rawdaemon: no command given; see rawdaemon --help\n",
    );
}

#[test]
fn a_daemon_in_another_pid_namespace_runs_and_cannot_be_signalled() {
    if !is_root() || !has("unshare") {
        return;
    }
    let place = Place::new();
    let script = "\"$0\" -p pid sleep 1000; touch up; exec sleep 1000";
    let mut command = place.program(Path::new("unshare"), ["--pid", "--fork", "--kill-child"]);
    command.args(["sh", "-c", script, tested_command()]);
    let mut inside = command.spawn().unwrap();
    eventually("it runs", || place.path("up").exists());
    // The daemon has a pid in this namespace, but none in a third one.
    let outside = ask(&place, &["--status"]);
    assert_eq!(outside.code(), 0, "{outside:?}");
    assert_ne!(outside.stdout.trim_end(), place.read("pid").trim_end());
    for (action, code, line) in [
        (
            "--status",
            0,
            "rawdaemon: running in another pid namespace, or on another machine\n",
        ),
        (
            "--stop",
            4,
            "rawdaemon: cannot signal the daemon: No such process (ESRCH)\n",
        ),
    ] {
        let mut command = place.program(Path::new("unshare"), ["--pid", "--fork"]);
        command.args([tested_command(), action, "-p", "pid"]);
        says(&place.run(&mut command), code, "", line);
    }
    says(&ask(&place, &["--stop"]), 0, "", "");
    inside.kill().unwrap();
    inside.wait().unwrap();
    eventually("no process is left", || place.processes().is_empty());
}

#[test]
fn the_proc_of_another_pid_namespace_is_no_evidence() {
    if !is_root() || !has("unshare") {
        return;
    }
    let ids = "/proc/sys/kernel/ns_last_pid";
    if fs::OpenOptions::new().write(true).open(ids).is_err() {
        return skip(format!("{ids} cannot be written to"));
    }
    let place = Place::new();
    // Outside, this process has the pid, and it is younger than the pidfile.
    let mut bystander = Bystander::new(&place);
    let script = "echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid
        sleep 1000 &
        [ $! = $1 ] || exit 2
        echo $! >pid
        touch -d '1 hour ago' pid
        \"$0\" --stop --trust-pidfile -p pid || exit 3
        wait $!
        [ $? = 143 ] || exit 4";
    let mut command = place.program(Path::new("unshare"), ["--pid", "--fork", "--kill-child"]);
    command.args(["sh", "-c", script, tested_command()]);
    let output = place.run(command.arg(bystander.pid().to_string()));
    assert_eq!(output.code(), 0, "{output:?}");
    bystander.assert_alive();
}

#[test]
fn a_pidfile_that_cannot_be_read_is_an_error() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let stranger = std::process::id();
    fs::write(place.path("pid"), format!("{stranger}\n")).unwrap();
    let path = place.path("pid");
    let options = ["-P", path.to_str().unwrap(), "--inject=read:error=EIO"];
    for (arguments, code) in [
        (&["--status", "-p", "pid"][..], 4),
        (&["--stop", "-p", "pid"], 4),
        (&["-p", "pid", "sleep", "1000"], 11),
    ] {
        let output = under_strace(&place, &options, arguments);
        assert_eq!(output.code(), code, "{output:?}");
        let says = "cannot use the pidfile pid: Input/output error (EIO)";
        assert!(output.stderr.contains(says), "{output:?}");
        assert_eq!(place.read("pid"), format!("{stranger}\n"));
    }
}
