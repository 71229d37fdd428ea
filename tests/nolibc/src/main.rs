//! Turns itself into a daemon, with a pidfile and a word that it is ready, and waits to be killed.
#![no_std]
#![no_main]

// The start code of the command serves any program that has no C library.
#[path = "../../../src/start.rs"]
#[allow(dead_code)]
mod start;

use core::ffi::CStr;
use core::fmt::{self, Write};
use core::time::Duration;

use rawdaemon::{DaemonizeOptions, Error, ExitCode, Identity, ThinCStr};

const STDERR: i32 = 2;

/// What the kernel gives a program, as the start code hands it on.
struct Given {
    arguments: &'static [Option<ThinCStr<'static>>],
    #[allow(dead_code)]
    environment: &'static [Option<ThinCStr<'static>>],
}

fn run(given: &Given) -> u8 {
    let pidfile = given.arguments.first().copied().flatten();
    match daemonize(pidfile.map_or(c"", ThinCStr::to_c_str)) {
        Ok(()) => ExitCode::Ok.into(),
        Err(error) => {
            let _ = writeln!(StandardError, "nolibc: {error}");
            error.into()
        }
    }
}

fn daemonize(pidfile: &CStr) -> Result<(), Error> {
    let options = DaemonizeOptions::new()
        .pidfile(pidfile)
        .timeout(Duration::from_secs(10));
    match options.daemonize()? {
        Identity::Original(pid) => {
            let _ = writeln!(StandardError, "nolibc: the daemon runs as pid {pid}");
            Ok(())
        }
        Identity::Daemon(ready) => {
            let _ = ready.notify();
            loop {
                // SAFETY: it waits for nothing, for ever.
                let _ = unsafe { syscalls::syscall!(syscalls::Sysno::ppoll, 0, 0, 0, 0, 0) };
            }
        }
    }
}

struct StandardError;

impl Write for StandardError {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        start::write_all(STDERR, text.as_bytes());
        Ok(())
    }
}
