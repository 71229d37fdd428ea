//! Which descriptors stay open, and which numbers between them are closed. Pure.

use crate::sys::{NO_FD, RawFd};

/// The first descriptor above the standard streams.
pub(super) const FIRST_FD: RawFd = 3;

/// The descriptors that stay open: those that the caller requested, this crate's own, and the files for the
/// standard streams. `NO_FD` stands for an unused slot.
#[derive(Clone, Copy, Debug)]
pub struct KeptFds<'a> {
    /// The lowest descriptor that is not kept in any case.
    pub first: RawFd,
    /// Those that the caller requested.
    pub requested: &'a [i32],
    /// This crate's own.
    pub internal: &'a [RawFd],
    /// The files for the standard streams.
    pub streams: &'a [RawFd],
}

impl KeptFds<'_> {
    /// The lowest kept descriptor that is at least `from`; [`NO_FD`] if there is none.
    #[must_use]
    pub fn next_from(&self, from: RawFd) -> RawFd {
        let mut lowest = NO_FD;
        for fd in self.requested {
            if *fd as RawFd >= from {
                lowest = lowest.min(*fd as RawFd);
            }
        }
        for fd in self.internal.iter().chain(self.streams) {
            if *fd >= from {
                lowest = lowest.min(*fd);
            }
        }
        lowest
    }

    /// Calls `close` with the first and the last number of each range before, between and after the kept
    /// descriptors, in ascending order. Those below `first` are in none.
    ///
    /// # Errors
    ///
    /// The first error of `close`.
    pub fn each_range<E>(
        &self,
        mut close: impl FnMut(RawFd, RawFd) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut from = self.first;
        loop {
            let next = self.next_from(from);
            if next > from {
                close(from, next.wrapping_sub(1))?;
            }
            if next == NO_FD {
                return Ok(());
            }
            from = next.wrapping_add(1);
        }
    }
}
