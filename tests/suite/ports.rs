//! Programs in the shape of users of other crates: those of a pair differ in a few lines, and pass the same
//! tests.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddrV4, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use crate::support::{
    DEADLINE, Daemon, Output, Place, State, before_exec, children, eventually, free_address,
    is_root, package_folder, pid_in, port, skip, status_line, wait_for, watch,
};

/// Connects to a server that may not listen yet.
fn connect(address: SocketAddrV4) -> TcpStream {
    let mut stream = None;
    eventually("the server listens", || {
        stream = TcpStream::connect(address).ok();
        stream.is_some()
    });
    stream.unwrap()
}

/// What a server answers to a client that then says no more.
fn ask(mut stream: TcpStream, request: &str) -> String {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A daemon's state, without its descriptors above 2.
fn state(daemon: &Daemon) -> (State, [PathBuf; 3]) {
    let mut state = daemon.state();
    let pid = daemon.pid.as_raw_pid();
    let own = State::of(rustix::process::getpid());
    assert_eq!(state.parent, rustix::process::getpid().as_raw_pid());
    assert_ne!(state.session, pid, "it must not lead a session");
    assert_ne!(state.session, own.session);
    assert_eq!((state.terminal, state.blocked.as_str()), (0, ""));
    let streams = [0, 1, 2].map(|fd| state.descriptors.remove(&fd).unwrap());
    (state, streams)
}

/// Waits until the only child of this name has ended, and returns its exit status.
fn reap(name: &str) -> Option<i32> {
    let mut found = Vec::new();
    eventually("the failed daemon is a child", || {
        found = children(name);
        found.len() == 1
    });
    let pidfd = watch(found[0]);
    assert!(wait_for(&pidfd, DEADLINE), "{name} has not ended");
    let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).unwrap();
    status.unwrap().exit_status()
}

/// The exit status of a failed daemon, if its start has left it to its new parent: daemonize and fork do
/// that, rawdaemon does not.
fn left_by_a_failed_start(program: &str, name: &str) -> Option<i32> {
    if program.ends_with("_rawdaemon") {
        assert_eq!(children(name), []);
        return None;
    }
    Some(reap(name).unwrap_or(-1))
}

fn gateway(place: &Place, program: &Path, address: SocketAddrV4) -> Command {
    let mut command = place.program(program, [address.to_string()]);
    command.arg(place.path(""));
    command
}

/// Starts a gateway, which has an old log.
fn start_gateway(place: &Place, program: &Path, address: SocketAddrV4) -> Daemon {
    fs::create_dir(place.path("data")).unwrap();
    fs::write(place.path("gateway.log"), "old\n").unwrap();
    let output = place.run(&mut gateway(place, program, address));
    let said = (
        output.code(),
        output.stdout.as_str(),
        output.stderr.as_str(),
    );
    assert_eq!(said, (0, "", ""));
    drop(connect(address));
    Daemon::new(pid_in(&place.path("gateway.pid")))
}

fn a_gateway_logs_to_the_file_that_it_has_opened(program: &str) {
    let Some(program) = port(program) else {
        return;
    };
    let (place, address) = (Place::new(), free_address());
    let daemon = start_gateway(&place, &program, address);
    assert_eq!(ask(connect(address), "hello\n\n"), "ack hello\nack \n");
    let log =
        format!("old\nlistening on {address}\nreceived \"hello\"\nan empty line\nreceived \"\"\n");
    assert_eq!(place.read("gateway.log"), log);
    let (state, streams) = state(&daemon);
    let files = [
        "/dev/null".into(),
        place.path("gateway.log"),
        place.path("gateway.log"),
    ];
    assert_eq!(streams, files);
    assert_eq!(state.directory, place.path("data"));
    assert_eq!(
        (state.umask.as_str(), state.ignored.as_str()),
        ("27", "1000")
    );
    let own = rustix::process::geteuid().as_raw();
    assert_eq!(fs::metadata(place.path("gateway.pid")).unwrap().uid(), own);
    daemon.assert_alive();
}

#[test]
fn a_gateway_with_daemonize() {
    a_gateway_logs_to_the_file_that_it_has_opened("gateway_daemonize");
}

#[test]
fn a_gateway_with_rawdaemon() {
    a_gateway_logs_to_the_file_that_it_has_opened("gateway_rawdaemon");
}

/// Returns the result of the second start.
fn a_second_gateway_changes_nothing(program: &str, name: &str) -> Option<(Pid, Output)> {
    let path = port(program)?;
    let (place, address) = (Place::new(), free_address());
    let daemon = start_gateway(&place, &path, address);
    let output = place.run(&mut gateway(
        &place,
        &place.executable(&path, name),
        address,
    ));
    let left = left_by_a_failed_start(program, name);
    assert!(matches!(left, None | Some(1)), "{left:?}");
    assert_eq!(pid_in(&place.path("gateway.pid")), daemon.pid);
    assert_eq!(ask(connect(address), "hello\n"), "ack hello\n");
    assert_eq!(place.processes(), [daemon.pid]);
    Some((daemon.pid, output))
}

#[test]
fn a_second_gateway_with_daemonize_fails_after_its_start_has_succeeded() {
    if let Some((_, output)) =
        a_second_gateway_changes_nothing("gateway_daemonize", "2nd_daemonize")
    {
        assert_eq!(output.code(), 0);
    }
}

#[test]
fn a_second_gateway_with_rawdaemon_is_told() {
    if let Some((pid, output)) =
        a_second_gateway_changes_nothing("gateway_rawdaemon", "2nd_rawdaemon")
    {
        let says = format!("/gateway.pid) as pid {pid}\n");
        assert_eq!(output.code(), 12);
        assert!(
            output
                .stderr
                .starts_with("2nd_rawdaemon: already running (/")
        );
        assert!(output.stderr.ends_with(&says), "{output:?}");
    }
}

#[test]
fn a_gateway_with_rawdaemon_listens_when_its_start_returns() {
    let Some(program) = port("gateway_rawdaemon") else {
        return;
    };
    let (place, address) = (Place::new(), free_address());
    fs::create_dir(place.path("data")).unwrap();
    assert_eq!(place.run(&mut gateway(&place, &program, address)).code(), 0);
    let answer = ask(TcpStream::connect(address).unwrap(), "hello\n");
    assert_eq!(answer, "ack hello\n");
    drop(Daemon::new(pid_in(&place.path("gateway.pid"))));
}

#[test]
fn a_gateway_with_rawdaemon_sees_the_lock_of_daemonize() {
    let (Some(old), Some(new)) = (port("gateway_daemonize"), port("gateway_rawdaemon")) else {
        return;
    };
    let (place, address) = (Place::new(), free_address());
    let daemon = start_gateway(&place, &old, address);
    let output = place.run(&mut gateway(&place, &new, free_address()));
    assert_eq!(output.code(), 12, "{output:?}");
    assert_eq!(pid_in(&place.path("gateway.pid")), daemon.pid);
    daemon.assert_alive();
}

fn a_wallet_keeps_its_streams_and_its_directory(program: &str) {
    let Some(program) = port(program) else {
        return;
    };
    let place = Place::new();
    let file = |name| File::create_new(place.path(name)).unwrap();
    let mut command = place.program(&program, ["wallet.sock"]);
    command
        .stdin(file("in"))
        .stdout(file("out"))
        .stderr(file("err"));
    let mut launcher = command.spawn().unwrap();
    assert!(wait_for(&watch(Pid::from_child(&launcher)), DEADLINE));
    assert_eq!(launcher.wait().unwrap().code(), Some(0));
    let says = "WALLET_SOCKET=wallet.sock; export WALLET_SOCKET\n";
    eventually("the wallet names its socket", || place.read("out") == says);
    let connect = || UnixStream::connect(place.path("wallet.sock")).unwrap();
    let daemon = Daemon::new(socket_peercred(connect()).unwrap().pid);
    for (command, answer) in [
        ("unlock", "open\n"),
        ("lock", "locked\n"),
        ("sing", "locked\n"),
    ] {
        let mut stream = connect();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        writeln!(stream, "{command}").unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert_eq!(said, answer, "{command}");
    }
    assert!(
        place
            .read("err")
            .ends_with("wallet: \"sing\" is no command\n")
    );
    let (state, streams) = state(&daemon);
    assert_eq!(
        streams,
        ["/dev/null".into(), place.path("out"), place.path("err")]
    );
    assert_eq!(state.directory, fs::canonicalize(place.path("")).unwrap());
    assert_eq!(
        (state.umask.as_str(), state.ignored.as_str()),
        ("27", "1000")
    );
}

#[test]
fn a_wallet_with_daemonize() {
    a_wallet_keeps_its_streams_and_its_directory("wallet_daemonize");
}

#[test]
fn a_wallet_with_rawdaemon() {
    a_wallet_keeps_its_streams_and_its_directory("wallet_rawdaemon");
}

/// The number in the third field of the line with this name.
fn id_of(name: &str, file: &str) -> u32 {
    let file = fs::read_to_string(file).unwrap();
    let mut lines = file.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|fields| fields[0] == name).unwrap();
    line[2].parse().unwrap()
}

const USER: &str = "nobody";
const GROUP: &str = "daemon";

/// The caller has supplementary groups. The port is one that only root may bind.
fn network(place: &Place, program: &Path, address: SocketAddrV4) -> Command {
    fs::create_dir_all(place.path("root/data")).unwrap();
    let mut command = place.program(program, [USER, GROUP]);
    for name in ["root", "pid", "key"] {
        command.arg(place.path(name));
    }
    command.arg(address.to_string());
    before_exec(&mut command, || {
        let groups = [4, 20];
        // SAFETY: that many groups are read.
        assert_eq!(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) }, 0);
        Ok(())
    });
    command
}

/// Returns the supplementary groups of the daemon.
fn a_network_daemon_opens_as_root_and_serves_as_a_user(
    program: &str,
    port_number: u16,
) -> Option<Vec<String>> {
    if !is_root() {
        return None;
    }
    let program = port(program)?;
    let place = Place::new();
    let address = SocketAddrV4::new(*free_address().ip(), port_number);
    fs::write(place.path("key"), "secret").unwrap();
    fs::set_permissions(place.path("key"), fs::Permissions::from_mode(0o600)).unwrap();
    let output = place.run(&mut network(&place, &program, address));
    let said = (
        output.code(),
        output.stdout.as_str(),
        output.stderr.as_str(),
    );
    assert_eq!(said, (0, "", ""));
    let answer = ask(connect(address), "");
    assert_eq!(answer, "a key of 6 bytes\n/data\n");
    let pidfile = place.path("pid");
    let daemon = Daemon::new(pid_in(&pidfile));
    let (state, streams) = state(&daemon);
    assert_eq!(streams, ["/dev/null"; 3].map(PathBuf::from));
    assert_eq!(state.umask, "77");
    let root = fs::read_link(format!("/proc/{}/root", daemon.pid)).unwrap();
    assert_eq!(
        (&root, &state.directory),
        (&place.path("root"), &place.path("root"))
    );
    let (uid, gid) = (id_of(USER, "/etc/passwd"), id_of(GROUP, "/etc/group"));
    assert_eq!(
        status_line(daemon.pid, "Uid"),
        [uid; 4].map(|id| id.to_string())
    );
    assert_eq!(
        status_line(daemon.pid, "Gid"),
        [gid; 4].map(|id| id.to_string())
    );
    assert_eq!(status_line(daemon.pid, "CapEff"), ["0".repeat(16)]);
    let owner = fs::metadata(&pidfile).unwrap();
    assert_eq!((owner.uid(), owner.gid()), (uid, gid));
    Some(status_line(daemon.pid, "Groups"))
}

#[test]
fn a_network_daemon_with_daemonize_keeps_groups_of_its_caller() {
    if let Some(groups) =
        a_network_daemon_opens_as_root_and_serves_as_a_user("network_daemonize", 801)
    {
        assert_eq!(groups, ["4", "20"]);
    }
}

#[test]
fn a_network_daemon_with_rawdaemon_has_the_groups_of_its_user() {
    if let Some(groups) =
        a_network_daemon_opens_as_root_and_serves_as_a_user("network_rawdaemon", 802)
    {
        // The user is in no other group.
        assert_eq!(groups, [id_of(GROUP, "/etc/group").to_string()]);
    }
}

/// The key is missing. Returns the result of the start, and whether a pidfile is left.
fn a_network_daemon_that_cannot_open_ends(program: &str, name: &str) -> Option<(Output, bool)> {
    if !is_root() {
        return None;
    }
    let path = port(program)?;
    let place = Place::new();
    let address = SocketAddrV4::new(*free_address().ip(), 803);
    let output = place.run(&mut network(
        &place,
        &place.executable(&path, name),
        address,
    ));
    let left = left_by_a_failed_start(program, name);
    assert!(matches!(left, None | Some(1)), "{left:?}");
    place.assert_no_process();
    Some((output, place.path("pid").exists()))
}

#[test]
fn a_network_daemon_with_daemonize_that_cannot_open_is_reported_as_started() {
    let outcome = a_network_daemon_that_cannot_open_ends("network_daemonize", "bad_daemonize");
    if let Some((output, has_pidfile)) = outcome {
        assert_eq!((output.code(), output.stderr.as_str()), (0, ""));
        assert!(has_pidfile, "it names a process that has ended");
    }
}

#[test]
fn a_network_daemon_with_rawdaemon_that_cannot_open_says_why() {
    let outcome = a_network_daemon_that_cannot_open_ends("network_rawdaemon", "bad_rawdaemon");
    if let Some((output, has_pidfile)) = outcome {
        assert_eq!(output.code(), 18, "{output:?}");
        assert!(
            output.stderr.contains("No such file or directory"),
            "{output:?}"
        );
        assert!(!has_pidfile);
    }
}

/// An agent that may take this many seconds to start.
fn agent(place: &Place, program: &Path, seconds: u32) -> Command {
    fs::create_dir(place.path("data")).unwrap();
    let mut command = place.program(program, [place.path("data")]);
    command.arg(seconds.to_string());
    before_exec(&mut command, || {
        rustix::process::umask(Mode::from_raw_mode(0o022));
        Ok(())
    });
    command
}

fn an_agent_is_ready_when_its_start_returns(program: &str) {
    let Some(program) = port(program) else {
        return;
    };
    let place = Place::new();
    let mut command = agent(&place, &program, 20);
    fs::write(place.path("data/greeting"), "hello\n").unwrap();
    let daemon = place.start_by(&mut command);
    let mut stream = UnixStream::connect(place.path("data/agent.sock")).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut greeting = String::new();
    stream.read_to_string(&mut greeting).unwrap();
    assert_eq!(greeting, "hello\n");
    let (state, streams) = state(&daemon);
    assert_eq!(streams, ["/dev/null"; 3].map(PathBuf::from));
    assert_eq!(state.directory, place.path("data"));
    assert_eq!((state.umask.as_str(), state.ignored.as_str()), ("22", ""));
    // Only the socket.
    assert_eq!(state.descriptors.len(), 1, "{:?}", state.descriptors);
}

#[test]
fn an_agent_with_fork() {
    an_agent_is_ready_when_its_start_returns("checked_fork");
}

#[test]
fn an_agent_with_rawdaemon() {
    an_agent_is_ready_when_its_start_returns("checked_rawdaemon");
}

/// Runs an agent, which must fail. Returns its exit code and what it says.
fn an_agent_fails(place: &Place, program: &str, mut command: Command, name: &str) -> (i32, String) {
    let output = place.run(&mut command);
    let left = left_by_a_failed_start(program, name);
    assert_ne!(left, Some(0));
    place.assert_no_process();
    assert_eq!(output.stdout, "");
    (output.code(), output.stderr)
}

/// It has no greeting.
fn an_agent_says_why_it_cannot_start(program: &str, name: &str, code: i32) {
    let Some(path) = port(program) else {
        return;
    };
    let place = Place::new();
    let command = agent(&place, &place.executable(&path, name), 20);
    let (failed, says) = an_agent_fails(&place, program, command, name);
    assert_eq!(failed, code);
    assert!(says.contains("No such file or directory"), "{says}");
    assert!(!place.path("data/agent.sock").exists());
}

#[test]
fn an_agent_with_fork_says_why_it_cannot_start() {
    an_agent_says_why_it_cannot_start("checked_fork", "bad_fork", 1);
}

#[test]
fn an_agent_with_rawdaemon_says_why_it_cannot_start() {
    an_agent_says_why_it_cannot_start("checked_rawdaemon", "bad_rawdaemon_2", 18);
}

/// Nobody writes its greeting.
fn an_agent_that_takes_too_long_is_stopped(program: &str, name: &str, code: i32) {
    let Some(path) = port(program) else {
        return;
    };
    let place = Place::new();
    let command = agent(&place, &place.executable(&path, name), 1);
    let greeting = place.path("data/greeting");
    mknodat(CWD, greeting, FileType::Fifo, Mode::RUSR, 0).unwrap();
    let (failed, _) = an_agent_fails(&place, program, command, name);
    assert_eq!(failed, code);
}

#[test]
fn an_agent_with_fork_that_takes_too_long_is_stopped() {
    an_agent_that_takes_too_long_is_stopped("checked_fork", "slow_fork", 1);
}

#[test]
fn an_agent_with_rawdaemon_that_takes_too_long_is_stopped() {
    an_agent_that_takes_too_long_is_stopped("checked_rawdaemon", "slow_rawdaemon", 6);
}

/// A server on tokio, and its log.
fn server(place: &Place, program: &Path, address: SocketAddrV4, name: &str) -> Command {
    let mut command = place.program(program, [address.to_string()]);
    command.arg(place.path(name)).arg(place.path("log"));
    command
}

#[test]
fn a_tokio_runtime_in_a_daemon() {
    let Some(program) = port("tokio_daemonize") else {
        return;
    };
    let (place, address) = (Place::new(), free_address());
    let daemon = place.start_by(&mut server(&place, &program, address, "pid"));
    assert_eq!(pid_in(&place.path("pid")), daemon.pid);
    let clients: Vec<_> = (0..32)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    for (number, client) in clients.into_iter().enumerate().rev() {
        let number = number.to_string();
        assert_eq!(ask(client, &number), number);
    }
    // The main thread and four workers.
    assert_eq!(status_line(daemon.pid, "Threads"), ["5"]);
    let output = place.run(&mut server(&place, &program, address, "other"));
    assert_eq!(output.code(), 18, "{output:?}");
    assert!(
        output.stderr.contains("Address already in use"),
        "{output:?}"
    );
    assert!(!place.path("other").exists());
    assert_eq!(place.processes(), [daemon.pid]);
    assert_eq!(place.read("log"), "");
    daemon.signal(Signal::TERM);
    daemon.ended();
    assert_eq!(place.read("log"), "server: stopped\n");
}

#[test]
fn a_tokio_runtime_spawns_daemons_and_becomes_none() {
    let Some(program) = port("tokio_spawn") else {
        return;
    };
    let place = Place::new();
    let says = "launcher: the process has other threads\n";
    let output = place.run(&mut place.program(&program, ["40", "sleep", "1000"]));
    assert_eq!((output.code(), output.stderr.as_str()), (19, says));
    let pids = output.stdout.lines().map(|line| {
        let number = line.strip_prefix("a daemon runs as pid ").unwrap();
        Pid::from_raw(number.parse().unwrap()).unwrap()
    });
    let daemons: Vec<_> = pids.map(Daemon::new).collect();
    let pids: HashSet<_> = daemons.iter().map(|daemon| daemon.pid).collect();
    assert_eq!((daemons.len(), pids.len()), (40, 40));
    for daemon in &daemons {
        daemon.assert_alive();
        assert_ne!(State::of(daemon.pid).session, daemon.pid.as_raw_pid());
    }
    drop(daemons);
    let output = place.run(&mut place.program(&program, ["20", "/no/such/program"]));
    assert_eq!((output.code(), output.stderr.as_str()), (19, says));
    let missing = "no daemon: cannot find the command";
    let missing = output
        .stdout
        .lines()
        .filter(|line| line.starts_with(missing));
    assert_eq!(missing.count(), 20, "{output:?}");
    place.assert_no_process();
}

/// The lines of a program in `tests/ports`.
fn source(name: &str) -> Vec<String> {
    let path = package_folder().join("tests/ports/src/bin").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    text.lines().map(str::to_owned).collect()
}

/// Where the lines stand in others, from the first on.
#[track_caller]
fn position(lines: &[&str], others: &[String]) -> usize {
    let position = others
        .windows(lines.len())
        .position(|window| window == lines);
    position.unwrap_or_else(|| panic!("not in the program: {lines:#?}"))
}

/// Applies a diff, whose hunks begin with `@@` alone.
fn apply(diff: &[&str], old: &[String]) -> Vec<String> {
    let (mut new, mut rest) = (Vec::new(), old);
    for hunk in diff.split(|line| *line == "@@").skip(1) {
        let side = |sign: char| -> Vec<&str> {
            let lines = hunk.iter().filter_map(|line| match line.chars().next() {
                None => Some(""),
                Some(first) => (first == ' ' || first == sign).then(|| &line[1..]),
            });
            lines.collect()
        };
        let (before, after) = (side('-'), side('+'));
        let at = position(&before, rest);
        new.extend_from_slice(&rest[..at]);
        new.extend(after.iter().map(|line| (*line).to_owned()));
        rest = &rest[at + before.len()..];
    }
    new.extend_from_slice(rest);
    new
}

#[test]
fn the_guide_shows_the_programs() {
    if !package_folder().join("tests/ports").exists() {
        return skip("the packaged crate has no tests/ports");
    }
    let guide = include_str!("../../src/guide/migration.md");
    let mut shown = [0, 0];
    for block in guide.split("\n```").skip(1).step_by(2) {
        let lines: Vec<&str> = block.lines().collect();
        match lines[0] {
            "diff" => {
                let old = source(lines[1].strip_prefix("--- ").unwrap());
                let new = source(lines[2].strip_prefix("+++ ").unwrap());
                assert_eq!(apply(&lines[3..], &old), new, "{}", lines[1]);
                shown[0] += 1;
            }
            "rust,ignore" => {
                let source = source(lines[1].strip_prefix("// ").unwrap());
                let source: Vec<_> = source.iter().map(|line| line.trim().to_owned()).collect();
                let lines: Vec<_> = lines[2..].iter().map(|line| line.trim()).collect();
                position(&lines, &source);
                shown[1] += 1;
            }
            _ => {}
        }
    }
    assert_eq!(shown, [4, 3], "programs, and parts of programs");
}
