//! Readiness by sd_notify(3): the datagrams, and the socket that receives them.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::Duration;

use crate::support::readiness::{
    DIED, LATE, SENT_NOTHING, Waiting, fails, in_mode, last_message, modes, notifier,
};
use crate::support::{
    Daemon, Place, environment, eventually, example, has_for, has_test_programs, is_root_for,
    limit_descriptors, strace_rawdaemon,
};
use rustix::process::Pid;

#[test]
fn ready_is_a_whole_line_of_a_datagram() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    for word in [
        "say READY=1",
        "say READY=1\\n",
        "say STATUS=up\\nREADY=1",
        "say READY=1\\nSTATUS=up\\nMAINPID=1",
        "say READY=0\\nREADY=1",
        "say READY=1\\0",
        "long 4096 READY=1",
        "long 4097 READY=1\\n",
        "long 65536 READY=1",
        "long 200000 READY=1",
        "child READY=1",
        "grandchild READY=1",
        // As under su(1), runuser(1) and setsid(1).
        "other-session READY=1",
    ] {
        let daemon = place.start_by(&mut notifier(&place, &[], &[word]));
        daemon.assert_alive();
    }
    for word in [
        "say XREADY=1",
        "say READY=10",
        "say READY=0",
        "say READY=1 ",
        "say X=\\0\\nREADY=1",
        "say STATUS=READY=1",
        "detached READY=1",
        "too-long",
    ] {
        if word == "too-long" && !is_root_for("a datagram that is too long") {
            continue;
        }
        // The daemon must have the time to print after its message.
        let words = [word, "say EXTEND_TIMEOUT_USEC=1", "print said"];
        let output = place.run(&mut notifier(&place, &["-t", "1", "-o", "out"], &words));
        let line = last_message(&output);
        let says = [LATE, SENT_NOTHING].concat();
        let printed = line.split("; it said").next().unwrap();
        let (printed, ignored) = printed.split_at(says.len().min(printed.len()));
        assert_eq!((output.code(), printed), (6, says.as_str()), "{output:?}");
        let is_foreign = word == "detached READY=1";
        assert_eq!(!ignored.is_empty(), is_foreign, "{word}: {output:?}");
        assert_eq!(place.read("out"), "said\n", "{word}");
        eventually("nothing is left", || place.processes().is_empty());
    }
}

#[test]
fn other_variables_of_sd_notify() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    // An error is no failure.
    for words in [
        &["say ERRNO=2\\nREADY=1"][..],
        &["say ERRNO=2", "wait 300", "say READY=1"],
        &["child ERRNO=111", "say READY=1"],
        &["say WATCHDOG=1\\nFDSTORE=1\\nX_WEB=7", "say READY=1"],
    ] {
        let daemon = place.start_by(&mut notifier(&place, &[], words));
        daemon.assert_alive();
    }
    let status = "it said: no disk";
    let errno = "it reported: Input/output error (EIO)";
    let words = ["say STATUS=no disk", "say ERRNO=5"];
    let says = format!("{LATE}{SENT_NOTHING}; {errno}; {status}");
    let mut command = notifier(&place, &["-t", "0.5"], &words);
    fails(&place, &mut command, 6, &says);
    // The last messages are printed, even if the daemon is dead when they are read.
    let words = ["burst", "say STATUS=no disk\\nERRNO=5", "exit 3"];
    for _ in 0..20 {
        let output = place.run(&mut notifier(&place, &[], &words));
        let line = output.stderr.trim_end();
        assert!(
            line.ends_with(&format!(
                "; --stderr FILE keeps its output; {errno}; {status}"
            )),
            "{line}"
        );
        let says = format!("{DIED}exited with status 3");
        assert_eq!((output.code(), last_message(&output)), (5, says));
    }

    // The time is in microseconds, and starts at the message.
    let words = [
        "say EXTEND_TIMEOUT_USEC=20000000",
        "wait 1400",
        "say READY=1",
    ];
    let daemon = place.start_by(&mut notifier(&place, &["-t", "1"], &words));
    daemon.assert_alive();
    drop(daemon);
    let words = ["say EXTEND_TIMEOUT_USEC=3000", "wait 20000"];
    let mut command = notifier(&place, &["-t", "1"], &words);
    let says = [LATE, SENT_NOTHING].concat();
    let output = fails(&place, &mut command, 6, &says);
    assert!(output.took > Duration::from_millis(990), "{output:?}");
    assert!(output.took < Duration::from_secs(3), "{output:?}");

    // Descriptors in a message are closed.
    let words = ["barrier", "barrier", "say READY=1"];
    let daemon = place.start_by(&mut notifier(&place, &[], &words));
    daemon.assert_alive();
}

#[test]
fn a_status_is_one_line_and_printed_with_verbose() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let words = ["say STATUS=half", "say STATUS=a\\x1b[31m\tb", "say READY=1"];
    let output = place.run(&mut notifier(&place, &[], &words));
    let daemon = Daemon::new(output.pid());
    daemon.assert_alive();
    let printed: Vec<_> = output
        .stderr
        .lines()
        .filter(|line| line.contains("says"))
        .collect();
    let expected = [
        "rawdaemon: the daemon says: half",
        "rawdaemon: the daemon says: a\\x1b[31m?b",
    ];
    assert_eq!(printed, expected);
    // Without -v, only a failure prints it.
    let mut command = place.rawdaemon(["-R", "notify"]);
    let words = ["say STATUS=first", "say STATUS=second", "exit 3"];
    let output = place.run(command.arg(example("notifier")).args(words));
    assert_eq!(output.code(), 5);
    let (line, status) = output.stderr.trim_end().rsplit_once("; ").unwrap();
    assert!(line.starts_with(DIED) && !line.contains('\n'), "{output:?}");
    assert_eq!(status, "it said: second");
}

#[test]
fn a_failed_start_removes_its_socket() {
    let place = Place::new();
    let how = format!("notify:{}", place.path("socket").display());
    let mut command = place.rawdaemon(["-q", "-R", &how, "sleep", "1000"]);
    // There are enough for the socket, but not for the next pipe.
    limit_descriptors(&mut command, 5);
    let output = place.run(&mut command);
    assert_eq!(output.code(), 20, "{output:?}");
    assert!(!place.path("socket").exists());
}

#[test]
fn a_death_is_reported_despite_endless_extensions() {
    if !has_test_programs() {
        return;
    }
    let says = format!("{DIED}exited with status 3");
    // If the messages are read slower than they are sent, there always is another one.
    let slow = [
        "--seccomp-bpf",
        "--trace=recvmsg",
        "--inject=recvmsg:delay_enter=5ms",
    ];
    let notifier = example("notifier");
    let words = ["extend", "wait 300", "exit 3"];
    let options = ["-v", "-R", "notify", "-t", "5", notifier.to_str().unwrap()];
    let arguments = [&options[..], &words].concat();
    for is_slow in [false, has_for("strace", "messages that are read slowly")] {
        let place = Place::new();
        let mut command = match is_slow {
            true => strace_rawdaemon(&place, &slow, &arguments),
            false => place.rawdaemon(&arguments),
        };
        let output = place.run(&mut command);
        assert_eq!(
            (output.code(), last_message(&output).as_str()),
            (5, says.as_str()),
            "{output:?}"
        );
        assert!(output.took < Duration::from_secs(3), "{output:?}");
        place.processes().into_iter().for_each(|helper| {
            drop(Daemon::new(helper));
        });
    }
}

/// The address in a daemon's NOTIFY_SOCKET.
fn socket_of(pid: Pid) -> SocketAddr {
    let variables = environment(pid);
    let name = variables
        .iter()
        .find_map(|variable| variable.strip_prefix("NOTIFY_SOCKET="));
    let name = name.unwrap();
    match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).unwrap(),
        None => SocketAddr::from_pathname(name).unwrap(),
    }
}

#[test]
fn messages_of_other_processes_are_ignored() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    for (options, _) in modes().into_iter().filter(|(_, says)| *says == "notifier") {
        let mut command = in_mode(&place, options);
        let mut waiting = Waiting::start(&place, command.args(["-t", "2", "sleep", "1000"]));
        let address = socket_of(waiting.daemon);
        let socket = UnixDatagram::unbound().unwrap();
        socket.send_to_addr(b"READY=1", &address).unwrap();
        socket.send_to_addr(b"ERRNO=1", &address).unwrap();
        let mut sender = std::process::id();
        if is_root_for("a process of another user") {
            // A process of another user.
            let words = ["say READY=1", "exit 0"];
            let mut command = Command::new(place.executable(&example("notifier"), "notifier"));
            let name = address.as_pathname().map_or_else(
                || format!("@{}", address.as_abstract_name().unwrap().escape_ascii()),
                |path| path.display().to_string(),
            );
            command.args(words).env("NOTIFY_SOCKET", name);
            std::os::unix::process::CommandExt::uid(&mut command, 65534);
            let mut notifier = command.spawn().unwrap();
            sender = notifier.id();
            assert!(notifier.wait().unwrap().success());
        }
        let status = waiting.launcher.wait().unwrap();
        let printed = place.read("stderr");
        assert_eq!(status.code(), Some(6), "{printed}");
        // The last one to send something that does not count is named.
        let ignored = "; ignored a message of pid ";
        let pid = printed.split_once(ignored).unwrap().1;
        let says = format!("{sender}, which is not known to be its descendant\n");
        assert_eq!(pid, says, "{printed}");
        waiting.daemon_ended();
        place.assert_no_process();
    }
}

#[test]
fn no_process_listens_after_the_success() {
    if !has_test_programs() {
        return;
    }
    for word in ["say READY=1", "child READY=1", "grandchild READY=1"] {
        let place = Place::new();
        let path = place.path("socket");
        let how = format!("notify:{}", path.display());
        let mut command = place.rawdaemon(["-v", "-o", "out", "-R", &how]);
        // After its message, a child sends a barrier, and fails unless the descriptor that it passes is closed.
        command.arg(example("notifier")).args([word, "print said"]);
        let daemon = place.start_by(&mut command);
        // This process is a subreaper, so it would adopt any other process.
        let own = std::process::id() as i32;
        // A sender may have ended since it was listed.
        let parent = |pid: &Pid| -> Option<i32> {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
        };
        let mut left = place.processes();
        left.retain(|pid| parent(pid) == Some(own));
        assert_eq!(left, [daemon.pid], "{word}");
        assert!(!path.exists(), "{word}");
        eventually("no call of the sender fails", || {
            place.read("out") == "said\n"
        });
        daemon.assert_alive();
    }
}

#[test]
fn the_socket_may_have_a_path() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let path = place.path("socket");
    let how = format!("notify:{}", path.display());
    let start = |words: &[&str]| {
        let mut command = place.rawdaemon(["-v", "-R", &how]);
        command.arg(example("notifier")).args(words);
        command
    };
    // A killed launcher has left a socket.
    drop(UnixDatagram::bind(&path).unwrap());
    assert!(path.exists());
    // The next start may follow the daemon's end at once.
    for _ in 0..10 {
        place.start_by(&mut start(&["say READY=1"])).assert_alive();
        assert!(!path.exists());
    }

    let in_use = "rawdaemon: cannot make a channel between the processes: \
        Address already in use (EADDRINUSE)";
    let socket = UnixDatagram::bind(&path).unwrap();
    fails(&place, &mut start(&[]), 20, in_use);
    drop(socket);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    fails(&place, &mut start(&[]), 20, in_use);
    assert_eq!(place.read("socket"), "precious");
    fs::remove_file(&path).unwrap();
    // A file that has replaced the socket is not removed with it.
    let replace = "rm socket; echo precious >socket; exec sleep 1000";
    let mut command = place.rawdaemon(["-R", &how, "-t", "0.5", "-c", "."]);
    let says = [LATE, SENT_NOTHING].concat();
    fails(&place, command.args(["sh", "-c", replace]), 6, &says);
    assert_eq!(place.read("socket"), "precious\n");

    let long = format!("notify:/{}", "x".repeat(200));
    let mut command = place.rawdaemon(["-R", &long, "sleep", "1000"]);
    let says =
        "rawdaemon: cannot make a channel between the processes: File name too long (ENAMETOOLONG)";
    fails(&place, &mut command, 20, says);
}

#[test]
fn the_launcher_s_socket_is_not_passed_on() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let variables = |options: &[&str]| {
        let mut command = place.rawdaemon(["-v"]);
        let text = "echo >&3; exec sleep 1000";
        command.args(options).args(["sh", "-c", text]);
        command.env("NOTIFY_SOCKET", "/run/systemd/notify");
        let daemon = place.start_by(&mut command);
        let all = environment(daemon.pid);
        let own = |variable: &String| variable.starts_with("NOTIFY_SOCKET=");
        all.into_iter().filter(own).collect::<Vec<_>>()
    };
    assert_eq!(variables(&["-R", "fd:3"]), [""; 0]);
    let given = ["-R", "fd:3", "-E", "NOTIFY_SOCKET=/mine"];
    assert_eq!(variables(&given), ["NOTIFY_SOCKET=/mine"]);

    let mut command = notifier(&place, &["-o", "out"], &["say READY=1"]);
    command.env("NOTIFY_SOCKET", "/run/systemd/notify");
    let daemon = place.start_by(&mut command);
    let all = environment(daemon.pid);
    let own: Vec<_> = all
        .iter()
        .filter(|variable| variable.starts_with("NOTIFY_SOCKET="))
        .collect();
    assert!(own.len() == 1 && own[0].ends_with("/notify"), "{own:?}");
}
