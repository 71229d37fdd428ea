//! An agent that its caller may use as soon as it returns: the socket is there, or the error is shown.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::os::unix::net::UnixListener;
use std::process::exit;
use std::time::Duration;

use rawdaemon::{DaemonizeOptions, Identity};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let [_, folder, seconds] = arguments.as_slice() else {
        return Err("usage: agent FOLDER SECONDS".into());
    };
    let timeout = Duration::from_secs(seconds.parse()?);

    let options = DaemonizeOptions::new()
        .chdir(folder)
        .umask(0o022)
        .reset_signals(true)
        .close_fds(&[])
        .require_ready(true)
        .timeout(timeout);
    match options.daemonize() {
        Ok(Identity::Original(daemon)) => {
            println!("the agent runs as pid {}", daemon.pid());
            Ok(())
        }
        Ok(Identity::Daemon(ready)) => match open() {
            Ok((greeting, listener)) => {
                ready.notify()?;
                serve(&greeting, &listener);
                Ok(())
            }
            Err(error) => {
                ready.fail(error)?;
                exit(1);
            }
        },
        Err(error) => {
            eprintln!("agent: {error}");
            exit(error.exit_code().into());
        }
    }
}

/// The paths are relative to the daemon's working directory.
fn open() -> io::Result<(String, UnixListener)> {
    let greeting = fs::read_to_string("greeting")?;
    Ok((greeting, UnixListener::bind("agent.sock")?))
}

fn serve(greeting: &str, listener: &UnixListener) {
    for stream in listener.incoming() {
        // A client that is gone is no reason to stop.
        let _ = stream.and_then(|mut stream| stream.write_all(greeting.as_bytes()));
    }
}
