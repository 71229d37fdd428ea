//! The init scripts of the README. Each runs with its web server in a folder of the test.

use std::ffi::CString;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::{
    Daemon, Output, Place, before_exec, eventually, free_address, has, is_root, mount, own_mounts,
    pid_in, tested_command,
};

pub struct Script {
    pub place: Place,
    address: SocketAddrV4,
    pub path: PathBuf,
}

impl Script {
    /// The script with this beginning.
    fn of_the_readme(beginning: &str, name: &str) -> Self {
        let text = include_str!("../../README.md")
            .split("```sh\n")
            .filter_map(|rest| Some(rest.split_once("```")?.0))
            .find(|text| text.starts_with(beginning));
        Self::with_text(text.unwrap(), name, "/run/web.pid", "/srv/www")
    }

    /// The script with the address of the test for its port, and with a pidfile and a folder of the test.
    pub fn with_text(text: &str, name: &str, pidfile: &str, folder: &str) -> Self {
        let mut text = text.to_owned();
        let place = Place::new();
        let own = |name| place.path(name).to_str().unwrap().to_owned();
        let address = free_address();
        for (from, to) in [
            (pidfile, own("pid")),
            (folder, own("www")),
            ("8080", address.to_string()),
        ] {
            assert_eq!(text.matches(from).count(), 1, "{from}");
            text = text.replace(from, &to);
        }
        fs::create_dir(place.path("init.d")).unwrap();
        let path = place.script(&format!("init.d/{name}"), &text);
        Self {
            place,
            address,
            path,
        }
    }

    fn ask(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    #[track_caller]
    fn serves(&self, page: &str) {
        eventually(page, || {
            self.ask().is_ok_and(|answer| answer.ends_with(page))
        });
    }

    fn daemon(&self) -> Daemon {
        Daemon::new(pid_in(&self.place.path("pid")))
    }

    /// Manages the web server by the script. `run` runs one of its commands, and `failed` is the exit code of a
    /// failed start.
    pub fn manages_its_daemon(&self, failed: i32, run: impl Fn(&str) -> Output) {
        #[track_caller]
        fn expect(code: i32, output: &Output) {
            assert_eq!(output.code(), code, "{output:?}");
        }
        let place = &self.place;
        let nothing_is_left = || {
            assert!(!place.path("pid").exists());
            // The process that served the last page may still be exiting.
            eventually("no process is left", || place.processes().is_empty());
        };

        expect(3, &run("status"));
        expect(0, &run("stop"));
        // There is no folder to serve yet.
        expect(failed, &run("start"));
        nothing_is_left();

        fs::create_dir(place.path("www")).unwrap();
        fs::write(place.path("www/index.html"), "the first page\n").unwrap();
        fs::write(place.path("www/second.html"), "the second page\n").unwrap();
        expect(0, &run("start"));
        self.serves("the first page\n");
        let first = self.daemon();
        expect(0, &run("start"));
        let status = run("status");
        expect(0, &status);
        assert_eq!(status.stdout, format!("{}\n", first.pid));

        fs::write(place.path("www/httpd.conf"), "I:second.html\n").unwrap();
        expect(0, &run("reload"));
        self.serves("the second page\n");
        first.assert_alive();

        expect(0, &run("restart"));
        first.ended();
        self.serves("the second page\n");
        let second = self.daemon();
        assert_ne!(second.pid, first.pid);
        drop(first);

        second.kill();
        expect(1, &run("status"));
        expect(0, &run("restart"));
        self.serves("the second page\n");
        let third = self.daemon();

        expect(0, &run("stop"));
        third.ended();
        drop(third);
        nothing_is_left();
        expect(0, &run("stop"));
        expect(3, &run("status"));
    }
}

/// PATH with the command's folder in front.
pub fn search_path(path: &str) -> String {
    let command = Path::new(tested_command());
    let folder = command.parent().unwrap().to_str().unwrap();
    format!("{folder}:{path}")
}

#[test]
fn a_script_for_busybox_init() {
    if !has("busybox") {
        return;
    }
    let script = Script::of_the_readme("#!/bin/sh\n# /etc/init.d/S50web:", "S50web");
    let path = search_path(&std::env::var("PATH").unwrap());
    let run = |word: &str| {
        let mut command = script.place.program(Path::new("busybox"), ["sh"]);
        command.env("PATH", &path).arg(&script.path).arg(word);
        script.place.run(&mut command)
    };
    script.manages_its_daemon(1, run);
    assert_eq!(run("reload").code(), 7);
    let wrong = run("halt");
    assert_eq!(wrong.code(), 2);
    assert!(wrong.stderr.starts_with("Usage: "), "{wrong:?}");
}

#[test]
fn a_script_for_openrc() {
    if !is_root() || !has("openrc-run") || !has("busybox") {
        return;
    }
    let script = Script::of_the_readme("#!/sbin/openrc-run\n# /etc/init.d/web:", "web");
    let place = &script.place;
    // OpenRC sets PATH itself, and does not move the daemon to another control group in a container.
    let configuration = format!(
        "rc_env_allow=\"*\"\nrc_sys=\"systemd-nspawn\"\nPATH=\"{}\"\n",
        search_path("$PATH")
    );
    fs::write(place.path("rc.conf"), configuration).unwrap();
    // OpenRC takes the system for booted if these exist.
    fs::create_dir_all(place.path("run/openrc/exclusive")).unwrap();
    fs::write(place.path("run/openrc/softlevel"), "default\n").unwrap();
    let mounts = [
        ("run", c"/run"),
        ("init.d", c"/etc/init.d"),
        ("rc.conf", c"/etc/rc.conf"),
    ]
    .map(|(from, to)| {
        let from = place.path(from);
        (CString::new(from.as_os_str().as_bytes()).unwrap(), to)
    });
    let run = |word: &str| {
        let mut command = place.program(Path::new("/etc/init.d/web"), [word]);
        let mounts = mounts.clone();
        before_exec(&mut command, move || {
            own_mounts();
            for (from, to) in &mounts {
                mount(from.as_ptr(), to.as_ptr(), libc::MS_BIND);
            }
            Ok(())
        });
        place.run(&mut command)
    };
    script.manages_its_daemon(1, run);
    assert_eq!(run("reload").code(), 1);
    assert_eq!(run("halt").code(), 1);
    // OpenRC relies on its own record of what runs, which may be wrong.
    assert_eq!(run("start").code(), 0);
    let daemon = script.daemon();
    assert_eq!(run("zap").code(), 0);
    assert_eq!(run("start").code(), 0);
    daemon.assert_alive();
    daemon.kill();
    assert_eq!(run("start").code(), 0);
    assert_eq!(run("status").code(), 1);
    assert_eq!(run("reload").code(), 7);
}
