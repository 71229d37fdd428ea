//! Real programs as daemons: a web server, a database, a shell script.

#![allow(missing_docs, unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::{DEADLINE, Place, eventually, has};

/// A port of this machine that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Sends a request as soon as somebody answers, and gives the whole answer, or what comes before the
/// other side waits for more.
fn ask<S: Read + Write>(mut connect: impl FnMut() -> std::io::Result<S>, request: &str) -> String {
    let began = Instant::now();
    let mut stream = loop {
        match connect() {
            Ok(stream) => break stream,
            Err(error) => assert!(began.elapsed() < DEADLINE, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn busybox_httpd_serves_pages() {
    if !has("busybox") {
        return;
    }
    let place = Place::new();
    let port = free_port().to_string();
    let folder = place.path("www");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("index.html"), "served by a daemon\n").unwrap();
    let folder = folder.to_str().unwrap();
    let address = format!("127.0.0.1:{port}");
    let serve = [
        "-p", "pid", "-o", "log", "-e", "log", "busybox", "httpd", "-f", "-vv", "-p", &address,
        "-h", folder,
    ];
    let daemon = place.start(serve);
    let answer = ask(
        || TcpStream::connect(&address),
        "GET /index.html HTTP/1.0\r\n\r\n",
    );
    assert!(
        answer.starts_with("HTTP/1.") && answer.ends_with("served by a daemon\n"),
        "{answer}"
    );
    assert_eq!(place.read("pid"), format!("{}\n", daemon.pid));
    eventually("the request is in the log", || {
        place.read("log").contains("url:/index.html")
    });
    let output = place.run(&mut place.rawdaemon(serve));
    assert_eq!(
        (output.code(), output.stderr),
        (
            12,
            format!("rawdaemon: already running as pid {}\n", daemon.pid)
        )
    );
    daemon.signal(Signal::TERM);
    daemon.ended();
    drop(daemon);
    let again = place.start(serve);
    let answer = ask(
        || TcpStream::connect(&address),
        "GET /index.html HTTP/1.0\r\n\r\n",
    );
    assert!(answer.ends_with("served by a daemon\n"), "{answer}");
    again.assert_alive();
}

#[test]
fn redis_answers() {
    if !has("redis-server") {
        return;
    }
    let place = Place::new();
    let folder = place.path("data");
    fs::create_dir(&folder).unwrap();
    let daemon = place.start([
        "-p",
        "pid",
        "-o",
        "log",
        "-c",
        "data",
        "-t",
        "0.2",
        "redis-server",
        "--port",
        "0",
        "--unixsocket",
        "redis.sock",
        "--save",
        "",
        "--appendonly",
        "no",
    ]);
    assert_eq!(daemon.state().directory, folder);
    let connect = || {
        let stream = UnixStream::connect(folder.join("redis.sock"))?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        Ok(stream)
    };
    assert_eq!(ask(connect, "PING\r\n"), "+PONG\r\n");
    assert_eq!(place.read("pid"), format!("{}\n", daemon.pid));
    assert!(place.read("log").contains("ready to accept connections"));
    assert_eq!(ask(connect, "SHUTDOWN NOSAVE\r\n"), "");
    daemon.ended();
}

#[test]
fn a_wrong_configuration_is_told_by_the_exit_code() {
    if !has("redis-server") {
        return;
    }
    let place = Place::new();
    let output = place.run(&mut place.rawdaemon([
        "-t",
        "10",
        "-p",
        "pid",
        "redis-server",
        "/no/such/configuration",
    ]));
    assert_eq!(output.code(), 5, "{output:?}");
    assert!(
        output
            .stderr
            .starts_with("rawdaemon: the daemon ended too soon: exited with status 1 after"),
        "{output:?}"
    );
    assert!(!place.path("pid").exists());
    place.assert_no_process();
}

#[test]
fn a_shell_script() {
    let place = Place::new();
    place.script(
        "job",
        "#!/bin/sh\ni=0\nwhile :; do i=$((i+1)); echo $i; sleep 0.05; done\n",
    );
    let daemon = place.start(["-o", "log", "./job"]);
    eventually("the script has counted", || {
        place.read("log").lines().nth(3) == Some("4")
    });
    daemon.assert_alive();
}
