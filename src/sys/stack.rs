//! Stacks for children that share the memory, and the wait until they no longer do.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use linux_raw_sys::general::{__kernel_old_timespec, FUTEX_WAIT};
use syscalls::Sysno;

use super::clock::monotonic_time;
use super::mmap::{map, unmap};
use super::poll::sleep;
use crate::protocol::{Errno, Nanoseconds};

/// The size of a stack. The kernel allocates only the pages that are touched.
pub(super) const STACK_SIZE: usize = 64 << 10;

/// Above the stack there is room for the child's entry, and for the word with its thread id.
pub(super) const ENTRY_SIZE: usize = 64;
const WORD_SIZE: usize = 16;

/// How long the kernel may take to clear the word of a child that no longer uses the memory.
const CLEAR_TIME: Nanoseconds = 10_000_000;

/// How often the word is read if the kernel does not wake its waiters.
const CHECK_INTERVAL: Nanoseconds = 1_000_000;

/// A stack for a child that shares the memory. Dropping it waits until no child uses it.
#[derive(Debug)]
pub(crate) struct Stack {
    /// Its lowest address; `None` if there is no memory for it, or none was requested.
    bottom: Option<NonNull<u8>>,
    /// Whether the parent stops until the child has executed or ended.
    stops_parent: bool,
}

impl Stack {
    /// No stack: the child gets a copy of the memory.
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

    /// A stack for a child whose parent stops. The kernel then has no other process to wake, and mostly no
    /// other processor.
    pub(crate) fn stopping() -> Self {
        let mut stack = Self::new();
        stack.stops_parent = true;
        stack
    }

    pub(super) const fn stops_parent(&self) -> bool {
        self.stops_parent
    }

    /// The upper end of the stack, where the child's entry lies: [`ENTRY_SIZE`] bytes, aligned to 16.
    pub(super) fn end(&self) -> Option<NonNull<u8>> {
        // SAFETY: the mapping is that large.
        Some(unsafe { self.bottom?.add(STACK_SIZE - WORD_SIZE - ENTRY_SIZE) })
    }

    /// The child's id, as its parent sees it. The kernel writes it before the child runs, and clears it when
    /// the child has executed or ended. It lies in this mapping and not in a frame, since the kernel may clear
    /// it late.
    pub(super) fn ctid(&self) -> Option<&AtomicU32> {
        // SAFETY: the mapping is that large. The word is aligned, was zero, and only the kernel and this type
        // write to it.
        Some(unsafe { self.bottom?.add(STACK_SIZE - WORD_SIZE).cast().as_ref() })
    }

    /// Whether a child may still use the memory.
    pub(crate) fn in_use(&self) -> bool {
        self.ctid()
            .is_some_and(|ctid| ctid.load(Ordering::SeqCst) != 0)
    }

    /// Clears the word: this process is a copy of the one whose memory was shared, or the child has certainly
    /// executed or ended.
    pub(super) fn clear(&self) {
        if let Some(ctid) = self.ctid() {
            ctid.store(0, Ordering::SeqCst);
        }
    }

    /// Marks the stack as unused: the child is known to have executed or ended. Not every kernel clears the
    /// word then: Linux before 4.9 does not if a signal ends the child, nor before 5.16 if that dumps core, and
    /// gVisor does not after an exec.
    pub(crate) fn mark_released(&self) {
        if self.in_use() {
            self.wait_until(monotonic_time().saturating_add(CLEAR_TIME));
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
            let tid = word.load(Ordering::SeqCst);
            if tid == 0 || deadline != Nanoseconds::MAX && monotonic_time() >= deadline {
                return;
            }
            let mut pause = __kernel_old_timespec {
                tv_sec: 0,
                tv_nsec: CHECK_INTERVAL as _,
            };
            let (word, pause) = (word.as_ptr(), &raw mut pause);
            // SAFETY: the kernel reads the word and a timespec.
            let waited = unsafe { call!(Sysno::futex, word, FUTEX_WAIT, tid, pause) };
            if matches!(waited, Err(Errno::ENOSYS | Errno::EPERM)) {
                sleep(CHECK_INTERVAL);
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
            // SAFETY: it comes from `map`, and no child uses it now.
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
    use crate::{DaemonizeOptions, ErrorKind, Readiness, argv};

    /// How many bytes were never written to, of the stack that was used most.
    static UNUSED: AtomicUsize = AtomicUsize::new(STACK_SIZE);

    pub(super) fn note_use(bottom: NonNull<u8>) {
        // SAFETY: it is mapped, and no child writes to it now.
        let stack = unsafe { slice::from_raw_parts(bottom.as_ptr(), STACK_SIZE) };
        let unused = stack.iter().take_while(|byte| **byte == 0).count();
        UNUSED.fetch_min(unused, Ordering::SeqCst);
    }

    #[test]
    fn no_child_comes_near_the_end_of_its_stack() {
        let options = DaemonizeOptions::new().stdin(crate::Stdio::file(c"/dev/zero"));
        let path = argv![c"PATH=.:/no/such:such::/bin:/usr/bin"];
        let argv = argv![c"sh", c"-c", c"exit 3"];
        options.spawn(c"sh", argv, path).unwrap();
        let error = options.spawn(c"no such program", argv, path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommandNotFound);
        for readiness in [Readiness::Descriptor(3), Readiness::Notify] {
            let error = options
                .clone()
                .ready(readiness)
                .spawn(c"sh", argv, path)
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::DaemonDied);
        }
        // Not a device: a mistake in the removal of a pidfile would remove it when the tests run as root.
        let options = options
            .timeout(Duration::from_secs(20))
            .pidfile(c"/proc/self/status");
        let error = options.spawn(c"sh", argv, path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PidfileFailed);

        let used = STACK_SIZE - UNUSED.load(Ordering::SeqCst);
        println!("{used} of {STACK_SIZE} bytes");
        assert!(used < STACK_SIZE / 2, "{used}");
        assert_eq!(used == 0, cfg!(rawdaemon_plain_fork));
    }
}
