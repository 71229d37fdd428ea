//! What the kernel remembers of the calling thread for its C library, and a daemon that is made by raw
//! system calls would not have: glibc's fork(3) puts the first two right, and loses nothing else, since its
//! child is a copy of the caller and not of a process that shares the caller's memory.

use core::ffi::c_int;
use core::ptr;

use linux_raw_sys::general::{robust_list_head, stack_t};
use linux_raw_sys::prctl::PR_GET_TID_ADDRESS;
use syscalls::Sysno;

use crate::protocol::Errno;

/// Where the C library of this process remembers the id of the calling thread.
///
/// glibc does at the address that it has given to set_tid_address(2), and a raw clone leaves the
/// parent's id there. The kernel corrects it, if it is told the address. musl keeps another thing at
/// its address, and a program without a C library has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadIdPlace(pub(super) usize);

impl ThreadIdPlace {
    /// No place.
    pub(crate) const NONE: Self = Self(0);

    /// `prctl(PR_GET_TID_ADDRESS)`, if what stands there is the id, gettid(2).
    ///
    /// Since Linux 3.5, in kernels with CONFIG_CHECKPOINT_RESTORE.
    fn find() -> Self {
        // A kernel of 64 bits writes as many to a process of 32.
        let mut address = 0_u64;
        // SAFETY: the kernel writes an address to `address`.
        let known = unsafe { call!(Sysno::prctl, PR_GET_TID_ADDRESS, &raw mut address) };
        // SAFETY: no arguments.
        let id = unsafe { call!(Sysno::gettid) };
        let place = address as usize as *const c_int;
        if known.is_err() || place.is_null() || !place.is_aligned() {
            return Self::NONE;
        }
        // SAFETY: this thread has registered the address of an int, which the kernel will clear when
        // the thread ends.
        let remembered = unsafe { place.read() };
        if id == Ok(remembered as u32) {
            Self(address as usize)
        } else {
            Self::NONE
        }
    }
}

/// The calling thread, as the kernel knows it.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) id_place: ThreadIdPlace,
    /// The list of its robust mutexes, which no child inherits (get_robust_list(2)).
    robust_list: Option<(usize, usize)>,
    /// The stack of its signal handlers, which a child that shares the memory does not inherit
    /// (sigaltstack(2)).
    signal_stack: Option<stack_t>,
    sequences: Sequences,
}

impl Thread {
    pub(crate) fn find() -> Self {
        let id_place = ThreadIdPlace::find();
        Self {
            id_place,
            robust_list: robust_list(),
            signal_stack: signal_stack(),
            sequences: Sequences::find(id_place),
        }
    }

    /// Whether a daemon can be given all that a process loses which shares memory.
    pub(crate) fn is_known(&self) -> bool {
        !matches!(self.sequences, Sequences::Somewhere)
    }

    /// Makes the calling thread, which has a copy of this one's memory, as this one.
    pub(crate) fn restore(&self) -> Result<(), Errno> {
        if let Some((head, size)) = self.robust_list {
            // SAFETY: it was the list of the thread that this is a copy of.
            unsafe { attempt!(Sysno::set_robust_list, head, size) }?;
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
            Sequences::At(area) => match register(area, 0) {
                // A copy of the caller itself has them.
                Ok(()) | Err(Errno::EBUSY) => Ok(()),
                Err(errno) => Err(errno),
            },
            Sequences::None | Sequences::Somewhere => Ok(()),
        }
    }
}

/// `get_robust_list(0, head, size)`
fn robust_list() -> Option<(usize, usize)> {
    let (mut head, mut size) = (0_usize, 0_usize);
    // SAFETY: the kernel writes an address and a size.
    let known = unsafe { attempt!(Sysno::get_robust_list, 0, &raw mut head, &raw mut size) };
    (known.is_ok() && head != 0 && size == size_of::<robust_list_head>()).then_some((head, size))
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
    /// The area is at this address.
    At(usize),
    /// There is one, and nobody says where.
    Somewhere,
}

/// The size of an area, and what it is aligned to.
const AREA: usize = 32;

/// Where an area is looked for, seen from the thread's id: both are in glibc's description of the thread,
/// about 1600 bytes apart, and since 2.41 the area is in the thread-local storage beside that.
const NEAR: usize = 1024;
const FAR: usize = 4096;

/// What glibc puts in front of every place where a sequence is aborted.
const SIGNATURE: u32 = if cfg!(target_arch = "aarch64") {
    0xd428_bc00
} else if cfg!(target_arch = "arm") {
    0xe7f5_def3
} else if cfg!(target_arch = "riscv64") {
    0xf140_1073
} else {
    0x5305_3053
};

const RSEQ_FLAG_UNREGISTER: u32 = 1;

impl Sequences {
    /// The kernel does not say where the area is. But to register an area once more is `EBUSY`, and to
    /// register another one `EINVAL`.
    fn find(near: ThreadIdPlace) -> Self {
        #[repr(align(32))]
        struct Probe([u8; AREA]);
        let mut probe = Probe([0; AREA]);
        let probe = probe.0.as_mut_ptr() as usize;
        match register(probe, 0) {
            Ok(()) => {
                let _ = register(probe, RSEQ_FLAG_UNREGISTER);
                return Self::None;
            }
            Err(Errno::ENOSYS) => return Self::None,
            Err(_) => {}
        }
        if near == ThreadIdPlace::NONE {
            return Self::Somewhere;
        }
        let base = near.0 & !(AREA - 1);
        let above = (NEAR..FAR).chain(0..NEAR).step_by(AREA);
        let below = (0..FAR).step_by(AREA);
        let mut areas = above
            .map(|distance| base.wrapping_add(distance))
            .chain(below.map(|distance| base.wrapping_sub(distance)));
        areas
            .find(|area| register(*area, 0) == Err(Errno::EBUSY))
            .map_or(Self::Somewhere, Self::At)
    }
}

/// `rseq(area, 32, flags, signature)`
fn register(area: usize, flags: u32) -> Result<(), Errno> {
    // SAFETY: only the area that is this thread's, or that was before it was copied, and one that is
    // unregistered while it is there, can be registered: with another one there, the kernel refuses.
    unsafe { call!(Sysno::rseq, area, AREA, flags, SIGNATURE) }.map(drop)
}
