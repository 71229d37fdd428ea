//! Waiting for a child by wait4(2).

use core::ffi::c_int;

use syscalls::Sysno;

use crate::protocol::Errno;

/// `wait4(pid, _, options, NULL)`—Returns the pid and the status word of a child; `None` if none has ended.
#[inline(always)]
pub(crate) fn wait4(pid: i32, options: u32) -> Result<Option<(i32, c_int)>, Errno> {
    let mut status: c_int = 0;
    // SAFETY: the kernel writes an int to `status`, and no rusage through the null pointer.
    let reaped = unsafe { call!(Sysno::wait4, pid, &raw mut status, options, 0) }?;
    Ok((reaped != 0).then_some((reaped as i32, status)))
}
