//! The intermediate: leads the session, creates the daemon, watches it, and removes the files of a daemon
//! that fails.

use super::context::{Context, Role, Shared, Watched};
use super::daemon_process::DaemonProcess;
use super::descriptors::close_all_but;
use super::directories::MadeDirectories;
use super::kept_fds::{FIRST_FD, KeptFds};
use super::notify_folder::{NotifyFolder, VARIABLE_SIZE};
use super::pipes::send_verdict;
use super::plan::Plan;
use super::readiness::Channel;
use super::steps;
use super::streams::OpenFiles;
use super::watch::Watch;
use crate::environment::copy_with_variable;
use crate::pidfile::{is_missing, remove_after_failure};
use crate::protocol::{
    Errno, Error, ErrorKind, Goal, Nanoseconds, Note, Pid, Record, cannot_watch, encode, failed,
};
use crate::sys::{
    self, End, Fork, Forked, Mapping, NO_FD, Pipe, SIGCHLD, SignalSet, Stack, ThinCStr,
};

/// The intermediate, as a child of the original.
pub(super) struct Intermediate<'s, R>(pub(super) &'s Shared<'s, R>);

impl<R: Role> Intermediate<'_, R> {
    /// Creates the session and the daemon, watches the daemon, and reports the verdict to the original.
    pub(super) fn lead_and_watch(&self) -> End<Forked<R::Output>> {
        sys::catch_traps();
        // The original must have the only read end, so that POLLERR reports its death.
        sys::close(self.0.verdict.reader);
        let shared = Shared {
            may_setpgid: sys::may_setpgid(),
            ..*self.0
        };
        let created = sys::setsid()
            .map_err(failed(ErrorKind::SetsidFailed))
            .and_then(|session| lead_session(&shared, session));
        match created {
            Ok(Fork::Child(output)) => End::Return(output),
            Ok(Fork::Parent(_)) => End::Exit(0),
            Err(error) => {
                // This fails if the original is gone.
                let _ = send_verdict(self.0.verdict.writer, encode(&Record::Failed(error)));
                End::Exit(error.exit_code())
            }
        }
    }
}

/// A start without an intermediate: the original leads the session itself. That is half the work, but
/// only for a caller that ends after the exec of the command. `None` if the plan does not allow it or
/// setsid(2) fails, as it does in a process group leader.
///
/// A SIGTERM to the original ends a daemon that has not executed yet, as it does with an intermediate,
/// unless the original is stopped until the exec. After a SIGKILL, which no other process notices, the
/// daemon continues.
pub(super) fn lead_directly<R: Role>(
    plan: &Plan<'_>,
    role: &R,
    stack: &Stack,
) -> Option<Result<Fork<R::Output, DaemonProcess>, Error>> {
    if !plan.may_lead_session {
        return None;
    }
    let may_setpgid = sys::may_setpgid();
    let session = sys::setsid().ok()?;
    let shared = Shared {
        plan,
        role,
        may_setpgid,
        is_new: is_missing(plan.options),
        folder: NotifyFolder::NONE,
        verdict: Pipe::NONE,
        supervision: None,
        stack,
    };
    let created = sys::block_signals(SignalSet::ALL)
        .map_err(failed(ErrorKind::SignalsFailed))
        .and_then(|mask| {
            let created = lead_session(&shared, session);
            if created.is_err() {
                let _ = sys::set_signal_mask(mask);
            }
            created
        });
    Some(created.map(|fork| match fork {
        Fork::Parent(pid) => Fork::Parent(DaemonProcess { pid, session }),
        Fork::Child(output) => Fork::Child(output.into_inner()),
    }))
}

/// Creates and watches the daemon, as the session leader. Returns when the daemon runs and the original
/// knows it; in the daemon, with the daemon's output.
fn lead_session<R: Role>(
    shared: &Shared<'_, R>,
    session: Pid,
) -> Result<Fork<Forked<R::Output>>, Error> {
    if session.get() == 1 {
        // This is the init process of a pid namespace: when it exits, the kernel kills all others in it.
        return Err(failed(ErrorKind::ForkFailed)(Errno::EINVAL));
    }
    // If SIGCHLD were ignored, the daemon's exit status would be lost (wait(2)).
    sys::reset_sigaction(SIGCHLD).map_err(failed(ErrorKind::SignalsFailed))?;
    let mut made = MadeDirectories::NONE;
    let created = made.make(shared.plan);
    let created = created.and_then(|()| open_channel(shared, session));
    created.map_err(|error| made.remove(shared.plan, error))
}

/// Opens the readiness channel, creates the daemon, and closes the channel.
fn open_channel<R: Role>(
    shared: &Shared<'_, R>,
    session: Pid,
) -> Result<Fork<Forked<R::Output>>, Error> {
    let mut variable = [0; VARIABLE_SIZE];
    // Open the channel first, so that no other descriptor takes the number of the notification fd.
    let channel = Channel::open(shared.plan.readiness, &shared.folder, &mut variable);
    let mut channel = channel.map_err(failed(ErrorKind::ChannelFailed))?;
    let created = create_daemon(shared, session, &mut channel, &variable);
    let created = created.map(|fork| match fork {
        Fork::Parent(watched) => Fork::Parent(watched.daemon),
        Fork::Child(output) => Fork::Child(output),
    });
    match channel.remove_socket(shared.plan.readiness, &mut variable) {
        true => created,
        false => created.map_err(|error| error.with(Note::FileLeft)),
    }
}

/// Creates the daemon, and watches it until there is a verdict.
pub(super) fn create_daemon<R: Role>(
    shared: &Shared<'_, R>,
    session: Pid,
    channel: &mut Channel,
    variable: &[u8],
) -> Result<Fork<Forked<R::Output>, Watched>, Error> {
    let notify = channel.notify_end();
    // The daemon does not get it.
    let failed_before = |error: Error| {
        sys::close(notify.writer);
        error
    };
    let inherited = shared.role.environment();
    let channel_failed = failed(ErrorKind::ChannelFailed);
    let mut copy;
    let environment = match ThinCStr::at_start(variable) {
        Some(variable) if variable.first_byte() != 0 => {
            let size = inherited.as_slice().len().saturating_add(1);
            copy = Mapping::new(size)
                .map_err(&channel_failed)
                .map_err(failed_before)?;
            copy_with_variable(inherited, variable, &mut copy)
                .ok_or(channel_failed(Errno::EINVAL))
                .map_err(failed_before)?
        }
        _ => inherited,
    };
    // If the clock is refused, the start fails here. The clone may take long.
    let before = match shared.plan.goal {
        Goal::Begun => Nanoseconds::MAX,
        Goal::Alive | Goal::Ready => sys::monotonic_time()
            .map_err(cannot_watch)
            .map_err(failed_before)?,
    };
    let report = sys::pipe()
        .map_err(&channel_failed)
        .map_err(failed_before)?;
    // A command's exec closes these two. Keeping them until then saves a close_range(2), and if the
    // intermediate is killed, end of file on the verdict pipe shows the original that the daemon no
    // longer uses its memory.
    let (reader, verdict) = match shared.plan.executes {
        true => (report.reader, shared.verdict.writer),
        false => (NO_FD, NO_FD),
    };
    // A supervisor's original shares no memory.
    let locks = shared.supervision.map_or([verdict, NO_FD], |it| it.locks);
    let [fourth, fifth] = locks;
    let context = Context {
        shared,
        report,
        notify,
        environment,
        first_fd: FIRST_FD,
        internal_fds: [report.writer, notify.writer, reader, fourth, fifth],
    };
    let fork = R::create(&context, |daemon: Result<Pid, Errno>| {
        let daemon = daemon.map_err(|errno| {
            sys::close(report.writer);
            sys::close(notify.writer);
            failed(ErrorKind::ForkFailed)(errno)
        })?;
        let born = match before {
            Nanoseconds::MAX => before,
            _ => sys::monotonic_time().unwrap_or(before),
        };
        watch(&context, session, channel, (daemon, born))
    });
    if shared.supervision.is_some() {
        sys::close(report.reader);
    }
    match fork {
        Fork::Parent(watched) => watched.map(Fork::Parent),
        Fork::Child(output) => Ok(Fork::Child(output)),
    }
}

/// Watches the daemon, and removes its pidfile if it fails.
fn watch<R: Role>(
    context: &Context<'_, R>,
    session: Pid,
    channel: &mut Channel,
    (daemon, born): (Pid, Nanoseconds),
) -> Result<Watched, Error> {
    let Shared {
        plan,
        verdict,
        stack,
        is_new,
        supervision,
        ..
    } = context.shared;
    if !plan.executes {
        // If this fails, the original is gone, and the watch notices that.
        let _ = send_verdict(verdict.writer, encode(&Record::Created));
    }
    sys::close(context.notify.writer);
    if plan.goal != Goal::Begun && supervision.is_none() {
        // Another thread of the original may be starting a daemon too. A copy of that start's verdict
        // pipe in this process would hide the original's death from it.
        let _ = close_all_but(KeptFds {
            first: FIRST_FD,
            requested: &[],
            internal: &[context.report.reader, verdict.writer, channel.fd()],
            streams: &[],
        });
    }
    let mut watch = Watch::new(context, session, channel, daemon, born);
    let outcome = watch.run();
    watch.wait_until_released(stack);
    if outcome.is_ok() {
        watch.continue_group();
    }
    let watched = watch.watched();
    if supervision.is_some() {
        watch.close(outcome.is_ok());
    }
    let named = watch.named();
    match outcome {
        Ok(()) => Ok(watched),
        Err(error) if supervision.is_some() => Err(error),
        Err(error) => Err(remove_after_failure(plan.options, named, error, *is_new)),
    }
}

/// The daemon: takes the steps, and reports the first one that fails.
pub(super) fn run_daemon<R: Role>(context: &Context<'_, R>) -> End<R::Output> {
    // If a policy refuses this, it stays in the session leader's group.
    let _ = sys::lead_group();
    if context.shared.supervision.is_some_and(|it| it.has_terminal) {
        let _ = sys::set_foreground(sys::getpid());
    }
    let result = if sys::getpid().get() == 1 {
        // The caller has called unshare(CLONE_NEWPID): the daemon would be the init of the new namespace.
        Err(failed(ErrorKind::ForkFailed)(Errno::EINVAL))
    } else {
        steps::take(context, &mut OpenFiles::new())
    };
    match result {
        Ok(output) => End::Return(output),
        Err(error) => {
            // If the intermediate is gone, the exit status still names the step.
            let _ = sys::write(context.report.writer, &encode(&Record::Failed(error)));
            End::Exit(error.exit_code())
        }
    }
}
