//! A wallet's agent: it stays in its directory and keeps its output streams, since the shell that starts it
//! reads the name of its socket from them.

use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use rawdaemon::{DaemonizeOptions, Stdio};

fn main() -> Result<(), Box<dyn Error>> {
    let socket = env::args().nth(1).ok_or("usage: wallet SOCKET")?;

    let ready = DaemonizeOptions::new()
        .chdir(env::current_dir()?)
        .umask(0o027)
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit())
        .daemonize_or_exit();

    let listener = UnixListener::bind(&socket)?;
    println!("WALLET_SOCKET={socket}; export WALLET_SOCKET");
    ready.notify()?;
    let mut locked = true;
    for stream in listener.incoming() {
        // A client that is gone is no reason to stop.
        let _ = stream.and_then(|stream| answer(&stream, &mut locked));
    }
    Ok(())
}

fn answer(mut stream: &UnixStream, locked: &mut bool) -> io::Result<()> {
    let mut command = String::new();
    BufReader::new(stream).read_line(&mut command)?;
    match command.trim_end() {
        "lock" => *locked = true,
        "unlock" => *locked = false,
        unknown => eprintln!("wallet: {unknown:?} is no command"),
    }
    writeln!(stream, "{}", if *locked { "locked" } else { "open" })
}
