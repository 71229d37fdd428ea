//! How does a start go?
//!
//! [`original`] creates the [`intermediate`], which leads a session and creates the daemon. The daemon takes
//! its [`steps`], and the intermediate keeps [`watch`] until there is a verdict. The [`plan`] holds the options
//! with every default resolved; [`mod@daemonize`] and [`exec`] hold what differs between a program that becomes
//! a daemon and a command.

mod barrier;
mod context;
mod daemonize;
mod descriptors;
mod exec;
mod foreground;
mod intermediate;
mod interpreter;
mod original;
mod path_search;
mod pipes;
mod plan;
mod progress;
mod readiness;
mod ready;
mod spawn;
mod steps;
mod streams;
mod threads;
mod watch;

pub use daemonize::{Identity, daemonize};
pub use interpreter::interpreter_of;
pub use plan::Plan;
pub use progress::Progress;
pub use ready::Ready;
pub use spawn::spawn;
