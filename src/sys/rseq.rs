//! Restartable sequences (rseq(2), since Linux 4.18).
//!
//! glibc 2.35 and later registers an area of memory in which the kernel keeps the number of the processor that
//! the thread runs on. Allocators rely on it.

use core::ptr;

use syscalls::Sysno;

use super::arch::{RSEQ_SIGNATURE, rseq_symbols, thread_pointer};
use crate::protocol::Errno;

/// The area that the calling thread has registered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rseq {
    /// There is none.
    None,
    /// It has this address and this size.
    Area { address: usize, size: usize },
    /// There is one, of which glibc does not know.
    Unknown,
}

/// The least size of an area, in bytes, and its alignment.
const SIZE: usize = 32;

/// `RSEQ_FLAG_UNREGISTER`.
const UNREGISTER: u32 = 1;

impl Rseq {
    /// Finds the area of the calling thread. The kernel does not report its address, but registering it again fails
    /// with `EBUSY`, and registering another one with `EINVAL`.
    pub(super) fn find() -> Self {
        #[repr(align(32))]
        struct Probe([u8; SIZE]);
        let mut probe = Probe([0; SIZE]);
        let probe = (probe.0.as_mut_ptr() as usize, SIZE);
        let (address, size) = area_of_glibc().unwrap_or(probe);
        match register(address, size, 0) {
            Ok(()) => {
                let _ = register(address, size, UNREGISTER);
                Self::None
            }
            Err(Errno::ENOSYS) => Self::None,
            Err(Errno::EBUSY) => Self::Area { address, size },
            Err(_) => Self::Unknown,
        }
    }

    /// Registers the area for the calling thread.
    pub(super) fn restore(self) -> Result<(), Errno> {
        match self {
            Self::Area { address, size } => match register(address, size, 0) {
                // A copy of the caller itself has it registered.
                Ok(()) | Err(Errno::EBUSY) => Ok(()),
                Err(errno) => Err(errno),
            },
            Self::None | Self::Unknown => Ok(()),
        }
    }
}

/// The address of the area of the calling thread, and the size that glibc has registered. `None` without glibc 2.35 or
/// later, and if it has not registered the area.
///
/// The manual of glibc documents the two variables. The size is that of the fields that the kernel uses, which may
/// be less than the kernel accepts.
fn area_of_glibc() -> Option<(usize, usize)> {
    let [offset, size] = rseq_symbols().map(ptr::with_exposed_provenance::<u8>);
    if offset.is_null() || size.is_null() {
        return None;
    }
    // SAFETY: glibc defines a `ptrdiff_t` and an `unsigned int`, which it sets before the program runs and never
    // again.
    let (offset, size) = unsafe { (offset.cast::<isize>().read(), size.cast::<u32>().read()) };
    if size == 0 {
        return None;
    }
    // SAFETY: glibc has set up the thread.
    let address = unsafe { thread_pointer() }.wrapping_add_signed(offset);
    Some((address, SIZE.max(size as usize)))
}

/// `rseq(address, size, flags, signature)`
fn register(address: usize, size: usize, flags: u32) -> Result<(), Errno> {
    // SAFETY: with an area registered, the kernel refuses every other one. Without one, this registers the area
    // that glibc has for this thread, or a probe that is unregistered while it exists.
    unsafe { call!(Sysno::rseq, address, size, flags, RSEQ_SIGNATURE) }.map(drop)
}
