//! What the C library and the kernel remember of the calling thread and its process, and what would be wrong
//! or lost in a daemon that is made by raw system calls. glibc's fork(3) puts the ids and the robust mutexes
//! right, and loses nothing else, since its child is a copy of the caller and not of a process that shares
//! the caller's memory.

use core::ffi::c_int;
use core::iter::once;
use core::ops::Range;
use core::ptr;

use linux_raw_sys::general::{robust_list_head, stack_t};
use linux_raw_sys::prctl::{PR_GET_AUXV, PR_GET_TID_ADDRESS};
use syscalls::Sysno;

use super::arch::RSEQ_SIGNATURE;
use super::pid::getpid;
use super::signal::SET_SIZE;
use crate::protocol::Errno;

/// Where the C library of this process remembers the id of the calling thread: a raw clone leaves the
/// parent's id there. The kernel corrects it, if it is told the address.
///
/// musl remembers it where nothing leads to, and a program without a C library does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TidAddress(pub(super) usize);

impl TidAddress {
    /// No place.
    pub(crate) const NONE: Self = Self(0);

    /// Where gettid(2) stands. In glibc that is in front of the list of robust mutexes: two words of it, and
    /// one since 2.43 on 32 bits.
    ///
    /// Until 2.43 it is where glibc has told the kernel too (set_tid_address(2)). Now a small number stands
    /// there, which may be the thread's id by chance, and so this place comes last.
    fn find(robust_list: Option<usize>) -> Self {
        // SAFETY: no arguments.
        let id = unsafe { call!(Sysno::gettid) };
        let in_front = |words: usize| {
            robust_list.map(|list| list.wrapping_sub(words.wrapping_mul(size_of::<usize>())))
        };
        [in_front(2), in_front(1), told_place()]
            .into_iter()
            .flatten()
            .find(|place| number_at(*place).map(|number| number as u32) == id.ok())
            .map_or(Self::NONE, Self)
    }
}

/// `prctl(PR_GET_TID_ADDRESS)`—The place that the C library has told the kernel.
///
/// Since Linux 3.5, in kernels with CONFIG_CHECKPOINT_RESTORE.
fn told_place() -> Option<usize> {
    // A kernel of 64 bits writes as many to a process of 32.
    let mut address = 0_u64;
    // SAFETY: the kernel writes an address to `address`.
    let known = unsafe { call!(Sysno::prctl, PR_GET_TID_ADDRESS, &raw mut address) };
    known.ok().map(|_| address as usize)
}

/// The number that stands there, if there is memory to be read: `rt_sigprocmask(-1, address, NULL, 8)` is
/// `EFAULT` otherwise, and changes nothing, since -1 is no way to change a mask.
fn number_at(address: usize) -> Option<c_int> {
    let place = address as *const c_int;
    // SAFETY: the kernel reads a set from the address, if it can.
    let read = unsafe { call!(Sysno::rt_sigprocmask, usize::MAX, address, 0, SET_SIZE) };
    if read != Err(Errno::EINVAL) || !place.is_aligned() {
        return None;
    }
    // SAFETY: it is aligned, and there is memory, which belongs to what is known of this very thread.
    Some(unsafe { place.read() })
}

/// The calling thread.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) tid_address: TidAddress,
    /// Where the C library remembers the id of the process besides, as glibc did until 2.24.
    pid_address: Option<usize>,
    /// The list of its robust mutexes, which no child inherits (get_robust_list(2)).
    robust_list: Option<usize>,
    /// The stack of its signal handlers, which a child that shares the memory does not inherit
    /// (sigaltstack(2)).
    signal_stack: Option<stack_t>,
    sequences: Sequences,
}

impl Thread {
    pub(crate) fn current() -> Self {
        let robust_list = robust_list();
        let tid_address = TidAddress::find(robust_list);
        let beside = tid_address.0.wrapping_add(size_of::<c_int>());
        let is_remembered =
            tid_address != TidAddress::NONE && number_at(beside) == Some(getpid().get());
        Self {
            tid_address,
            pid_address: is_remembered.then_some(beside),
            robust_list,
            signal_stack: signal_stack(),
            sequences: Sequences::find(tid_address),
        }
    }

    /// Whether a daemon can be given all that a process loses which shares memory.
    pub(crate) fn is_known(&self) -> bool {
        !matches!(self.sequences, Sequences::Somewhere)
    }

    /// Makes the calling thread, which has a copy of this one's memory, as this one.
    pub(crate) fn restore(&self) -> Result<(), Errno> {
        if let Some(place) = self.pid_address {
            // SAFETY: it was there in the process that this is a copy of, and nobody borrows it.
            unsafe { (place as *mut c_int).write(getpid().get()) };
        }
        if let Some(head) = self.robust_list {
            let head = head as *mut robust_list_head;
            // SAFETY: as before. It is empty, for the mutexes in it are the original's: in memory that is
            // shared with that, a further mutex would be chained to them.
            unsafe {
                (*head).list.next = head.cast();
                (*head).list_op_pending = ptr::null_mut();
                attempt!(Sysno::set_robust_list, head, size_of::<robust_list_head>())
            }?;
        }
        if let Some(stack) = &self.signal_stack {
            // SAFETY: it was the stack of the thread that this is a copy of.
            match unsafe { attempt!(Sysno::sigaltstack, ptr::from_ref(stack), 0) } {
                // A copy of a caller that is on it has it.
                Ok(()) | Err(Errno::EPERM) => {}
                Err(errno) => return Err(errno),
            }
        }
        match self.sequences {
            Sequences::At { area, size } => match register(area, size, 0) {
                // A copy of the caller itself has them.
                Ok(()) | Err(Errno::EBUSY) => Ok(()),
                Err(errno) => Err(errno),
            },
            Sequences::None | Sequences::Somewhere => Ok(()),
        }
    }
}

/// `get_robust_list(0, head, size)`—The head, if it is one of this kernel's size.
fn robust_list() -> Option<usize> {
    let (mut head, mut size) = (0_usize, 0_usize);
    // SAFETY: the kernel writes an address and a size.
    let known = unsafe { attempt!(Sysno::get_robust_list, 0, &raw mut head, &raw mut size) };
    (known.is_ok() && head != 0 && size == size_of::<robust_list_head>()).then_some(head)
}

/// `sigaltstack(NULL, stack)`
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

/// Restartable sequences (rseq(2), Linux 4.18): glibc 2.35 and later registers an area of memory where the
/// kernel writes on which processor the thread is. Allocators rely on it.
#[derive(Clone, Copy, Debug)]
enum Sequences {
    /// Nothing is registered.
    None,
    /// The area is at this address, and so large.
    At { area: usize, size: usize },
    /// There is one, and nobody says where.
    Somewhere,
}

/// The size of an area at first, and what it is aligned to.
const AREA: usize = 32;

/// `AT_RSEQ_FEATURE_SIZE` (getauxval(3)).
const FEATURE_SIZE: usize = 27;

/// Where an area is looked for, seen from the thread's id: both are in glibc's description of the thread,
/// about 1700 bytes apart, and since 2.41 the area is in the thread-local storage beside that, below it on x86.
const FAR: usize = 4096;
const LIKELY: Range<usize> = 1024..2048;

const RSEQ_FLAG_UNREGISTER: u32 = 1;

impl Sequences {
    /// The kernel does not say where the area is. But to register an area once more is `EBUSY`, and to
    /// register another one `EINVAL`.
    fn find(near: TidAddress) -> Self {
        #[repr(align(32))]
        struct Probe([u8; AREA]);
        let mut probe = Probe([0; AREA]);
        let probe = probe.0.as_mut_ptr() as usize;
        match register(probe, AREA, 0) {
            Ok(()) => {
                let _ = register(probe, AREA, RSEQ_FLAG_UNREGISTER);
                return Self::None;
            }
            Err(Errno::ENOSYS) => return Self::None,
            Err(_) => {}
        }
        if near == TidAddress::NONE {
            return Self::Somewhere;
        }
        let base = near.0 & !(AREA - 1);
        let above = |distance| base.wrapping_add(distance);
        let below = |distance| base.wrapping_sub(distance);
        let steps = |distances: Range<usize>| distances.step_by(AREA);
        let areas = steps(LIKELY)
            .map(above)
            .chain(steps(0..FAR).map(below))
            .chain(steps(0..FAR).map(above));
        let larger = Some(area_size()).filter(|size| *size != AREA);
        let sizes = once(AREA).chain(larger);
        areas
            .flat_map(|area| sizes.clone().map(move |size| (area, size)))
            .find(|(area, size)| register(*area, *size, 0) == Err(Errno::EBUSY))
            .map_or(Self::Somewhere, |(area, size)| Self::At { area, size })
    }
}

/// `prctl(PR_GET_AUXV, vector, size)`, since Linux 6.4—What glibc registers since 2.41: as many bytes as the
/// kernel uses, which are more than 32 in Linux 7.2. Before, and others, register 32.
fn area_size() -> usize {
    let mut vector = [[0_usize; 2]; 64];
    let room = size_of_val(&vector);
    // SAFETY: the kernel writes at most so many bytes. What it does not write stays zero.
    let _ = unsafe { call!(Sysno::prctl, PR_GET_AUXV, vector.as_mut_ptr(), room, 0, 0) };
    let told = vector.iter().find(|[kind, _]| *kind == FEATURE_SIZE);
    told.map_or(AREA, |[_, size]| *size).max(AREA)
}

/// `rseq(area, size, flags, signature)`
fn register(area: usize, size: usize, flags: u32) -> Result<(), Errno> {
    // SAFETY: only the area that is this thread's, or that was before it was copied, and one that is
    // unregistered while it is there, can be registered: with another one there, the kernel refuses.
    unsafe { call!(Sysno::rseq, area, size, flags, RSEQ_SIGNATURE) }.map(drop)
}
