//! Which user is it?
//!
//! Users and groups are looked up in files, without a C library, and so without LDAP and other databases.

mod look_up;
mod parse;

pub use look_up::{look_up, look_up_group};
pub use parse::{Account, find_account, find_group};
