//! A server on tokio: it becomes a daemon first, and then builds its runtime, which has threads.

use std::env;
use std::io;
use std::process::ExitCode;

use rawdaemon::{DaemonizeOptions, Identity, Stdio};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    let [_, address, pidfile, log] = arguments.as_slice() else {
        eprintln!("usage: server ADDRESS PIDFILE LOG");
        return ExitCode::from(64);
    };

    let options = DaemonizeOptions::new()
        .pidfile(pidfile)
        .stderr(Stdio::append(log))
        .require_ready(true);
    let ready = match options.daemonize() {
        Ok(Identity::Original(daemon)) => {
            println!("the server runs as pid {}", daemon.pid());
            return ExitCode::SUCCESS;
        }
        Ok(Identity::Daemon(ready)) => ready,
        Err(error) => {
            eprintln!("server: {error}");
            return error.into();
        }
    };

    let opened = Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .and_then(|runtime| {
            let opened = runtime.block_on(open(address))?;
            Ok((runtime, opened))
        });
    match opened {
        Ok((runtime, (listener, terminate))) => {
            let _ = ready.notify();
            runtime.block_on(serve(listener, terminate));
            eprintln!("server: stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = ready.fail(error);
            ExitCode::FAILURE
        }
    }
}

async fn open(address: &str) -> io::Result<(TcpListener, Signal)> {
    let terminate = signal(SignalKind::terminate())?;
    Ok((TcpListener::bind(address).await?, terminate))
}

/// Serves until the daemon is told to stop.
async fn serve(listener: TcpListener, mut terminate: Signal) {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo(stream));
        }
    });
    terminate.recv().await;
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let (mut reader, mut writer) = stream.split();
    tokio::io::copy(&mut reader, &mut writer).await?;
    Ok(())
}
