//! Signals: masks, dispositions, and descriptors for pending signals.

use core::mem::MaybeUninit;
use core::ops::Range;

use linux_raw_sys::general::{
    __kernel_old_timespec, O_CLOEXEC, O_NONBLOCK, SIG_BLOCK, SIG_SETMASK, SIGKILL, SIGPIPE,
    SIGSTOP, kernel_sigaction, kernel_sigset_t,
};
use syscalls::Sysno;

pub(crate) use linux_raw_sys::general::SIGCHLD;

use super::fd::{Fd, RawFd, write};
use crate::protocol::Errno;

/// The signals are 1 to 64 on the supported architectures.
const SIGNALS: Range<u32> = 1..65;

/// A set of signals, in the kernel's format: bit `n - 1` for signal `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct SignalSet(u64);

pub(super) const SET_SIZE: usize = size_of::<SignalSet>();
const _: () = assert!(SET_SIZE == size_of::<kernel_sigset_t>());
// With another byte order, the lower signals would be in the upper half on 32 bits.
const _: () = assert!(cfg!(target_endian = "little"));

impl SignalSet {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self = Self(u64::MAX);
    /// SIGPIPE alone.
    pub const PIPE: Self = Self::of(SIGPIPE);

    pub(super) const fn of(signal: u32) -> Self {
        Self(1_u64.wrapping_shl(signal.wrapping_sub(1)))
    }
}

/// `rt_sigprocmask(SIG_SETMASK, set)`—Sets the signal mask.
pub(crate) fn set_signal_mask(set: SignalSet) -> Result<(), Errno> {
    // SAFETY: the kernel reads a set of the size given, and writes none to null.
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

/// `rt_sigprocmask(SIG_BLOCK, set)`—Blocks signals, and returns the previous mask.
pub fn block_signals(set: SignalSet) -> Result<SignalSet, Errno> {
    let mut old = SignalSet::NONE;
    // SAFETY: the kernel reads one set and writes another, each of the size given.
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

/// `rt_sigpending(set)`—Whether one of these signals is pending.
fn is_pending(set: SignalSet) -> bool {
    let mut pending = SignalSet::NONE;
    // SAFETY: the kernel writes a set of the size given.
    let result = unsafe { call!(Sysno::rt_sigpending, &raw mut pending, SET_SIZE) };
    result.is_ok() && pending.0 & set.0 != 0
}

/// `rt_sigtimedwait(set, NULL, 0)`—Consumes one of these signals, if one is pending.
fn take_pending(set: SignalSet) {
    let now = __kernel_old_timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel reads a set of the size given and a timespec, and writes nothing to a null siginfo.
    let _ = unsafe {
        call!(
            Sysno::rt_sigtimedwait,
            &raw const set,
            0,
            &raw const now,
            SET_SIZE
        )
    };
}

/// [`write()`] that fails with `EPIPE`, without a SIGPIPE, if the pipe has no reader.
///
/// The signal goes to the thread that writes (pipe(7)). So it is blocked, consumed if this write raised it,
/// and the mask is restored. Up to `PIPE_BUF` bytes are written at once.
pub(crate) fn write_no_sigpipe(fd: RawFd, bytes: &[u8]) -> Result<(), Errno> {
    let pipe_signal = SignalSet::PIPE;
    let pending_before = is_pending(pipe_signal);
    let mask = block_signals(pipe_signal)?;
    let result = write(fd, bytes).map(|_| ());
    if result == Err(Errno::EPIPE) && !pending_before {
        take_pending(pipe_signal);
    }
    set_signal_mask(mask)?;
    result
}

/// The action of a process for a signal, in the kernel's format.
///
/// The spare word is for qemu's user-mode emulation of riscv64, which writes one word more than the kernel.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct SigAction(kernel_sigaction, usize);

impl SigAction {
    /// `SIG_DFL`, without a handler, a restorer and flags.
    pub(crate) fn default() -> Self {
        // SAFETY: all zeros is a valid sigaction: `SIG_DFL` is null, and a null function pointer is `None`.
        Self(unsafe { MaybeUninit::zeroed().assume_init() }, 0)
    }
}

/// `rt_sigaction(signal, NULL, action, 8)`—Returns the action for a signal.
pub(crate) fn sigaction(signal: u32) -> Result<SigAction, Errno> {
    let mut action = SigAction::default();
    // SAFETY: the kernel reads nothing from null and writes a sigaction.
    unsafe { call!(Sysno::rt_sigaction, signal, 0, &raw mut action, SET_SIZE) }?;
    Ok(action)
}

/// `rt_sigaction(signal, action, NULL, 8)`—Sets the action for a signal.
pub(crate) fn set_sigaction(signal: u32, action: &SigAction) -> Result<(), Errno> {
    let action = core::ptr::from_ref(action);
    // SAFETY: the kernel reads a sigaction, and writes none to null. There is no handler, or one that the kernel
    // has returned for this signal in this program.
    unsafe { call!(Sysno::rt_sigaction, signal, action, 0, SET_SIZE) }.map(drop)
}

/// `rt_sigaction(signal, SIG_DFL, NULL, 8)`—Resets the action for a signal.
pub(crate) fn reset_sigaction(signal: u32) -> Result<(), Errno> {
    set_sigaction(signal, &SigAction::default())
}

/// [`reset_sigaction`] for every signal that has a disposition.
pub(crate) fn reset_dispositions() -> Result<(), Errno> {
    for signal in SIGNALS {
        if !matches!(signal, SIGKILL | SIGSTOP) {
            reset_sigaction(signal)?;
        }
    }
    Ok(())
}

/// `signalfd4(-1, {signal}, 8, SFD_CLOEXEC | SFD_NONBLOCK)`—Creates a descriptor that is readable while this signal
/// is pending. The signal must be blocked. Since Linux 2.6.27.
pub(crate) fn signalfd(signal: u32) -> Result<Fd, Errno> {
    let set = SignalSet::of(signal);
    // SAFETY: the kernel reads a set of the size given.
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
