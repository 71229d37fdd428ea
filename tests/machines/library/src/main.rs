//! Starts, finds and stops a daemon, and becomes one. Exits with 0 if all of that goes as it must, and says what it did.
#![no_std]
#![cfg_attr(target_arch = "mips", feature(asm_experimental_arch))]
#![no_main]

use core::fmt::Write;

use rawdaemon::{
    CStrings, DaemonizeOptions, Error, ErrorKind, Identity, Owner, Pidfile, Stage, Stderr, Stdout,
    ThinCStr, argv,
};

rawdaemon::entry!(main);

fn main(argv: CStrings, envp: CStrings) -> u8 {
    let Some(pidfile) = argv.iter().nth(1) else {
        let _ = writeln!(Stderr, "usage: library PIDFILE");
        return 64;
    };
    let done = match spawn(pidfile, envp) {
        Ok(true) => daemonize(pidfile),
        outcome => outcome,
    };
    match done {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => {
            let _ = writeln!(Stdout, "{error}");
            error.exit_code()
        }
    }
}

/// Says what was found, and whether it is as it must be.
fn check(what: &str, is_right: bool) -> bool {
    let word = if is_right { "" } else { "not " };
    let _ = writeln!(Stdout, "{word}{what}");
    is_right
}

fn spawn(path: ThinCStr<'_>, envp: CStrings<'_>) -> Result<bool, Error> {
    let (options, pidfile) = (DaemonizeOptions::new().pidfile(path), Pidfile::new(path));
    let start = |program| options.spawn(program, argv![c"sleep", c"1000"], envp);
    let daemon = start(c"sleep")?.pid();
    let kind = |started: Result<_, Error>| started.map_err(|error| error.kind()).err();
    let is_second = check(
        "refused a second one",
        kind(start(c"sleep")) == Some(ErrorKind::AlreadyRunning),
    );
    let is_found = check("found", pidfile.owner()? == Owner::Running(daemon));
    let stopped = pidfile.stop(Stage::TERM_THEN_KILL)?;
    let is_stopped = check("stopped", stopped == Some(daemon));
    let missing = kind(start(c"no-such-program"));
    let is_missing = check(
        "told of a missing program",
        missing == Some(ErrorKind::CommandNotFound),
    );
    let is_gone = check("left no pidfile", pidfile.owner()? == Owner::NotRunning);
    Ok(is_second && is_found && is_stopped && is_missing && is_gone)
}

fn daemonize(path: ThinCStr<'_>) -> Result<bool, Error> {
    match DaemonizeOptions::new().pidfile(path).daemonize() {
        Ok(Identity::Original(_)) => Ok(check("became a daemon", true)),
        // It may end now: its word counts.
        Ok(Identity::Daemon(ready)) => Ok(ready.notify().is_ok()),
        // An emulator has threads of its own.
        Err(error) if error.kind() == ErrorKind::Threaded => {
            Ok(check("refused to daemonize with other threads", true))
        }
        Err(error) => Err(error),
    }
}
