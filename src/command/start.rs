//! The start of the daemon.

use rawdaemon::internal::Step;
use rawdaemon::{ErrorKind, ThinCStr};

use crate::args::{Invocation, Verbosity};
use crate::entry::Given;
use crate::line::Line;
use crate::os::SUCCESS;
use crate::prepare;
use crate::progress::ProgressLine;
use crate::report::Report;

/// Starts the daemon, reports the outcome, and returns the exit code.
pub(crate) fn start_daemon(given: &Given, invocation: &Invocation<'static>) -> u8 {
    let command = given.arguments.skip(invocation.command);
    let program = command.iter().next().unwrap_or(ThinCStr::new(c""));
    let mut environment = given.environment;
    let mut options = invocation.options();
    let mut progress = ProgressLine::new(invocation.verbosity);
    let mut is_prepared = false;
    let outcome = prepare::set_user_and_group(invocation, &mut options).and_then(|account| {
        environment = prepare::environment(given, invocation, account)?;
        let command = prepare::command(command, invocation)?;
        // An empty command is refused before the start.
        is_prepared = program.first_byte() != 0;
        progress.set_goal(&options);
        options.spawn_with_progress(program.to_c_str(), command, environment, &mut |event| {
            progress.show(event);
        })
    });
    progress.erase();
    let report = Report {
        invocation,
        options: &options,
        program,
        environment,
    };
    let is_verbose = invocation.verbosity == Verbosity::Verbose;
    match outcome {
        Ok(pid) => {
            if is_verbose {
                report.write_steps(Step::ALL);
                let mut line = Line::new();
                line.add(b"the daemon runs as pid ");
                line.add_number(pid.get().unsigned_abs());
                line.end();
            }
            SUCCESS
        }
        Err(error) => {
            let is_ok = invocation.start_or_ok && error.kind() == ErrorKind::AlreadyRunning;
            if is_verbose && is_prepared {
                report.write_steps(Step::taken_before(&error));
            }
            if is_verbose || invocation.verbosity == Verbosity::Normal && !is_ok {
                report.write_failure(&error, progress.status());
            }
            if is_ok { SUCCESS } else { error.exit_code() }
        }
    }
}
