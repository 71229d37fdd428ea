//! How is a daemon kept running?
//!
//! The supervisor takes the place of the intermediate, and stays: it leads the daemon's session, holds the locks on the
//! pidfile and the lock file, and starts the daemon again when it fails. [`respawn`] decides when. The [`process`] waits
//! for one event at a time. [`rest`] ends what a daemon leaves, [`state`] is what `--status` tells, and [`log`] writes
//! the daemon's output, in a process of its own.

mod begin;
mod context;
mod events;
mod init;
mod launch;
mod log;
mod logger;
mod process;
mod respawn;
mod rest;
mod run;
mod state;
mod telling;

pub use begin::Supervision;
pub use context::Init;
pub use init::{await_power, supervise_here};
pub use launch::supervise;
pub use log::{LogOptions, LogTarget, LogTime, MAX_KEPT_LOGS, MIN_LOG_SIZE};
pub use respawn::{After, ExitCodes, Respawn};
pub use state::{read_state, remove_state};
