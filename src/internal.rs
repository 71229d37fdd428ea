//! Private items that the command, the tests and the fuzz targets share with the library. Not part of
//! the API: any release may change them.

pub use crate::accounts::find_group;
pub use crate::entry::{enter, memcmp, memcpy, memmove, memset, panic, strlen};
pub use crate::environment::{set_variable, variable};
pub use crate::options::Credentials;
pub use crate::pidfile::{Match, Process, compare, date, pid_in, pid_of, process};
pub use crate::protocol::{
    EXIT_GRACE, Event, Goal, Nanoseconds, Notice, RECORD_SIZE, Record, STATUS_SIZE, Step, Verdict,
    decode, describe, encode, outcome,
};
pub use crate::start::{LookUp, Plan, interpreter_of};
pub use crate::sys::{
    RawFd, SignalSet, Zeroed, block_signals, getpid, leak_zeroed, terminal_width, write,
};
pub use crate::text::{
    Lines, Sink, join, next_field, parse_number, parse_signed, split_once, write_number,
};

use crate::options::{DaemonizeOptions, Stdio};
use crate::protocol::{Error, Subject};
use crate::start::{DaemonProcess, Progress};
use crate::sys::{CStrings, ThinCStr};

/// The path or the name that the options give for this subject, if any.
#[must_use]
pub fn string<'o>(options: &'o DaemonizeOptions<'_>, subject: Subject) -> Option<ThinCStr<'o>> {
    options.string(subject)
}

/// The same options, with output appended to files instead of truncating them.
pub fn appending(mut options: DaemonizeOptions<'_>) -> DaemonizeOptions<'_> {
    for stream in &mut options.streams {
        *stream = stream.take().map(Stdio::appending);
    }
    options
}

/// The same options for a process that exits after the start. It may lead the new session itself, without
/// an intermediate.
pub const fn ends_after(mut options: DaemonizeOptions<'_>) -> DaemonizeOptions<'_> {
    options.ends_after = true;
    options
}

/// Starts a command with options that are valid, as these ids.
///
/// # Errors
///
/// Those of [`DaemonizeOptions::spawn`], except `Usage`.
pub fn spawn(
    options: &DaemonizeOptions<'_>,
    credentials: Credentials<'_>,
    (program, argv, envp): (ThinCStr<'_>, CStrings<'_>, CStrings<'_>),
    show: &mut dyn FnMut(Progress<'_>),
) -> Result<DaemonProcess, Error> {
    options.spawn_as(credentials, program, argv, envp, show)
}
