//! Callers that start commands as daemons.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, ptr};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, set_child_subreaper};

use rawdaemon::{CStrings, argv};

use super::{Size, memory};
use crate::report::{TableBySize, median, now};
use crate::{programs, reap};

struct Way {
    name: &'static str,
    /// Starts this program with the argument `-V`.
    start: fn(&CStr) -> io::Result<()>,
}

const WAYS: [Way; 3] = [
    Way {
        name: "spawn",
        start: spawn,
    },
    Way {
        name: "fork, setsid, fork, exec, pipe",
        start: fork_twice,
    },
    Way {
        name: "posix_spawn of setsid -f, wait",
        start: spawn_setsid,
    },
];

const ABOUT: &str = "\
The first two return once the command has been executed. The last returns when setsid exits, which does not
report whether the command was executed.
";

pub fn measure(sizes: &[&Size]) -> io::Result<()> {
    let names = WAYS.each_ref().map(|way| way.name);
    let mut table = TableBySize::new(&names, Size::names(sizes));
    for (column, size) in sizes.iter().enumerate() {
        for (row, span) in run_caller(size, WAYS.len())? {
            table.add(row, column, Some(span));
        }
    }
    // A fork of much memory leaves nothing of `spawn` in the caches of the processor.
    let mut alone = Vec::new();
    for size in sizes.first().into_iter().chain(sizes.last()) {
        let mut spans: Vec<i64> = run_caller(size, 1)?.iter().map(|(_, span)| *span).collect();
        alone.extend(median(&mut spans));
    }
    table.print("from the call to its return, starting a command");
    let last = sizes.len().saturating_sub(1);
    if let (Some(small), Some(large)) = (table.median(0, 0), table.median(0, last)) {
        println!(
            "spawn takes {:.2} times as long in a caller of {} as in one of {}.",
            large as f64 / small as f64,
            sizes[last].name(),
            sizes[0].name(),
        );
    }
    if let [small, large] = alone[..] {
        println!(
            "Without the others in between: {:.1} and {:.1}, ratio {:.2}.",
            large as f64 / 1e3,
            small as f64 / 1e3,
            large as f64 / small as f64,
        );
    }
    println!("{ABOUT}");
    Ok(())
}

/// Returns the way and the span of each start, in nanoseconds, of the first ways.
fn run_caller(size: &Size, ways: usize) -> io::Result<Vec<(usize, i64)>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("spans");
    let mut command = Command::new(env::current_exe()?);
    command.arg("spawner").arg(size.mib.to_string());
    command.arg(size.spawning_rounds.to_string());
    command.arg(ways.to_string()).arg(&file);
    // The commands print their version.
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        println!("skipped: commands from {}: {status}", size.name());
        return Ok(Vec::new());
    }
    let parse = |line: &str| {
        let (way, span) = line.split_once(' ')?;
        Some((way.parse().ok()?, span.parse().ok()?))
    };
    Ok(fs::read_to_string(file)?
        .lines()
        .filter_map(parse)
        .collect())
}

/// The caller: starts commands in the first ways in turn, and writes the span of each start to the file.
pub fn caller_main(mib: usize, rounds: usize, ways: usize, file: &Path) -> io::Result<()> {
    set_child_subreaper(Some(Pid::INIT))?;
    let program = CString::new(programs::rawdaemon().as_os_str().as_bytes())?;
    let mut file = io::BufWriter::new(File::create(file)?);
    memory::occupy(mib)?;
    let mut works = [true; WAYS.len()];
    for _ in 0..rounds {
        for (index, way) in WAYS.iter().enumerate().take(ways) {
            if !works[index] {
                continue;
            }
            let called = now();
            let outcome = (way.start)(&program);
            let span = now() - called;
            reap();
            match outcome {
                Ok(()) => writeln!(file, "{index} {span}")?,
                Err(error) => {
                    eprintln!("skipped: {}: {error}", way.name);
                    works[index] = false;
                }
            }
        }
    }
    file.flush()
}

fn spawn(program: &CStr) -> io::Result<()> {
    let list = [Some(program.into()), Some(c"-V".into()), None];
    let argv = CStrings::new(&list).ok_or(io::ErrorKind::InvalidInput)?;
    rawdaemon::spawn(program, argv, argv![]).map_err(io::Error::other)?;
    Ok(())
}

/// The usual way with a C library: exec closes the pipe, or the error number of the failure is written to it.
fn fork_twice(program: &CStr) -> io::Result<()> {
    let argv = [program.as_ptr(), c"-V".as_ptr(), ptr::null()];
    let envp = [ptr::null()];
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    // SAFETY: the process has no other threads, and the child only makes system calls.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: argv and envp end in a null pointer, and the bytes written are those of errno.
        unsafe {
            libc::setsid();
            let daemon = libc::fork();
            if daemon == 0 {
                libc::execve(program.as_ptr(), argv.as_ptr(), envp.as_ptr());
            }
            if daemon <= 0 {
                let errno = *libc::__errno_location();
                let bytes = (&raw const errno).cast();
                libc::write(writer.as_raw_fd(), bytes, size_of_val(&errno));
            }
            libc::_exit(0);
        }
    }
    drop(writer);
    wait_for(child)?;
    let mut errno = Vec::new();
    File::from(reader).read_to_end(&mut errno)?;
    match errno.first_chunk() {
        Some(errno) => Err(io::Error::from_raw_os_error(i32::from_ne_bytes(*errno))),
        None => Ok(()),
    }
}

fn spawn_setsid(program: &CStr) -> io::Result<()> {
    let setsid = c"setsid";
    let argv = [setsid, c"-f", program, c"-V"].map(|word| word.as_ptr().cast_mut());
    let [name, option, program, argument] = argv;
    let argv = [name, option, program, argument, ptr::null_mut()];
    let envp = [ptr::null_mut()];
    let mut child = 0;
    // SAFETY: argv and envp end in a null pointer.
    let error = unsafe {
        libc::posix_spawnp(
            &raw mut child,
            setsid.as_ptr(),
            ptr::null(),
            ptr::null(),
            argv.as_ptr(),
            envp.as_ptr(),
        )
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    wait_for(child)
}

/// Waits for a child, which must exit with 0. If `child` is -1, the fork failed: returns its error.
fn wait_for(child: i32) -> io::Result<()> {
    if child == -1 {
        return Err(io::Error::last_os_error());
    }
    let mut status = 0;
    // SAFETY: the kernel writes an integer to `status`.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    match (waited, status) {
        (-1, _) => Err(io::Error::last_os_error()),
        (_, 0) => Ok(()),
        (_, status) => Err(io::Error::other(format!("wait status {status}"))),
    }
}
