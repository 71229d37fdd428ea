//! Times that a caller and its daemon note for the benchmark, in a page that they share.

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

/// The page. A time that was not noted is zero.
#[derive(Debug)]
#[repr(C)]
pub struct Notes {
    original: AtomicI32,
    called: AtomicI64,
    daemon_began: AtomicI64,
    over: AtomicI64,
}

/// Of the process that is a caller or its daemon.
static OWN: OnceLock<&Notes> = OnceLock::new();

/// A page, and the file that is handed to the caller as its standard input.
pub fn new_page() -> io::Result<(&'static Notes, File)> {
    let file = File::from(memfd_create("notes", MemfdFlags::CLOEXEC)?);
    file.set_len(size_of::<Notes>() as u64)?;
    Ok((map(&file)?, file))
}

/// The page that comes as the standard input.
pub fn take_page() -> io::Result<&'static Notes> {
    let notes = map(io::stdin())?;
    Ok(OWN.get_or_init(|| notes))
}

fn map(file: impl AsFd) -> io::Result<&'static Notes> {
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the kernel chooses the place, so nothing else is there.
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
    // SAFETY: it is not unmapped, is as large as the file, and all bytes are valid for atomic numbers.
    Ok(unsafe { &*page.cast() })
}

impl Notes {
    /// Forgets all, for a new round.
    pub fn clear(&self) {
        for time in [&self.called, &self.daemon_began, &self.over] {
            time.store(0, Relaxed);
        }
    }

    /// The calling process is the original, and calls now.
    pub fn call(&self) {
        self.original.store(process_id(), Relaxed);
        self.called.store(now(), Relaxed);
    }

    pub fn is_original(&self) -> bool {
        self.original.load(Relaxed) == process_id()
    }

    /// The call has returned: in the daemon or in the original.
    pub fn returned(&self) {
        let time = now();
        if self.is_original() {
            self.over.store(time, Relaxed);
        } else {
            self.daemon_began.store(time, Relaxed);
        }
    }

    /// The calling process ends by `_exit`. If it is the original, its call is over.
    fn exits(&self) {
        if self.is_original() {
            self.over.store(now(), Relaxed);
        }
    }

    /// From the call to the daemon's first instruction after it, if there was one.
    pub fn until_daemon(&self) -> Option<i64> {
        self.since_call(&self.daemon_began)
    }

    /// From the call to its end in the original, if that could be seen.
    pub fn until_over(&self) -> Option<i64> {
        self.since_call(&self.over)
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

/// In place of that of the C library, for calls that end the original themselves: this is when they are over.
/// Only what is linked into the benchmark finds it, and not the C library's own daemon(3).
#[unsafe(no_mangle)]
extern "C" fn _exit(status: c_int) -> ! {
    if let Some(notes) = OWN.get() {
        notes.exits();
    }
    loop {
        // SAFETY: a number only.
        unsafe { libc::syscall(libc::SYS_exit_group, status) };
    }
}
