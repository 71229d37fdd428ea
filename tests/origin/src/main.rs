//! Becomes a daemon, or starts one, in a program that `origin` starts.
#![no_std]
#![no_main]

use core::ffi::c_void;
use core::fmt::Write;
use core::ptr::NonNull;

use origin::thread;
use rawdaemon::{
    CStrings, DaemonizeOptions, Error, Identity, Stderr, Stdio, Stdout, ThinCStr, argv,
};

/// # Safety
///
/// Only `origin` calls this, once.
#[unsafe(no_mangle)]
unsafe fn origin_main(argc: usize, argv: *mut *mut u8, _envp: *mut *mut u8) -> i32 {
    let argv = argv.cast::<Option<ThinCStr<'static>>>();
    // SAFETY: the kernel passes `argc` strings and a null pointer, which last as long as the process.
    let argv = unsafe { core::slice::from_raw_parts(argv, argc + 1) };
    let argv = CStrings::new(argv).unwrap_or(CStrings::EMPTY);
    let mut arguments = argv.skip(1).iter().map(ThinCStr::to_c_str);
    let outcome = match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(pidfile), Some(log), None) => become_daemon(
            &DaemonizeOptions::new()
                .pidfile(pidfile)
                .stdout(Stdio::file(log)),
        ),
        (Some(option), None, None) if option == c"--spawn" => start_daemon(),
        (Some(option), None, None) if option == c"--threads" => {
            create_thread();
            become_daemon(&DaemonizeOptions::new())
        }
        _ => {
            let _ = writeln!(Stderr, "usage: PIDFILE LOG | --spawn | --threads");
            return 64;
        }
    };
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(Stderr, "origin-daemon: {error}");
            error.exit_code().into()
        }
    }
}

fn become_daemon(options: &DaemonizeOptions) -> Result<(), Error> {
    match options.daemonize()? {
        Identity::Original(daemon) => {
            let _ = writeln!(Stdout, "the daemon runs as pid {}", daemon.pid());
            Ok(())
        }
        Identity::Daemon(ready) => {
            let ids = [thread::current_id(), rustix::thread::gettid()];
            let [cached, id] = ids.map(|id| id.as_raw_nonzero());
            let _ = writeln!(Stdout, "thread {cached} to origin, {id} to Linux");
            create_thread(); // a daemon may have threads
            let _ = ready.notify();
            loop {
                rustix::event::pause(); // … serve …
            }
        }
    }
}

fn start_daemon() -> Result<(), Error> {
    let daemon = rawdaemon::spawn(c"/bin/sleep", argv![c"sleep", c"100"], argv![])?;
    let _ = writeln!(Stdout, "the daemon runs as pid {}", daemon.pid());
    Ok(())
}

fn create_thread() {
    let (stack, guard) = (thread::default_stack_size(), thread::default_guard_size());
    // SAFETY: the function takes no arguments and returns nothing.
    let _ = unsafe { thread::create(wait, &[], stack, guard) };
}

/// # Safety
///
/// Any thread may call this. `origin` asks for an unsafe function.
unsafe fn wait(_: &mut [Option<NonNull<c_void>>]) -> Option<NonNull<c_void>> {
    loop {
        rustix::event::pause();
    }
}
