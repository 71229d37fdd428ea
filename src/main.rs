//! The command: understands its arguments, starts the daemon, and says how that went.
#![no_std]
#![no_main]

mod control;
mod prepare;
mod start;
mod waiting;

use rawdaemon::args::{Action, Arguments, Invocation, Verbosity};
use rawdaemon::protocol::{line, say_number, tell};
use rawdaemon::{Cause, Change, Errno, Error, ExitCode, ThinCStr, interpreter_of};

use crate::waiting::Waiting;

const STDOUT: i32 = 1;
const STDERR: i32 = 2;

const HELP: &str = "\
Usage: rawdaemon [OPTIONS] [--] COMMAND [ARGUMENTS]
       rawdaemon --status | --stop | --signal SIG -p FILE [OPTIONS]
Start COMMAND as a daemon, and tell by the exit code whether it started.
  -p, --pidfile FILE    write the pid to FILE, locked while the daemon lives
  -l, --lock FILE       lock FILE only
  -i, --stdin FILE, -o, --stdout FILE, -e, --stderr FILE (default: /dev/null)
  -a, --append; -c, --chdir DIR; -r, --chroot DIR; -m, --umask MASK (022)
  -u, --user USER[:GROUP], -g, --group GROUP    by names or numbers
  -n, --nice N; --oom-score-adj N; --rlimit NAME=SOFT[:HARD]; --no-new-privs
  -E, --env NAME=VALUE; --clear-env; --argv0 NAME; --keep-fd N
  -R, --ready HOW       success is: exec (default), it was executed; fd:N, a
                        line on descriptor N; notify[:/PATH], see sd_notify(3)
  -t, --timeout SECS    wait that long for it (60), or with exec watch that long
                        that it stays alive (0); of --stop: until SIGKILL (10)
  -f, --foreground      no fork and no session: become COMMAND
  --start-or-ok; --restart    already running: say 0, or stop that one first
  -T, --status          print its pid; 0 runs, 1 dead, 3 not running, 4 unknown
  -K, --stop; -s, --signal SIG       0 also if nothing runs, or 7 with --strict
  --kill-after SECS; --retry TERM/10/KILL/5; --process-group        how to stop
  --trust-pidfile       believe FILE without its lock: the pid may be another's
  -v, --verbose; -q, --quiet; -h, --help; -V, --version
Exit codes: 0 it runs; 5 it ended too soon; 6 it did not get ready in time;
12 already running; 18 it says that it cannot start; 127 not found.
";

const VERSION: &str = concat!("rawdaemon ", env!("CARGO_PKG_VERSION"), "\n");

/// What the kernel gives a program: its arguments after its own name, and its environment. Both end
/// in `None`.
struct Given {
    arguments: Arguments<'static>,
    environment: Arguments<'static>,
}

fn run(given: &Given) -> u8 {
    let invocation = match Invocation::parse(given.arguments) {
        Ok(invocation) => invocation,
        Err(error) => {
            let mut line = Line::new();
            error.tell(&mut |piece| line.add(piece));
            line.add(b"; see rawdaemon --help");
            line.end();
            return ExitCode::Usage.into();
        }
    };
    match invocation.action {
        Action::Help => print(HELP),
        Action::Version => print(VERSION),
        Action::Status => control::tell_status(&invocation),
        Action::Signal => control::signal_daemon(&invocation),
        Action::Stop => control::stop_daemon(&invocation),
        // When it ends, the kernel ends every process of its pid namespace (pid_namespaces(7)).
        _ if start::is_first_process() && !invocation.foreground => {
            say(b"the first process must stay, and its daemons end with it; use --foreground");
            ExitCode::Usage.into()
        }
        Action::Restart => match control::clear_the_way(&invocation) {
            Ok(()) => start_daemon(given, &invocation).into(),
            Err(code) => code.into(),
        },
        Action::Start => start_daemon(given, &invocation).into(),
    }
}

/// Says one line.
#[inline(never)]
fn say(text: &[u8]) {
    let mut line = Line::new();
    line.add(text);
    line.end();
}

#[inline(never)]
fn start_daemon(given: &Given, invocation: &Invocation<'static>) -> ExitCode {
    let program = given.arguments.get(invocation.command).copied().flatten();
    let program = program.unwrap_or(ThinCStr::new(c""));
    let mut environment = given.environment;
    let mut waiting = Waiting::new(invocation);
    let mut options = invocation.options();
    let outcome = prepare::run_as(invocation, &mut options).and_then(|account| {
        environment = prepare::environment(given, invocation, account)?;
        let command = prepare::command(given, invocation)?;
        options.spawn_and_show(program.to_c_str(), command, environment, &mut |progress| {
            waiting.show(progress);
        })
    });
    waiting.end();
    let is_verbose = invocation.verbosity == Verbosity::Verbose;
    match outcome {
        Ok(pid) => {
            if is_verbose {
                tell_steps(invocation, program, STEPS_COUNT);
                let mut line = Line::new();
                line.add(b"the daemon runs as pid ");
                say_number(pid.get().unsigned_abs(), &mut |piece| {
                    line.add(piece);
                });
                line.end();
            }
            ExitCode::Ok
        }
        Err(error) => {
            let is_ok = invocation.start_or_ok && error.code() == ExitCode::AlreadyRunning;
            if is_verbose {
                tell_steps(invocation, program, taken_before(&error));
            }
            if is_verbose || invocation.verbosity == Verbosity::Normal && !is_ok {
                tell_failure(environment, invocation, program, &error, waiting.status());
            }
            if is_ok { ExitCode::Ok } else { error.code() }
        }
    }
}

/// One line that says what failed, on what, and why.
fn tell_failure(
    environment: Arguments<'_>,
    invocation: &Invocation<'_>,
    program: ThinCStr<'_>,
    error: &Error,
    status: &[u8],
) {
    let path = path_of(invocation, program, error);
    let mut head = [0; 4096];
    let no_such_file = Error::new(ExitCode::ExecFailed, Cause::Errno(Errno::ENOENT));
    let is_inside = path_at(invocation, program, CHROOT).is_some();
    let interpreter = if *error == no_such_file && !is_inside {
        interpreter_of(program.to_c_str(), environment, &mut head)
    } else {
        None
    };
    let mut line = Line::new();
    tell(error, path.map(ThinCStr::to_c_str), &mut |piece| {
        line.add(piece);
    });
    if let Some(interpreter) = interpreter {
        line.add(b"; its interpreter ");
        line.add(interpreter);
        line.add(b" may be missing");
    }
    if !status.is_empty() {
        line.add(b"; it said: ");
        line.add(status);
    }
    line.end();
}

/// What the step that failed was given.
fn path_of<'a>(
    invocation: &Invocation<'a>,
    program: ThinCStr<'a>,
    error: &Error,
) -> Option<ThinCStr<'a>> {
    let (_, _, place) = failure(error.code());
    let place = match error.code() {
        ExitCode::OpenFailed => error.stream()? as u8,
        ExitCode::PidfileFailed if error.is_of_lock_file() => LOCK_FILE,
        ExitCode::SetgidFailed if path_at(invocation, program, GROUP).is_none() => USER,
        _ => place,
    };
    path_at(invocation, program, place)
}

/// The places of the paths and names, and of the program behind them.
const PIDFILE: u8 = 3;
const LOCK_FILE: u8 = 4;
const CHROOT: u8 = 5;
const CHDIR: u8 = 6;
const USER: u8 = 7;
const GROUP: u8 = 8;
const PROGRAM: u8 = 10;
const NOWHERE: u8 = 11;

/// What stands at this place.
fn path_at<'a>(
    invocation: &Invocation<'a>,
    program: ThinCStr<'a>,
    place: u8,
) -> Option<ThinCStr<'a>> {
    match place {
        PROGRAM => Some(program),
        _ => invocation.words.get(usize::from(place)).copied().flatten(),
    }
}

/// The steps, in the order of [`FAILURES`], with the place of what each was given, counted from the
/// letter A; Z was given nothing, and Y stands for what is in no place.
static STEPS: &[u8] = b"\
Zreset the signals and closed the inherited descriptors
Aopened as standard input
Bopened as standard output
Copened as standard error
Elocked the lock file
Dlocked the pidfile
Zset the umask
Fchanged the root to
Gentered
Dwrote the pidfile
Yset the limits
Ibecame group
Hbecame user
Kexecuted";

const STEPS_COUNT: u8 = 14;

/// A line for each step that was taken.
#[inline(never)]
fn tell_steps(invocation: &Invocation<'_>, program: ThinCStr<'_>, taken: u8) {
    let has_limits = invocation.limits.iter().any(Option::is_some)
        || invocation.niceness.is_some()
        || invocation.oom_score_adj.is_some()
        || invocation.no_new_privs;
    for index in 0..usize::from(taken) {
        let [place, words @ ..] = line(STEPS, index) else {
            return;
        };
        let path = match path_at(invocation, program, place.wrapping_sub(b'A')) {
            None if *place == b'G' => Some(ThinCStr::new(c"/")),
            path => path,
        };
        let is_told = match *place {
            b'Y' => has_limits,
            b'Z' => true,
            _ => path.is_some(),
        };
        if is_told {
            let mut line = Line::new();
            line.add(words);
            if let Some(path) = path {
                line.add(b" ");
                line.add(path.to_c_str().to_bytes());
            }
            line.end();
        }
    }
}

/// How many steps surely lie behind this failure. Who exits with a status of its own was executed.
fn taken_before(error: &Error) -> u8 {
    match error.cause() {
        Cause::Died { status, .. }
            if error.code() == ExitCode::DaemonDied
                && matches!(status.change(), Change::Exited(_)) =>
        {
            STEPS_COUNT
        }
        _ => failure(error.code()).1,
    }
}

/// What may fail, with how many of the steps surely lie behind it, and with the place of what the
/// step was given.
static FAILURES: [(ExitCode, u8, u8); 13] = [
    (ExitCode::OpenDevNullFailed, 1, NOWHERE),
    (ExitCode::OpenFailed, 1, NOWHERE),
    (ExitCode::PidfileFailed, 4, PIDFILE),
    (ExitCode::AlreadyRunning, 4, NOWHERE),
    (ExitCode::ChrootFailed, 7, CHROOT),
    (ExitCode::LimitsFailed, 6, NOWHERE),
    (ExitCode::ChdirFailed, 8, CHDIR),
    (ExitCode::GroupsFailed, 11, NOWHERE),
    (ExitCode::SetgidFailed, 0, GROUP),
    (ExitCode::SetuidFailed, 0, USER),
    (ExitCode::ExecFailed, 13, PROGRAM),
    (ExitCode::CommandNotFound, 13, PROGRAM),
    (ExitCode::Refused, STEPS_COUNT, NOWHERE),
];

#[inline(never)]
fn failure(code: ExitCode) -> (ExitCode, u8, u8) {
    let known = FAILURES.iter().find(|failure| failure.0 == code);
    known.copied().unwrap_or((code, 0, NOWHERE))
}

fn print(text: &str) -> u8 {
    start::write_all(STDOUT, text.as_bytes());
    ExitCode::Ok.into()
}

/// Erases the rest of a terminal's line: ECMA-48's EL.
const ERASE: &[u8] = b"\x1b[K";

/// Text on its way to standard error: in one write, unless it is longer than the buffer.
struct Line {
    bytes: [u8; 512],
    length: usize,
}

impl Line {
    #[inline(never)]
    fn new() -> Self {
        let mut line = Self {
            bytes: [0; 512],
            length: 0,
        };
        line.add(b"rawdaemon: ");
        line
    }

    /// Adds text, which stays one line: a path may contain anything.
    #[inline(never)]
    fn add(&mut self, piece: &[u8]) {
        let mut before = 0;
        for byte in piece {
            // U+0080 to U+009F are control characters too, and to some terminals commands.
            let is_control =
                byte.is_ascii_control() || before == 0xc2 && matches!(byte, 0x80..0xa0);
            self.put(if is_control { b'?' } else { *byte });
            before = *byte;
        }
    }

    fn put(&mut self, byte: u8) {
        if self.length == self.bytes.len() {
            self.flush();
        }
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length = self.length.saturating_add(1);
        }
    }

    fn flush(&mut self) {
        start::write_all(STDERR, self.bytes.get(..self.length).unwrap_or_default());
        self.length = 0;
    }

    /// Shows as much of the line as so many columns have room for, in place of what stood there.
    fn show(&self, width: usize) {
        let all = self.bytes.get(..self.length).unwrap_or_default();
        start::write_all(STDERR, b"\r");
        start::write_all(STDERR, all.get(..width).unwrap_or(all));
        start::write_all(STDERR, ERASE);
    }

    /// Ends the line and says it.
    #[inline(never)]
    fn end(&mut self) {
        self.put(b'\n');
        self.flush();
    }
}
