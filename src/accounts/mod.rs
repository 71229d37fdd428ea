//! Which user is it?
//!
//! Users and groups are looked up without a C library, and so without LDAP and the like.

mod look_up;
mod parse;

pub use look_up::{look_up, look_up_group};
pub use parse::{Account, find_account, find_group};
