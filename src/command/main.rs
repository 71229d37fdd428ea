//! The command: parses its arguments, starts, finds or stops a daemon, and reports the outcome.
#![no_std]
#![cfg_attr(target_arch = "mips", feature(asm_experimental_arch))]
#![no_main]

#[cfg(feature = "alloc")]
compile_error!(
    "the command is built without the features alloc and std; build the library with --lib"
);

mod args;
mod control;
mod line;
mod os;
mod prepare;
mod progress;
mod report;
mod start;

use rawdaemon::internal::{Packed, before, catch_traps, packed};
use rawdaemon::{CStrings, ErrorKind, ThinCStr};

use crate::args::{Invocation, Name, UsageError};
use crate::line::{Line, write_line};
use crate::os::{Given, OUTPUT_LOST};

static HELP: Packed = packed!(
    "\
Usage: rawdaemon [OPTIONS] [--] COMMAND [ARGUMENTS]
       rawdaemon --status | --stop | --signal SIG -p FILE [OPTIONS]
Start COMMAND as a daemon, and exit with a code that says whether it started.
  -p, --pidfile FILE    write the pid to FILE and lock it; -l, --lock: only lock
  -i, --stdin, -o, --stdout, -e, --stderr FILE or inherit (default: /dev/null)
  -a, --append; -c, --chdir DIR (/); -r, --chroot DIR; -m, --umask MASK (022)
  -u, --user USER[:GROUP]; -g, --group GROUP; -n, --nice N; --oom-score-adj N
  --sched POLICY; --ionice CLASS; --cpus LIST; --capabilities, --securebits LIST
  --rlimit NAME=SOFT[:HARD]; --no-new-privs; --keep-fd N; --mkdir DIR
  -E, --env NAME=VALUE; --clear-env; --argv0 NAME; -f, --foreground: do not fork
  -R, --ready HOW       success: exec (default), it was executed; fd:N, it has
      written a line to N; notify[:@|:/PATH]: sd_notify(3); fork[:/PATH]: forked
  -t, --timeout SECS    give up waiting (60); exec: it must live so long (0)
  --start-or-ok, --restart   if it already runs: exit with 0, or stop it first
  --respawn[=always]    start it again when it fails; --init[=image]: as pid 1
  --respawn-delay, --respawn-max, --respawn-good, --respawn-final, --watchdog
  --respawn-orphan; --log-size, --log-keep, --log-time, --log: of its output
  -T, --status    print its pid; 0 runs, 1 dead, 2 restarts, 3 not, 4 unknown
  -K, --stop; -s, --signal SIG; --process-group; --strict: 7 if it does not run
  --kill-after SECS (10); --retry TERM/10/KILL/5; --trust-pidfile: with no lock
  -L, --list FILE...; -v, --verbose; -q, --quiet; -h, --help; -V, --version
Exit codes: 0 it runs; 5 it ended too soon; 6 not ready in time; 12 it already
runs; 18 it cannot start; 126, 127 not executed, not found. See rawdaemon(8).
"
);

static VERSION: Packed = packed!("rawdaemon ", env!("CARGO_PKG_VERSION"), "\n");

rawdaemon::entry!(main);

fn main(argv: CStrings<'static>, envp: CStrings<'static>) -> u8 {
    catch_traps();
    let name = argv.iter().next().map_or(&b""[..], ThinCStr::to_bytes);
    let is_daemonize =
        before(name, DAEMONIZE).is_some_and(|folder| matches!(folder, [] | [.., b'/']));
    let given = &Given {
        arguments: argv.skip(1),
        environment: envp,
    };
    let code = run(given, is_daemonize);
    if is_daemonize { code.min(1) } else { code }
}

/// Called by this name, the command behaves as daemonize(1): its options are ours, and its exit codes are 0 and 1.
/// Its daemons inherit the umask, and own their pidfiles.
const DAEMONIZE: &[u8] = b"daemonize";

/// Runs the command, and returns its exit code.
fn run(given: &Given, is_daemonize: bool) -> u8 {
    // Its 1.4 kB are not moved.
    let mut parsed = Invocation::parse(given.arguments.as_slice());
    let invocation = match &mut parsed {
        Ok(invocation) => invocation,
        Err(error) => return refuse(error),
    };
    invocation.start.inherit_umask = is_daemonize && invocation.start.umask.is_none();
    invocation.start.chown_pidfile = is_daemonize;
    let keep = invocation.keep;
    invocation.start.keep = keep.get(..invocation.kept);
    let is_asked = |name: &&Name| invocation.has(**name);
    match ACTIONS.iter().find(is_asked) {
        Some(Name::Help) => print(HELP),
        Some(Name::Version) => print(VERSION),
        Some(Name::Status) => control::print_status(invocation, None),
        Some(Name::List) => control::list(invocation, given.arguments),
        Some(Name::Stop) => control::stop_daemon(invocation),
        Some(Name::Signal) => control::signal_daemon(invocation),
        // When the init process exits, the kernel kills every process of its pid namespace (pid_namespaces(7)).
        _ if os::is_init() && !invocation.has(Name::Foreground) && !invocation.has(Name::Init) => {
            write_line(packed!(
                "process 1 must not exit; use --init or --foreground"
            ));
            ErrorKind::Usage.exit_code()
        }
        Some(_) => match control::stop_for_restart(invocation) {
            Ok(()) => start::start_daemon(given, invocation),
            Err(code) => code,
        },
        None => start::start_daemon(given, invocation),
    }
}

#[inline(never)]
fn refuse(error: &UsageError<'_>) -> u8 {
    let mut line = Line::new();
    error.describe(&mut |piece| line.add(piece));
    line.say(packed!("; see rawdaemon --help"));
    line.end();
    ErrorKind::Usage.exit_code()
}

/// The actions other than a start, in the order in which the command looks for them: --signal may stand beside
/// --stop and --restart.
static ACTIONS: &[Name] = &[
    Name::Help,
    Name::Version,
    Name::Status,
    Name::List,
    Name::Stop,
    Name::Restart,
    Name::Signal,
];

#[inline(never)]
fn print(packed: Packed) -> u8 {
    let mut text = Line::empty();
    packed.write(&mut |piece| {
        for byte in piece {
            text.push(*byte);
        }
    });
    text.print(OUTPUT_LOST)
}
