//! The same daemons under `--respawn`: killed, started again, and stopped with all that they have started.

use std::fs;
use std::mem::ManuallyDrop;
use std::path::Path;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::processes::Running;
use super::service::{Service, quiet};
use super::table::{self, Row};
use crate::support::supervised::{assert_no_file, end_processes, named, supervisors};
use crate::support::{Daemon, Place, eventually};

/// A test for each of these.
macro_rules! respawned {
    ($($(#[$attribute:meta])* $name:ident: $row:ident,)*) => {
        $(
            $(#[$attribute])*
            #[test]
            fn $name() {
                respawn(&table::$row);
            }
        )*
    };
}

respawned! {
    redis_server: REDIS,
    postgres: POSTGRES,
    haproxy: HAPROXY,
    sshd: SSHD,
    nginx: NGINX,
    memcached: MEMCACHED,
    mosquitto: MOSQUITTO,
    lighttpd: LIGHTTPD,
    dropbear: DROPBEAR,
    rsyslogd: RSYSLOGD,
    dbus_daemon: DBUS,
    dnsmasq: DNSMASQ,
    chronyd: CHRONYD,
    python3: PYTHON,
}

/// Kills the daemon and its supervisor, and stops what runs then. Without its program, the test is skipped.
fn respawn(row: &'static Row) {
    let Some(service) = Service::new(row) else {
        return;
    };
    let _guard = Guard(&service.place);
    let daemon = service.start_supervised();
    service.is_found(daemon);
    // The daemon is killed, without its children.
    let daemon = service.kill(daemon);
    service.is_found(daemon);
    // The supervisor is killed: the daemon runs on.
    let [supervisor] = supervisors(&service.place)[..] else {
        panic!("not one supervisor");
    };
    Daemon::new(supervisor).kill();
    service.answers(daemon);
    service.is_found(daemon);
    // Another start adopts it, unless it has closed the descriptor with its lock. The children of postgres, which make
    // sessions of their own, are not those of the new supervisor: when they have not ended yet, postgres does not start.
    if row.program == "postgres" || !holds(daemon, &service.place.path("pid")) {
        service.stop(row);
        return;
    }
    assert_eq!(service.start_supervised(), daemon);
    service.is_found(daemon);
    let daemon = service.kill(daemon);
    service.is_found(daemon);
    service.stop(row);
}

/// An upgrade of nginx(8): on SIGUSR2 the old master executes the new program, which is the daemon once the old one has
/// ended.
#[test]
fn nginx_is_upgraded_without_a_restart() {
    // It executes itself by its path, and only when it has gone into the background.
    static ROW: Row = Row {
        line: "-R fork:DIR/nginx.pid /usr/sbin/nginx -p DIR/ -e stderr -c DIR/nginx.conf",
        ..table::NGINX
    };
    let Some(service) = Service::new(&ROW) else {
        return;
    };
    let _guard = Guard(&service.place);
    let old = service.start_supervised();
    assert_eq!(service.run(&["--signal", "USR2"]), quiet());
    let name = |name| fs::read_to_string(service.home.join(name)).unwrap_or_default();
    eventually("the new master has its pidfile", || {
        name("nginx.pid.oldbin") == format!("{old}\n") && !name("nginx.pid").is_empty()
    });
    let new = Pid::from_raw(name("nginx.pid").trim().parse().unwrap()).unwrap();
    assert_eq!(named(&service.place), Some(old));
    assert_eq!(service.run(&["--signal", "QUIT"]), quiet());
    eventually("the supervisor has followed it", || {
        named(&service.place) == Some(new)
    });
    service.answers(new);
    let (_, _, said) = service.run(&["-v", "--status"]);
    assert!(said.contains("; restarts: 0"), "{said}");
    // And it is supervised.
    service.kill(new);
    service.stop(&table::NGINX);
}

/// The processes of a test, which are killed if it fails.
struct Guard<'p>(&'p Place);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        end_processes(self.0);
    }
}

impl Service {
    /// Starts it, or finds it. Returns its pid.
    #[track_caller]
    fn start_supervised(&self) -> Pid {
        let options = ["-v", "--respawn", "--respawn-delay", "0.05"];
        let output = self.place.run(&mut self.starting(&options));
        assert_eq!(output.code(), 0, "{output:?}: {}", self.place.read("log"));
        self.answers(output.pid());
        output.pid()
    }

    /// Kills the daemon, and waits for the next one. Returns that.
    #[track_caller]
    fn kill(&self, daemon: Pid) -> Pid {
        rustix::process::kill_process(daemon, Signal::KILL).unwrap();
        let mut next = daemon;
        eventually("there is another daemon", || {
            reap(daemon);
            next = named(&self.place).unwrap_or(daemon);
            next != daemon
        });
        self.answers(next);
        // It may answer before it says so.
        eventually("it is ready", || {
            let (_, _, said) = self.run(&["-v", "--status"]);
            !said.contains("; starting")
        });
        next
    }

    /// The command finds it, and starts no other.
    #[track_caller]
    fn is_found(&self, daemon: Pid) {
        assert_eq!(self.status(), (0, format!("{daemon}\n"), String::new()));
        let says = format!("rawdaemon: already running as pid {daemon}\n");
        assert_eq!(self.start_again(), (12, String::new(), says));
    }

    /// Waits until it serves.
    #[track_caller]
    fn answers(&self, daemon: Pid) {
        // Dropping it would kill it.
        let running = ManuallyDrop::new(Running::new(Daemon::new(daemon)));
        self.serves(&running);
    }

    /// Stops it. Nothing is left.
    #[track_caller]
    fn stop(&self, row: &Row) {
        assert_eq!(self.run(&[&["--stop"], row.stop].concat()), quiet());
        eventually("all have ended", || self.place.processes().is_empty());
        assert_no_file(&self.place);
    }
}

/// Reaps a daemon that has ended, if it is a child of the test.
fn reap(daemon: Pid) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let _ = rustix::process::waitid(WaitId::Pid(daemon), options);
}

/// Whether a process has the file open.
fn holds(pid: Pid, path: &Path) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let mut files = files.filter_map(|entry| fs::read_link(entry.path()).ok());
    files.any(|file| file == path)
}
