//! Daemonizes with a pidfile, reports that it is ready, and waits for a signal.
#![no_std]
#![no_main]

// The entry point of the command suits any program without a C library.
#[path = "../../../src/command/entry.rs"]
mod entry;
#[path = "../../../src/command/mem.rs"]
mod mem;

use core::ffi::CStr;
use core::fmt::{self, Write};
use core::time::Duration;

use entry::{Given, entry};
use rawdaemon::internal;
use rawdaemon::{DaemonizeOptions, Error, Identity, ThinCStr};

entry!(run);

fn run(given: &Given) -> u8 {
    let pidfile = given.arguments.iter().next();
    match daemonize(pidfile.map_or(c"", ThinCStr::to_c_str)) {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(StandardError, "nolibc: {error}");
            error.exit_code()
        }
    }
}

fn daemonize(pidfile: &CStr) -> Result<(), Error> {
    let options = DaemonizeOptions::new()
        .pidfile(pidfile)
        .timeout(Duration::from_secs(10));
    match options.daemonize()? {
        Identity::Original(daemon) => {
            let _ = writeln!(StandardError, "nolibc: the daemon runs as pid {}", daemon.pid());
            Ok(())
        }
        Identity::Daemon(ready) => {
            let _ = ready.notify();
            loop {
                // SAFETY: no pointers are passed.
                let _ = unsafe { syscalls::syscall!(syscalls::Sysno::ppoll, 0, 0, 0, 0, 0) };
            }
        }
    }
}

struct StandardError;

impl Write for StandardError {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let written = internal::write(2, text.as_bytes());
        written.map(drop).map_err(|_| fmt::Error)
    }
}
