//! Restartable sequences (rseq(2), since Linux 4.18).
//!
//! glibc 2.35 and later registers an area of memory in which the kernel keeps the number of the processor that
//! the thread runs on. Allocators rely on it.

use core::iter::once;
use core::ops::Range;

use linux_raw_sys::prctl::PR_GET_AUXV;
use syscalls::Sysno;

use super::arch::RSEQ_SIGNATURE;
use super::tid::TidAddress;
use crate::protocol::Errno;

/// The area that the calling thread has registered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rseq {
    /// There is none.
    None,
    /// It has this address and this size.
    Area { address: usize, size: usize },
    /// There is one at an unknown address.
    Unknown,
}

/// The first size that an area had, in bytes, and its alignment.
const SIZE: usize = 32;

/// `AT_RSEQ_FEATURE_SIZE` (getauxval(3)).
const FEATURE_SIZE: usize = 27;

/// The distances from the thread's id at which an area is searched for. In glibc both are in the description of
/// the thread, about 1700 bytes apart. Since 2.41 the area is in the thread-local storage beside it, below it
/// on x86.
const FARTHEST: usize = 4096;
const LIKELY: Range<usize> = 1024..2048;

/// `RSEQ_FLAG_UNREGISTER`.
const UNREGISTER: u32 = 1;

impl Rseq {
    /// Finds the area. The kernel does not report its address, but registering it again fails with `EBUSY`, and
    /// registering another one with `EINVAL`.
    pub(super) fn find(near: TidAddress) -> Self {
        #[repr(align(32))]
        struct Probe([u8; SIZE]);
        let mut probe = Probe([0; SIZE]);
        let probe = probe.0.as_mut_ptr() as usize;
        match register(probe, SIZE, 0) {
            Ok(()) => {
                let _ = register(probe, SIZE, UNREGISTER);
                return Self::None;
            }
            Err(Errno::ENOSYS) => return Self::None,
            Err(_) => {}
        }
        if near == TidAddress::NONE {
            return Self::Unknown;
        }
        let base = near.0 & !(SIZE - 1);
        let above = |distance| base.wrapping_add(distance);
        let below = |distance| base.wrapping_sub(distance);
        let steps = |distances: Range<usize>| distances.step_by(SIZE);
        let areas = steps(LIKELY)
            .map(above)
            .chain(steps(0..FARTHEST).map(below))
            .chain(steps(0..FARTHEST).map(above));
        let larger = Some(area_size()).filter(|size| *size != SIZE);
        let sizes = once(SIZE).chain(larger);
        areas
            .flat_map(|address| sizes.clone().map(move |size| (address, size)))
            .find(|(address, size)| register(*address, *size, 0) == Err(Errno::EBUSY))
            .map_or(Self::Unknown, |(address, size)| Self::Area {
                address,
                size,
            })
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

/// `prctl(PR_GET_AUXV, vector, size)`—Returns the size of the area that glibc registers since 2.41: as many bytes
/// as the kernel uses, which are more than 32 in Linux 7.2. Since Linux 6.4; 32 before.
fn area_size() -> usize {
    let mut vector = [[0_usize; 2]; 64];
    let room = size_of_val(&vector);
    // SAFETY: the kernel writes at most that many bytes. The rest stays zero.
    let _ = unsafe { call!(Sysno::prctl, PR_GET_AUXV, vector.as_mut_ptr(), room, 0, 0) };
    let entry = vector.iter().find(|[kind, _]| *kind == FEATURE_SIZE);
    entry.map_or(SIZE, |[_, size]| *size).max(SIZE)
}

/// `rseq(address, size, flags, signature)`
fn register(address: usize, size: usize, flags: u32) -> Result<(), Errno> {
    // SAFETY: with an area registered, the kernel refuses every other one. Without one, this registers the area
    // that this thread had before it was copied, or a probe that is unregistered while it exists.
    unsafe { call!(Sysno::rseq, address, size, flags, RSEQ_SIGNATURE) }.map(drop)
}
