//! The daemon's steps: takes those of [`Step::ALL`] that the plan includes, in that order.

use super::context::{Context, Role, Shared, WorkingDirectory};
use super::descriptors::close_all_but;
use super::kept_fds::KeptFds;
use super::limits::set_limits;
use super::path_search::PATH_SIZE;
use super::plan::Plan;
use super::privileges::{set_capabilities, set_user};
use super::streams::{OpenFiles, truncate_outputs};
use crate::options::Settings;
use crate::pidfile;
use crate::protocol::{Errno, Error, ErrorKind, Step, Subject, failed};
use crate::sys::{self, Locker, Open, RawFd, ThinCStr, WORKING_DIRECTORY};
use crate::text::{NUMBER_LINE, number_line};

/// Takes the steps.
///
/// The files are locked after the inherited descriptors are closed, since closing any descriptor for a
/// file releases the process's locks on it (fcntl(2)). Output files are truncated only when the locks are
/// held: until then, another daemon may be writing to them.
pub(super) fn take<R: Role>(
    context: &Context<'_, R>,
    files: &mut OpenFiles,
) -> Result<R::Output, Error> {
    match context.shared.role.is_relative(context.environment) {
        true => take_from_directory(context, files),
        false => take_each(context, files, None),
    }
}

/// Takes the steps for a command with a relative path. Its buffer is in a frame of its own: other starts would touch a
/// page for nothing.
#[inline(never)]
fn take_from_directory<R: Role>(
    context: &Context<'_, R>,
    files: &mut OpenFiles,
) -> Result<R::Output, Error> {
    let mut buffer = [0; PATH_SIZE];
    let path = match context.shared.plan.options.string(Subject::Chroot) {
        // After a chroot, relative paths are resolved in the daemon's working directory.
        Some(_) => b".",
        None => sys::getcwd(&mut buffer),
    };
    take_each(context, files, Some(path))
}

/// Takes the steps. A relative path of the command is resolved against the directory with this path, which is empty if it
/// is not known. `None` if none of the command's paths is relative.
#[inline(never)]
fn take_each<R: Role>(
    context: &Context<'_, R>,
    files: &mut OpenFiles,
    path: Option<&[u8]>,
) -> Result<R::Output, Error> {
    let Shared { plan, role, .. } = context.shared;
    let options = plan.options;
    if !options.foreground {
        R::restore(context).map_err(failed(ErrorKind::SignalsFailed))?;
    }
    let mut fingerprint = 0;
    if let Some(supervision) = context.shared.supervision {
        files.locks = supervision.locks;
    }
    let locker = match options.foreground {
        true => Locker::Foreground,
        false => Locker::Daemon,
    };
    for step in Step::ALL {
        if !plan.includes(*step) {
            continue;
        }
        let at_step = |result: Result<(), Errno>| result.map_err(|errno| step.error(errno));
        match step {
            // Taken before the daemon was created, and undone after it has failed.
            Step::MakeDirectories => Ok(()),
            Step::ResetSignals => at_step(sys::reset_dispositions()),
            Step::OpenStdin => at_step(files.open_stream(0, options, &context.internal_fds)),
            Step::OpenStdout => at_step(files.open_stream(1, options, &context.internal_fds)),
            Step::OpenStderr => at_step(files.open_stream(2, options, &context.internal_fds)),
            // After the files are opened: their paths may name descriptors of the caller.
            Step::CloseDescriptors => at_step(close_all_but(KeptFds {
                first: context.first_fd,
                requested: options.keep.unwrap_or_default(),
                internal: &context.internal_fds,
                streams: &files.streams(),
            }))
            // Before another descriptor can take the number.
            .and_then(|()| {
                let placed = context.notify.put_in_place();
                placed.map_err(failed(ErrorKind::ChannelFailed))
            }),
            Step::OpenDevNull => at_step(files.open_null(options)),
            Step::PlaceStreams => at_step(files.place_streams(plan.executes)),
            // The supervisor has locked both, and the fingerprint is the daemon's.
            Step::LockLockFile | Step::LockPidfile if context.shared.supervision.is_some() => {
                fingerprint = pidfile::fingerprint_of(sys::getpid());
                let [pidfile, _] = files.locks;
                // If this fails, the supervisor's lock and the fingerprint are enough.
                let _ = sys::fcntl_setlk(pidfile, Locker::Supervised);
                Ok(())
            }
            Step::LockLockFile => {
                let [_, lock_file] = &mut files.locks;
                pidfile::lock(options, Subject::LockFile, locker, lock_file).map(drop)
            }
            // The pidfile is locked after the lock file: this may create it, and a failed start must not
            // leave it.
            Step::LockPidfile => {
                let [pidfile, _] = &mut files.locks;
                // Before chroot(2), while `/proc` is still accessible.
                let locked = pidfile::lock(options, Subject::Pidfile, locker, pidfile);
                locked.map(|it| fingerprint = it)
            }
            Step::SetOomScoreAdj => at_step(set_oom_score_adj(options)),
            Step::SetUmask => at_step(sys::umask(plan.umask).map(drop)),
            // As long as the daemon has all privileges and the root directory of the caller.
            Step::RunAction => role.run_action(),
            Step::Chroot => at_step(change_root(options)),
            Step::Chdir => at_step({
                if matches!(path, Some([])) {
                    files.open_directory();
                }
                sys::chdir(options.string(Subject::Chdir).unwrap_or(ROOT))
            }),
            Step::WritePidfile => {
                files.wrote_pidfile = true;
                let [pidfile, _] = files.locks;
                let written = match options.forks {
                    // This process is about to end. If the supervisor is killed before it finds the daemon, the empty
                    // file and the lock that the daemon inherits keep a second start away.
                    true => at_step(sys::ftruncate(pidfile, 0)),
                    false => pidfile::write(pidfile, sys::getpid(), fingerprint, false),
                };
                written.and_then(|()| at_step(chown_pidfile(plan, pidfile)))
            }
            Step::SetLimits => set_limits(options),
            // The groups first: after the change of the user, the daemon may no longer change them.
            Step::SetGroups => at_step(sys::setgroups(
                plan.credentials.groups,
                plan.credentials.group,
            )),
            Step::SetGroup => at_step(plan.credentials.group.map_or(Ok(()), sys::setresgid)),
            Step::SetUser => set_user(plan),
            Step::SetCapabilities => set_capabilities(plan),
            // Last, so that a failed start loses no output: only the exec can still fail.
            Step::EmptyOutputs => match context.shared.supervision {
                Some(supervision) if supervision.is_restart => Ok(()),
                _ => truncate_outputs(options),
            },
            Step::Execute => break,
        }?;
    }
    let working_directory = WorkingDirectory {
        path: match files.directory {
            WORKING_DIRECTORY => path.unwrap_or_default(),
            _ => b".",
        },
        fd: files.directory,
    };
    role.finish(context, working_directory, files.locks)
}

/// Writes `/proc/self/oom_score_adj`, so this step precedes chroot(2). Reads it back.
fn set_oom_score_adj(options: &Settings<'_>) -> Result<(), Errno> {
    let Some(adjustment) = options.oom_score_adj else {
        return Ok(());
    };
    let path = ThinCStr::new(c"/proc/self/oom_score_adj");
    let file = sys::open(path, Open::ReadWrite)?;
    let (mut buffer, mut told) = ([0; NUMBER_LINE], [0; NUMBER_LINE]);
    let wanted = number_line(adjustment.into(), &mut buffer);
    sys::write(file.raw(), wanted)?;
    sys::seek(file.raw(), 0)?;
    let size = sys::read(file.raw(), &mut told)?;
    match told.get(..size as usize) == Some(wanted) {
        true => Ok(()),
        false => Err(Errno::EPERM),
    }
}

fn chown_pidfile(plan: &Plan<'_>, pidfile: RawFd) -> Result<(), Errno> {
    match plan.options.chown_pidfile {
        true => sys::fchown(pidfile, plan.credentials.user, plan.credentials.group),
        false => Ok(()),
    }
}

fn change_root(options: &Settings<'_>) -> Result<(), Errno> {
    match options.string(Subject::Chroot) {
        Some(path) => {
            sys::chroot(path)?;
            // chroot(2) leaves the working directory outside, which would be a way out.
            sys::chdir(ROOT)
        }
        None => Ok(()),
    }
}

const ROOT: ThinCStr<'static> = ThinCStr::new(c"/");
