//! The daemon's steps, in the order of the README's list.

use crate::daemonize::{Birth, Kind, Start, failed};
use crate::descriptors::{Kept, close_all_but};
use crate::options::{DaemonizeOptions, Resource, place};
use crate::pidfile;
use crate::program::PATH_SIZE;
use crate::protocol::{
    Errno, Error, ExitCode, NICENESS, NO_NEW_PRIVS, NUMBER_LINE, OOM_SCORE_ADJ, Stream, number_line,
};
use crate::sys::{self, NOTHING, Open, RawFd, ThinCStr};

/// Takes the steps.
///
/// The locks come when all that will be closed is closed: closing any descriptor for a file gives
/// them up, be it an inherited one or one that was opened here. And output files are emptied under
/// the lock only, for another daemon may be writing to them.
#[inline(never)]
pub(crate) fn take<K: Kind>(
    birth: &Birth<'_, K>,
    buffer: &mut [u8; PATH_SIZE],
) -> Result<K::Left, Error> {
    let Start { options, kind, .. } = birth.start;

    K::restore(birth).map_err(failed(ExitCode::SignalsFailed))?;
    reset_signals::<K>(options).map_err(failed(ExitCode::SignalsFailed))?;
    close_inherited::<K>(options, &birth.own).map_err(failed(ExitCode::CloseFailed))?;
    birth
        .channel
        .put_in_place()
        .map_err(failed(ExitCode::ChannelFailed))?;
    let working_directory = command_directory::<K>(options, buffer);
    let streams = open_streams(options)?;
    put_in_place(&streams).map_err(failed(ExitCode::StdioFailed))?;
    let locks = lock_files(options)?;
    set_oom_score_adj(options).map_err(|errno| Error::of_limit(errno, OOM_SCORE_ADJ))?;

    sys::set_umask(options.umask.unwrap_or(K::UMASK));
    change_root(options).map_err(failed(ExitCode::ChrootFailed))?;
    change_directory(options).map_err(failed(ExitCode::ChdirFailed))?;

    empty_outputs(options)?;
    write_pidfile(locks)?;

    set_limits(options)?;
    change_user(options)?;
    kind.finish(birth, working_directory, locks)
}

fn reset_signals<K: Kind>(options: &DaemonizeOptions<'_>) -> Result<(), Errno> {
    if K::EXECUTES || options.reset_signals {
        sys::reset_dispositions()
    } else {
        Ok(())
    }
}

fn close_inherited<K: Kind>(options: &DaemonizeOptions<'_>, own: &[RawFd]) -> Result<(), Errno> {
    match options.keep {
        None if !K::EXECUTES => Ok(()),
        listed => close_all_but(Kept {
            listed: listed.unwrap_or_default(),
            own,
        }),
    }
}

/// The directory that a relative path of the command counts from.
fn command_directory<'b, K: Kind>(
    options: &DaemonizeOptions<'_>,
    buffer: &'b mut [u8; PATH_SIZE],
) -> &'b [u8] {
    match options.paths[place::CHROOT] {
        _ if !K::EXECUTES => b"",
        // It is looked for inside, where the daemon will be.
        Some(_) => b".",
        None => sys::current_directory(buffer),
    }
}

/// Opens the files for descriptors 0 to 2, above them: `/dev/null` for those that have none. In the
/// foreground, one without a file stays as it is, if it is open: [`NOTHING`] stands for it.
///
/// Where a step fails the process ends, so that nothing here needs to be closed again.
fn open_streams(options: &DaemonizeOptions<'_>) -> Result<[RawFd; 3], Error> {
    let [input, output, error, ..] = options.paths;
    let writing = if options.append {
        Open::Append
    } else {
        Open::Write
    };
    let mut files = [NOTHING; 3];
    let mut null = NOTHING;
    for ((file, path), stream) in files.iter_mut().zip(options.paths).zip(0..) {
        let stays = options.foreground && sys::check_open(stream).is_ok();
        if path.is_some() || stays {
            continue;
        }
        if null == NOTHING {
            null = sys::open(ThinCStr::new(c"/dev/null"), Open::ReadWrite)
                .map_err(failed(ExitCode::OpenDevNullFailed))?
                .into_raw();
        }
        *file = null;
    }
    let [input_file, output_file, error_file] = &mut files;
    open_for(Stream::Input, input, Open::Read, input_file)?;
    open_for(Stream::Output, output, writing, output_file)?;
    if output == error && output.is_some() {
        *error_file = *output_file;
    } else {
        open_for(Stream::Error, error, writing, error_file)?;
    }
    Ok(files)
}

/// Opens a file, if there is a path.
#[inline(never)]
fn open_for(
    stream: Stream,
    path: Option<ThinCStr<'_>>,
    how: Open,
    file: &mut RawFd,
) -> Result<(), Error> {
    let Some(path) = path else { return Ok(()) };
    let refused = |errno| Error::of_stream(errno, stream);
    *file = sys::open(path, how).map_err(refused)?.into_raw();
    sys::set_blocking(*file, how == Open::Append).map_err(refused)
}

fn put_in_place(files: &[RawFd]) -> Result<(), Errno> {
    for (file, to) in files.iter().zip(0..) {
        if *file != NOTHING {
            sys::move_to(*file, to)?;
        }
    }
    // Each is closed once, at its last place.
    for (index, file) in files.iter().enumerate() {
        if !files
            .iter()
            .skip(index.saturating_add(1))
            .any(|other| other == file)
        {
            sys::close(*file);
        }
    }
    Ok(())
}

/// Locks the lock file and the pidfile. The descriptors must stay open: closing one would give up its
/// lock. The pidfile comes last, since it is made for this start, if the lock file is free.
fn lock_files(options: &DaemonizeOptions<'_>) -> Result<[RawFd; 2], Error> {
    let lock = |path: Option<ThinCStr<'_>>| path.map_or(Ok(NOTHING), pidfile::lock);
    let lock_file = lock(options.paths[place::LOCK_FILE]).map_err(Error::of_lock_file)?;
    Ok([lock(options.paths[place::PIDFILE])?, lock_file])
}

/// While the caller's `/proc` is in sight.
fn set_oom_score_adj(options: &DaemonizeOptions<'_>) -> Result<(), Errno> {
    let Some(adjustment) = options.oom_score_adj else {
        return Ok(());
    };
    let file = sys::open(ThinCStr::new(c"/proc/self/oom_score_adj"), Open::ReadWrite)?;
    sys::write(
        file.raw(),
        number_line(adjustment.into(), &mut [0; NUMBER_LINE]),
    )
    .map(drop)
}

fn change_root(options: &DaemonizeOptions<'_>) -> Result<(), Errno> {
    match options.paths[place::CHROOT] {
        Some(path) => {
            sys::change_root(path)?;
            // The working directory is still outside, and a way out.
            sys::change_directory(ROOT)
        }
        None => Ok(()),
    }
}

fn change_directory(options: &DaemonizeOptions<'_>) -> Result<(), Errno> {
    sys::change_directory(options.paths[place::CHDIR].unwrap_or(ROOT))
}

const ROOT: ThinCStr<'static> = ThinCStr::new(c"/");

/// Empties the files for output, unless they are to be appended to.
fn empty_outputs(options: &DaemonizeOptions<'_>) -> Result<(), Error> {
    let [_, output, error, ..] = options.paths;
    if !options.append {
        empty(Stream::Output, output)?;
        empty(Stream::Error, error)?;
    }
    Ok(())
}

fn empty(stream: Stream, path: Option<ThinCStr<'_>>) -> Result<(), Error> {
    match path.map(|_| sys::truncate(stream as RawFd)) {
        // A FIFO or a device has nothing to be emptied.
        None | Some(Ok(()) | Err(Errno::EINVAL)) => Ok(()),
        Some(Err(errno)) => Err(Error::of_stream(errno, stream)),
    }
}

fn write_pidfile([pidfile, _]: [RawFd; 2]) -> Result<(), Error> {
    match pidfile {
        NOTHING => Ok(()),
        file => pidfile::write(file, sys::process_id()),
    }
}

/// Resource limits, niceness and privileges.
fn set_limits(options: &DaemonizeOptions<'_>) -> Result<(), Error> {
    for ((resource, limit), line) in Resource::ALL.into_iter().zip(&options.limits).zip(0..) {
        if let Some(limit) = limit {
            sys::set_limit(resource, *limit).map_err(|errno| Error::of_limit(errno, line))?;
        }
    }
    if let Some(niceness) = options.niceness {
        sys::set_niceness(niceness).map_err(|errno| Error::of_limit(errno, NICENESS))?;
    }
    if options.no_new_privs {
        sys::forbid_new_privileges().map_err(|errno| Error::of_limit(errno, NO_NEW_PRIVS))?;
    }
    Ok(())
}

/// The groups first: only root may change them.
fn change_user(options: &DaemonizeOptions<'_>) -> Result<(), Error> {
    if let Some(group) = options.group {
        sys::set_groups(options.groups).map_err(failed(ExitCode::GroupsFailed))?;
        sys::set_group(group).map_err(failed(ExitCode::SetgidFailed))?;
    }
    if let Some(user) = options.user {
        sys::set_user(user).map_err(failed(ExitCode::SetuidFailed))?;
    }
    Ok(())
}
