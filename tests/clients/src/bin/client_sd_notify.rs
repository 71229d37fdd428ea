//! The crate sd-notify, which takes NOTIFY_SOCKET for a path.

use std::thread::sleep;
use std::time::Duration;

use sd_notify::NotifyState;

fn main() {
    sd_notify::notify(&[NotifyState::Ready, NotifyState::Status("serving")])
        .expect("READY=1 is sent");
    sleep(Duration::from_secs(1000));
}
