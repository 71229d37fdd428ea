//! The life of a service, step by step, seen from outside.

use std::fs;

use super::processes::Running;
use super::service::{Service, quiet};
use super::table::{Ask, Hangup, Row};
use crate::support::{eventually, pid_in};

/// Takes a daemon through all steps. Without its program, the test is skipped.
pub fn live(row: &'static Row) {
    let Some(service) = Service::new(row) else {
        return;
    };
    // A start.
    let running = service.start(&[]);
    service.is_running(&running);
    // A second one.
    let says = format!("rawdaemon: already running as pid {}\n", running.pid());
    assert_eq!(service.start_again(), (12, String::new(), says));
    service.is_running(&running);
    let running = service.hang_up(running);
    service.is_running(&running);
    // A restart.
    let old = running.pid();
    let options = [&["--restart"], row.stop].concat();
    let running = running.ends_by(|| service.start(&options));
    assert_ne!(running.pid(), old);
    service.is_running(&running);
    // A SIGKILL from outside, and a start.
    running.kill(row.leaves_children);
    service.is_dead();
    let running = service.start(&[]);
    service.is_running(&running);
    // A stop.
    let options = [&["--stop"], row.stop].concat();
    assert_eq!(running.ends_by(|| service.run(&options)), quiet());
    let says = "rawdaemon: not running\n";
    assert_eq!(service.status(), (3, String::new(), says.into()));
    assert!(!service.place.path("pid").exists());
    service.place.assert_no_process();
}

impl Service {
    /// It runs, which the command says, too, and serves.
    #[track_caller]
    fn is_running(&self, running: &Running) {
        running.assert_daemon();
        let pid = running.pid();
        assert_eq!(self.status(), (0, format!("{pid}\n"), String::new()));
        assert_eq!(pid_in(&self.place.path("pid")), pid);
        self.serves(running);
    }

    /// It was killed: its pidfile exists.
    #[track_caller]
    fn is_dead(&self) {
        let says = "rawdaemon: dead, but its pidfile exists\n";
        assert_eq!(self.status(), (1, String::new(), says.into()));
    }

    /// Sends SIGHUP, and waits until it does what it should. A daemon that ends by it is started again.
    fn hang_up(&self, running: Running) -> Running {
        let send = || assert_eq!(self.run(&["--signal", "HUP"]), quiet());
        match &self.row.hangup.1 {
            Hangup::Ends => {
                running.ends_by(send);
                self.is_dead();
                return self.start(&[]);
            }
            Hangup::Nothing => {
                assert!(running.survives_hangup());
                send();
            }
            Hangup::Reloads(name, [old, new], answer) => {
                let path = self.home.join(name);
                let text = fs::read_to_string(&path).unwrap();
                assert_eq!(text.matches(old).count(), 1, "{text}");
                fs::write(&path, text.replace(old, new)).unwrap();
                send();
                self.answer.set(Some(answer));
            }
            Hangup::Logs(text) => {
                let before = self.place.read("log").len();
                send();
                eventually(text, || self.place.read("log")[before..].contains(text));
            }
            Hangup::Reopens => {
                let Ask::Written(_, name) = self.row.ask else {
                    unreachable!();
                };
                fs::rename(self.home.join(name), self.home.join("old")).unwrap();
                send();
            }
        }
        running
    }
}
