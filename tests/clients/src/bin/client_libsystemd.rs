//! The crate libsystemd.

use std::thread::sleep;
use std::time::Duration;

use libsystemd::daemon::{NotifyState, notify};

fn main() {
    let sent = notify(false, &[NotifyState::Ready]).expect("READY=1 is sent");
    assert!(sent);
    sleep(Duration::from_secs(1000));
}
