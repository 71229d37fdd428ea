//! The callbacks of a start: code of the caller that runs while the start is half done.
//!
//! A start within a callback is refused. A process that daemonizes itself there would be copied with its half
//! start: two processes would go on with it, one of them with children that are not its own. A command that is
//! spawned there would outlive a start that fails.
//!
//! Only the public functions come here, not the command, which has no variables.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::protocol::{Errno, Error, ErrorKind, failed};
use crate::sys;

/// The id of the thread that runs a callback; 0 if none does. Of several threads, it is the last one: then only
/// `spawn`, which does no harm, and `daemonize_unchecked` are not refused in the others.
static THREAD: AtomicU32 = AtomicU32::new(0);

/// A callback that runs. Dropping this ends it.
pub(super) struct Callback(u32);

impl Callback {
    pub(super) fn begin() -> Self {
        let thread = sys::gettid();
        THREAD.store(thread, Ordering::SeqCst);
        Self(thread)
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        let _ = THREAD.compare_exchange(self.0, 0, Ordering::SeqCst, Ordering::SeqCst);
    }
}

/// Fails in a callback.
pub(super) fn refuse_within_callback() -> Result<(), Error> {
    let thread = THREAD.load(Ordering::SeqCst);
    if thread != 0 && thread == sys::gettid() {
        return Err(failed(ErrorKind::FirstForkFailed)(Errno::EDEADLK));
    }
    Ok(())
}
