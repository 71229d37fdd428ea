//! Which user is it?
//!
//! Users and groups are looked up in files, without a C library, and so without LDAP and other databases.

mod look_up;
mod parse;

pub(crate) use look_up::{read_account_files, unreadable};
pub use parse::{Account, find_group};
pub(crate) use parse::{GroupChoice, find_account};
