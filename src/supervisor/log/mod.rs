//! How does the output of a daemon get into its log?
//!
//! A process reads the pipe into which the daemon and its children write, and writes to a file, which it rotates, to the
//! kernel's log, or to syslogd. It reads as long as it runs: lines that cannot be written are dropped and counted, and
//! the daemon never waits. It has no other task, so it outlives a supervisor that is killed, and the supervisor can
//! start it again, since the pipe is open there too.
//!
//! A file consists of whole lines at every moment but while a line is unfinished in the pipe: a rotation, a full disk and
//! a SIGTERM tear none.

mod file;
mod name;
mod notice;
mod options;
mod output;
mod position;
mod pump;
mod record;
mod records;
mod stamp;

pub use options::{LogOptions, LogTarget, LogTime, MAX_KEPT_LOGS, MIN_LOG_SIZE};
pub(crate) use pump::{open, run};
