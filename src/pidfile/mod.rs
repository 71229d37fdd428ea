//! Whose pidfile is it?
//!
//! The daemon locks its pidfile as long as it lives. By the lock it is found, signalled and stopped, and a
//! second start is refused.

mod fingerprint;
mod group;
mod lock;
mod owner;
mod process;
mod stop;

pub use fingerprint::{Match, Process, compare, date, pid_in, pid_of, process};
pub(crate) use lock::{lock, remove_failed, write};
pub use owner::{Owner, Pidfile};
pub(crate) use process::own_date;
pub use stop::Stage;
