//! The daemons of the scenarios, and the program that uses the library.

use std::ffi::CString;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs, io, thread};

use rawdaemon::{DaemonizeOptions, Error, Identity, argv};

/// Calls of `close` with these descriptors mark where the library is at work.
const BEGIN: i32 = -1001;
const END: i32 = -1002;
/// From here to the next beginning, the program's own calls are made.
const PAUSE: i32 = -1003;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let word = |index: usize| arguments.get(index).map_or("", String::as_str);
    let number = || word(1).parse().unwrap_or(-1);
    match word(0) {
        "fd" => {
            fs::write(word(2), "").unwrap();
            // SAFETY: nothing else uses the descriptor.
            let fd = unsafe { OwnedFd::from_raw_fd(number()) };
            io::Write::write_all(&mut fs::File::from(fd), b"\n").unwrap();
        }
        "notify" => {
            fs::write(word(2), "").unwrap();
            notify("READY=1").unwrap();
        }
        "fork" => fork(word(1)).unwrap(),
        "main-pid" => name_child(word(1), word(2), word(3)).unwrap(),
        // SAFETY: nothing else uses the descriptor.
        "close" => drop(unsafe { OwnedFd::from_raw_fd(number()) }),
        "exit" => return ExitCode::from(3),
        "sleep" => {}
        case => return library(case, word(1)),
    }
    sleep()
}

fn sleep() -> ! {
    loop {
        thread::sleep(Duration::from_secs(1000));
    }
}

/// Forks, and names the child as the daemon. This process lives, or ends if the mode is `ends`. The child is ready, or
/// ends if the mode is `dies`.
fn name_child(mode: &str, named: &str, ready: &str) -> io::Result<()> {
    let (mut wait, go) = io::pipe()?;
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        0 => {
            drop(go);
            let _ = io::Read::read(&mut wait, &mut [0])?;
            if mode == "dies" {
                std::process::exit(3);
            }
            fs::write(ready, "")?;
            notify("READY=1")
        }
        child => {
            drop(wait);
            fs::write(named, child.to_string())?;
            notify(&format!("MAINPID={child}"))?;
            drop(go);
            if mode == "ends" {
                std::process::exit(0);
            }
            Ok(())
        }
    }
}

/// Goes into the background, as daemons without a supervisor do.
fn fork(named: &str) -> io::Result<()> {
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        0 => Ok(()),
        child => {
            fs::write(named, child.to_string())?;
            std::process::exit(0)
        }
    }
}

fn notify(text: &str) -> io::Result<()> {
    let name = env::var("NOTIFY_SOCKET").map_err(io::Error::other)?;
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.send(text.as_bytes()).map(drop)
}

fn mark(fd: i32) {
    // SAFETY: no such descriptor exists.
    unsafe { libc::close(fd) };
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Starts a daemon with the library. The original prints what is left of a start that it should not have.
fn library(case: &str, ready: &str) -> ExitCode {
    let before = open_descriptors();
    let outcome = start(case, ready);
    mark(END);
    if open_descriptors() != before {
        eprintln!("LEFT: a descriptor");
    }
    // SAFETY: a null status is not written to.
    if unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG | libc::__WALL) } >= 0 {
        eprintln!("LEFT: a child");
    }
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rawdaemon: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn start(case: &str, ready_file: &str) -> Result<(), Error> {
    let options = DaemonizeOptions::new().pidfile(c"pid");
    let options = options.timeout(Duration::from_millis(200));
    if case == "spawn" {
        let program = env::current_exe().unwrap().into_os_string();
        let program = CString::new(program.into_encoded_bytes()).unwrap();
        let options = options.timeout(Duration::ZERO);
        mark(BEGIN);
        return options
            .spawn(
                program.as_c_str(),
                argv![c"faults-program", c"sleep"],
                argv![],
            )
            .map(drop);
    }
    mark(BEGIN);
    let options = match case {
        "daemonize-ready" => options.timeout(Duration::from_secs(5)).require_ready(true),
        _ => options,
    };
    if let Identity::Daemon(ready) = options.daemonize()? {
        if case == "daemonize-ready" {
            mark(PAUSE);
            fs::write(ready_file, "").unwrap();
            mark(BEGIN);
            // If no process listens, the daemon runs on.
            let _ = ready.notify();
            mark(END);
            sleep();
        }
        mark(END);
        thread::sleep(Duration::from_secs(1000));
        drop(ready);
    }
    Ok(())
}
