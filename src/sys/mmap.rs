//! Memory whose size is known at run time only.

use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::slice;

use linux_raw_sys::general::{MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE};
use syscalls::{Sysno, syscall};

use super::arch::MMAP;
use super::c_str::ThinCStr;
use crate::protocol::Errno;

/// Values whose bytes may all be zero.
///
/// # Safety
///
/// A value whose bytes are all zero must be valid.
pub unsafe trait Zeroed: Sized {}

// SAFETY: a number.
unsafe impl Zeroed for u8 {}
// SAFETY: a number.
unsafe impl Zeroed for u32 {}
// SAFETY: zero is the null pointer, which is `None`.
unsafe impl Zeroed for Option<ThinCStr<'_>> {}

/// An array of `count` values, all zero at first. The kernel allocates only the pages that are touched, and
/// frees them when this is dropped.
#[derive(Debug)]
pub(crate) struct Mapping<T> {
    first: NonNull<T>,
    count: usize,
}

impl<T: Zeroed> Mapping<T> {
    pub(crate) fn new(count: usize) -> Result<Self, Errno> {
        let first = map(count.saturating_mul(size_of::<T>()))?.cast();
        Ok(Self { first, count })
    }
}

impl<T> Deref for Mapping<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the mapping is aligned to a page and has room for that many values, which were zero. Only this
        // value refers to it and unmaps it.
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

impl<T> DerefMut for Mapping<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`.
        unsafe { slice::from_raw_parts_mut(self.first.as_ptr(), self.count) }
    }
}

impl<T> Drop for Mapping<T> {
    fn drop(&mut self) {
        // SAFETY: no borrow of the values outlives this.
        unsafe { unmap(self.first.cast(), size_of_val(&**self)) };
    }
}

/// An array of `count` values, all zero at first, that is never freed.
///
/// # Errors
///
/// `ENOMEM`, and `EINVAL` if `count` is zero.
pub fn leak_zeroed<'r, T: Zeroed + 'r>(count: usize) -> Result<&'r mut [T], Errno> {
    let room = ManuallyDrop::new(Mapping::new(count)?);
    // SAFETY: as in `deref`, and the mapping is never unmapped.
    Ok(unsafe { slice::from_raw_parts_mut(room.first.as_ptr(), count) })
}

/// `mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)`—Maps zeroed memory.
// Its result, an address, is more than the `int` of other calls.
pub(super) fn map(size: usize) -> Result<NonNull<u8>, Errno> {
    let (access, flags) = (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    // SAFETY: a new mapping touches no other memory.
    match unsafe { syscall!(MMAP, 0, size, access, flags, usize::MAX, 0) } {
        Ok(address) => NonNull::new(address as *mut u8).ok_or(Errno::ENOMEM),
        Err(errno) => Err(Errno::from_kernel(errno)),
    }
}

/// `munmap(first, size)`—Unmaps memory.
///
/// # Safety
///
/// The memory must come from [`map`] with this size, and nothing may use it afterwards.
pub(super) unsafe fn unmap(first: NonNull<u8>, size: usize) {
    // SAFETY: the caller's promise.
    let _ = unsafe { attempt!(Sysno::munmap, first.as_ptr(), size) };
}
