//! A gateway: it opens its log itself, becomes a daemon, and acknowledges each line that a client sends.

use std::env;
use std::error::Error;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use rawdaemon::DaemonizeOptions;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let [_, address, folder] = arguments.as_slice() else {
        return Err("usage: gateway ADDRESS FOLDER".into());
    };
    let folder = Path::new(folder);
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("gateway.log"))?;

    let options = DaemonizeOptions::new()
        .pidfile(folder.join("gateway.pid"))
        .chdir(folder.join("data"))
        .umask(0o027)
        .stdout(log.try_clone()?)
        .stderr(log);
    let ready = options.daemonize_or_exit();

    let listener = TcpListener::bind(address)?;
    ready.notify()?;
    println!("listening on {address}");
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            if let Err(error) = acknowledge(&stream) {
                eprintln!("lost a client: {error}");
            }
        });
    }
    Ok(())
}

fn acknowledge(mut stream: &TcpStream) -> io::Result<()> {
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if line.is_empty() {
            eprintln!("an empty line");
        }
        println!("received {line:?}");
        writeln!(stream, "ack {line}")?;
    }
    Ok(())
}
