//! Daemons that must report readiness.

use std::time::{Duration, Instant};
use std::{process, thread};

use rawdaemon::{DaemonizeOptions, Errno, Error, Stdio};

use crate::{sleep, sleep_on, started};

/// Runs a case in which the daemon must report readiness.
pub(crate) fn required(
    case: &str,
    options: DaemonizeOptions<'_>,
    began: Instant,
) -> Result<(), Error> {
    let long = options.clone().timeout(Duration::from_secs(60));
    let short = options.clone().timeout(Duration::from_millis(100));
    match case {
        "ready" => started(long.daemonize()?, began, |ready| {
            thread::sleep(Duration::from_millis(50));
            ready.notify().unwrap();
            sleep();
        }),
        "ready and done" => started(long.daemonize()?, began, |ready| {
            ready.notify().unwrap();
            process::exit(0);
        }),
        "refuse" => started(
            long.stdout(Stdio::file(c"out")).daemonize()?,
            began,
            |ready| {
                ready.fail(Errno::EADDRINUSE).unwrap();
                println!("tidied up");
                process::exit(1);
            },
        ),
        "refuse by a number" => started(long.daemonize()?, began, |ready| {
            ready.fail(7).unwrap();
            process::exit(1);
        }),
        "refuse and stay" => started(long.daemonize()?, began, |ready| {
            ready.fail(7).unwrap();
            sleep();
        }),
        "drop" => started(long.daemonize()?, began, |ready| {
            drop(ready);
            sleep();
        }),
        "die" => started(long.daemonize()?, began, |_ready| process::exit(3)),
        "never" => started(short.daemonize()?, began, sleep_on),
        "wait for ever" => started(
            options.timeout(Duration::ZERO).daemonize()?,
            began,
            sleep_on,
        ),
        "never, and ignore SIGTERM" => {
            // SAFETY: no handler is installed.
            unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
            started(short.daemonize()?, began, sleep_on);
        }
        _ => panic!("no such case: {case}"),
    }
    Ok(())
}
