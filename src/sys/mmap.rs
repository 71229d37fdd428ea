//! Anonymous mappings, for memory whose size is known only at run time.

use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::slice;

use linux_raw_sys::general::{
    MADV_DONTNEED, MAP_ANONYMOUS, MAP_PRIVATE, PROT_NONE, PROT_READ, PROT_WRITE,
};
use syscalls::Sysno;

use super::arch;
use super::c_str::ThinCStr;
use crate::protocol::Errno;

/// A type that has a value whose bytes are all zero.
///
/// # Safety
///
/// A value whose bytes are all zero must be valid for the type.
pub unsafe trait Zeroed: Sized {}

// SAFETY: zero is a valid integer.
unsafe impl Zeroed for u8 {}
// SAFETY: zero is a valid integer.
unsafe impl Zeroed for u32 {}
// SAFETY: each element is zero.
unsafe impl<T: Zeroed, const N: usize> Zeroed for [T; N] {}
// SAFETY: both parts are zero.
unsafe impl<A: Zeroed, B: Zeroed> Zeroed for (A, B) {}
// SAFETY: zero is the null pointer, which represents `None`.
unsafe impl Zeroed for Option<ThinCStr<'_>> {}

/// A slice in memory of its own, filled with zeros at first. The kernel allocates each page when it is first
/// written to. Dropping the slice unmaps it.
#[derive(Debug)]
pub(crate) struct Mapping<T> {
    first: NonNull<T>,
    count: usize,
}

impl<T: Zeroed> Mapping<T> {
    /// Maps memory for `count` values. `EINVAL` if `count` is zero.
    pub(crate) fn new(count: usize) -> Result<Self, Errno> {
        let first = map(count.saturating_mul(size_of::<T>()))?.cast();
        Ok(Self { first, count })
    }

    /// `madvise(first, size, MADV_DONTNEED)`—Gives the memory back to the kernel. All values are zero again, unless
    /// the call fails.
    pub(crate) fn madvise_dontneed(&mut self) {
        let size = size_of_val(&**self);
        // SAFETY: the mapping is private and anonymous, so that its bytes become zeros, which are valid values. It is
        // borrowed mutably: nothing else refers to them.
        let _ = unsafe { attempt!(Sysno::madvise, self.first.as_ptr(), size, MADV_DONTNEED) };
    }
}

impl<T> Deref for Mapping<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the mapping is aligned to a page and holds `count` values, which were valid when they were
        // zero. Only this `Mapping` points to it, and dropping this unmaps it.
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

impl<T> DerefMut for Mapping<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; `self` is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.first.as_ptr(), self.count) }
    }
}

impl<T> Drop for Mapping<T> {
    fn drop(&mut self) {
        // SAFETY: the memory comes from `map`. Every borrow of it borrows `self`, so none is left.
        unsafe { unmap(self.first.cast(), size_of_val(&**self)) };
    }
}

/// Maps memory for `count` values, filled with zeros, for the lifetime of the process.
///
/// # Errors
///
/// `ENOMEM` if there is not enough memory; `EINVAL` if `count` is zero.
pub fn leak_zeroed<'r, T: Zeroed + 'r>(count: usize) -> Result<&'r mut [T], Errno> {
    let mapping = ManuallyDrop::new(Mapping::new(count)?);
    // SAFETY: as in `Mapping::deref`. The `Mapping` is never dropped, and only the returned slice points to
    // its memory.
    Ok(unsafe { slice::from_raw_parts_mut(mapping.first.as_ptr(), count) })
}

/// `mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)`—Maps memory, aligned to a
/// page and filled with zeros.
///
/// `ENOMEM` if there is not enough memory; `EINVAL` if the size is zero.
// Not by `call!`, whose result is an `int`: an address does not fit into it.
pub(super) fn map(size: usize) -> Result<NonNull<u8>, Errno> {
    // No slice may be larger. A process of 32 bits has room for one.
    if isize::try_from(size).is_err() {
        return Err(Errno::ENOMEM);
    }
    let (protection, flags) = (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    // SAFETY: without `MAP_FIXED`, the kernel maps memory that is not in use.
    match unsafe { arch::mmap(size, protection, flags) } {
        Ok(address) => NonNull::new(address as *mut u8).ok_or(Errno::ENOMEM),
        Err(errno) => Err(Errno::from_kernel(errno)),
    }
}

/// `mprotect(first, size, PROT_NONE)`—Makes every access to this memory end the process by SIGSEGV.
///
/// # Safety
///
/// The memory must be pages of a mapping that comes from [`map`], and must not be used after this call.
pub(super) unsafe fn deny_access(first: NonNull<u8>, size: usize) -> Result<(), Errno> {
    // SAFETY: the caller guarantees that the memory is a part of a mapping of this crate that is no longer used.
    unsafe { attempt!(Sysno::mprotect, first.as_ptr(), size, PROT_NONE) }
}

/// `munmap(first, size)`—Unmaps memory.
///
/// # Safety
///
/// The memory must come from [`map`] with this size, and must not be used after this call.
pub(super) unsafe fn unmap(first: NonNull<u8>, size: usize) {
    // SAFETY: the caller guarantees that the memory is a mapping of this crate that is no longer used.
    let _ = unsafe { attempt!(Sysno::munmap, first.as_ptr(), size) };
}

#[cfg(test)]
mod tests {
    use super::Mapping;
    use crate::protocol::Errno;

    #[test]
    fn memory_that_was_given_back_is_zero() {
        let mut mapping = Mapping::<u8>::new(10_000).unwrap();
        mapping.fill(7);
        mapping.madvise_dontneed();
        assert!(mapping.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn no_mapping_is_larger_than_a_slice_may_be() {
        let largest = isize::MAX as usize;
        for (count, errno) in [
            (0, Errno::EINVAL),
            (largest / 4 + 1, Errno::ENOMEM),
            (usize::MAX, Errno::ENOMEM),
        ] {
            assert_eq!(Mapping::<u32>::new(count).err(), Some(errno), "{count}");
        }
    }
}
