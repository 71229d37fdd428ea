//! The launcher of a supervisor, and the first steps of the supervisor.

use core::convert::Infallible;

use super::context::{Outcome, STOPS, Supervisor};
use super::log::LogOptions;
use super::logger::Logger;
use super::respawn::Respawn;
use super::state::remove_state;
use crate::options::{Credentials, Settings, Stream};
use crate::pidfile::{self, is_missing, remove_locked};
use crate::protocol::{
    Errno, Error, ErrorKind, Note, Pid, Record, Signal, Subject, cannot_watch, encode, failed,
    outcome,
};
use crate::start::{
    DaemonProcess, KeptFds, Progress, Supervised, Supervision as Held, check_descriptors,
    close_all_but, open_null, send_verdict, wait_for_verdict,
};
use crate::sys::{
    self, CStrings, End, ExitSignal, Fd, Fork, Locker, NO_FD, Pipe, RawFd, SIGCHLD, SignalSet,
    ThinCStr, TidAddress,
};

/// A command that is to be supervised.
#[derive(Clone, Copy, Debug)]
pub struct Supervision<'a> {
    /// The settings of each start.
    pub settings: &'a Settings<'a>,
    /// The ids of the daemon.
    pub credentials: Credentials<'a>,
    /// The path or name of the command, its arguments, and its environment.
    pub command: (ThinCStr<'a>, CStrings<'a>, CStrings<'a>),
    /// When it is started again.
    pub respawn: Respawn<'a>,
    /// Where its output goes.
    pub log: &'a LogOptions<'a>,
}

/// Starts a command and a supervisor for it. Returns when the first start is over; if that is a failure, there is no
/// supervisor.
///
/// # Errors
///
/// Those of [`spawn_as`](crate::start::spawn_as).
#[inline(never)]
pub fn supervise(
    supervision: &Supervision<'_>,
    show: &mut dyn FnMut(Progress<'_>),
) -> Result<DaemonProcess, Error> {
    check_descriptors(supervision.settings)?;
    match sys::ppoll(&mut [NO_FD; 4], 0) {
        Ok(()) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(cannot_watch(errno)),
    }
    let mask = sys::block_signals(SignalSet::ALL).map_err(failed(ErrorKind::SignalsFailed))?;
    let launched = launch(supervision);
    let _ = sys::set_signal_mask(mask);
    let (supervisor, verdict) = launched?;
    let reader = Fd::from_raw(verdict);
    let (record, ended) = wait_for_verdict(reader.raw(), supervisor, true, show);
    outcome(record, ended).map(|pid| DaemonProcess::new(pid, supervisor))
}

/// Creates the supervisor. Returns its pid, and the pipe for its verdict.
fn launch(supervision: &Supervision<'_>) -> Result<(Pid, RawFd), Error> {
    let verdict = sys::pipe().map_err(failed(ErrorKind::ChannelFailed))?;
    let created = sys::clone(
        ExitSignal::None,
        TidAddress::NONE,
        &(supervision, verdict),
        run,
    );
    sys::close(verdict.writer);
    if let Ok(Fork::Parent(supervisor)) = created {
        return Ok((supervisor, verdict.reader));
    }
    sys::close(verdict.reader);
    // The child does not return.
    Err(failed(ErrorKind::FirstForkFailed)(
        created.err().unwrap_or(Errno::EINVAL),
    ))
}

/// The supervisor.
fn run((supervision, verdict): &(&Supervision<'_>, Pipe)) -> End<Infallible> {
    sys::catch_traps();
    // The launcher must have the only read end, so that POLLERR reports its death.
    sys::close(verdict.reader);
    let may_setpgid = sys::may_setpgid();
    let mut locks = [NO_FD; 2];
    let is_new = is_missing(supervision.settings);
    let prepared = prepare(supervision, verdict.writer, &mut locks);
    let mut settings = supervision.settings.clone();
    let prepared = prepared.and_then(|session| {
        let logger = Logger::open(supervision.log, &mut settings)?;
        Ok((session, logger))
    });
    let [pidfile, _] = locks;
    let stayed = prepared.and_then(|(session, logger)| {
        let supervised = Supervised {
            settings: &settings,
            credentials: supervision.credentials,
            command: supervision.command,
            supervision: Held {
                locks,
                is_restart: false,
                logger: None,
                abandoning: STOPS,
                death_signal: match supervision.respawn.kills_orphan {
                    true => Signal::KILL.number(),
                    false => 0,
                },
            },
            session,
            may_setpgid,
        };
        let mut supervisor = Supervisor::new(&supervised, &supervision.respawn, logger)?;
        let stayed = supervisor.stay(*verdict, pidfile::adopted(pidfile));
        if !matches!(stayed, Ok(Outcome::Lost(_))) {
            supervisor.logger.finish();
        }
        stayed
    });
    let may_be_empty = is_new || matches!(stayed, Ok(Outcome::Ended(_)));
    let removes = !matches!(stayed, Ok(Outcome::GaveUp(_) | Outcome::Lost(_)));
    let mut is_removed = true;
    if let (true, Some(path)) = (removes, supervision.settings.string(Subject::Pidfile)) {
        if pidfile != NO_FD {
            remove_state(path);
            is_removed = remove_locked(path, pidfile, may_be_empty);
        }
    }
    match stayed {
        Ok(Outcome::Ended(status) | Outcome::GaveUp(status) | Outcome::Lost(status)) => {
            End::Exit(status)
        }
        Err(mut error) => {
            if !is_removed {
                error = error.with(Note::FileLeft);
            }
            // This fails if the launcher is gone.
            let _ = send_verdict(verdict.writer, encode(&Record::Failed(error)));
            End::Exit(error.exit_code())
        }
    }
}

/// Leads a session, locks the files, and lets go of what belongs to the caller. Returns the session.
fn prepare(
    supervision: &Supervision<'_>,
    verdict: RawFd,
    locks: &mut [RawFd; 2],
) -> Result<Pid, Error> {
    let settings = supervision.settings;
    let session = sys::setsid().map_err(failed(ErrorKind::SetsidFailed))?;
    // Before Linux 3.4, what the daemon leaves goes to init.
    let _ = sys::set_child_subreaper();
    sys::reset_sigaction(SIGCHLD).map_err(failed(ErrorKind::SignalsFailed))?;
    close_all_but(KeptFds {
        first: 3,
        requested: settings.keep.unwrap_or_default(),
        internal: &[verdict],
        streams: &[],
    })
    .map_err(failed(ErrorKind::CloseFailed))?;
    let [pidfile, lock_file] = locks;
    for (subject, lock) in [(Subject::LockFile, lock_file), (Subject::Pidfile, pidfile)] {
        pidfile::lock(settings, subject, Locker::Starter, lock)?;
        if *lock != NO_FD {
            // The daemon inherits this one: it is there even if the supervisor is killed.
            let _ = sys::flock(*lock);
        }
    }
    for fd in 0..3 {
        let is_kept = matches!(settings.stream(fd), Stream::Inherit);
        if !is_kept {
            let null = open_null().map_err(failed(ErrorKind::OpenDevNullFailed))?;
            sys::dup3(null.raw(), fd as RawFd).map_err(failed(ErrorKind::StdioFailed))?;
        }
    }
    Ok(session)
}
