//! Stacks for children that share the memory, and the wait until they no longer do.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use super::mmap::{deny_access, map, unmap};
use super::poll::sleep;
use crate::protocol::Nanoseconds;

/// The size of a stack. The kernel allocates only the pages that are touched.
pub(super) const STACK_SIZE: usize = 64 << 10;

/// Below the stack there are pages that cannot be accessed: a child that needs more than the stack ends by a
/// signal. No page is larger.
const GUARD_SIZE: usize = 64 << 10;

/// The whole mapping.
const SIZE: usize = GUARD_SIZE + STACK_SIZE;

/// Above the stack there is room for the child's entry, and for the word with its thread id.
pub(super) const ENTRY_SIZE: usize = 64;
const WORD_SIZE: usize = 16;

/// In place of the thread id, which is smaller: the wait for the child was given up.
const LEAKED: u32 = u32::MAX;

/// How often the word is read.
const CHECK_INTERVAL: Nanoseconds = 1_000_000;

/// A stack for a child that shares the memory. Dropping it unmaps it, unless a child may use it.
///
/// The kernel alone says when a child has left: by the word with its thread id, by its wait status, or by resuming
/// a parent that was stopped. Without that, the memory stays mapped: see [`leak`](Self::leak).
#[derive(Debug)]
pub(crate) struct Stack {
    /// The lowest address of the mapping; `None` if there is no memory for it, or none was requested.
    bottom: Option<NonNull<u8>>,
}

impl Stack {
    /// No stack: the child gets a copy of the memory.
    pub(crate) const fn none() -> Self {
        Self { bottom: None }
    }

    pub(crate) fn new() -> Self {
        if cfg!(rawdaemon_plain_fork) {
            return Self::none();
        }
        let stack = Self {
            bottom: map(SIZE).ok(),
        };
        match stack.bottom {
            // SAFETY: these are the first bytes of the mapping, to which nothing points.
            Some(bottom) if unsafe { deny_access(bottom, GUARD_SIZE) }.is_err() => Self::none(),
            _ => stack,
        }
    }

    /// The upper end of the stack, where the child's entry lies: [`ENTRY_SIZE`] bytes, aligned to 16.
    pub(super) fn end(&self) -> Option<NonNull<u8>> {
        // SAFETY: the mapping is that large.
        Some(unsafe { self.bottom?.add(SIZE - WORD_SIZE - ENTRY_SIZE) })
    }

    /// The child's id, as its parent sees it. The kernel writes it before the child runs, and clears it when
    /// the child has executed or ended. It lies in this mapping and not in a frame, since the kernel may clear
    /// it late.
    pub(super) fn ctid(&self) -> Option<&AtomicU32> {
        // SAFETY: the mapping is that large. The word is aligned and was zero. Other processes share it, so it is used
        // as an atomic only.
        Some(unsafe { self.bottom?.add(SIZE - WORD_SIZE).cast().as_ref() })
    }

    fn state(&self) -> u32 {
        self.ctid().map_or(0, |ctid| ctid.load(Ordering::SeqCst))
    }

    fn set_state(&self, state: u32) {
        if let Some(ctid) = self.ctid() {
            ctid.store(state, Ordering::SeqCst);
        }
    }

    /// Whether a child may still use the memory.
    pub(crate) fn in_use(&self) -> bool {
        !matches!(self.state(), 0 | LEAKED)
    }

    /// Whether the wait for the child was given up.
    pub(crate) fn is_leaked(&self) -> bool {
        self.state() == LEAKED
    }

    /// Marks the stack as unused, so that `drop` unmaps it. Only on the kernel's word: the child has been
    /// reaped, or has resumed its parent, or this process is a copy of the one whose memory was shared. Not every
    /// kernel clears the word then: Linux before 4.9 does not if a signal ends the child, nor before 5.16 if that
    /// dumps core.
    pub(crate) fn mark_released(&self) {
        self.set_state(0);
    }

    /// Gives up the wait for the child: there are signs that it has left, but the kernel does not say so. gVisor
    /// does not after an exec. Unless the kernel clears the word later, the memory stays mapped.
    pub(crate) fn leak(&self) {
        self.set_state(LEAKED);
    }

    /// Waits until the child has executed or ended. Callers wait for other signs of that first.
    pub(crate) fn wait_until_released(&self) {
        while self.in_use() {
            sleep(CHECK_INTERVAL);
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Some(bottom) = self.bottom.filter(|_| self.state() == 0) {
            #[cfg(test)]
            tests::note_use(bottom);
            // SAFETY: it comes from `map`, and no child uses it now.
            unsafe { unmap(bottom, SIZE) };
        }
    }
}

#[cfg(test)]
mod tests {
    use core::ptr::NonNull;
    use core::slice;
    use core::sync::atomic::{AtomicUsize, Ordering};
    use core::time::Duration;
    use std::borrow::ToOwned;
    use std::fs;
    use std::println;
    use std::string::String;

    use super::{GUARD_SIZE, STACK_SIZE, Stack};
    use crate::{DaemonizeOptions, ErrorKind, Readiness, argv};

    /// How many bytes were never written to, of the stack that was used most.
    static UNUSED: AtomicUsize = AtomicUsize::new(STACK_SIZE);

    pub(super) fn note_use(bottom: NonNull<u8>) {
        // SAFETY: it is mapped, and no child writes to it now.
        let stack = unsafe { slice::from_raw_parts(bottom.as_ptr().add(GUARD_SIZE), STACK_SIZE) };
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

    /// How the kernel describes the memory at this address, if it is mapped.
    fn access(address: usize) -> Option<String> {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().find_map(|line| {
            let mut words = line.split(' ');
            let (first, end) = words.next()?.split_once('-')?;
            let number = |text| usize::from_str_radix(text, 16).unwrap();
            (number(first)..number(end))
                .contains(&address)
                .then(|| words.next().unwrap().to_owned())
        })
    }

    #[test]
    fn below_a_stack_nothing_can_be_accessed() {
        let stack = Stack::new();
        let Some(bottom) = stack.bottom else { return };
        let bottom = bottom.as_ptr() as usize + GUARD_SIZE;
        assert_eq!(access(bottom).unwrap(), "rw-p");
        assert_eq!(access(bottom - 1).unwrap(), "---p");
        assert_eq!(access(bottom - GUARD_SIZE).unwrap(), "---p");
    }

    #[test]
    fn only_a_stack_that_is_certainly_unused_is_unmapped() {
        for (is_used, is_reaped, leaks, stays) in [
            (false, false, false, false),
            (true, true, false, false),
            (true, false, true, true),
            // Its parent has been reaped, but not the daemon that uses the parent's frames.
            (true, true, true, true),
        ] {
            let stack = Stack::new();
            let (Some(ctid), Some(bottom)) = (stack.ctid(), stack.end()) else {
                return;
            };
            ctid.store(is_used.into(), Ordering::SeqCst);
            assert_eq!(stack.in_use(), is_used);
            if is_reaped {
                stack.mark_released();
            }
            if leaks {
                stack.leak();
            }
            assert!(!stack.in_use());
            drop(stack);
            let is_mapped = access(bottom.as_ptr() as usize).is_some();
            // Another test may have mapped something else there.
            assert!(is_mapped || !stays);
        }
    }
}
