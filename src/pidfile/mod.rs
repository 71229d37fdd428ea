//! Whose pidfile is it?
//!
//! The daemon writes its fingerprint to its pidfile, and holds a record lock on it. Both identify the daemon, so that
//! it can be signalled and stopped, and make a second start fail.

mod claim;
mod fingerprint;
mod group;
mod lock;
mod owner;
mod process;
mod replace;
mod stop;
mod supervisor;
mod wait;

pub(crate) use claim::lock;
pub use fingerprint::{
    BOOT_ID_SIZE, Match, NO_FINGERPRINT, Process, fingerprint, pid_in, pid_of, process,
};
pub(crate) use group::has_members;
pub(crate) use lock::{
    adopted, hand_over, is_missing, open_or_create, remove_after_failure, remove_locked, rewrite,
    write,
};
pub use owner::{Owner, Pidfile};
pub use process::describe_process;
pub(crate) use process::{
    each_process, fingerprint_of, has_ended, is_descendant, is_zombie, notifying_child, parent_of,
    signal_pinned,
};
pub use stop::Stage;
