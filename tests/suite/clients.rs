//! The clients of sd_notify(3) that servers use: each is heard by `--ready notify`. `tests/clients/run` installs them
//! all.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::{Place, client, has, package_folder, skip};

/// A program in `tests/clients/programs`. Without it, the test is skipped.
fn source(name: &str) -> Option<String> {
    let path = package_folder().join("tests/clients/programs").join(name);
    if !path.exists() {
        skip("the packaged crate has no tests/clients");
        return None;
    }
    Some(path.into_os_string().into_string().unwrap())
}

/// Whether a command that shows that a package is installed succeeds. If not, the test is skipped.
fn shows(what: &str, program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    let is_there = output.is_ok_and(|output| output.status.success());
    if !is_there {
        skip(format!("there is no {what}"));
    }
    is_there
}

/// Starts the client with a path and with an abstract name if it can send to one. It is heard long before the timeout
/// of a minute.
fn is_heard(place: &Place, command: &[&str], ways: &[&str]) {
    for way in ways {
        let mut rawdaemon = place.rawdaemon(["-v", "-e", "errors", "-R", way]);
        let output = place.run(rawdaemon.args(command));
        let errors = place.read("errors");
        assert_eq!(output.code(), 0, "{way}: {output:?} {errors}");
        assert!(output.took < Duration::from_secs(15), "{way}: {output:?}");
        let daemon = crate::support::Daemon::new(output.pid());
        daemon.assert_alive();
        assert_eq!(errors, "", "{way}");
    }
}

const PATH: &[&str] = &["notify"];
const BOTH: &[&str] = &["notify", "notify:@"];

fn script_is_heard(name: &str, ways: &[&str]) {
    if let Some(path) = source(name) {
        let place = Place::new();
        // The user of the tests may not be able to reach the source.
        let script = place.executable(Path::new(&path), name);
        is_heard(&place, &[script.to_str().unwrap()], ways);
    }
}

#[test]
fn systemd_notify() {
    if has("systemd-notify") {
        script_is_heard("systemd_notify.sh", BOTH);
    }
}

#[test]
fn libsystemd_in_c() {
    let Some(path) = source("libsystemd.c") else {
        return;
    };
    if !shows("libsystemd-dev", "pkg-config", &["--exists", "libsystemd"])
        && !Path::new("/usr/include/systemd/sd-daemon.h").exists()
    {
        return;
    }
    let place = Place::new();
    let program = place.path("program");
    let program = program.to_str().unwrap();
    let compiled =
        place.run(&mut place.program(Path::new("cc"), ["-o", program, &path, "-lsystemd"]));
    assert_eq!(compiled.code(), 0, "{compiled:?}");
    is_heard(&place, &[program], BOTH);
}

#[test]
fn sdnotify_in_python() {
    if shows(
        "python3-sdnotify",
        "/usr/bin/python3",
        &["-c", "import sdnotify"],
    ) {
        script_is_heard("python_sdnotify.py", BOTH);
    }
}

#[test]
fn systemd_daemon_in_python() {
    let import = ["-c", "import systemd.daemon"];
    if shows("python3-systemd", "/usr/bin/python3", &import) {
        script_is_heard("python_systemd.py", BOTH);
    }
}

/// It takes an abstract name for a path.
#[test]
fn addrinfo_in_ruby() {
    if has("ruby") {
        script_is_heard("addrinfo.rb", PATH);
    }
}

/// It takes an abstract name for a path.
#[test]
fn the_crate_sd_notify() {
    if let Some(program) = client("client_sd_notify") {
        is_heard(&Place::new(), &[program.to_str().unwrap()], PATH);
    }
}

#[test]
fn the_crate_libsystemd() {
    if let Some(program) = client("client_libsystemd") {
        is_heard(&Place::new(), &[program.to_str().unwrap()], BOTH);
    }
}

#[test]
fn unixgram_in_go() {
    let Some(path) = source("idiom.go") else {
        return;
    };
    if !has("go") {
        return;
    }
    let place = Place::new();
    let program = place.path("program");
    let program = program.to_str().unwrap();
    let mut build = place.program(Path::new("go"), ["build", "-o", program, &path]);
    build.env("GOCACHE", place.path("cache"));
    build.env("GO111MODULE", "off");
    let built = place.run_within(&mut build, Duration::from_secs(120));
    assert_eq!(built.code(), 0, "{built:?}");
    is_heard(&place, &[program], BOTH);
}

/// Without the package unix-dgram, it runs systemd-notify(1).
#[test]
fn node() {
    if has("node") && has("systemd-notify") {
        script_is_heard("node.js", PATH);
    }
}
