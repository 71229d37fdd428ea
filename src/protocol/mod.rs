//! What passes between original, intermediate and daemon: pure functions, and not one system call.
//!
//! Public for the tests and the fuzz targets only. What users need of it stands at the crate's
//! root.

mod code;
mod errno;
mod error;
mod evidence;
mod notice;
mod record;
mod status;
mod tell;
mod text;
mod verdict;

pub use code::ExitCode;
pub use errno::Errno;
pub(crate) use error::failed;
pub use error::{Cause, Error, Pid, Stream};
pub use evidence::{Process, Standing, date, pid_in, pid_of, process, stands};
pub use notice::{Notice, STATUS_SIZE};
pub use record::{RECORD_SIZE, Record, decode, encode, outcome};
pub use status::{Change, SIGKILL, SIGTERM, WaitStatus, signal};
pub(crate) use tell::{LIMITS, NICENESS, NO_NEW_PRIVS, OOM_SCORE_ADJ};
pub use tell::{WithPath, tell};
pub(crate) use text::{NUMBER_LINE, cut, index_of, number, number_line, signed_number, take};
pub use text::{Say, join, line, say_number};
pub use verdict::{Event, Goal, Judgement, MOMENT, Nanoseconds, Verdict};
