//! Stacks for children that share the memory, and how long they do.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use linux_raw_sys::general::{__kernel_old_timespec, FUTEX_WAIT};
use syscalls::Sysno;

use super::memory::{map, unmap};
use super::other::signal;
use crate::protocol::{Errno, Pid, SIGKILL};

/// What a child may use of stack. Of what it does not touch, the kernel gives nothing.
pub(super) const STACK_SIZE: usize = 64 << 10;

/// After what time it is looked whether there still is somebody to wait for, in nanoseconds.
const PAUSE: i32 = 100_000_000;

/// A stack for a child that shares the memory. Dropping it waits until none does.
#[derive(Debug)]
pub(crate) struct Stack {
    /// Where it begins; `None` if there is no memory for it, or none was asked for.
    pub(super) bottom: Option<NonNull<u8>>,
    /// The child's id: the kernel writes it before there is a child, and clears it when that has executed
    /// or ended.
    pub(super) user: AtomicU32,
    /// Whether the parent stops until the child has executed or ended.
    pub(super) stops_parent: bool,
}

impl Stack {
    /// No stack: a child gets a copy of the memory.
    pub(crate) const fn none() -> Self {
        Self {
            bottom: None,
            user: AtomicU32::new(0),
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

    /// The child is known to have ended. Kernels before 4.9 do not say so of one that a signal has ended.
    pub(crate) fn forget(&self) {
        self.user.store(0, Ordering::SeqCst);
    }

    /// Ends a child that still shares the memory, and waits for that: its parent has not waited for it,
    /// because somebody has killed that.
    pub(crate) fn clear(&self) {
        if let Some(user) = self.user() {
            let _ = signal(user, SIGKILL);
        }
        self.wait_until_left();
    }

    fn user(&self) -> Option<Pid> {
        Pid::new(self.user.load(Ordering::SeqCst) as i32)
    }

    /// Waits until the child has executed or ended.
    pub(super) fn wait_until_left(&self) {
        while let Some(user) = self.user() {
            let mut pause = __kernel_old_timespec {
                tv_sec: 0,
                tv_nsec: PAUSE as _,
            };
            let (word, pause) = (self.user.as_ptr(), &raw mut pause);
            // SAFETY: the kernel reads the word and a timespec.
            let waited = unsafe { call!(Sysno::futex, word, FUTEX_WAIT, user.get(), pause) };
            if waited.is_err() && signal(user, 0) == Err(Errno::ESRCH) {
                self.forget();
            }
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.clear();
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
