//! Daemonizes with a pidfile, reports that it is ready, and waits for a signal.
#![no_std]
#![no_main]

use core::ffi::CStr;
use core::fmt::Write;

use rawdaemon::{CStrings, DaemonizeOptions, Error, Identity, Stderr, Stdout};

rawdaemon::entry!(main);

fn main(argv: CStrings, _envp: CStrings) -> u8 {
    let Some(pidfile) = argv.iter().nth(1) else {
        let _ = writeln!(Stderr, "usage: nolibc PIDFILE");
        return 64;
    };
    match run(pidfile.to_c_str()) {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(Stderr, "nolibc: {error}");
            error.exit_code()
        }
    }
}

fn run(pidfile: &CStr) -> Result<(), Error> {
    match DaemonizeOptions::new().pidfile(pidfile).daemonize()? {
        Identity::Original(daemon) => {
            let _ = writeln!(Stdout, "the daemon runs as pid {}", daemon.pid());
            Ok(())
        }
        Identity::Daemon(ready) => {
            let _ = ready.notify();
            loop {
                rustix::event::pause(); // … serve …
            }
        }
    }
}
