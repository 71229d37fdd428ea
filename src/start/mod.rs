//! How does a start go?
//!
//! The [`original`] creates the [`intermediate`], which leads a new session and creates the daemon. The
//! daemon takes the [`steps`]; the intermediate runs the [`watch`] until there is a verdict. The [`plan`]
//! is the options with every default resolved. [`mod@daemonize`] has what is special to a program that
//! becomes a daemon, [`exec`] what is special to a command.

mod callback;
mod context;
mod daemon_process;
mod daemonize;
mod descriptors;
mod directories;
mod ending;
mod exec;
mod file_head;
mod foreground;
mod forked;
mod intermediate;
mod interpreter;
mod kept_fds;
mod limits;
mod look_up;
mod notify_folder;
mod open_file;
mod original;
mod path_search;
mod pipes;
mod plan;
mod privileges;
mod progress;
mod readiness;
mod ready;
mod spawn;
mod steps;
mod streams;
mod supervised;
mod threads;
mod watch;

pub(crate) use context::SupervisedStart;
pub use daemon_process::DaemonProcess;
pub use daemonize::{Identity, daemonize};
pub(crate) use descriptors::close_all_but;
pub use file_head::interpreter;
pub(crate) use forked::find_forked;
pub use interpreter::describe_file;
pub use kept_fds::KeptFds;
pub use look_up::LookUp;
pub(crate) use open_file::open_file;
pub(crate) use original::check_descriptors;
pub use path_search::{any_path, is_relative};
pub(crate) use pipes::{Until, send_verdict, wait_for_verdict};
pub use plan::Plan;
pub use progress::{Progress, Show};
pub use ready::Ready;
pub use spawn::{spawn, spawn_as};
pub(crate) use streams::open_null;
pub(crate) use supervised::{Running, Supervised};
