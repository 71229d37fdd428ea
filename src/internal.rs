//! Private items that the command, the tests and the fuzz targets share with the library. Not part of
//! the API: any release may change them.

pub use crate::accounts::find_group;
pub use crate::entry::{enter, memcmp, memcpy, memmove, memset, panic, strlen};
pub use crate::environment::{
    copy_with_variable, is_of_session, listen_fds, search_path, set_variable, variable,
};
pub use crate::options::{Credentials, Settings};
pub use crate::packed::{Packed, pack, packed, shortened};
pub use crate::pidfile::{
    BOOT_ID_SIZE, Match, NO_FINGERPRINT, Process, describe_process, fingerprint, pid_in, pid_of,
    process,
};
pub use crate::protocol::{
    EXIT_GRACE, Event, Goal, Nanoseconds, Note, Notice, RECORD_SIZE, Record, STATUS_SIZE, Step,
    Verdict, decode, describe, encode, outcome,
};
pub use crate::start::{
    KeptFds, LookUp, Plan, Show, any_path, describe_file, interpreter, is_relative, spawn_as,
};
pub use crate::supervisor::{
    After, ExitCodes, Init, LogOptions, LogTarget, LogTime, MAX_KEPT_LOGS, MIN_LOG_SIZE, Respawn,
    Supervision, await_power, read_state, remove_state, supervise, supervise_here,
};
pub use crate::sys::{
    EntryNames, RawFd, SignalSet, Zeroed, block_signals, catch_traps, effective_user, getpid,
    getsid, leak_zeroed, take_pending, terminal_width, write,
};
pub use crate::text::{
    Lines, NUMBER_LINE, Sink, before, join, next_field, number_line, parse_number, parse_signed,
    split_once, write_number,
};

use crate::options::DaemonizeOptions;

/// Whether the command can supervise.
pub const HAS_SUPERVISOR: bool = cfg!(feature = "supervisor");

/// The values of these options.
pub fn settings(options: DaemonizeOptions<'_>) -> Settings<'_> {
    options.settings
}
