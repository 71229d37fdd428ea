//! A launcher on tokio: its runtime has threads, so it can start daemons but not become one.

use std::env;
use std::io;
use std::process::ExitCode;

use rawdaemon::Command;
use tokio::runtime::Runtime;
use tokio::task::spawn_blocking;

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [count, program, arguments @ ..] = arguments.as_slice() else {
        return Err(io::Error::other(
            "usage: launcher COUNT PROGRAM [ARGUMENT…]",
        ));
    };
    let count = count.parse().map_err(io::Error::other)?;
    Ok(Runtime::new()?.block_on(launch(count, program, arguments)))
}

/// Starts as many daemons at once, and then tries to become one.
async fn launch(count: usize, program: &str, arguments: &[String]) -> ExitCode {
    let starts: Vec<_> = (0..count)
        .map(|_| {
            let (program, arguments) = (program.to_owned(), arguments.to_owned());
            spawn_blocking(move || Command::new(program).args(arguments).spawn())
        })
        .collect();
    for start in starts {
        match start.await {
            Ok(Ok(daemon)) => println!("a daemon runs as pid {}", daemon.pid()),
            Ok(Err(error)) => println!("no daemon: {error}"),
            Err(panic) => println!("no daemon: {panic}"),
        }
    }
    match rawdaemon::daemonize() {
        Ok(identity) => panic!("a process with threads was copied: {identity:?}"),
        Err(error) => {
            eprintln!("launcher: {error}");
            error.into()
        }
    }
}
