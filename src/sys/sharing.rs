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
//! - **The parent's frames stay.** What the child borrows outlives it: [`with_child`] does not return in
//!   the parent, nor unwind, before the child uses the memory no more, because it has executed a program or
//!   has ended. Where nobody has seen that, the kernel says so: CLONE_CHILD_CLEARTID clears a word and wakes
//!   who waits at it (futex(2)). No process has to live for this, no descriptor to be closed, and no pid to
//!   mean the same in two namespaces. The word is in the mapping of the [`Stack`], and the original makes
//!   both stacks: if somebody kills the intermediate, it waits for the daemon, which goes no further than
//!   its steps then ([`is_watched`]).
//! - **What both look at does not change**, but for atomic words: `start` is shared by reference, and
//!   the child writes to its stack, to memory that it has mapped itself, and to nothing else.
//! - **The child runs this crate's code only.** All signals are blocked in it from before it begins, its
//!   dispositions are its own (no CLONE_SIGHAND), and so are its descriptors, working directory and umask
//!   (no CLONE_FILES, no CLONE_FS). It does not touch thread-local storage, allocates nothing, and has
//!   nothing to panic with. Other threads of the parent may run, change their memory and fork.
//! - **The daemon of `daemonize` gets the caller's stack back.** It is a copy, made by a child that shares
//!   the memory, while the original waits within the asm block: so its copy of the original's frames is as
//!   the original left it. [`enter`] returns in a copy only, which [`Copied`] proves, with the registers
//!   that the ABI lets a function keep; the asm block puts the stack pointer back, and the compiler sees a
//!   block that has come to its end.
//! - **A stack is large enough.** Nothing in this crate recurses, and a test measures what is used of the
//!   [`STACK_SIZE`], in debug builds too.
//! - **Nothing depends on the sharing.** All that is told goes through pipes and exit codes. A kernel, an
//!   emulator (qemu-user) or a sandbox that refuses the flags, and one that has no memory for a stack,
//!   gets the copy that it had before; a build with `--cfg rawdaemon_plain_fork` asks for nothing else,
//!   which is what valgrind 3 wants.
//!
//! [`is_watched`]: crate::context::Birth::is_watched
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

use core::arch::asm;
use core::cell::Cell;
use core::ffi::c_void;

use linux_raw_sys::general::{CLONE_CHILD_CLEARTID, CLONE_PARENT_SETTID, CLONE_VFORK, CLONE_VM};
use syscalls::Sysno;

use super::process::{Child, Copied, ExitSignal, Forked, clone, exit, wait};
use super::stack::{ENTRY_SIZE, Stack};
use super::thread::ThreadIdPlace;
use crate::protocol::{Errno, Pid};

/// Creates a process that runs `part` on this stack and in this memory, `clone(CLONE_VM | exit_signal)`,
/// and runs `meanwhile` in the parent. Returns, or unwinds, when nobody shares the memory any more.
///
/// The parent first calls `begin`, and then `hold` again and again until that says that it may go on, or the
/// child is gone. In a copy that the child makes of itself until then, this returns what the child's part does.
///
/// Where memory cannot be shared, the child is a copy, as that of [`clone`].
pub(crate) fn with_child<T, R, M>(
    stack: &Stack,
    exit_signal: ExitSignal,
    start: &T,
    part: fn(&T) -> Child<Copied<R>>,
    begin: fn(&T),
    hold: fn(&T) -> bool,
    meanwhile: impl FnOnce(Result<Pid, Errno>) -> M,
) -> Forked<Copied<R>, M> {
    let entry = Entry {
        enter: enter::<T, R>,
        stack_pointer: 0,
        start,
        part,
        begin,
        hold,
        stack,
        left: Cell::new(None),
    };
    let child = match clone_on(stack, exit_signal, entry) {
        Some(Forked::Child(left)) => return Forked::Child(left),
        Some(Forked::Parent(child)) => Ok(child),
        None => match clone(exit_signal, ThreadIdPlace::NONE, start, part) {
            Ok(Forked::Child(copied)) => return Forked::Child(copied.left()),
            Ok(Forked::Parent(child)) => {
                begin(start);
                Ok(child)
            }
            Err(errno) => Err(errno),
        },
    };
    let unwinding = Unwinding { stack, child };
    let meanwhile = meanwhile(child);
    core::mem::forget(unwinding);
    stack.wait_until_left();
    Forked::Parent(meanwhile)
}

/// Does what comes after `meanwhile`, should that panic: then nobody has waited for the child.
struct Unwinding<'s> {
    stack: &'s Stack,
    child: Result<Pid, Errno>,
}

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        let _ = self.child.map(wait);
        self.stack.left();
    }
}

/// What a child begins with. It lies behind the child's stack, since the parent's frame that made it may
/// be gone when the child looks at it.
#[repr(C)]
struct Entry<'e, T, R> {
    enter: unsafe extern "C" fn(*const c_void, isize) -> isize,
    /// The parent's, on x86, which has no register left for it.
    stack_pointer: usize,
    start: &'e T,
    part: fn(&T) -> Child<Copied<R>>,
    begin: fn(&T),
    hold: fn(&T) -> bool,
    stack: &'e Stack,
    left: Cell<Option<Copied<R>>>,
}

/// `None` if no memory could be shared.
fn clone_on<T, R>(
    stack: &Stack,
    exit_signal: ExitSignal,
    entry: Entry<'_, T, R>,
) -> Option<Forked<Copied<R>>> {
    const {
        assert!(size_of::<Entry<'_, T, R>>() <= ENTRY_SIZE);
        assert!(align_of::<Entry<'_, T, R>>() <= 16);
    }
    let stopping = if stack.stops_parent() { CLONE_VFORK } else { 0 };
    let telling = CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    let flags = CLONE_VM | stopping | telling | exit_signal.number();
    let user = stack.user()?.as_ptr();
    let place = stack.end()?.cast::<Entry<'_, T, R>>();
    // SAFETY: the place is aligned, has room for an entry, and is used by nobody else.
    unsafe { place.write(entry) };
    // SAFETY: there is an entry, and below it a stack with nobody on it. The child has left all that it
    // borrows when `with_child` returns.
    let result = unsafe { trampoline(flags as usize, place.as_ptr().cast(), user) };
    if result == 0 {
        // This is a copy, which nobody shares.
        stack.forget();
        // SAFETY: it was written above, and this process has it for itself.
        let left = unsafe { place.as_ref() }.left.take();
        return left.map(Forked::Child);
    }
    if stack.stops_parent() {
        // The child has left, or an emulator has made it a copy. (Linux before 3.5 clears the word a moment
        // later, but before anybody can see that the child has executed or ended.)
        stack.forget();
    }
    Pid::new(result as i32).map(Forked::Parent)
}

/// What parent and child call within the trampoline, each on its stack, with what clone(2) returned.
/// Gives that back in the parent, and zero in a copy; does not return in a child that shares the memory.
///
/// # Safety
///
/// There must be an entry of this type.
unsafe extern "C" fn enter<T, R>(entry: *const c_void, result: isize) -> isize {
    // SAFETY: the caller's promise.
    let entry = unsafe { &*entry.cast::<Entry<'_, T, R>>() };
    match result {
        0 => match (entry.part)(entry.start) {
            Child::Exits(status) => exit(status),
            Child::Returns(left) => entry.left.set(Some(left)),
        },
        1.. => {
            (entry.begin)(entry.start);
            while !(entry.hold)(entry.start) && entry.stack.is_used() {}
        }
        _ => {}
    }
    result
}

/// `clone(flags, entry, user, 0, user)`, after which both processes call `entry.enter(entry, result)`, and
/// those in which that returns go on with the stack pointer of the parent.
///
/// # Safety
///
/// `entry` must be an [`Entry`], and below it there must be a stack with nobody on it. With CLONE_VM,
/// `enter` must not return in the child.
unsafe fn trampoline(flags: usize, entry: *mut c_void, user: *mut u32) -> isize {
    let result: isize;
    // What is needed after the call is in registers that the kernel keeps, and every function too.
    #[cfg(target_arch = "x86_64")]
    // SAFETY: see the module's documentation.
    unsafe {
        asm!(
            "mov r12, rsp",
            "syscall",
            "mov rdi, r13",
            "mov rsi, rax",
            "call [r13]",
            "mov rsp, r12",
            inlateout("rax") Sysno::clone as usize => result,
            in("rdi") flags, in("rsi") entry, in("rdx") user, in("r10") user, in("r8") 0,
            in("r13") entry, out("r12") _,
            clobber_abi("C"),
        );
    }
    #[cfg(target_arch = "x86")]
    // SAFETY: as above.
    unsafe {
        asm!(
            "mov [ecx + 4], esp",
            "int 0x80",
            "mov ebx, ecx",
            "sub esp, 8",
            "push eax",
            "push ebx",
            "call [ebx]",
            "mov esp, [ebx + 4]",
            inlateout("eax") Sysno::clone as usize => result,
            inlateout("ebx") flags => _, in("ecx") entry, in("edx") user, in("edi") user,
            clobber_abi("C"),
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        asm!(
            "mov x20, sp",
            "svc #0",
            "mov x1, x0",
            "mov x0, x21",
            "ldr x9, [x21]",
            "blr x9",
            "mov sp, x20",
            inlateout("x0") flags => result,
            in("x1") entry, in("x2") user, in("x3") 0, in("x4") user,
            in("x8") Sysno::clone as usize, in("x21") entry, out("x20") _,
            clobber_abi("C"),
        );
    }
    #[cfg(target_arch = "arm")]
    // The number of the call goes to r7, which may be the frame pointer.
    // SAFETY: as above.
    unsafe {
        asm!(
            "mov r8, sp",
            "mov r10, r7",
            "mov r7, r12",
            "svc #0",
            "mov r7, r10",
            "mov r1, r0",
            "mov r0, r5",
            "ldr r12, [r5]",
            "blx r12",
            "mov sp, r8",
            inlateout("r0") flags => result,
            in("r1") entry, in("r2") user, in("r3") 0, in("r4") user,
            in("r12") Sysno::clone as usize, in("r5") entry, out("r8") _, out("r10") _,
            clobber_abi("C"),
        );
    }
    #[cfg(target_arch = "riscv64")]
    // SAFETY: as above.
    unsafe {
        asm!(
            "mv s2, sp",
            "ecall",
            "mv a1, a0",
            "mv a0, s3",
            "ld t0, 0(s3)",
            "jalr t0",
            "mv sp, s2",
            inlateout("a0") flags => result,
            in("a1") entry, in("a2") user, in("a3") 0, in("a4") user,
            in("a7") Sysno::clone as usize, in("s3") entry, out("s2") _,
            clobber_abi("C"),
        );
    }
    result
}
