//! Waiting for a child where wait4(2) is missing.

use core::ffi::c_int;

use crate::protocol::Errno;

/// Fails, so that waitid(2) is called, as where a policy refuses wait4(2).
#[inline(always)]
pub(crate) const fn wait4(_: i32, _: u32) -> Result<Option<(i32, c_int)>, Errno> {
    Err(Errno::ENOSYS)
}
