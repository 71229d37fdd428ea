//! Memory of one's own, where its size is known at run time only.

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
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

/// Room for some values, all zero at first. It is unmapped when it is dropped.
#[derive(Debug)]
pub struct Room<T: Zeroed> {
    first: NonNull<T>,
    count: usize,
    owns: PhantomData<T>,
}

impl<T: Zeroed> Room<T> {
    /// `mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS)`—Of what is not
    /// touched, the kernel gives nothing.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, and `EINVAL` for no room at all.
    pub fn new(count: usize) -> Result<Self, Errno> {
        let address = map(count.saturating_mul(size_of::<T>()))?;
        Ok(Self {
            first: NonNull::new(address as *mut T).ok_or(Errno::ENOMEM)?,
            count,
            owns: PhantomData,
        })
    }

    /// The values, which stay for as long as the process lives.
    #[must_use]
    pub fn leak<'r>(self) -> &'r mut [T]
    where
        T: 'r,
    {
        let mut room = core::mem::ManuallyDrop::new(self);
        // SAFETY: as below, and nobody unmaps it.
        unsafe { core::slice::from_raw_parts_mut(room.first.as_mut(), room.count) }
    }
}

impl<T: Zeroed> Deref for Room<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the mapping begins at a page and has room for that many values, which are zero or
        // what was put there.
        unsafe { core::slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

impl<T: Zeroed> DerefMut for Room<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and only this refers to it.
        unsafe { core::slice::from_raw_parts_mut(self.first.as_ptr(), self.count) }
    }
}

impl<T: Zeroed> Drop for Room<T> {
    fn drop(&mut self) {
        let size = self.count.saturating_mul(size_of::<T>());
        // SAFETY: the mapping is this one's own, and nothing refers to it any more.
        let _ = unsafe { call!(Sysno::munmap, self.first.as_ptr(), size) };
    }
}

/// An address is more than the `int` that other calls give.
#[inline(never)]
fn map(size: usize) -> Result<usize, Errno> {
    #[cfg(target_pointer_width = "64")]
    const CALL: Sysno = Sysno::mmap;
    #[cfg(target_pointer_width = "32")]
    const CALL: Sysno = Sysno::mmap2;
    let (access, flags) = (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    // SAFETY: a new mapping touches no other memory.
    let address = unsafe { syscall!(CALL, 0, size, access, flags, usize::MAX, 0) };
    address.map_err(Errno::from_kernel)
}
