//! The command: understands its arguments, starts the daemon, and says how that went.
#![no_std]
#![no_main]

mod start;

use rawdaemon::args::{Action, Arguments, Invocation, Verbosity, assignments, merge_environment};
use rawdaemon::protocol::{line, say_number, tell};
use rawdaemon::{Cause, Errno, Error, ExitCode, ThinCStr, interpreter_of};

const STDOUT: i32 = 1;
const STDERR: i32 = 2;

const HELP: &str = "\
Usage: rawdaemon [OPTIONS] [--] COMMAND [ARGUMENTS]
Start COMMAND as a daemon, and tell by the exit code whether it started.

  -c, --chdir DIR       working directory (default: /)
  -m, --umask MASK      file mode creation mask, octal (default: 022)
  -i, --stdin FILE      standard input (default of all three: /dev/null)
  -o, --stdout FILE     standard output
  -e, --stderr FILE     standard error
  -a, --append          append to these files instead of emptying them
  -p, --pidfile FILE    write the pid to FILE, locked while the daemon lives
  -E, --env NAME=VALUE  set a variable for the daemon; repeatable
  -t, --timeout SECS    watch that long that it stays alive (default: 0)
  -v, --verbose         say what was done, and the daemon's pid
  -q, --quiet           say nothing, not even why a start failed
  -h, --help            print this help
  -V, --version         print the version

Exit codes: 0 it runs; 3 no DIR; 5 it ended too soon; 8 no FILE; 11 no pidfile;
12 already running; 64 usage; 126 cannot execute; 127 not found; more in README.
";

const VERSION: &str = concat!("rawdaemon ", env!("CARGO_PKG_VERSION"), "\n");

/// What the kernel gives a program: its arguments after its own name, and its environment. Both end
/// in `None`.
struct Given {
    arguments: Arguments<'static>,
    environment: Arguments<'static>,
}

fn run(given: &Given) -> ExitCode {
    let invocation = match Invocation::parse(given.arguments) {
        Ok(invocation) => invocation,
        Err(error) => {
            let mut line = Line::new();
            error.tell(&mut |piece| line.add(piece));
            line.add(b"; see rawdaemon --help");
            line.end();
            return ExitCode::Usage;
        }
    };
    match invocation.action {
        Action::Help => print(HELP),
        Action::Version => print(VERSION),
        Action::Start => start_daemon(given, &invocation),
    }
}

#[inline(never)]
fn start_daemon(given: &Given, invocation: &Invocation<'static>) -> ExitCode {
    let command = given
        .arguments
        .get(invocation.command..)
        .unwrap_or_default();
    let program = command
        .first()
        .copied()
        .flatten()
        .unwrap_or(ThinCStr::new(c""));
    let (environment, outcome) = match environment(given) {
        Ok(environment) => {
            let options = invocation.options();
            let outcome = options.spawn(program.to_c_str(), command, environment);
            (environment, outcome)
        }
        Err(errno) => {
            let error = Error::new(ExitCode::ExecFailed, Cause::Errno(errno));
            (Arguments::default(), Err(error))
        }
    };
    let is_verbose = invocation.verbosity == Verbosity::Verbose;
    match outcome {
        Ok(pid) => {
            if is_verbose {
                tell_steps(invocation, program, STEPS_COUNT);
                let mut line = Line::new();
                line.add(b"the daemon runs as pid ");
                say_number(pid.get().unsigned_abs().into(), &mut |piece| {
                    line.add(piece);
                });
                line.end();
            }
            ExitCode::Ok
        }
        Err(error) => {
            if is_verbose {
                tell_steps(invocation, program, steps_before(error.code()));
            }
            if invocation.verbosity != Verbosity::Quiet {
                tell_failure(environment, invocation, program, &error);
            }
            error.code()
        }
    }
}

/// The inherited environment, with what `-E` sets.
fn environment(given: &Given) -> Result<Arguments<'static>, Errno> {
    if assignments(given.arguments).next().is_none() {
        return Ok(given.environment);
    }
    // There are at least as many arguments as assignments in them.
    let room = start::pointers(given.environment, given.arguments)?;
    merge_environment(room, given.environment, assignments(given.arguments));
    Ok(room)
}

/// One line that says what failed, on what, and why.
fn tell_failure(
    environment: Arguments<'_>,
    invocation: &Invocation<'_>,
    program: ThinCStr<'_>,
    error: &Error,
) {
    let path = path_of(invocation, program, error);
    let mut head = [0; 4096];
    let no_such_file = Error::new(ExitCode::ExecFailed, Cause::Errno(Errno::ENOENT));
    let interpreter = if *error == no_such_file {
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
    line.end();
}

/// What the step that failed was given.
fn path_of<'a>(
    invocation: &Invocation<'a>,
    program: ThinCStr<'a>,
    error: &Error,
) -> Option<ThinCStr<'a>> {
    let place = match error.code() {
        ExitCode::OpenFailed => error.stream()? as usize,
        ExitCode::PidfileFailed => 3,
        ExitCode::ChdirFailed => 4,
        ExitCode::ExecFailed | ExitCode::CommandNotFound => 5,
        _ => return None,
    };
    path_at(invocation, program, place)
}

/// The path at this place of the invocation's, or behind them the program.
fn path_at<'a>(
    invocation: &Invocation<'a>,
    program: ThinCStr<'a>,
    place: usize,
) -> Option<ThinCStr<'a>> {
    let path = invocation.paths.get(place);
    path.copied().unwrap_or(Some(program))
}

/// The steps, in the order of [`steps_before`], with the place of the path that each was given.
static STEPS: &[u8] = b"\
5reset the signals and closed the descriptors of
0opened as standard input
1opened as standard output
2opened as standard error
3locked the pidfile
4entered
3wrote the pidfile
5executed";

const STEPS_COUNT: usize = 8;

/// A line for each step that was taken.
#[inline(never)]
fn tell_steps(invocation: &Invocation<'_>, program: ThinCStr<'_>, taken: usize) {
    for index in 0..taken {
        let [place, words @ ..] = line(STEPS, index) else {
            return;
        };
        let path = match path_at(invocation, program, place.wrapping_sub(b'0').into()) {
            None if *place == b'4' => Some(ThinCStr::new(c"/")),
            path => path,
        };
        if let Some(path) = path {
            let mut line = Line::new();
            line.add(words);
            line.add(b" ");
            line.add(path.to_c_str().to_bytes());
            line.end();
        }
    }
}

/// How many of the steps surely lie behind this failure.
const fn steps_before(failure: ExitCode) -> usize {
    match failure {
        ExitCode::OpenDevNullFailed | ExitCode::OpenFailed => 1,
        ExitCode::PidfileFailed | ExitCode::AlreadyRunning => 4,
        ExitCode::ChdirFailed => 5,
        ExitCode::ExecFailed | ExitCode::CommandNotFound => 7,
        _ => 0,
    }
}

fn print(text: &str) -> ExitCode {
    start::write_all(STDOUT, text.as_bytes());
    ExitCode::Ok
}

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
        for byte in piece {
            self.put(if byte.is_ascii_control() { b'?' } else { *byte });
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

    /// Ends the line and says it.
    #[inline(never)]
    fn end(&mut self) {
        self.put(b'\n');
        self.flush();
    }
}
