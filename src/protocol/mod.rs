//! What do the processes of a start tell each other?
//!
//! Exit codes, errors, records, wait statuses, readiness notifications, and the verdict that follows from
//! them. Everything here is pure: no function makes a system call.

mod errno;
mod error;
mod exit_code;
mod message;
mod milliseconds;
mod pid;
mod record;
mod sd_notify;
mod signal;
mod step;
mod subject;
mod verdict;
mod wait_status;

pub use errno::Errno;
pub use error::{Cause, Error, Note};
pub(crate) use error::{cannot_watch, failed};
pub use exit_code::ErrorKind;
pub use message::{WithPath, describe};
pub use pid::Pid;
pub use record::{RECORD_SIZE, Record, decode, encode, outcome};
pub use sd_notify::{Notice, STATUS_SIZE};
pub use signal::Signal;
pub use step::Step;
pub use subject::Subject;
pub use verdict::{EXIT_GRACE, Event, Goal, Nanoseconds, Verdict};
pub(crate) use verdict::{SECOND, nanoseconds};
pub use wait_status::WaitStatus;
