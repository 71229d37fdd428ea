//! One system call: its arguments as words, and its result with this crate's error.

use syscalls::{Sysno, syscall};

use crate::protocol::Errno;

/// [`call()`], or [`call_five`] for more than three arguments. They become words; missing ones become zeros.
macro_rules! call {
    ($number:expr) => {
        $crate::sys::call::call($number, 0, 0, 0)
    };
    ($number:expr, $one:expr) => {
        $crate::sys::call::call($number, $one as usize, 0, 0)
    };
    ($number:expr, $one:expr, $two:expr) => {
        $crate::sys::call::call($number, $one as usize, $two as usize, 0)
    };
    ($number:expr, $one:expr, $two:expr, $three:expr) => {
        $crate::sys::call::call($number, $one as usize, $two as usize, $three as usize)
    };
    ($number:expr, $one:expr, $two:expr, $three:expr, $four:expr) => {
        call!($number, $one, $two, $three, $four, 0)
    };
    ($number:expr, $one:expr, $two:expr, $three:expr, $four:expr, $five:expr) => {
        $crate::sys::call::call_five(
            $number,
            $one as usize,
            $two as usize,
            $three as usize,
            $four as usize,
            $five as usize,
        )
    };
}

/// [`attempt()`] with one to three arguments, which become words.
macro_rules! attempt {
    ($number:expr, $one:expr) => {
        attempt!($number, $one, 0, 0)
    };
    ($number:expr, $one:expr, $two:expr) => {
        attempt!($number, $one, $two, 0)
    };
    ($number:expr, $one:expr, $two:expr, $three:expr) => {
        $crate::sys::call::attempt($number, $one as usize, $two as usize, $three as usize)
    };
}

/// One system call, and its result with this crate's error. No call of this crate returns more than an
/// `int`.
///
/// This and the next two are functions, and not part of the macros: in the command that saves a kilobyte.
/// `#[inline(never)]` holds them to that in programs that optimize for speed.
///
/// # Safety
///
/// The arguments must be what the call asks for.
#[inline(never)]
pub(super) unsafe fn call(
    number: Sysno,
    one: usize,
    two: usize,
    three: usize,
) -> Result<u32, Errno> {
    // SAFETY: the caller's promise.
    result(unsafe { syscall!(number, one, two, three) })
}

/// [`call()`] without a value: its result is one word, and most callers need no more.
///
/// # Safety
///
/// As [`call()`].
#[inline(never)]
pub(super) unsafe fn attempt(
    number: Sysno,
    one: usize,
    two: usize,
    three: usize,
) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { call(number, one, two, three) }.map(drop)
}

/// [`call()`] with five arguments.
///
/// # Safety
///
/// As [`call()`].
#[inline(never)]
pub(super) unsafe fn call_five(
    number: Sysno,
    one: usize,
    two: usize,
    three: usize,
    four: usize,
    five: usize,
) -> Result<u32, Errno> {
    // SAFETY: the caller's promise.
    result(unsafe { syscall!(number, one, two, three, four, five) })
}

/// A call that sets something, and one that reads it back. `EPERM` if that is not what was set: a sandbox may lie.
///
/// # Safety
///
/// As [`call()`], for both.
#[inline(never)]
pub(super) unsafe fn set_and_verify(
    (set, one, two, three): (Sysno, u32, u32, usize),
    (get, get_one, get_two): (Sysno, u32, u32),
    expected: u32,
) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    let told = unsafe {
        attempt!(set, one, two, three)?;
        call!(get, get_one, get_two)
    };
    verify(told, expected)
}

/// Checks what the kernel tells of what was set.
#[inline(never)]
pub(super) fn verify(told: Result<u32, Errno>, expected: u32) -> Result<(), Errno> {
    match told? == expected {
        true => Ok(()),
        false => Err(Errno::EPERM),
    }
}

fn result(result: Result<usize, syscalls::Errno>) -> Result<u32, Errno> {
    match result {
        Ok(value) => Ok(value as u32),
        Err(errno) => Err(Errno::from_kernel(errno)),
    }
}
