//! The id of a thread in the memory of its C library.

use core::ffi::c_int;
use core::sync::atomic::{AtomicI32, Ordering};

use linux_raw_sys::prctl::PR_GET_TID_ADDRESS;
use syscalls::Sysno;

use super::pid::gettid;
use super::signal::SET_SIZE;
use crate::protocol::Errno;

/// The address at which the C library remembers the id of the calling thread. A raw clone leaves the parent's
/// id there, unless the kernel gets the address (CLONE_CHILD_SETTID).
///
/// Nothing leads to the address that musl uses. A program without a C library has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TidAddress(pub(super) usize);

impl TidAddress {
    /// No address.
    pub(crate) const NONE: Self = Self(0);

    /// Finds the address that holds the result of gettid(2). In glibc it is two words below the list of robust
    /// mutexes, and one word since 2.43 on 32 bits.
    ///
    /// No C library documents where it keeps the id, and only the second half of this is the kernel's word. Three
    /// things make the first half more than a guess: the list is this thread's, by the kernel's word; the two have
    /// been neighbours in every version of glibc that has the list; and the number there must be the id. The daemon
    /// changes that number only, in its copy of the memory. By a wrong address, a number that equalled the
    /// original's id would equal the daemon's; without any, pthread_mutex_lock(3) and raise(3) fail in the daemon.
    ///
    /// Before 2.43, glibc passed the same address to set_tid_address(2). Since then a small number is at that
    /// address, which may equal the id by chance, so it comes last.
    pub(super) fn find(robust_list: Option<usize>) -> Self {
        let id = gettid();
        let below_list = |words: usize| {
            robust_list.map(|list| list.wrapping_sub(words.wrapping_mul(size_of::<usize>())))
        };
        [below_list(2), below_list(1), clear_address()]
            .into_iter()
            .flatten()
            .find(|address| id != 0 && read_int(*address) == Some(id as c_int))
            .map_or(Self::NONE, Self)
    }
}

/// `prctl(PR_GET_TID_ADDRESS)`—Returns the address that the C library passed to set_tid_address(2). Since Linux
/// 3.5, in kernels with CONFIG_CHECKPOINT_RESTORE.
fn clear_address() -> Option<usize> {
    // A 64-bit kernel writes 64 bits, to a 32-bit process too. Then one of the words is zero.
    let mut words = [0_usize; 2];
    // SAFETY: the kernel writes an address to `words`.
    let known = unsafe { call!(Sysno::prctl, PR_GET_TID_ADDRESS, &raw mut words) };
    let [first, second] = words;
    known.ok().map(|_| first | second)
}

/// Reads the number at an address, if it is readable: otherwise `rt_sigprocmask(-1, address, NULL, 8)` fails with
/// `EFAULT`. The call changes nothing, since -1 is not a way to change a mask.
pub(super) fn read_int(address: usize) -> Option<c_int> {
    let pointer = address as *const c_int;
    // SAFETY: the kernel reads a set from the address, if it can, and changes no mask.
    let read = unsafe { call!(Sysno::rt_sigprocmask, usize::MAX, address, 0, SET_SIZE) };
    if read != Err(Errno::EINVAL) || !pointer.is_aligned() {
        return None;
    }
    // SAFETY: it is aligned, and the kernel has just read it. What is there is not known, so it is read atomically.
    Some(unsafe { AtomicI32::from_ptr(pointer.cast_mut()) }.load(Ordering::Relaxed))
}
