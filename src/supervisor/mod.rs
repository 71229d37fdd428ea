//! How is a daemon kept running?
//!
//! The supervisor takes the place of the intermediate, and stays: it leads the daemon's session, holds the locks on the
//! pidfile and the lock file, and starts the daemon again when it fails. [`respawn`] decides when. The [`process`] waits
//! for one event at a time. [`rest`] ends what a daemon leaves, [`state`] is what `--status` tells, and [`log`] writes
//! the daemon's output, in a process of its own.

mod events;
mod launch;
#[allow(dead_code, reason = "nothing starts the process yet")]
mod log;
mod process;
mod respawn;
mod rest;
mod say;
mod state;

pub use launch::{Supervision, supervise};
pub use log::{LogOptions, LogTarget, LogTime, MAX_KEPT_LOGS, MIN_LOG_SIZE};
pub use respawn::Respawn;
pub use state::{read_state, remove_state};
