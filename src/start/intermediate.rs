//! The intermediate: leads the session, creates the daemon, watches it, and removes what a daemon has left
//! that failed.

use super::barrier;
use super::context::{Context, Role, Shared};
use super::descriptors::{Kept, close_all_but};
use super::pipes::send_verdict;
use super::plan::Plan;
use super::readiness::{Channel, VARIABLE_SIZE};
use super::steps;
use super::streams::OpenFiles;
use super::watch::Watch;
use crate::environment::add_variable;
use crate::pidfile::remove_after_failure;
use crate::protocol::{Errno, Error, ExitCode, Goal, Pid, Record, encode, failed};
use crate::sys::{self, End, Fork, Forked, NO_FD, Pipe, SIGCHLD, SignalSet, Stack, ThinCStr};

/// The intermediate's part of a start.
pub(super) struct Intermediate<'s, R>(pub(super) &'s Shared<'s, R>);

impl<R: Role> Intermediate<'_, R> {
    /// Leads a session, creates the daemon, watches it, and reports the verdict to the original.
    pub(super) fn lead_and_watch(&self) -> End<Forked<R::Output>> {
        // Then the pipe has no reader when the original is gone.
        sys::close(self.0.verdict.reader);
        let created = sys::setsid()
            .map_err(failed(ExitCode::SetsidFailed))
            .and_then(|session| lead(self.0, session));
        match created {
            Ok(Fork::Child(output)) => End::Return(output),
            Ok(Fork::Parent(_)) => End::Exit(ExitCode::Ok.into()),
            Err(error) => {
                // The original may be gone.
                let _ = send_verdict(self.0.verdict.writer, Record::Failed(error));
                End::Exit(error.into())
            }
        }
    }
}

/// A start without an intermediate: the original does the intermediate's part. That is half the work. It
/// takes a process that ends when the command is executed, and that leads no process group, which cannot
/// lead a session. `None` if it cannot be done.
///
/// A SIGTERM to the original ends the daemon that has not executed yet, as it does otherwise, unless the
/// original has stopped for it. After a SIGKILL, which no process sees then, the daemon goes on.
pub(super) fn lead_directly<R: Role>(
    plan: &Plan<'_>,
    role: &R,
    stack: &Stack,
) -> Option<Result<Fork<R::Output>, Error>> {
    if !plan.may_lead_session {
        return None;
    }
    let session = sys::setsid().ok()?;
    let shared = Shared {
        plan,
        role,
        verdict: Pipe::NONE,
        stack,
    };
    let created = sys::block_signals(SignalSet::ALL)
        .map_err(failed(ExitCode::SignalsFailed))
        .and_then(|mask| {
            let created = lead(&shared, session);
            if created.is_err() {
                let _ = sys::set_signal_mask(mask);
            }
            created
        });
    Some(created.map(|fork| match fork {
        Fork::Parent(daemon) => Fork::Parent(daemon),
        Fork::Child(output) => Fork::Child(output.into_inner()),
    }))
}

/// The part of the process that leads the session. Returns when the daemon runs and the original knows it;
/// in the daemon itself, with its output.
fn lead<R: Role>(shared: &Shared<'_, R>, session: Pid) -> Result<Fork<Forked<R::Output>>, Error> {
    if session.get() == 1 {
        // The first process of a pid namespace: when it exits, the kernel kills all others.
        return Err(failed(ExitCode::ForkFailed)(Errno::EINVAL));
    }
    // Were SIGCHLD ignored, the daemon's status would be lost (wait(2)).
    sys::reset_sigaction(SIGCHLD).map_err(failed(ExitCode::SignalsFailed))?;
    let mut variable = [0; VARIABLE_SIZE];
    // First, so that no other descriptor has the number at which the command expects its end.
    let channel = Channel::open(shared.plan.readiness, &mut variable);
    let mut channel = channel.map_err(failed(ExitCode::ChannelFailed))?;
    let created = create_daemon(shared, session, &mut channel, &variable);
    if created.is_err() {
        channel.remove_socket();
    }
    created
}

fn create_daemon<R: Role>(
    shared: &Shared<'_, R>,
    session: Pid,
    channel: &mut Channel<'_>,
    variable: &[u8],
) -> Result<Fork<Forked<R::Output>>, Error> {
    let inherited = shared.role.environment();
    let no_channel = failed(ExitCode::ChannelFailed);
    let added = match ThinCStr::at_start(variable) {
        Some(variable) if variable.first_byte() != 0 => {
            Some(add_variable(inherited, variable).map_err(&no_channel)?)
        }
        _ => None,
    };
    let report = sys::pipe().map_err(&no_channel)?;
    let notify = channel.notify_end();
    // An exec closes the last two: closing around them takes one call less, and the verdict pipe tells the
    // original that the daemon has left the memory, should the intermediate not live to tell it.
    let (reader, verdict) = match shared.plan.executes {
        true => (report.reader, shared.verdict.writer),
        false => (NO_FD, NO_FD),
    };
    let context = Context {
        shared,
        report,
        notify,
        environment: added.as_deref().unwrap_or(inherited),
        own: [report.writer, notify.writer, reader, verdict, NO_FD],
    };
    let fork = R::create(&context, |daemon: Result<Pid, Errno>| {
        let daemon = daemon.map_err(failed(ExitCode::ForkFailed))?;
        watch(&context, session, channel, daemon)?;
        Ok(daemon)
    });
    match fork {
        Fork::Parent(watched) => watched.map(Fork::Parent),
        Fork::Child(output) => Ok(Fork::Child(output)),
    }
}

/// Watches the daemon, and tidies up after one that fails.
fn watch<R: Role>(
    context: &Context<'_, R>,
    session: Pid,
    channel: &mut Channel<'_>,
    daemon: Pid,
) -> Result<(), Error> {
    let Shared {
        plan,
        verdict,
        stack,
        ..
    } = context.shared;
    if !plan.executes {
        // If the original is gone, the watch sees it.
        let _ = send_verdict(verdict.writer, Record::Created);
    }
    sys::close(context.notify.writer);
    if plan.goal != Goal::Begun {
        // Another thread of the original may start a daemon too, and this process have a copy of the pipe by
        // which that start sees whether its original is gone.
        let _ = close_all_but(Kept {
            listed: &[],
            own: &[context.report.reader, verdict.writer, channel.fd()],
        });
    }
    let mut watch = Watch::new(context, session, channel, daemon);
    let judged = watch.run();
    // A success is an exec.
    if watch.has_ended() || judged.is_ok() {
        stack.mark_released();
    }
    match judged {
        Ok(()) => barrier::leave_listener(&watch),
        Err(error) => remove_after_failure(plan.options, daemon, error),
    }
    judged
}

/// The daemon: takes its steps, and reports the first one that fails.
pub(super) fn daemon<R: Role>(context: &Context<'_, R>) -> End<R::Output> {
    let taken = if sys::getpid().get() == 1 {
        // In a pid namespace that the caller has made and is not in (unshare(2)).
        Err(failed(ExitCode::ForkFailed)(Errno::EINVAL))
    } else {
        steps::take(context, &mut OpenFiles::new())
    };
    match taken {
        Ok(output) => End::Return(output),
        Err(error) => {
            // If the intermediate is gone, the exit code still names the step.
            let _ = sys::write(context.report.writer, &encode(&Record::Failed(error)));
            End::Exit(error.into())
        }
    }
}
