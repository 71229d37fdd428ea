//! Stacks for children that share the memory, and how long they do.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use linux_raw_sys::general::{__kernel_old_timespec, FUTEX_WAIT};
use syscalls::Sysno;

use super::clock::monotonic_time;
use super::mmap::{map, unmap};
use super::poll::sleep;
use crate::protocol::{Errno, Nanoseconds};

/// What a child may use of stack. Of what it does not touch, the kernel gives nothing.
pub(super) const STACK_SIZE: usize = 64 << 10;

/// Behind the stack there is room for what the child begins with, and for the word.
pub(super) const ENTRY_SIZE: usize = 64;
const WORD_SIZE: usize = 16;

/// How long a child that is known to have left may take until the kernel says so too.
const MOMENT: Nanoseconds = 10_000_000;

/// How often it is looked where the kernel does not tell.
const PAUSE: Nanoseconds = 1_000_000;

/// A stack for a child that shares the memory. Dropping it waits until none does.
#[derive(Debug)]
pub(crate) struct Stack {
    /// Where it begins; `None` if there is no memory for it, or none was asked for.
    bottom: Option<NonNull<u8>>,
    /// Whether the parent stops until the child has executed or ended.
    stops_parent: bool,
}

impl Stack {
    /// No stack: a child gets a copy of the memory.
    pub(crate) const fn none() -> Self {
        Self {
            bottom: None,
            stops_parent: false,
        }
    }

    pub(crate) fn new() -> Self {
        let mut stack = Self::none();
        if !cfg!(rawdaemon_plain_fork) {
            stack.bottom = map(STACK_SIZE).ok();
        }
        stack
    }

    /// A stack for a child whose parent has nothing else to do, and stops: for that the kernel needs to wake
    /// nobody else, and mostly no other processor.
    pub(crate) fn stopping() -> Self {
        let mut stack = Self::new();
        stack.stops_parent = true;
        stack
    }

    pub(super) const fn stops_parent(&self) -> bool {
        self.stops_parent
    }

    /// Where the stack itself ends, and what the child begins with has its place: [`ENTRY_SIZE`] bytes,
    /// aligned to 16.
    pub(super) fn end(&self) -> Option<NonNull<u8>> {
        // SAFETY: the mapping is that large.
        Some(unsafe { self.bottom?.add(STACK_SIZE - WORD_SIZE - ENTRY_SIZE) })
    }

    /// The child's id, as its parent sees it: the kernel writes it before there is a child, and clears it
    /// when that has executed or ended. It lies here, and in no frame, so that the kernel may do so late.
    pub(super) fn ctid(&self) -> Option<&AtomicU32> {
        // SAFETY: the mapping is that large; the word is aligned, was zero, and is written to by nobody but
        // the kernel and this.
        Some(unsafe { self.bottom?.add(STACK_SIZE - WORD_SIZE).cast().as_ref() })
    }

    pub(crate) fn in_use(&self) -> bool {
        self.ctid()
            .is_some_and(|ctid| ctid.load(Ordering::SeqCst) != 0)
    }

    /// This process is a copy of the one whose memory was shared, or the child has left for sure.
    pub(super) fn clear(&self) {
        if let Some(ctid) = self.ctid() {
            ctid.store(0, Ordering::SeqCst);
        }
    }

    /// The child is known to have executed or ended. Not every kernel says so: Linux does not before 4.9
    /// when a signal ends it, nor before 5.16 when that dumps core, and gVisor does not after an exec.
    pub(crate) fn mark_released(&self) {
        if self.in_use() {
            self.wait_until(monotonic_time().saturating_add(MOMENT));
            self.clear();
        }
    }

    /// Waits until the child has executed or ended.
    pub(crate) fn wait_until_released(&self) {
        self.wait_until(Nanoseconds::MAX);
    }

    fn wait_until(&self, deadline: Nanoseconds) {
        let Some(word) = self.ctid() else { return };
        loop {
            let user = word.load(Ordering::SeqCst);
            if user == 0 || deadline != Nanoseconds::MAX && monotonic_time() >= deadline {
                return;
            }
            let mut pause = __kernel_old_timespec {
                tv_sec: 0,
                tv_nsec: PAUSE as _,
            };
            let (word, pause) = (word.as_ptr(), &raw mut pause);
            // SAFETY: the kernel reads the word and a timespec.
            let waited = unsafe { call!(Sysno::futex, word, FUTEX_WAIT, user, pause) };
            if matches!(waited, Err(Errno::ENOSYS | Errno::EPERM)) {
                sleep(PAUSE);
            }
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.wait_until_released();
        if let Some(bottom) = self.bottom {
            #[cfg(test)]
            tests::note_use(bottom);
            // SAFETY: it comes from `map`, and no child uses it any more.
            unsafe { unmap(bottom, STACK_SIZE) };
        }
    }
}

#[cfg(test)]
mod tests {
    use core::ptr::NonNull;
    use core::slice;
    use core::sync::atomic::{AtomicUsize, Ordering};
    use core::time::Duration;
    use std::println;

    use super::STACK_SIZE;
    use crate::{DaemonizeOptions, ExitCode, Readiness};

    /// How many bytes of the stack that was used most were never written to.
    static UNUSED: AtomicUsize = AtomicUsize::new(STACK_SIZE);

    pub(super) fn note_use(bottom: NonNull<u8>) {
        // SAFETY: it is mapped, and no child writes to it any more.
        let stack = unsafe { slice::from_raw_parts(bottom.as_ptr(), STACK_SIZE) };
        let unused = stack.iter().take_while(|byte| **byte == 0).count();
        UNUSED.fetch_min(unused, Ordering::SeqCst);
    }

    #[test]
    fn no_child_comes_near_the_end_of_its_stack() {
        let options = DaemonizeOptions::new().stdin(c"/dev/zero");
        let path = [Some(c"PATH=.:/no/such:such::/bin:/usr/bin".into()), None];
        let argv = [
            Some(c"sh".into()),
            Some(c"-c".into()),
            Some(c"exit 3".into()),
            None,
        ];
        options.spawn(c"sh", &argv, &path).unwrap();
        let error = options.spawn(c"no such program", &argv, &path).unwrap_err();
        assert_eq!(error.code(), ExitCode::CommandNotFound);
        for readiness in [Readiness::Descriptor(3), Readiness::Notify] {
            let error = options
                .ready(readiness)
                .spawn(c"sh", &argv, &path)
                .unwrap_err();
            assert_eq!(error.code(), ExitCode::DaemonDied);
        }
        let options = options
            .timeout(Duration::from_secs(20))
            .pidfile(c"/dev/null");
        let error = options.spawn(c"sh", &argv, &path).unwrap_err();
        assert_eq!(error.code(), ExitCode::PidfileFailed);

        let used = STACK_SIZE - UNUSED.load(Ordering::SeqCst);
        println!("{used} of {STACK_SIZE} bytes");
        assert!(used < STACK_SIZE / 2, "{used}");
        assert_eq!(used == 0, cfg!(rawdaemon_plain_fork));
    }
}
