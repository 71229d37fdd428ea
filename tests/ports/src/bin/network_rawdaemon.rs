//! A network daemon: as root it binds its port and reads its key; it serves as another user, in another
//! root directory.

use std::env;
use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

use rawdaemon::{DaemonizeOptions, Identity};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [user, group, root, pidfile, key, address] = arguments.as_slice() else {
        return failed("usage: network USER GROUP ROOT PIDFILE KEY ADDRESS");
    };

    let options = DaemonizeOptions::new()
        .user(user.as_str())
        .group(group.as_str())
        .chroot(root)
        .umask(0o077)
        .pidfile(pidfile)
        .chown_pidfile(true);
    let (ready, key, listener) = match options.daemonize_with(|| open(key, address)) {
        Ok((Identity::Daemon(ready), Some((key, listener)))) => (ready, key, listener),
        Ok(_) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("network: {}", options.describe(&error));
            return error.into();
        }
    };
    let _ = ready.notify();

    for stream in listener.incoming() {
        // A client that is gone is no reason to stop.
        let _ = stream.and_then(|stream| answer(stream, &key));
    }
    ExitCode::SUCCESS
}

/// Only root may read the key and bind the port.
fn open(key: &str, address: &str) -> io::Result<(String, TcpListener)> {
    Ok((fs::read_to_string(key)?, TcpListener::bind(address)?))
}

/// Tells a client how long the key is, which shows that it was read, and what is in the root directory.
fn answer(mut stream: TcpStream, key: &str) -> io::Result<()> {
    writeln!(stream, "a key of {} bytes", key.len())?;
    for entry in fs::read_dir("/")? {
        writeln!(stream, "{}", entry?.path().display())?;
    }
    Ok(())
}

fn failed(error: impl Display) -> ExitCode {
    eprintln!("network: {error}");
    ExitCode::FAILURE
}
