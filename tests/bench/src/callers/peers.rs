//! Ways to daemonize a process. Each records when its call returns in the original and in the daemon.

use std::io;
use std::time::Duration;

use super::by_hand;
use super::notes::Notes;

pub struct Way {
    pub name: &'static str,
    pub call: fn(&Notes) -> io::Result<()>,
}

pub const WAYS: [Way; 7] = [
    Way {
        name: "daemonize, notify",
        call: rawdaemon,
    },
    Way {
        name: "the same by hand",
        call: by_hand::start,
    },
    Way {
        name: "fork-rs 0.4, no timeout",
        call: fork_rs,
    },
    Way {
        name: "fork 0.11, daemon",
        call: fork_daemon,
    },
    Way {
        name: "fork 0.11, checked_daemon, ready",
        call: fork_checked_daemon,
    },
    Way {
        name: "daemonize 0.5, execute",
        call: daemonize,
    },
    Way {
        name: "daemon(3) of the C library",
        call: daemon_of_libc,
    },
];

fn rawdaemon(notes: &Notes) -> io::Result<()> {
    let identity = rawdaemon::daemonize();
    notes.returned();
    if let rawdaemon::Identity::Daemon(ready) = identity.map_err(io::Error::other)? {
        ready.notify().map_err(io::Error::other)?;
    }
    Ok(())
}

fn fork_rs(notes: &Notes) -> io::Result<()> {
    let identity = fork_rs::DaemonizeOptions::new()
        .set_timeout_ms(0)
        .daemonize();
    notes.returned();
    identity.map(drop)
}

/// Returns in the daemon only: the original calls `_exit`.
fn fork_daemon(notes: &Notes) -> io::Result<()> {
    let identity = fork::daemon(false, false);
    notes.returned();
    identity.map(drop)
}

fn fork_checked_daemon(notes: &Notes) -> io::Result<()> {
    let mut options = fork::DaemonOptions::new();
    options
        .current_directory("/")?
        .redirect_standard_io_to_null()?;
    let identity = fork::checked_daemon(options, Duration::from_secs(60));
    notes.returned();
    if let fork::CheckedDaemon::Daemon(notifier) = identity.map_err(io::Error::other)? {
        notifier.notify_ready()?;
    }
    Ok(())
}

/// Unlike `start`, `execute` also returns in the original.
fn daemonize(notes: &Notes) -> io::Result<()> {
    let outcome = daemonize::Daemonize::new().execute();
    notes.returned();
    match outcome {
        daemonize::Outcome::Parent(parent) => parent.map(drop).map_err(io::Error::other),
        daemonize::Outcome::Child(child) => child.map(drop).map_err(io::Error::other),
    }
}

/// Returns in the daemon only: the original calls the C library's own `_exit`, which is not recorded.
fn daemon_of_libc(notes: &Notes) -> io::Result<()> {
    // SAFETY: no pointers are passed, and the process has no other threads.
    let result = unsafe { libc::daemon(0, 0) };
    notes.returned();
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
