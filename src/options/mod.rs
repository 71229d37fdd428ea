//! What does the caller ask for?
//!
//! The options are plain data: building them makes no system call.

mod builder;
mod c_str_arg;
mod capabilities;
mod check;
mod credentials;
mod limit;
mod privileges;
mod readiness;
mod scheduling;
mod settings;
mod stdio;

pub use builder::DaemonizeOptions;
pub(crate) use c_str_arg::CStrArg;
pub use c_str_arg::IntoCStr;
pub use capabilities::{Capabilities, Securebits};
pub use credentials::Credentials;
pub use limit::{Limit, Resource};
pub use readiness::Readiness;
pub use scheduling::{CpuSet, IoPriority, SchedPolicy};
pub(crate) use settings::MAX_DIRECTORIES;
pub use settings::Settings;
pub use stdio::Stdio;
pub(crate) use stdio::Stream;
