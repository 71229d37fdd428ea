//! The intermediate's story: it leads the session, creates the daemon, watches it, and tidies up after
//! one that failed.

use crate::channel::{self, Channel};
use crate::context::{Birth, Kind, Start};
use crate::descriptors::{Kept, close_all_but};
use crate::environment::add_variable;
use crate::listener;
use crate::monitor::{Watch, tell};
use crate::options::{DaemonizeOptions, Readiness};
use crate::pidfile::tidy_up;
use crate::plan::goal_and_time;
use crate::protocol::{Errno, Error, ExitCode, Goal, Nanoseconds, Pid, Record, encode, failed};
use crate::steps::{self, Opened};
use crate::sys::{
    self, Child, Copied, ExitSignal, Forked, NOTHING, Pipe, SignalSet, Stack, ThinCStr,
    ThreadIdPlace,
};

/// The intermediate: leads the session, creates the daemon, watches it, and tells the original how
/// that went.
pub(crate) fn intermediate<K: Kind>(start: &Start<'_, K>) -> Child<Copied<K::Left>> {
    match create_daemon(start) {
        Ok(Forked::Child(left)) => Child::Returns(left),
        Ok(Forked::Parent(_)) => Child::Exits(ExitCode::Ok.into()),
        Err(error) => {
            // Should the original be gone, nobody is left to be told.
            let _ = tell(start.verdict.writer, Record::Failed(error));
            Child::Exits(error.into())
        }
    }
}

/// Returns when the daemon runs and the original knows it; in the daemon itself, with what that has
/// left.
fn create_daemon<K: Kind>(start: &Start<'_, K>) -> Result<Forked<Copied<K::Left>>, Error> {
    // So that there is no reader any more when the original is gone.
    sys::close(start.verdict.reader);
    let session = sys::lead_session().map_err(failed(ExitCode::SetsidFailed))?;
    lead(start, session)
}

/// A start without an intermediate: the original does its part. That is half the work, and can be
/// done by a process that ends when the command is executed, and that leads no process group, or it
/// could not lead a session. `None` if it cannot be done.
///
/// A SIGTERM to the original ends the daemon that is not executed yet, as it does otherwise, unless the
/// original has stopped for it; a SIGKILL, which then nobody sees, lets it go on.
#[inline(never)]
pub(crate) fn start_directly<K: Kind>(
    options: &DaemonizeOptions<'_>,
    kind: &K,
    stack: &Stack,
) -> Option<Result<Forked<K::Left>, Error>> {
    if !options.ends_after || !K::EXECUTES || goal_and_time::<K>(options).0 != Goal::Begun {
        return None;
    }
    let session = sys::lead_session().ok()?;
    let start = Start {
        options,
        kind,
        verdict: Pipe::NONE,
        stack,
    };
    let created = sys::block(SignalSet::ALL)
        .map_err(failed(ExitCode::SignalsFailed))
        .and_then(|mask| {
            let created = lead(&start, session);
            if created.is_err() {
                let _ = sys::set_mask(mask);
            }
            created
        });
    Some(created.map(|forked| match forked {
        Forked::Parent(daemon) => Forked::Parent(daemon),
        Forked::Child(daemon) => Forked::Child(daemon.left()),
    }))
}

/// The intermediate's part.
fn lead<K: Kind>(start: &Start<'_, K>, session: Pid) -> Result<Forked<Copied<K::Left>>, Error> {
    let Start { options, .. } = start;
    if session.get() == 1 {
        // The first process of a pid namespace: when it exits, the kernel kills all others.
        return Err(failed(ExitCode::ForkFailed)(Errno::EINVAL));
    }
    // Were SIGCHLD ignored, the daemon's status would be lost (wait(2)).
    sys::reset_child_signal().map_err(failed(ExitCode::SignalsFailed))?;
    let mut variable = [0; channel::VARIABLE_SIZE];
    let readiness = if K::EXECUTES {
        options.readiness
    } else {
        Readiness::Executed
    };
    // First, so that nothing else lies where the command will look for its end.
    let channel = Channel::open(readiness, &mut variable);
    let mut channel = channel.map_err(failed(ExitCode::ChannelFailed))?;
    let created = create_with(start, session, &mut channel, &variable);
    if created.is_err() {
        channel.end();
    }
    created
}

fn create_with<K: Kind>(
    start: &Start<'_, K>,
    session: Pid,
    channel: &mut Channel<'_>,
    variable: &[u8],
) -> Result<Forked<Copied<K::Left>>, Error> {
    let Start { kind, stack, .. } = start;
    let no_channel = failed(ExitCode::ChannelFailed);
    let added = match ThinCStr::at_start(variable) {
        Some(variable) if variable.first() != 0 => {
            Some(add_variable(kind.environment(), variable).map_err(&no_channel)?)
        }
        _ => None,
    };
    let report = sys::pipe().map_err(&no_channel)?;
    let line = channel.daemon_end();
    let birth = Birth {
        start,
        report,
        line,
        environment: added.as_deref().unwrap_or(kind.environment()),
        own: [
            report.writer,
            line.writer,
            // These two go with the exec: one number less to close around, and what tells the original that
            // the daemon has left, if the intermediate cannot.
            if K::EXECUTES { report.reader } else { NOTHING },
            if K::EXECUTES {
                start.verdict.writer
            } else {
                NOTHING
            },
            NOTHING,
        ],
    };
    let mut watch =
        |daemon| watch(&birth, session, channel, daemon).map(|()| Forked::Parent(daemon));
    let forked = if K::EXECUTES {
        let watch = |daemon: Result<Pid, Errno>| daemon.map(&mut watch);
        sys::with_child(
            stack,
            ExitSignal::Child,
            &birth,
            command,
            |_| (),
            |_| true,
            watch,
        )
    } else {
        let thread_id = kind
            .thread()
            .map_or(ThreadIdPlace::NONE, |thread| thread.id_place);
        match sys::clone(ExitSignal::Child, thread_id, &birth, daemon) {
            Ok(Forked::Parent(daemon)) => Forked::Parent(Ok(watch(daemon))),
            Ok(Forked::Child(left)) => Forked::Child(left),
            Err(errno) => Forked::Parent(Err(errno)),
        }
    };
    match forked {
        Forked::Parent(Ok(watched)) => watched,
        Forked::Parent(Err(errno)) => Err(failed(ExitCode::ForkFailed)(errno)),
        Forked::Child(left) => Ok(Forked::Child(left)),
    }
}

/// The intermediate, once there is a daemon: watches it, and tidies up after one that fails.
fn watch<K: Kind>(
    birth: &Birth<'_, K>,
    session: Pid,
    channel: &mut Channel<'_>,
    daemon: Pid,
) -> Result<(), Error> {
    let Start {
        options,
        verdict,
        stack,
        ..
    } = birth.start;
    if !K::EXECUTES {
        // Should the original be gone, the watch will see it.
        let _ = tell(verdict.writer, Record::Created);
    }
    sys::close(birth.line.writer);
    let (goal, time) = goal_and_time::<K>(options);
    if goal != Goal::Begun {
        // Another thread of the original may be starting something too, and this have a copy of what that
        // one looks at to see whether the original is gone.
        let _ = close_all_but(Kept {
            listed: &[],
            own: &[birth.report.reader, verdict.writer, channel.ear()],
        });
    }
    let mut watch = Watch {
        daemon,
        session,
        executes: K::EXECUTES,
        report: birth.report.reader,
        daemon_end: birth.report.writer,
        verdict: verdict.writer,
        abandoned: verdict.writer,
        channel,
        alarm: NOTHING,
        born: match goal {
            Goal::Begun => Nanoseconds::MAX,
            _ => sys::monotonic_time(),
        },
        ended: false,
    };
    let judgement = watch.judge(goal, time);
    // A success is an exec.
    if watch.ended || judgement.is_ok() {
        stack.left();
    }
    match judgement {
        Ok(()) if matches!(watch.channel, Channel::Socket { .. }) => listener::leave(&watch),
        Ok(()) => {}
        Err(error) => tidy_up(options, daemon, error),
    }
    judgement
}

/// The daemon that executes a command, and so may share the memory until then: it never returns.
fn command<K: Kind>(birth: &Birth<'_, K>) -> Child<Copied<K::Left>> {
    match daemon(birth) {
        Child::Exits(status) => Child::Exits(status),
        Child::Returns(_) => Child::Exits(ExitCode::ExecFailed.into()),
    }
}

/// The daemon: does its steps, and reports the first one that fails.
#[inline(never)]
fn daemon<K: Kind>(birth: &Birth<'_, K>) -> Child<K::Left> {
    let taken = if sys::process_id().get() == 1 {
        // In a pid namespace that the caller has made and is not in (unshare(2)).
        Err(failed(ExitCode::ForkFailed)(Errno::EINVAL))
    } else {
        steps::take(birth, &mut Opened::new())
    };
    match taken {
        Ok(left) => Child::Returns(left),
        Err(error) => {
            // Should the intermediate be gone, the exit code still names the step.
            let _ = sys::write(birth.report.writer, &encode(&Record::Failed(error)));
            Child::Exits(error.into())
        }
    }
}
