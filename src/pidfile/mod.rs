//! Whose pidfile is it?
//!
//! The daemon holds a record lock on its pidfile as long as it lives. The lock identifies the daemon, so
//! that it can be signalled and stopped, and makes a second start fail.

mod fingerprint;
mod group;
mod lock;
mod owner;
mod process;
mod stop;
mod wait;

pub use fingerprint::{Match, Process, compare, date, pid_in, pid_of, process};
pub(crate) use lock::{is_missing, lock, remove_after_failure, write};
pub use owner::{Owner, Pidfile};
pub(crate) use process::{notifying_child, own_mtime};
pub use stop::Stage;
