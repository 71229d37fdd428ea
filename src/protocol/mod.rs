//! What do the processes of a start tell each other?
//!
//! Exit codes, errors, records, wait statuses, readiness notifications, and the verdict that follows from
//! them. Everything here is pure: no function makes a system call.

mod errno;
mod error;
mod exit_code;
mod message;
mod pid;
mod record;
mod sd_notify;
mod step;
mod verdict;
mod wait_status;

pub use errno::Errno;
pub(crate) use error::failed;
pub use error::{Cause, Error, Stream};
pub use exit_code::ExitCode;
pub use message::{LIMITS, WithPath, describe};
pub(crate) use message::{NICENESS, NO_NEW_PRIVS, OOM_SCORE_ADJ};
pub use pid::Pid;
pub use record::{RECORD_SIZE, Record, decode, encode, outcome};
pub use sd_notify::{Notice, STATUS_SIZE};
pub(crate) use step::PATHS;
pub use step::{Step, Subject};
pub use verdict::{EXIT_GRACE, Event, Goal, Nanoseconds, Verdict};
pub(crate) use verdict::{SECOND, nanoseconds};
pub use wait_status::{Change, SIGKILL, SIGTERM, WaitStatus, signal};
