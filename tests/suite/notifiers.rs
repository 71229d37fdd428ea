//! Real programs that report readiness, by the protocols of systemd and s6.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::support::{Daemon, Place, eventually, has};

/// Starts a daemon that reports readiness. The launcher returns long before the timeout of a minute.
fn start_ready(place: &Place, how: &str, command: &[&str]) -> Daemon {
    let output = place.run(
        place
            .rawdaemon(["-v", "-o", "log", "-R", how])
            .args(command),
    );
    assert_eq!(output.code(), 0, "{output:?} {}", place.read("log"));
    assert!(output.took < Duration::from_secs(15), "{output:?}");
    Daemon::new(output.pid())
}

#[test]
fn redis_reports_to_systemd() {
    if !has("redis-server") {
        return;
    }
    let place = Place::new();
    let socket = place.path("redis.sock");
    let path = socket.to_str().unwrap();
    let command = [
        "redis-server",
        "--port",
        "0",
        "--unixsocket",
        path,
        "--save",
        "",
        "--supervised",
        "systemd",
    ];
    let daemon = start_ready(&place, "notify", &command);
    // It listens already, so the first attempt must succeed.
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.write_all(b"PING\r\nQUIT\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "+PONG\r\n+OK\r\n");
    daemon.assert_alive();
    drop(daemon);
    // A server that cannot start is a failure.
    let mut command = place.rawdaemon(["-q", "-R", "notify", "redis-server"]);
    let output = place.run(command.args(["--supervised", "systemd", "--nosuch", "option"]));
    assert_eq!(output.code(), 5, "{output:?}");
    place.assert_no_process();
}

#[test]
fn a_script_reports_by_systemd_notify() {
    if !has("systemd-notify") {
        return;
    }
    let place = Place::new();
    // After READY=1, systemd-notify sends one more message, which must not fail.
    let script = "systemd-notify --status=half && systemd-notify --ready && exec sleep 1000";
    let how = format!("notify:{}", place.path("socket").display());
    for how in ["notify", &how] {
        for _ in 0..10 {
            let daemon = start_ready(&place, how, &["sh", "-c", script]);
            let name = || fs::read_to_string(format!("/proc/{}/comm", daemon.pid)).unwrap();
            eventually("the script goes on", || name() == "sleep\n");
        }
    }
    eventually("nothing is left", || {
        place.processes().is_empty() && !place.path("socket").exists()
    });
    let mut command = place.rawdaemon(["-R", "notify", "sh", "-c"]);
    let script = "systemd-notify --status='no disk' ERRNO=5; exit 3";
    let output = place.run(command.arg(script));
    let says = "; it reported: Input/output error (EIO); it said: no disk\n";
    assert_eq!(output.code(), 5, "{output:?}");
    assert!(output.stderr.ends_with(says), "{output:?}");
    eventually("nothing is left", || place.processes().is_empty());
}

#[test]
fn s6_svscan_reports_on_its_descriptor() {
    if !has("s6-svscan") {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.path("services")).unwrap();
    let folder = place.path("services");
    let command = ["s6-svscan", "-d", "3", folder.to_str().unwrap()];
    let daemon = start_ready(&place, "fd:3", &command);
    assert!(folder.join(".s6-svscan").exists());
    daemon.assert_alive();
}
