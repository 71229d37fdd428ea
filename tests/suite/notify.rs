//! Readiness as sd_notify(3) says it: the datagrams, and the socket that they come to.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::Duration;

use crate::support::readiness::{DIED, LATE, Waiting, fails, in_mode, modes, notifier, said};
use crate::support::{
    Daemon, Place, before_exec, environment, eventually, example, has_test_programs, is_root_for,
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
        "stranger READY=1",
        "too-long",
    ] {
        if word == "too-long" && !is_root_for("a datagram that is too long") {
            continue;
        }
        // It gets its time for what it says after that.
        let words = [word, "say EXTEND_TIMEOUT_USEC=1", "print said"];
        let output = place.run(&mut notifier(&place, &["-t", "1", "-o", "out"], &words));
        let told = said(&output).split("; it said").next();
        assert_eq!((output.code(), told), (6, Some(LATE)), "{word}: {output:?}");
        assert_eq!(place.read("out"), "said\n", "{word}");
        eventually("nothing is left", || place.processes().is_empty());
    }
}

#[test]
fn a_daemon_that_leads_a_session_of_its_own_is_heard() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let words = ["child STATUS=x", "lead", "wait 10", "child READY=1"];
    // The leader of a group cannot lead a session; the daemon is none.
    place
        .start_by(&mut notifier(&place, &[], &words))
        .assert_alive();
}

#[test]
fn what_else_sd_notify_can_say() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let says = "rawdaemon: the daemon refused to start: No such file or directory (ENOENT)";
    let mut command = notifier(&place, &[], &["say ERRNO=2\\nREADY=1"]);
    fails(&place, &mut command, 18, says);
    let words = ["say STATUS=no disk", "say ERRNO=5"];
    let says = "rawdaemon: the daemon refused to start: Input/output error (EIO); it said: no disk";
    fails(&place, &mut notifier(&place, &[], &words), 18, says);
    // The last word counts, even of a daemon that is dead when it is heard.
    let words = ["burst", "say STATUS=no disk", "say ERRNO=5", "exit 3"];
    for _ in 0..20 {
        fails(&place, &mut notifier(&place, &[], &words), 18, says);
    }

    // Microseconds, from then on.
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
    let output = fails(&place, &mut command, 6, LATE);
    assert!(output.took > Duration::from_millis(990), "{output:?}");
    assert!(output.took < Duration::from_secs(3), "{output:?}");

    // Descriptors that come along are closed.
    let words = ["barrier", "barrier", "say READY=1"];
    let daemon = place.start_by(&mut notifier(&place, &[], &words));
    daemon.assert_alive();
}

#[test]
fn a_status_is_one_line_and_shown_on_request() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let words = ["say STATUS=half", "say STATUS=a\\x1b[31m\tb", "say READY=1"];
    let output = place.run(&mut notifier(&place, &[], &words));
    let daemon = Daemon::new(output.pid());
    daemon.assert_alive();
    let told: Vec<_> = output
        .stderr
        .lines()
        .filter(|line| line.contains("says"))
        .collect();
    let expected = [
        "rawdaemon: the daemon says: half",
        "rawdaemon: the daemon says: a\\x1b[31m?b",
    ];
    assert_eq!(told, expected);
    // Without -v it comes only with a failure.
    let mut command = place.rawdaemon(["-R", "notify"]);
    let words = ["say STATUS=first", "say STATUS=second", "exit 3"];
    let output = place.run(command.arg(example("notifier")).args(words));
    assert_eq!(output.code(), 5);
    let (line, status) = output.stderr.trim_end().rsplit_once("; ").unwrap();
    assert!(line.starts_with(DIED) && !line.contains('\n'), "{output:?}");
    assert_eq!(status, "it said: second");
}

#[test]
fn a_socket_at_a_path_is_gone_whatever_fails() {
    let place = Place::new();
    let how = format!("notify:{}", place.path("socket").display());
    let mut command = place.rawdaemon(["-q", "-R", &how, "sleep", "1000"]);
    before_exec(&mut command, || {
        // Enough for the socket, and not for the next pipe.
        let limit = rustix::process::Rlimit {
            current: Some(5),
            maximum: Some(5),
        };
        Ok(rustix::process::setrlimit(
            rustix::process::Resource::Nofile,
            limit,
        )?)
    });
    let output = place.run(&mut command);
    assert_eq!(output.code(), 20, "{output:?}");
    assert!(!place.path("socket").exists());
}

#[test]
fn who_asks_for_time_again_and_again_is_seen_to_die() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let words = ["extend", "wait 300", "exit 3"];
    let says = format!("{DIED}exited with status 3");
    let output = place.run(&mut notifier(&place, &["-t", "5"], &words));
    assert_eq!(
        (output.code(), said(&output)),
        (5, says.as_str()),
        "{output:?}"
    );
    assert!(output.took < Duration::from_secs(3), "{output:?}");
    place.processes().into_iter().for_each(|helper| {
        drop(Daemon::new(helper));
    });
}

/// Where a daemon is to send its datagrams.
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
fn strangers_are_not_heard() {
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
        if is_root_for("a process of another user") {
            // Another user's process.
            let words = ["say READY=1", "exit 0"];
            let mut command = Command::new(place.executable(&example("notifier"), "notifier"));
            let name = address.as_pathname().map_or_else(
                || format!("@{}", address.as_abstract_name().unwrap().escape_ascii()),
                |path| path.display().to_string(),
            );
            command.args(words).env("NOTIFY_SOCKET", name);
            std::os::unix::process::CommandExt::uid(&mut command, 65534);
            assert!(command.status().unwrap().success());
        }
        let status = waiting.launcher.wait().unwrap();
        assert_eq!(status.code(), Some(6), "{}", place.read("stderr"));
        waiting.daemon_ended();
        place.assert_no_process();
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
    // A launcher that was killed has left one there.
    drop(UnixDatagram::bind(&path).unwrap());
    assert!(path.exists());
    let daemon = place.start_by(&mut start(&["say READY=1", "barrier", "print said"]));
    eventually("the socket is gone", || !path.exists());
    daemon.assert_alive();
    drop(daemon);
    // Who sends no barrier may be started again at once, after the daemon has ended.
    for _ in 0..10 {
        place.start_by(&mut start(&["say READY=1"])).assert_alive();
    }
    eventually("the socket is gone", || !path.exists());

    let in_use = "rawdaemon: cannot make a channel between the processes: \
        Address already in use (EADDRINUSE)";
    let socket = UnixDatagram::bind(&path).unwrap();
    fails(&place, &mut start(&[]), 20, in_use);
    drop(socket);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    fails(&place, &mut start(&[]), 20, in_use);
    assert_eq!(place.read("socket"), "precious");

    let long = format!("notify:/{}", "x".repeat(200));
    let mut command = place.rawdaemon(["-R", &long, "sleep", "1000"]);
    let says =
        "rawdaemon: cannot make a channel between the processes: File name too long (ENAMETOOLONG)";
    fails(&place, &mut command, 20, says);
}

#[test]
fn the_launcher_s_own_socket_is_not_the_daemon_s() {
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
    assert!(
        own.len() == 1 && own[0].starts_with("NOTIFY_SOCKET=@"),
        "{own:?}"
    );
}
