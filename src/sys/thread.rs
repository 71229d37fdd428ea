//! The state of the calling thread that a raw clone(2) leaves wrong, or loses, in the daemon.
//!
//! The C library remembers ids, and the kernel a list of robust mutexes, a signal stack and an area for
//! restartable sequences. glibc's fork(3) corrects the ids and the list, and loses nothing, since its child is
//! a copy of the caller. The daemon of `daemonize` is a copy of a process that shares the caller's memory.

use core::ffi::c_int;
use core::ptr;

use linux_raw_sys::general::{robust_list_head, stack_t};
use syscalls::Sysno;

use super::pid::getpid;
use super::rseq::Rseq;
use super::tid::{TidAddress, read_int};
use super::trap::trapped;
use crate::protocol::Errno;

/// The state of the calling thread.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) tid_address: TidAddress,
    /// The address at which the C library remembers the pid too, as glibc did until 2.24.
    pid_address: Option<usize>,
    /// The list of robust mutexes, which no child inherits (get_robust_list(2)).
    robust_list: Option<usize>,
    /// The stack of signal handlers, which a child that shares the memory does not inherit (sigaltstack(2)).
    signal_stack: Option<stack_t>,
    rseq: Rseq,
}

impl Thread {
    /// Reads the state of the calling thread.
    pub(crate) fn current() -> Self {
        let calls = [Sysno::get_robust_list, Sysno::set_robust_list, Sysno::rseq];
        let [get_is_trapped, set_is_trapped, rseq_is_trapped] = trapped(calls);
        let robust_list = match get_is_trapped || set_is_trapped {
            true => None,
            false => robust_list(),
        };
        let tid_address = TidAddress::find(robust_list);
        let beside = tid_address.0.wrapping_add(size_of::<c_int>());
        let is_remembered =
            tid_address != TidAddress::NONE && read_int(beside) == Some(getpid().get());
        Self {
            tid_address,
            pid_address: is_remembered.then_some(beside),
            robust_list,
            signal_stack: signal_stack(),
            rseq: match rseq_is_trapped {
                true => Rseq::Unknown,
                false => Rseq::find(),
            },
        }
    }

    /// Whether [`restore`](Self::restore) can restore all that a child loses which shares the memory.
    pub(crate) fn is_known(&self) -> bool {
        !matches!(self.rseq, Rseq::Unknown)
    }

    /// Gives the calling thread this state. Only in a copy: where memory is shared, this would change the original's
    /// list and ids. Its memory is a copy of the memory of the thread with this state.
    pub(crate) fn restore(&self) -> Result<(), Errno> {
        if let Some(address) = self.pid_address {
            // SAFETY: the process that this is a copy of had it there, and no reference to it exists.
            unsafe { (address as *mut c_int).write(getpid().get()) };
        }
        if let Some(head) = self.robust_list {
            let head = head as *mut robust_list_head;
            // SAFETY: as before. The list becomes empty, as after fork(2): its mutexes are the original's, and
            // in memory that is shared with the original, a new mutex would be linked to them.
            unsafe {
                (*head).list.next = head.cast();
                (*head).list_op_pending = ptr::null_mut();
                attempt!(Sysno::set_robust_list, head, size_of::<robust_list_head>())
            }?;
        }
        if let Some(stack) = &self.signal_stack {
            // SAFETY: it is the stack of the thread that this one is a copy of.
            match unsafe { attempt!(Sysno::sigaltstack, ptr::from_ref(stack), 0) } {
                // It is in use, so this is a copy of the caller itself, and has it.
                Ok(()) | Err(Errno::EPERM) => {}
                Err(errno) => return Err(errno),
            }
        }
        self.rseq.restore()
    }
}

/// `get_robust_list(0, head, size)`—Returns the head of the list, if it has the size that the kernel headers
/// give.
fn robust_list() -> Option<usize> {
    let (mut head, mut size) = (0_usize, 0_usize);
    // SAFETY: the kernel writes an address and a size.
    let known = unsafe { attempt!(Sysno::get_robust_list, 0, &raw mut head, &raw mut size) };
    (known.is_ok() && head != 0 && size == size_of::<robust_list_head>()).then_some(head)
}

/// `sigaltstack(NULL, stack)`—Returns the stack of signal handlers, if there is one.
fn signal_stack() -> Option<stack_t> {
    let mut stack = stack_t {
        ss_sp: ptr::null_mut(),
        ss_flags: 0,
        ss_size: 0,
    };
    // SAFETY: the kernel reads nothing from null, and writes a stack_t.
    let known = unsafe { attempt!(Sysno::sigaltstack, 0, &raw mut stack) };
    (known.is_ok() && stack.ss_size != 0).then_some(stack)
}
