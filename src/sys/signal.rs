//! Signals: masks, dispositions and signalfd.

use core::mem::MaybeUninit;

use linux_raw_sys::general::{
    __kernel_timespec, O_CLOEXEC, O_NONBLOCK, SIG_BLOCK, SIG_SETMASK, SIGPIPE, SIGSYS, SIGXFSZ,
    kernel_sigset_t,
};
use syscalls::Sysno;

pub(crate) use linux_raw_sys::general::SIGCHLD;

use super::arch::{RT_SIGTIMEDWAIT, RawSigAction, call_with_times};
use super::fd::{Fd, NO_FD, RawFd, read, write};
use super::poll::ppoll;
use crate::protocol::Errno;

/// A set of signals in the kernel's format, an array of words: bit `n - 1` stands for signal `n`. mips has 64 more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct SignalSet(u64, [u32; MORE_WORDS]);

const MORE_WORDS: usize = (size_of::<kernel_sigset_t>() - size_of::<u64>()) / size_of::<u32>();

pub(super) const SET_SIZE: usize = size_of::<SignalSet>();
const _: () = assert!(SET_SIZE == size_of::<kernel_sigset_t>());

impl SignalSet {
    pub(crate) const NONE: Self = Self(0, [0; MORE_WORDS]);
    /// All but SIGSYS, by which a sandbox may answer a call: if it is blocked, the kernel ends the process.
    pub(crate) const ALL: Self = Self(!Self::of(SIGSYS).0, [u32::MAX; MORE_WORDS]);
    /// Only SIGPIPE.
    const PIPE: Self = Self::of(SIGPIPE);
    /// SIGPIPE and SIGXFSZ: a write to a pipe without a reader, or beyond the limit of the size of a file, raises them.
    pub const OF_WRITES: Self = Self(Self::PIPE.0 | Self::of(SIGXFSZ).0, [0; MORE_WORDS]);

    /// The set of the signals of both sets.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0, self.1)
    }

    /// The set with only this signal, up to 64.
    pub(crate) const fn of(signal: u32) -> Self {
        let bit = 1_u64.wrapping_shl(signal.wrapping_sub(1));
        // The first word has the lower half, also where that does not come first in a `u64`.
        let words_are_swapped = cfg!(target_endian = "big") && size_of::<usize>() == 4;
        let bits = if words_are_swapped {
            bit.rotate_left(32)
        } else {
            bit
        };
        Self(bits, [0; MORE_WORDS])
    }
}

/// `rt_sigprocmask(SIG_SETMASK, set, NULL, 8)`—Sets the calling thread's signal mask.
pub(crate) fn set_signal_mask(set: SignalSet) -> Result<(), Errno> {
    // SAFETY: the kernel reads `SET_SIZE` bytes from `set`, and writes nothing through the null pointer.
    unsafe {
        call!(
            Sysno::rt_sigprocmask,
            SIG_SETMASK,
            &raw const set,
            0,
            SET_SIZE
        )
    }
    .map(drop)
}

/// `rt_sigprocmask(SIG_BLOCK, set, _, 8)`—Adds signals to the calling thread's signal mask, and returns the
/// previous mask.
pub fn block_signals(set: SignalSet) -> Result<SignalSet, Errno> {
    let mut old = SignalSet::NONE;
    // SAFETY: the kernel reads `SET_SIZE` bytes from `set` and writes as many to `old`.
    unsafe {
        call!(
            Sysno::rt_sigprocmask,
            SIG_BLOCK,
            &raw const set,
            &raw mut old,
            SET_SIZE
        )
    }?;
    Ok(old)
}

/// `rt_sigpending(_, 8)`—Returns whether one of these signals is pending.
fn is_pending(set: SignalSet) -> bool {
    let mut pending = SignalSet::NONE;
    // SAFETY: the kernel writes `SET_SIZE` bytes to `pending`.
    let result = unsafe { call!(Sysno::rt_sigpending, &raw mut pending, SET_SIZE) };
    result.is_ok() && pending.0 & set.0 != 0
}

/// `rt_sigtimedwait(set, NULL, {0, 0}, 8)`—Removes one pending signal of this set, if there is one.
pub fn take_pending(set: SignalSet) {
    let mut no_time = [__kernel_timespec {
        tv_sec: 0,
        tv_nsec: 0,
    }];
    // SAFETY: the kernel reads `SET_SIZE` bytes from `set` and a timespec from `no_time`. It writes no
    // siginfo through the null pointer.
    let _ = call_with_times(RT_SIGTIMEDWAIT, &mut no_time, |number, no_time| unsafe {
        call!(number, &raw const set, 0, no_time, SET_SIZE)
    });
}

/// Writes to a pipe, as [`write()`] does, without raising SIGPIPE. `EPIPE` if its read end is closed.
///
/// The kernel sends SIGPIPE to the thread that writes (pipe(7)). This function therefore blocks the signal,
/// removes it if this write raised it, and restores the mask. The kernel writes up to `PIPE_BUF` bytes
/// atomically.
pub(crate) fn write_no_sigpipe(fd: RawFd, bytes: &[u8]) -> Result<(), Errno> {
    // The rest is for a reader that goes away in this moment. Most sandboxes know the call that takes the signal.
    let mut closed = [fd, NO_FD, NO_FD, NO_FD];
    if ppoll(&mut closed, 0).is_ok() && closed != [NO_FD; 4] {
        return Err(Errno::EPIPE);
    }
    let pipe_signal = SignalSet::PIPE;
    let pending_before = is_pending(pipe_signal);
    let mask = block_signals(pipe_signal)?;
    let result = write(fd, bytes).map(|_| ());
    if result == Err(Errno::EPIPE) && !pending_before {
        take_pending(pipe_signal);
    }
    // What was written counts. It is taken that no policy allows the first call and refuses this one.
    let _ = set_signal_mask(mask);
    result
}

/// The disposition of a signal, as the kernel returned it.
///
/// The spare word is for qemu's user-mode emulation of riscv64, which writes one word more than the kernel.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct SigAction(pub(super) RawSigAction, usize);

impl SigAction {
    /// `SIG_DFL`, with no handler and therefore no restorer and no flags.
    pub(crate) fn default() -> Self {
        // SAFETY: a sigaction may be all zeros: `SIG_DFL` is null, and the type represents a null function
        // pointer as `None`.
        Self(unsafe { MaybeUninit::zeroed().assume_init() }, 0)
    }
}

/// `rt_sigaction(signal, NULL, _, 8)`—Returns the disposition of a signal.
pub(crate) fn sigaction(signal: u32) -> Result<SigAction, Errno> {
    let mut action = SigAction::default();
    // SAFETY: the kernel reads nothing through the null pointer, and writes a sigaction to `action`.
    unsafe { call!(Sysno::rt_sigaction, signal, 0, &raw mut action, SET_SIZE) }?;
    Ok(action)
}

/// `rt_sigaction(signal, action, NULL, 8)`—Sets the disposition of a signal.
pub(crate) fn set_sigaction(signal: u32, action: &SigAction) -> Result<(), Errno> {
    let action = core::ptr::from_ref(action);
    // SAFETY: the kernel reads a sigaction from `action`, and writes nothing through the null pointer. The
    // disposition is `SIG_DFL`, one that `sigaction` returned for this signal in this program, or the handler of
    // `catch_traps`.
    unsafe { call!(Sysno::rt_sigaction, signal, action, 0, SET_SIZE) }.map(drop)
}

/// `rt_sigaction(signal, {SIG_DFL}, NULL, 8)`—Resets the disposition of a signal to the default.
pub(crate) fn reset_sigaction(signal: u32) -> Result<(), Errno> {
    set_sigaction(signal, &SigAction::default())
}

/// `signalfd4(-1, set, 8, SFD_CLOEXEC | SFD_NONBLOCK)`—Creates a descriptor that is readable while one of these
/// signals is pending. The caller must block them.
///
/// Since Linux 2.6.27.
pub(crate) fn signalfd(set: SignalSet) -> Result<Fd, Errno> {
    // SAFETY: the kernel reads `SET_SIZE` bytes from `set`.
    let fd = unsafe {
        call!(
            Sysno::signalfd4,
            -1_isize,
            &raw const set,
            SET_SIZE,
            O_CLOEXEC | O_NONBLOCK
        )
    };
    Fd::above_standard_streams(fd?)
}

/// Reads the number of the next pending signal from a descriptor of [`signalfd`]. `None` if none is pending.
pub(crate) fn read_signal(signals: RawFd) -> Option<u32> {
    // A signalfd_siginfo (signalfd(2)), which begins with the number.
    let mut info = [0; 128];
    read(signals, &mut info).ok()?;
    info.first_chunk().copied().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::{SignalSet, block_signals, is_pending, set_signal_mask, take_pending};
    use super::{write, write_no_sigpipe};
    use crate::protocol::Errno;
    use crate::sys;

    #[test]
    fn a_write_to_a_closed_pipe_changes_no_signal() {
        let pipe = sys::pipe().unwrap();
        sys::close(pipe.reader);
        // The process of another test may have a copy for a moment. The tests ignore the signal.
        while write(pipe.writer, b"x").is_ok() {
            std::thread::yield_now();
        }
        let write_quietly = || {
            let before = block_signals(SignalSet::NONE).unwrap();
            assert_eq!(write_no_sigpipe(pipe.writer, b"x"), Err(Errno::EPIPE));
            assert_eq!(block_signals(SignalSet::NONE), Ok(before));
            is_pending(SignalSet::PIPE)
        };
        assert!(!write_quietly());
        let mask = block_signals(SignalSet::PIPE).unwrap();
        assert!(!write_quietly());
        assert_eq!(write(pipe.writer, b"x"), Err(Errno::EPIPE));
        assert!(is_pending(SignalSet::PIPE));
        assert!(write_quietly(), "it was pending before");
        take_pending(SignalSet::PIPE);
        set_signal_mask(mask).unwrap();
        sys::close(pipe.writer);
    }
}
