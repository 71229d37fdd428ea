//! Private items that the command, the tests and the fuzz targets share with the library. Not part of
//! the API: any release may change them.

pub use crate::__start as start;
pub use crate::environment::{set_variable, variable};
pub use crate::pidfile::{Match, Process, compare, date, pid_in, pid_of, process};
pub use crate::protocol::{
    EXIT_GRACE, Event, Goal, Nanoseconds, Notice, RECORD_SIZE, Record, STATUS_SIZE, Step, Verdict,
    decode, describe, encode, outcome,
};
pub use crate::start::Plan;
pub use crate::sys::{
    RawFd, SignalSet, Zeroed, block_signals, exit, getpid, leak_zeroed, terminal_width, write,
};
pub use crate::text::{
    Lines, Sink, join, next_field, parse_number, parse_signed, split_once, write_number,
};

use crate::options::DaemonizeOptions;
use crate::protocol::Subject;
use crate::sys::ThinCStr;

/// The path that the options give for this subject, if any.
#[must_use]
pub fn path<'a>(options: &DaemonizeOptions<'a>, subject: Subject) -> Option<ThinCStr<'a>> {
    options.path(subject)
}

/// The same options for a process that exits after the start. It may lead the new session itself, without
/// an intermediate.
pub const fn ends_after(mut options: DaemonizeOptions<'_>) -> DaemonizeOptions<'_> {
    options.ends_after = true;
    options
}
