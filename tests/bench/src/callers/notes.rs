//! Times that a caller and its daemon record in a page shared with the benchmark.

use std::ffi::c_int;
use std::fs::File;
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering::Relaxed};
use std::{io, ptr};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use rustix::process::getpid;

use crate::report::now;

/// The page. A time that was not recorded is zero.
#[derive(Debug)]
#[repr(C)]
pub struct Notes {
    original: AtomicI32,
    called: AtomicI64,
    daemon_returned: AtomicI64,
    ended: AtomicI64,
}

/// The page of this process, if it is a caller or its daemon.
static OWN: OnceLock<&Notes> = OnceLock::new();

/// Creates a page. The caller gets the file as its standard input.
pub fn new_page() -> io::Result<(&'static Notes, File)> {
    let file = File::from(memfd_create("notes", MemfdFlags::CLOEXEC)?);
    file.set_len(size_of::<Notes>() as u64)?;
    Ok((map(&file)?, file))
}

/// Maps the page from standard input.
pub fn take_page() -> io::Result<&'static Notes> {
    let notes = map(io::stdin())?;
    Ok(OWN.get_or_init(|| notes))
}

fn map(file: impl AsFd) -> io::Result<&'static Notes> {
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the kernel chooses an unused address.
    let page = unsafe {
        mmap(
            ptr::null_mut(),
            size_of::<Notes>(),
            access,
            MapFlags::SHARED,
            file,
            0,
        )
    }?;
    // SAFETY: the page is never unmapped, the file is large enough, and any bytes are valid atomics.
    Ok(unsafe { &*page.cast() })
}

impl Notes {
    /// Clears all times for a new round.
    pub fn clear(&self) {
        for time in [&self.called, &self.daemon_returned, &self.ended] {
            time.store(0, Relaxed);
        }
    }

    /// Records the time of the call. The calling process is the original.
    pub fn call(&self) {
        self.original.store(process_id(), Relaxed);
        self.called.store(now(), Relaxed);
    }

    pub fn is_original(&self) -> bool {
        self.original.load(Relaxed) == process_id()
    }

    /// Records the return of the call in this process, the daemon or the original.
    pub fn returned(&self) {
        let time = now();
        if self.is_original() {
            self.ended.store(time, Relaxed);
        } else {
            self.daemon_returned.store(time, Relaxed);
        }
    }

    /// Records an `_exit` of the original, which ends the call.
    fn exits(&self) {
        if self.is_original() {
            self.ended.store(now(), Relaxed);
        }
    }

    /// From the call to its return in the daemon. `None` if it did not return there.
    pub fn until_daemon(&self) -> Option<i64> {
        self.since_call(&self.daemon_returned)
    }

    /// From the call to its end in the original. `None` if it was not recorded.
    pub fn until_end(&self) -> Option<i64> {
        self.since_call(&self.ended)
    }

    fn since_call(&self, time: &AtomicI64) -> Option<i64> {
        match time.load(Relaxed) {
            0 => None,
            time => Some(time - self.called.load(Relaxed)),
        }
    }
}

fn process_id() -> i32 {
    getpid().as_raw_pid()
}

/// Replaces the `_exit` of the C library, to record the end of calls that exit the original. The C library's
/// daemon(3) does not call this function.
#[unsafe(no_mangle)]
extern "C" fn _exit(status: c_int) -> ! {
    if let Some(notes) = OWN.get() {
        notes.exits();
    }
    loop {
        // SAFETY: no pointers are passed.
        unsafe { libc::syscall(libc::SYS_exit_group, status) };
    }
}
