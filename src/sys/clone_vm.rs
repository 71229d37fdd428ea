//! Children that run in their parent's memory, each on a stack of its own.
//!
//! Copying a process costs about 9 ms for each GiB that it has touched, and taking the copy down costs as
//! much again. A child that shares the memory, `clone(CLONE_VM)`, costs the same at every size. With
//! CLONE_VFORK, as in vfork(2), the parent stops until the child has executed. That costs least. It suits a
//! start that nothing can hold up: a parent that stops can neither handle signals nor notice that its time
//! is over.
//!
//! # Why this is sound
//!
//! - **No frame is shared.** The child runs on a [`Stack`] of its own. Parent and child run the same code in
//!   one place only: [`trampoline`], one asm block. The child leaves the system call with its new stack
//!   pointer and calls [`enter`], which does not return while the memory is shared. So compiled code, of any
//!   build, never runs twice in one frame.
//! - **The parent's frames outlive the child's use of them.** [`clone_vm`] neither returns nor unwinds in the
//!   parent before the child has executed a program or has ended. If no process has seen that, the kernel
//!   reports it: CLONE_CHILD_CLEARTID clears a word. This takes no process that has to live, no descriptor that
//!   has to be closed, and no pid that has to mean the same in two namespaces. The word is in the mapping of
//!   the [`Stack`], and the original makes both stacks. If the intermediate is killed, the original waits for
//!   the daemon, which then goes no further than its steps (`Context::is_watched`). Where the kernel does not
//!   clear the word, end of file on a pipe that the child holds until its exec ends the wait, but then the
//!   stacks stay mapped.
//! - **Shared data does not change**, except for atomic words. The child gets its data by a shared reference.
//!   It writes to its stack and to memory that it has mapped itself; the intermediate also writes the entry and the
//!   word of the daemon's stack, which the original has mapped and leaves alone until then. If a child is killed, its
//!   mappings stay in the caller's memory.
//! - **The child runs code of this crate only.** All signals are blocked before it begins. It
//!   unblocks SIGSYS only after it has set its own handler, which is code of this crate. Its dispositions
//!   are its own (no CLONE_SIGHAND), and so are its descriptors, working directory and umask (no
//!   CLONE_FILES, no CLONE_FS). It does not use thread-local storage, does not allocate, and cannot panic.
//!   Other threads of the parent may run, change their memory, and fork.
//! - **The daemon of `daemonize` gets the caller's stack back.** That daemon is a copy. A child that shares the
//!   memory makes it while the original waits inside the asm block, so the frames in the copy are as the
//!   original left them. [`enter`] returns in a copy only; a [`Forked`] value proves that the process is one.
//!   The registers that the ABI preserves are preserved, the asm block restores the stack pointer, and to the
//!   compiler the block has simply ended.
//! - **A stack is large enough.** Nothing in this crate recurses. A test measures how much of `STACK_SIZE` is
//!   used, in debug builds too.
//! - **Nothing depends on the sharing.** All communication goes through pipes and exit codes. A kernel, an
//!   emulator (qemu-user) or a sandbox that refuses the flags gets a child that is a copy; so does a process
//!   without memory for a stack. A build with `--cfg rawdaemon_plain_fork` always makes copies, which valgrind
//!   3 needs.
//!
//! # Limits
//!
//! Before Linux 5.16, a signal that dumps core (core(5)) and ends one process ends all processes that share
//! its memory, the caller too. A child is in a session of its own, so such a signal must be sent to it on
//! purpose, and it takes effect only when the daemon unblocks signals, just before it executes; or a sandbox
//! must kill the child for a system call (SIGSYS alone does not: see [`catch_traps`](super::catch_traps)). vfork(2)
//! and posix_spawn(3) have the same limit.
//!
//! Shadow stacks (x86's CET, aarch64's GCS) would have to be switched too. Rust does not mark its programs
//! for them, so the kernel gives them none.

use core::cell::Cell;
use core::ffi::c_void;

use linux_raw_sys::general::{CLONE_CHILD_CLEARTID, CLONE_PARENT_SETTID, CLONE_VFORK, CLONE_VM};

use super::arch::trampoline;
use super::process::{End, ExitSignal, Fork, Forked, clone, exit, waitpid};
use super::stack::{ENTRY_SIZE, Stack};
use super::tid::TidAddress;
use crate::protocol::{Errno, Pid};

/// A process that runs in its parent's memory.
pub(crate) trait Child {
    /// The value that [`clone_vm`] returns in a copy of the parent that the child makes.
    type Output;

    /// Runs in the child.
    fn run(&self) -> End<Forked<Self::Output>>;

    /// Whether the parent stops until the child has executed or ended. The kernel then has no other process to wake,
    /// and mostly no other processor.
    fn stops_parent(&self) -> bool {
        false
    }

    /// Runs in the parent first, once the child exists.
    fn parent_started(&self) {}

    /// Whether the parent may return from the clone. It is asked again until it may, or the child is gone.
    fn parent_may_return(&self) -> bool {
        true
    }
}

/// `clone(CLONE_VM | exit_signal)`—Creates a process that runs `child` on this stack and in this memory,
/// and runs `watch` in the parent. Returns, or unwinds, when no process shares the memory.
///
/// In a copy that the child makes of its parent this returns the child's output.
///
/// Where memory cannot be shared, the child is a copy, as that of [`clone`].
pub(crate) fn clone_vm<C: Child, M>(
    stack: &Stack,
    exit_signal: ExitSignal,
    child: &C,
    watch: impl FnOnce(Result<Pid, Errno>) -> M,
) -> Fork<Forked<C::Output>, M> {
    let entry = Entry {
        enter: enter::<C>,
        stack_pointer: 0,
        child,
        stack,
        output: Cell::new(None),
    };
    let created = match clone_on(stack, exit_signal, entry) {
        Some(Fork::Child(output)) => return Fork::Child(output),
        Some(Fork::Parent(pid)) => Ok(pid),
        None => match clone(exit_signal, TidAddress::NONE, child, C::run) {
            Ok(Fork::Child(copy)) => return Fork::Child(copy.into_inner()),
            Ok(Fork::Parent(pid)) => {
                child.parent_started();
                Ok(pid)
            }
            Err(errno) => Err(errno),
        },
    };
    let unwinding = Unwinding { stack, created };
    let watched = watch(created);
    core::mem::forget(unwinding);
    stack.wait_until_released();
    Fork::Parent(watched)
}

/// Waits for the child if `watch` panics.
struct Unwinding<'s> {
    stack: &'s Stack,
    created: Result<Pid, Errno>,
}

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        if self.created.and_then(waitpid).is_ok() {
            self.stack.mark_released();
        }
        self.stack.wait_until_released();
    }
}

/// The start of a child. It lies above the child's stack, since the parent's frame that made it may
/// be gone when the child reads it.
#[repr(C)]
struct Entry<'e, C: Child> {
    enter: unsafe extern "C" fn(*const c_void, isize) -> isize,
    /// The parent's, on x86, which has no register left for it.
    stack_pointer: usize,
    child: &'e C,
    stack: &'e Stack,
    output: Cell<Option<Forked<C::Output>>>,
}

/// `None` if no memory could be shared.
fn clone_on<C: Child>(
    stack: &Stack,
    exit_signal: ExitSignal,
    entry: Entry<'_, C>,
) -> Option<Fork<Forked<C::Output>>> {
    const {
        assert!(size_of::<Entry<'_, C>>() <= ENTRY_SIZE);
        assert!(align_of::<Entry<'_, C>>() <= 16);
    }
    let stops_parent = entry.child.stops_parent();
    let stopping = if stops_parent { CLONE_VFORK } else { 0 };
    let telling = CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    let flags = CLONE_VM | stopping | telling | exit_signal.number();
    let tid = stack.ctid()?.as_ptr();
    let address = stack.end()?.cast::<Entry<'_, C>>();
    // SAFETY: the address is aligned, has room for an entry, and nothing else uses it.
    unsafe { address.write(entry) };
    // SAFETY: there is an entry, and below it a stack that no process uses. The child no longer uses what it
    // borrows when `clone_vm` returns.
    let result = unsafe { trampoline(flags as usize, address.as_ptr().cast(), tid) };
    if result == 0 {
        // This is a copy, which no process shares.
        stack.mark_released();
        // SAFETY: it was written above, and this process has it for itself.
        let output = unsafe { address.as_ref() }.output.take();
        return output.map(Fork::Child);
    }
    if stops_parent {
        // The child has left, or an emulator has made it a copy. (Linux before 3.5 clears the word a moment
        // later, but before another process can see that the child has executed or ended.)
        stack.mark_released();
    }
    Pid::new(result as i32).map(Fork::Parent)
}

/// The function that parent and child call within the trampoline, each on its stack, with the result of clone(2).
/// Returns that result in the parent, and zero in a copy; does not return in a child that shares the memory.
///
/// # Safety
///
/// `entry` must point to an entry of this type.
unsafe extern "C" fn enter<C: Child>(entry: *const c_void, result: isize) -> isize {
    // SAFETY: the caller's promise.
    let entry = unsafe { &*entry.cast::<Entry<'_, C>>() };
    match result {
        0 => match entry.child.run() {
            End::Exit(status) => exit(status),
            End::Return(output) => entry.output.set(Some(output)),
        },
        1.. => {
            entry.child.parent_started();
            while !entry.child.parent_may_return() && entry.stack.in_use() {}
        }
        _ => {}
    }
    result
}
