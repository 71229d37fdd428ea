//! Children that share the memory of their parent, each on a stack of its own.
//!
//! To copy a process costs about 9 ms for each GiB that it has touched, and to take a copy down as much
//! again. A child that shares the memory costs the same at every size: `clone(CLONE_VM)`. With CLONE_VFORK,
//! as vfork(2) has it, the parent stops until the child has executed. That costs least, and is for a start
//! that nothing can hold up; whoever may have to wait wants to hear of signals meanwhile, and of its time
//! being over.
//!
//! # Why this is sound
//!
//! - **No frame is shared.** The child runs on a [`Stack`] of its own. The one place where both run the
//!   same code is [`trampoline`], one asm block: the child comes out of the system call with its new
//!   stack pointer, and calls [`enter`], which does not return while the memory is shared. So compiled
//!   code, of whatever build, never runs twice in one frame.
//! - **The parent's frames stay.** What the child borrows outlives it: [`clone_vm`] does not return in
//!   the parent, nor unwind, before the child uses the memory no more, because it has executed a program or
//!   has ended. Where nobody has seen that, the kernel says so: CLONE_CHILD_CLEARTID clears a word and wakes
//!   who waits at it (futex(2)). No process has to live for this, no descriptor to be closed, and no pid to
//!   mean the same in two namespaces. The word is in the mapping of the [`Stack`], and the original makes
//!   both stacks: if somebody kills the intermediate, it waits for the daemon, which goes no further than
//!   its steps then (`Context::is_watched`).
//! - **What both look at does not change**, but for atomic words: `start` is shared by reference, and
//!   the child writes to its stack, to memory that it has mapped itself, and to nothing else.
//! - **The child runs this crate's code only.** All signals are blocked in it from before it begins, its
//!   dispositions are its own (no CLONE_SIGHAND), and so are its descriptors, working directory and umask
//!   (no CLONE_FILES, no CLONE_FS). It does not touch thread-local storage, allocates nothing, and has
//!   nothing to panic with. Other threads of the parent may run, change their memory and fork.
//! - **The daemon of `daemonize` gets the caller's stack back.** It is a copy, made by a child that shares
//!   the memory, while the original waits within the asm block: so its copy of the original's frames is as
//!   the original left it. [`enter`] returns in a copy only, which [`Forked`] proves, with the registers
//!   that the ABI lets a function keep; the asm block puts the stack pointer back, and the compiler sees a
//!   block that has come to its end.
//! - **A stack is large enough.** Nothing in this crate recurses, and a test measures what is used of the
//!   `STACK_SIZE`, in debug builds too.
//! - **Nothing depends on the sharing.** All that is told goes through pipes and exit codes. A kernel, an
//!   emulator (qemu-user) or a sandbox that refuses the flags, and one that has no memory for a stack,
//!   gets the copy that it had before; a build with `--cfg rawdaemon_plain_fork` asks for nothing else,
//!   which is what valgrind 3 wants.
//!
//!
//! # What it cannot do
//!
//! Before Linux 5.16, a signal that dumps core (core(5)) ends all processes that share the memory, the
//! caller included, when it ends one of them. Such a signal must be sent to a child on purpose, since a
//! child is in a session of its own, and it counts only when the daemon unblocks signals, just before it
//! executes; or a sandbox must kill a child for a system call. vfork(2) and posix_spawn(3) have the same.
//!
//! Shadow stacks (x86's CET, aarch64's GCS) would have to be switched too; Rust does not mark its programs
//! for them, and then the kernel gives them none.

use core::cell::Cell;
use core::ffi::c_void;

use linux_raw_sys::general::{CLONE_CHILD_CLEARTID, CLONE_PARENT_SETTID, CLONE_VFORK, CLONE_VM};

use super::arch::trampoline;
use super::process::{End, ExitSignal, Fork, Forked, clone, exit, waitpid};
use super::stack::{ENTRY_SIZE, Stack};
use super::thread::TidAddress;
use crate::protocol::{Errno, Pid};

/// A process that runs in its parent's memory.
pub(crate) trait Child {
    /// What the caller of [`clone_vm`] gets in a copy that the child makes of its parent.
    type Output;

    /// What the child does.
    fn run(&self) -> End<Forked<Self::Output>>;

    /// What the parent does first, once there is a child.
    fn parent_started(&self) {}

    /// Whether the parent may return from the clone. It is asked again until it may, or the child is gone.
    fn parent_may_return(&self) -> bool {
        true
    }
}

/// `clone(CLONE_VM | exit_signal)`—Creates a process that runs `child` on this stack and in this memory,
/// and runs `watch` in the parent. Returns, or unwinds, when no process shares the memory any more.
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
        let _ = self.created.map(waitpid);
        self.stack.mark_released();
    }
}

/// What a child begins with. It lies above the child's stack, since the parent's frame that made it may
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
    let stopping = if stack.stops_parent() { CLONE_VFORK } else { 0 };
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
        stack.clear();
        // SAFETY: it was written above, and this process has it for itself.
        let output = unsafe { address.as_ref() }.output.take();
        return output.map(Fork::Child);
    }
    if stack.stops_parent() {
        // The child has left, or an emulator has made it a copy. (Linux before 3.5 clears the word a moment
        // later, but before another process can see that the child has executed or ended.)
        stack.clear();
    }
    Pid::new(result as i32).map(Fork::Parent)
}

/// What parent and child call within the trampoline, each on its stack, with the result of clone(2).
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
