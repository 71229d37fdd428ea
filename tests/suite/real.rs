//! Real programs as daemons: a web server, a database, a shell script.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{
    DEADLINE, Place, State, before_exec, eventually, free_address, has, is_root, mount_empty,
    own_mounts, pid_in, status_line,
};
use rustix::process::Signal;

/// Sends a request once the server accepts connections. Returns what it answers before it closes the
/// connection or waits for more.
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
    let folder = place.path("www");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("index.html"), "served by a daemon\n").unwrap();
    let folder = folder.to_str().unwrap();
    let address = free_address().to_string();
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
        "1",
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
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(stream)
    };
    assert_eq!(ask(connect, "PING\r\n"), "+PONG\r\n");
    assert_eq!(place.read("pid"), format!("{}\n", daemon.pid));
    assert!(place.read("log").contains("eady to accept"));
    assert_eq!(ask(connect, "SHUTDOWN NOSAVE\r\n"), "");
    daemon.ended();
}

#[test]
fn nginx_serves_as_its_own_user_and_comes_back_at_once() {
    if !is_root() || !has("nginx") {
        return;
    }
    let place = Place::new();
    let home = place.path("home");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(33), Some(33)).unwrap();
    let readable = |path: &Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    };
    fs::write(home.join("index.html"), "served by nginx\n").unwrap();
    readable(&home.join("index.html"));
    let address = free_address();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let paths = paths
        .map(|name| format!("{name}_temp_path {name};"))
        .join(" ");
    let configuration = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr notice;
        events {{ worker_connections 3000; }}
        http {{ access_log access.log; {paths}
            server {{ listen {address}; root .; }} }}"
    );
    fs::write(place.path("nginx.conf"), configuration).unwrap();
    let configuration = place.path("nginx.conf");
    readable(&configuration);
    // Only root may raise the hard limit.
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let most = most.unwrap_or(8192).min(8192);
    let files = most.min(4096).to_string();
    let limit = format!("nofile={files}");
    let prefix = format!("{}/", home.display());
    let serve = [
        "-u",
        "www-data",
        "-c",
        "home",
        "-p",
        "pid",
        "-a",
        "-o",
        "log",
        "-e",
        "log",
        "--rlimit",
        &limit,
        "-t",
        "1",
        "nginx",
        "-p",
        &prefix,
        "-c",
        configuration.to_str().unwrap(),
    ];
    let start = || {
        let mut command = place.rawdaemon(["-v"]);
        before_exec(command.args(serve), move || {
            let limit = rustix::process::Rlimit {
                current: Some(256),
                maximum: Some(most),
            };
            Ok(rustix::process::setrlimit(
                rustix::process::Resource::Nofile,
                limit,
            )?)
        });
        place.start_by(&mut command)
    };
    let request = "GET / HTTP/1.0\r\n\r\n";
    for _ in 0..3 {
        let daemon = start();
        let answer = ask(|| TcpStream::connect(address), request);
        assert!(
            answer.ends_with("served by nginx\n"),
            "{answer}: {}",
            place.read("log")
        );
        assert_eq!(status_line(daemon.pid, "Uid"), ["33"; 4]);
        assert_eq!(status_line(daemon.pid, "Gid"), ["33"; 4]);
        assert_eq!(State::of(daemon.pid).directory, home);
        let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid)).unwrap();
        let open = limits
            .lines()
            .find(|line| line.starts_with("Max open files"))
            .unwrap();
        assert_eq!(open.split_whitespace().nth(3), Some(&*files));
        assert_eq!(pid_in(&place.path("pid")), daemon.pid);
        // SIGKILL gives nginx no chance to clean up.
        daemon.kill();
        assert!(place.path("pid").exists());
    }
    let log = place.read("home/access.log");
    assert_eq!(log.matches("GET / HTTP/1.0").count(), 3, "{log}");
    let log = place.read("log");
    assert!(log.matches("[notice]").count() >= 3, "{log}");
}

#[test]
fn a_wrong_configuration_is_a_failed_start() {
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

#[test]
fn a_server_is_stopped_and_started_200_times() {
    if !has("busybox") {
        return;
    }
    let place = Place::new();
    fs::write(place.path("index.html"), "served\n").unwrap();
    let folder = place.path("");
    let address = free_address().to_string();
    let serve = ["-p", "pid", "busybox", "httpd", "-f", "-p", &address, "-h"];
    for round in 0..200 {
        let daemon = place.start(serve.iter().copied().chain([folder.to_str().unwrap()]));
        if round % 10 == 0 {
            let answer = ask(|| TcpStream::connect(&address), "GET / HTTP/1.0\r\n\r\n");
            assert!(answer.ends_with("served\n"), "{answer}");
        }
        let output = place.run(&mut place.rawdaemon(["--stop", "-p", "pid"]));
        assert_eq!((output.code(), output.stderr.as_str()), (0, ""), "{round}");
        daemon.ended();
        drop(daemon);
        assert!(!place.path("pid").exists(), "{round}");
        // A child of the server may still be exiting.
        eventually("no process is left", || place.processes().is_empty());
    }
}

#[test]
fn sshd_drops_its_lock_and_is_found_by_its_fingerprint() {
    if !is_root() || !has("sshd") || !has("ssh-keygen") {
        return;
    }
    let place = Place::new();
    let key = place.path("key");
    let key = key.to_str().unwrap();
    let make = ["-q", "-t", "ed25519", "-N", "", "-f", key];
    let output = place.run(&mut place.program(Path::new("ssh-keygen"), make));
    assert_eq!(output.code(), 0, "{output:?}");
    fs::write(place.path("config"), "").unwrap();
    let config = place.path("config");
    let address = free_address();
    // sshd needs its absolute path to execute itself again.
    let path = std::env::var_os("PATH").unwrap();
    let sshd = std::env::split_paths(&path).map(|folder| folder.join("sshd"));
    let sshd = sshd.into_iter().find(|path| path.is_file()).unwrap();
    let own_pidfile = format!("PidFile={}", place.path("own").display());
    let listen = format!("ListenAddress={address}");
    let serve = [
        "-p",
        "pid",
        "-e",
        "log",
        sshd.to_str().unwrap(),
        "-D",
        "-e",
        "-f",
        config.to_str().unwrap(),
        "-h",
        key,
        "-o",
        &own_pidfile,
        "-o",
        &listen,
    ];
    let start = || {
        let mut command = place.rawdaemon(["-v"]);
        // sshd needs this folder. Only this daemon sees it.
        before_exec(command.args(serve), || {
            own_mounts();
            mount_empty(c"/run");
            std::fs::create_dir("/run/sshd")
        });
        place.start_by(&mut command)
    };
    let greets = || {
        let mut stream = TcpStream::connect(address)?;
        let mut greeting = [0; 8];
        stream.read_exact(&mut greeting)?;
        Ok::<_, std::io::Error>(&greeting == b"SSH-2.0-")
    };
    let daemon = start();
    eventually("it greets", || greets().unwrap_or(false));
    let (pid, say) = (daemon.pid, |options: &[&str]| {
        let output = place.run(place.rawdaemon(options).args(["-p", "pid"]));
        (output.code(), output.stdout, output.stderr)
    });
    let how = "rawdaemon: running, by its fingerprint (it has released its lock); pid ";
    let is_known = || {
        let (code, stdout, stderr) = say(&["-vT"]);
        assert_eq!((code, stdout), (0, format!("{pid}\n")));
        assert!(stderr.starts_with(how), "{stderr}");
    };
    is_known();
    let again = place.run(&mut place.rawdaemon(serve));
    assert_eq!(
        (again.code(), again.stderr),
        (12, format!("rawdaemon: already running as pid {pid}\n"))
    );
    daemon.assert_alive();
    assert!(greets().unwrap());
    // After SIGHUP, sshd executes itself: it stays the same process.
    assert_eq!(say(&["-sHUP"]).0, 0);
    eventually("it listens again", || {
        place.read("log").matches("Server listening").count() == 2
    });
    is_known();
    assert_eq!(say(&["--stop"]), (0, String::new(), String::new()));
    daemon.ended();
    assert!(!place.path("pid").exists());
    drop(daemon);
    start().assert_alive();
}
