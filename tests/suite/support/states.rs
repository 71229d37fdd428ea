//! The states in which a supervisor may be when something happens to it.

use std::fs;

use rustix::process::{Pid, Signal};

use super::supervised::{Supervised, named};
use super::{Place, eventually};

/// A state of a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum In {
    /// The daemon runs.
    Run,
    /// It has failed, and is started again in ten minutes.
    Delay,
    /// It was started again, and is not ready.
    Restart,
    /// The supervisor has sent it a SIGTERM, which it ignores.
    Stop,
}

pub const STATES: [In; 4] = [In::Run, In::Delay, In::Restart, In::Stop];

/// A daemon that logs some of its signals, and says for the first time only that it is ready. It ignores SIGTERM if
/// there is a file `stubborn`.
const DAEMON: &str = "trap 'echo HUP >>log' HUP; trap '[ -e stubborn ] || exit 0' TERM; \
                      trap 'echo USR2 >>log' USR2; echo up >>log; \
                      [ -e again ] && [ ! -e ready ] || echo >&3; \
                      while :; do sleep 0.01; done";

/// Starts a supervisor, and brings it to this state.
#[track_caller]
pub fn bring<'p>(place: &'p Place, state: In, options: &[&str]) -> Supervised<'p> {
    for name in ["again", "ready", "stubborn", "log"] {
        let _ = fs::remove_file(place.path(name));
    }
    let folder = place.path("");
    let delay = match state {
        In::Restart => "0.01",
        _ => "600",
    };
    let kill_after = match state {
        In::Stop => "2",
        _ => "20",
    };
    let always = [
        "-c",
        folder.to_str().unwrap(),
        "-R",
        "fd:3",
        "-t60",
        "--respawn-delay",
        delay,
        "--kill-after",
        kill_after,
    ];
    let options = [&always, options].concat();
    let supervised = Supervised::start(place, &options, &["sh", "-c", DAEMON]);
    match state {
        In::Run => {}
        In::Delay => supervised.wait_for_delay(),
        In::Restart => {
            fs::write(place.path("again"), "").unwrap();
            let daemon = supervised.kill_daemon();
            supervised.next(daemon);
            eventually("it runs again", || place.read("log") == "up\nup\n");
        }
        In::Stop => {
            fs::write(place.path("stubborn"), "").unwrap();
            supervised.signal(Signal::TERM);
            // It has handled the signal as soon as it has handled the next one.
            supervised.signal(Signal::HUP);
            eventually("it gets signals", || place.read("log").ends_with("HUP\n"));
            fs::write(place.path("log"), "up\n").unwrap();
        }
    }
    supervised
}

/// The daemon that the pidfile names. There is none during the delay.
#[track_caller]
pub fn expect_daemon(place: &Place, state: In) -> Option<Pid> {
    let daemon = named(place);
    assert_eq!(daemon.is_some(), state != In::Delay, "{state:?}");
    daemon
}
