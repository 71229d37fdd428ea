//! What a program that comes from another crate needs.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process;
use std::time::{Duration, Instant};

use rawdaemon::{DaemonizeOptions, Errno, Error, Identity, Pidfile, Stdio};

use crate::{sleep, sleep_on, started};

/// Runs a case. Returns `None` if it is of another module.
pub(crate) fn ported(
    case: &str,
    options: DaemonizeOptions<'_>,
    began: Instant,
) -> Option<Result<(), Error>> {
    let options = options.timeout(Duration::ZERO);
    Some(match case {
        "open files" => open_files(options, began),
        "swapped streams" => {
            let swapped = options.stdout(Stdio::fd(2)).stderr(Stdio::fd(1));
            say_on_both(swapped, began)
        }
        "inherited streams" => {
            let inherited = options
                .stdin(Stdio::inherit())
                .stdout(Stdio::inherit())
                .stderr(Stdio::inherit());
            say_on_both(inherited, began)
        }
        "a closed descriptor" => options
            .stdout(Stdio::fd(99))
            .daemonize()
            .map(|identity| started(identity, began, sleep_on)),
        "action" => action(options.pidfile(c"pid").chroot(c"."), began),
        "action fails" => options
            .pidfile(c"pid")
            .daemonize_with(|| Err::<(), Errno>(Errno::EADDRINUSE))
            .map(|(identity, _)| started(identity, began, sleep_on)),
        "own pidfile" => own_pidfile(
            options.pidfile(c"pid").lock_file(c"lock").chdir(c"."),
            began,
        ),
        "waits for the lock" => options
            .pidfile(c"pid")
            .timeout(Duration::from_millis(100))
            .lock_timeout(Duration::from_secs(60))
            .daemonize()
            .map(|identity| started(identity, began, sleep_on)),
        "waits in vain" => options
            .pidfile(c"pid")
            .lock_timeout(Duration::from_millis(300))
            .daemonize()
            .map(|identity| started(identity, began, sleep_on)),
        "user by name" => options
            .user(c"nobody:5100")
            .pidfile(c"pid")
            .chown_pidfile(true)
            .daemonize()
            .map(|identity| started(identity, began, sleep_on)),
        "no such user" => options
            .pidfile(c"pid")
            .user(c"no such user")
            .daemonize()
            .map(|identity| started(identity, began, sleep_on)),
        "inherited umask" => {
            // SAFETY: numbers only.
            unsafe { libc::umask(0o123) };
            options
                .inherit_umask()
                .daemonize()
                .map(|identity| started(identity, began, sleep_on))
        }
        "session" => session(options),
        _ => return None,
    })
}

/// Passes files that are open.
fn open_files(options: DaemonizeOptions<'_>, began: Instant) -> Result<(), Error> {
    let input = File::open("in").unwrap();
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .open("log")
        .unwrap();
    let options = options
        .stdin(Stdio::fd(input.as_raw_fd()))
        .stdout(Stdio::fd(log.as_raw_fd()))
        .stderr(Stdio::fd(log.as_raw_fd()))
        // The descriptors are closed, the streams are not.
        .close_fds(&[]);
    started(options.daemonize()?, began, |_ready| {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).unwrap();
        print!("{text}");
        eprintln!("said on standard error");
        sleep();
    });
    Ok(())
}

fn say_on_both(options: DaemonizeOptions<'_>, began: Instant) -> Result<(), Error> {
    started(options.daemonize()?, began, |_ready| {
        println!("on standard output");
        eprintln!("on standard error");
        sleep();
    });
    Ok(())
}

/// The action runs in the daemon, outside the new root directory and before the pidfile is written.
fn action(options: DaemonizeOptions<'_>, began: Instant) -> Result<(), Error> {
    let (identity, secret) = options.daemonize_with(|| {
        fs::write("seen", fs::read_to_string("pid").unwrap_or_default()).unwrap();
        fs::write("action", process::id().to_string()).unwrap();
        fs::read_to_string("../secret").map_err(|_| Errno::EIO)
    })?;
    if matches!(identity, Identity::Original(_)) {
        assert_eq!(secret, None);
    }
    started(identity, began, |_ready| {
        fs::write("/result", secret.unwrap()).unwrap();
        sleep();
    });
    Ok(())
}

fn own_pidfile(options: DaemonizeOptions<'_>, began: Instant) -> Result<(), Error> {
    started(options.daemonize()?, began, |_ready| {
        let mut out = File::create("asked").unwrap();
        for path in [c"pid", c"lock"] {
            let pidfile = Pidfile::new(path);
            writeln!(out, "{}", pidfile.owner().unwrap_err()).unwrap();
            writeln!(out, "{}", pidfile.stop(&[]).unwrap_err()).unwrap();
        }
        writeln!(out, "{:?}", Pidfile::new(c"stale").owner().unwrap()).unwrap();
        sleep();
    });
    Ok(())
}

fn session(options: DaemonizeOptions<'_>) -> Result<(), Error> {
    match options.daemonize()? {
        Identity::Original(daemon) => {
            println!("the daemon runs as pid {}", daemon.pid());
            println!("{} {}", daemon.session(), daemon.process_group());
        }
        Identity::Daemon(_ready) => sleep(),
    }
    Ok(())
}
