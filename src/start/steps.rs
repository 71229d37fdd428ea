//! The daemon: takes the steps of [`Step::ALL`], in that order.

use super::context::{Context, Role, Shared};
use super::descriptors::{Kept, close_all_but};
use super::path_search::PATH_SIZE;
use super::streams::{OpenFiles, truncate_outputs};
use crate::options::{DaemonizeOptions, Limit, Resource};
use crate::pidfile::{self, own_mtime};
use crate::protocol::{
    Errno, Error, ExitCode, NICENESS, NO_NEW_PRIVS, OOM_SCORE_ADJ, Step, Subject, failed,
};
use crate::sys::{self, Open, ThinCStr};
use crate::text::{NUMBER_LINE, number_line};

/// Takes the steps.
///
/// The locks are taken when all that will be closed is closed: closing any descriptor for a file gives
/// them up, an inherited one too. Output files are emptied under the lock only: another daemon may be
/// writing to them.
pub(super) fn take<R: Role>(
    context: &Context<'_, R>,
    files: &mut OpenFiles,
) -> Result<R::Output, Error> {
    let Shared { plan, role, .. } = context.shared;
    let options = plan.options;
    if !options.foreground {
        R::restore(context).map_err(failed(ExitCode::SignalsFailed))?;
    }
    let mut buffer = None;
    let working_directory = command_directory(context, &mut buffer);
    let mut date = None;
    for step in Step::ALL {
        if !plan.includes(*step) {
            continue;
        }
        let at_step = |taken: Result<(), Errno>| fails_at(*step, taken);
        match step {
            Step::ResetSignals => at_step(sys::reset_dispositions()),
            Step::CloseDescriptors => at_step(close_all_but(Kept {
                listed: options.keep.unwrap_or_default(),
                own: &context.own,
            }))
            // Before another descriptor gets the number.
            .and_then(|()| {
                let placed = context.notify.put_in_place();
                placed.map_err(failed(ExitCode::ChannelFailed))
            }),
            Step::OpenDevNull => at_step(files.open_null(options)),
            Step::OpenStdin | Step::OpenStdout | Step::OpenStderr => {
                files.open_stream(*step, options)
            }
            Step::PlaceStreams => at_step(files.place_streams(plan.executes)),
            Step::LockLockFile => {
                let [_, lock_file] = &mut files.locks;
                pidfile::lock(options.path(Subject::LockFile), lock_file)
                    .map_err(Error::of_lock_file)
            }
            // The last lock: the file may be created for this start.
            Step::LockPidfile => {
                let [pidfile, _] = &mut files.locks;
                let locked = pidfile::lock(options.path(Subject::Pidfile), pidfile);
                // While the caller's `/proc` is in sight.
                date = own_mtime();
                locked
            }
            Step::SetOomScoreAdj => set_oom_score_adj(options),
            Step::SetUmask => {
                sys::umask(plan.umask);
                Ok(())
            }
            Step::Chroot => at_step(change_root(options)),
            Step::Chdir => at_step(sys::chdir(options.path(Subject::Chdir).unwrap_or(ROOT))),
            Step::WritePidfile => {
                files.wrote_pidfile = true;
                let [pidfile, _] = files.locks;
                pidfile::write(pidfile, sys::getpid(), date)
            }
            Step::SetLimits => set_limits(options),
            // In this order: only root may change the groups.
            Step::SetGroups => at_step(sys::setgroups(options.groups)),
            Step::SetGroup => at_step(options.group.map_or(Ok(()), sys::setresgid)),
            Step::SetUser => at_step(options.user.map_or(Ok(()), sys::setresuid)),
            // Last, since a start that fails should lose nothing: only the exec can still fail.
            Step::EmptyOutputs => truncate_outputs(options),
            Step::Execute => break,
        }?;
    }
    role.finish(context, working_directory, files.locks)
}

/// The error of this step.
fn fails_at(step: Step, taken: Result<(), Errno>) -> Result<(), Error> {
    taken.map_err(failed(step.exit_code()))
}

/// The directory that a relative path of the command starts from, if it has one.
fn command_directory<'b, R: Role>(
    context: &Context<'_, R>,
    buffer: &'b mut Option<[u8; PATH_SIZE]>,
) -> &'b [u8] {
    let Shared { plan, role, .. } = context.shared;
    match plan.options.path(Subject::Chroot) {
        _ if !role.is_relative(context.environment) => b"",
        // The command is looked for inside, in the daemon's working directory.
        Some(_) => b".",
        None => sys::getcwd(buffer.insert([0; PATH_SIZE])),
    }
}

/// This takes the caller's `/proc`.
fn set_oom_score_adj(options: &DaemonizeOptions<'_>) -> Result<(), Error> {
    let Some(adjustment) = options.oom_score_adj else {
        return Ok(());
    };
    let path = ThinCStr::new(c"/proc/self/oom_score_adj");
    let written = sys::open(path, Open::ReadWrite).and_then(|file| {
        let mut buffer = [0; NUMBER_LINE];
        sys::write(file.raw(), number_line(adjustment.into(), &mut buffer))
    });
    written
        .map(drop)
        .map_err(|errno| Error::of_limit(errno, OOM_SCORE_ADJ))
}

fn change_root(options: &DaemonizeOptions<'_>) -> Result<(), Errno> {
    match options.path(Subject::Chroot) {
        Some(path) => {
            sys::chroot(path)?;
            // The working directory is still outside, and a way out.
            sys::chdir(ROOT)
        }
        None => Ok(()),
    }
}

const ROOT: ThinCStr<'static> = ThinCStr::new(c"/");

/// Resource limits, niceness and no_new_privs.
fn set_limits(options: &DaemonizeOptions<'_>) -> Result<(), Error> {
    for ((resource, limit), index) in Resource::ALL.iter().zip(&options.limits).zip(0..) {
        if let Some(Limit { soft, hard }) = *limit {
            sys::setrlimit(*resource as u32, soft, hard)
                .map_err(|errno| Error::of_limit(errno, index))?;
        }
    }
    if let Some(niceness) = options.niceness {
        sys::setpriority(niceness).map_err(|errno| Error::of_limit(errno, NICENESS))?;
    }
    if options.no_new_privs {
        sys::set_no_new_privs().map_err(|errno| Error::of_limit(errno, NO_NEW_PRIVS))?;
    }
    Ok(())
}
