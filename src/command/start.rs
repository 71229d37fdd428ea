//! The start of the daemon.

use core::cell::Cell;

use rawdaemon::internal::{
    HAS_SUPERVISOR, Init, LogOptions, LookUp, Respawn, Show, Step, Supervision, await_power,
    packed, spawn_as, split_once, supervise, supervise_here,
};
use rawdaemon::{DaemonProcess, Error, ErrorKind, Progress, Readiness, Subject, ThinCStr};

use crate::args::{Invocation, Name, Verbosity};
use crate::control;
use crate::line::Line;
use crate::os::{Given, SUCCESS};
use crate::prepare;
use crate::progress::ProgressLine;
use crate::report::Report;

/// Starts the daemon, reports the outcome, and returns the exit code.
pub(crate) fn start_daemon(given: &Given, invocation: &mut Invocation<'_>) -> u8 {
    invocation.complete();
    let invocation = &*invocation;
    let command = given.arguments.skip(invocation.command);
    let program = command.iter().next().unwrap_or(ThinCStr::new(c""));
    let argv0 = invocation.argv0;
    let settings = &invocation.start;
    let schedule = invocation.schedule();
    let log = LogOptions {
        name: base_name(argv0.unwrap_or(program).to_bytes()),
        ..invocation.log.clone()
    };
    let mut progress = ProgressLine::new(invocation.verbosity);
    progress.set_goal(settings);
    let is_ok = |error: &Error| {
        invocation.has(Name::StartOrOk) && error.kind() == ErrorKind::AlreadyRunning
    };
    let is_verbose = invocation.verbosity == Verbosity::Verbose;
    let mut report = Report {
        settings,
        log: log.target,
        program,
        environment: given.environment,
    };
    let tells_steps = Cell::new(false);
    let mut look_up = LookUp::default();
    let outcome = look_up.credentials(settings).and_then(|(ids, account)| {
        report.environment = prepare::environment(given, invocation, account)?;
        let command = prepare::command(command, argv0)?;
        // An empty command is refused before the start.
        tells_steps.set(is_verbose && program.first_byte() != 0);
        let command = (program, command, report.environment);
        let tell_steps = || {
            if let [taken @ .., Step::Execute] = Step::ALL {
                report.write_steps(taken);
                // If the exec fails, the standard error of this process is the one that it had before.
                tells_steps.set(settings.string(Subject::Stderr).is_some());
            }
        };
        // The command then takes the place of this process, which cannot tell them afterwards.
        let before_exec: Option<&dyn Fn()> = match tells_steps.get() & settings.foreground {
            true => Some(&tell_steps),
            false => None,
        };
        loop {
            // Without --verbose, it only keeps what the daemon has said.
            let is_shown = is_verbose || settings.readiness != Readiness::Executed;
            let mut show = |event: Progress<'_>| progress.show(event);
            let show: Show<'_> = match is_shown {
                true => Some(&mut show),
                false => None,
            };
            let supervision = Supervision {
                settings,
                credentials: ids,
                command,
                respawn: Respawn {
                    stages: schedule.stages(),
                    first_repeated: schedule.first_repeated,
                    ..invocation.respawn
                },
                log: &log,
                init: invocation.init,
            };
            let outcome = if HAS_SUPERVISOR && invocation.has(Name::Init) {
                supervise_here(&supervision).map(Started::Ended)
            } else if HAS_SUPERVISOR && invocation.has(Name::Respawn) {
                supervise(&supervision, show).map(|(daemon, is_own)| match is_own {
                    true => Started::Runs(daemon),
                    false => Started::Adopted(daemon),
                })
            } else {
                spawn_as(settings, ids, command, before_exec, show).map(Started::Runs)
            };
            match outcome {
                // If another start holds the lock and fails, it is this one's turn.
                Err(error) if is_ok(&error) && !control::runs(invocation, &error)? => {}
                _ => break outcome,
            }
        }
    });
    progress.erase();
    match outcome {
        Ok(Started::Ended(status)) => status,
        Ok(outcome @ (Started::Runs(daemon) | Started::Adopted(daemon))) => {
            if is_verbose {
                if let Started::Runs(_) = outcome {
                    report.write_steps(Step::ALL);
                }
                tell_pid(daemon);
            }
            SUCCESS
        }
        Err(error) => {
            let is_ok = is_ok(&error);
            if tells_steps.get() {
                report.write_steps(Step::taken_before(&error));
            }
            if is_verbose || invocation.verbosity == Verbosity::Normal && !is_ok {
                report.write_failure(&error, &progress);
            }
            if HAS_SUPERVISOR && invocation.init == Init::Image {
                await_power();
            }
            if is_ok { SUCCESS } else { error.exit_code() }
        }
    }
}

#[inline(never)]
fn tell_pid(daemon: DaemonProcess) {
    let mut line = Line::new();
    line.say(packed!("the daemon runs as pid "));
    line.add_number(daemon.pid().get() as u32);
    line.end();
}

/// The outcome of a start that is a success.
enum Started {
    Runs(DaemonProcess),
    /// It has run before.
    Adopted(DaemonProcess),
    /// This process has supervised the command until it ended, and exits with this status.
    Ended(u8),
}

/// What follows the last slash of a path.
fn base_name(mut path: &[u8]) -> &[u8] {
    while let (_, Some(rest)) = split_once(path, b'/') {
        path = rest;
    }
    path
}
