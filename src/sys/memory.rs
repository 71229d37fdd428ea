//! Memory of one's own, where its size is known at run time only.

use core::ptr::NonNull;

use linux_raw_sys::general::{MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE};
use syscalls::{Sysno, syscall};

use super::strings::ThinCStr;
use crate::protocol::Errno;

/// Values whose bytes may all be zero.
///
/// # Safety
///
/// They must be.
pub unsafe trait Zeroed: Sized {}

// SAFETY: a number.
unsafe impl Zeroed for u8 {}
// SAFETY: a number.
unsafe impl Zeroed for u32 {}
// SAFETY: zero is the null pointer, which is `None`.
unsafe impl Zeroed for Option<ThinCStr<'_>> {}

/// Room for so many values, all zero at first, for as long as the process lives:
/// `mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS)`. Of what is not touched,
/// the kernel gives nothing.
///
/// # Errors
///
/// `ENOMEM`, and `EINVAL` for no room at all.
pub fn room<'r, T: Zeroed + 'r>(count: usize) -> Result<&'r mut [T], Errno> {
    let first = map(count.saturating_mul(size_of::<T>()))?;
    // SAFETY: the mapping begins at a page and has room for that many values, which are zero; only
    // this refers to it, and nobody unmaps it.
    Ok(unsafe { core::slice::from_raw_parts_mut(first.cast().as_ptr(), count) })
}

/// An address is more than the `int` that other calls give.
#[inline(never)]
fn map(size: usize) -> Result<NonNull<u8>, Errno> {
    #[cfg(target_pointer_width = "64")]
    const CALL: Sysno = Sysno::mmap;
    #[cfg(target_pointer_width = "32")]
    const CALL: Sysno = Sysno::mmap2;
    let (access, flags) = (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    // SAFETY: a new mapping touches no other memory.
    match unsafe { syscall!(CALL, 0, size, access, flags, usize::MAX, 0) } {
        Ok(address) => NonNull::new(address as *mut u8).ok_or(Errno::ENOMEM),
        Err(errno) => Err(Errno::from_kernel(errno)),
    }
}
