//! One thin typed function to a system call, and the only room with `unsafe` and
//! `cfg(target_arch)`.
//!
//! # Safety
//!
//! Every function here is safe to call: it hands the kernel only numbers, and pointers to what its
//! arguments borrow for as long as the call lasts. What fork(2) asks of its caller beyond memory
//! safety stands at [`clone`]. Structures that the kernel fills in are the ones that linux-raw-sys
//! generates from the kernel's headers; what this room assumes of their layout is asserted at
//! compile time.

#[cfg(not(any(
    all(target_arch = "x86_64", target_pointer_width = "64"),
    target_arch = "x86",
    all(target_arch = "aarch64", target_pointer_width = "64"),
    target_arch = "arm",
    target_arch = "riscv64",
)))]
compile_error!("rawdaemon knows the system calls of x86_64, x86, aarch64, arm and riscv64 only");

/// [`call`], or [`call_five`] for more than three arguments. They become words, and those that are not
/// given become zeros.
macro_rules! call {
    ($number:expr) => {
        $crate::sys::call(0, 0, 0, $number)
    };
    ($number:expr, $one:expr) => {
        $crate::sys::call($one as usize, 0, 0, $number)
    };
    ($number:expr, $one:expr, $two:expr) => {
        $crate::sys::call($one as usize, $two as usize, 0, $number)
    };
    ($number:expr, $one:expr, $two:expr, $three:expr) => {
        $crate::sys::call($one as usize, $two as usize, $three as usize, $number)
    };
    ($number:expr, $one:expr, $two:expr, $three:expr, $four:expr) => {
        call!($number, $one, $two, $three, $four, 0)
    };
    ($number:expr, $one:expr, $two:expr, $three:expr, $four:expr, $five:expr) => {
        $crate::sys::call_five(
            $one as usize,
            $two as usize,
            $three as usize,
            $four as usize,
            $five as usize,
            $number,
        )
    };
}

/// [`attempt`], as [`call!`].
macro_rules! attempt {
    ($number:expr, $one:expr) => {
        attempt!($number, $one, 0, 0)
    };
    ($number:expr, $one:expr, $two:expr) => {
        attempt!($number, $one, $two, 0)
    };
    ($number:expr, $one:expr, $two:expr, $three:expr) => {
        $crate::sys::attempt($one as usize, $two as usize, $three as usize, $number)
    };
}

mod clock;
mod credentials;
mod fd;
mod file;
mod memory;
mod other;
mod process;
mod sharing;
mod signal;
mod socket;
mod stack;
mod strings;
mod thread;

pub(crate) use clock::{NOTHING, monotonic_time, nanoseconds, poll, time_of_boot};
pub(crate) use credentials::{
    change_root, forbid_new_privileges, set_group, set_groups, set_limit, set_niceness, set_user,
};
pub(crate) use fd::RawFd;
pub(crate) use fd::{
    Fd, Pipe, check_open, close, close_range, copy, descriptor_limit, keep_across_exec, move_to,
    pipe, read, rewind, set_blocking, write,
};
pub(crate) use file::{
    FileId, LockOwner, Locker, Open, change_directory, current_directory, exists, file_at, file_of,
    lock, lock_owner, open, read_directory, return_to_directory, set_umask, set_written, truncate,
    unlink,
};
pub(crate) use memory::Room;
pub use memory::{Zeroed, room};
pub(crate) use other::{
    group_of, hold, is_child_of_leader, process_id, session_of, signal, signal_group, signal_held,
};
pub(crate) use process::{
    Child, Copied, ExitSignal, Forked, check_single_threaded, clone, execute, has_ended,
    lead_session, move_to_group, wait, wait_if_ended, watch_child,
};
pub(crate) use sharing::with_child;
pub(crate) use signal::{
    Disposition, SignalSet, block, child_signal, reset_child_signal, reset_dispositions, send,
    set_child_signal, set_mask, watch_end,
};
pub(crate) use socket::{
    Datagram, SOCKET_PATH_SIZE, abstract_name, bind, connect, datagram_socket, receive,
};
pub(crate) use stack::Stack;
pub use strings::ThinCStr;
pub(crate) use thread::{Thread, ThreadIdPlace};

use syscalls::{Sysno, syscall};

use crate::protocol::Errno;

/// One system call, and its result with this crate's error. No call of this crate gives more than
/// an `int`.
///
/// A call of its own, and the number comes last: so the arguments of the functions here mostly lie
/// in their registers already, and the command stays small.
///
/// # Safety
///
/// What the call asks for.
#[inline(never)]
unsafe fn call(one: usize, two: usize, three: usize, number: Sysno) -> Result<u32, Errno> {
    // SAFETY: the caller's promise.
    result(unsafe { syscall!(number, one, two, three) })
}

/// [`call`] without a value, which is one word: most callers need no more, and many end in it.
///
/// # Safety
///
/// What the call asks for.
#[inline(never)]
unsafe fn attempt(one: usize, two: usize, three: usize, number: Sysno) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { call(one, two, three, number) }.map(drop)
}

/// [`call`] with five arguments.
///
/// # Safety
///
/// What the call asks for.
#[inline(never)]
unsafe fn call_five(
    one: usize,
    two: usize,
    three: usize,
    four: usize,
    five: usize,
    number: Sysno,
) -> Result<u32, Errno> {
    // SAFETY: the caller's promise.
    result(unsafe { syscall!(number, one, two, three, four, five) })
}

fn result(result: Result<usize, syscalls::Errno>) -> Result<u32, Errno> {
    match result {
        Ok(value) => Ok(value as u32),
        Err(errno) => Err(Errno::from_kernel(errno)),
    }
}
