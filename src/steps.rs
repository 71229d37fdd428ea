//! The daemon's steps, in the order of the README's list.

use crate::context::{Birth, Kind, Start};
use crate::descriptors::{Kept, close_all_but};
use crate::options::{DaemonizeOptions, Limit, Resource, place};
use crate::owner::own_date;
use crate::pidfile;
use crate::program::PATH_SIZE;
use crate::protocol::{
    Errno, Error, ExitCode, NICENESS, NO_NEW_PRIVS, NUMBER_LINE, Nanoseconds, OOM_SCORE_ADJ,
    Stream, failed, number_line,
};
use crate::sys::{self, NOTHING, Open, RawFd, ThinCStr};

/// Takes the steps.
///
/// The locks come when all that will be closed is closed: closing any descriptor for a file gives
/// them up, be it an inherited one or one that was opened here. And output files are emptied under
/// the lock only, for another daemon may be writing to them.
#[inline(never)]
pub(crate) fn take<K: Kind>(birth: &Birth<'_, K>, opened: &mut Opened) -> Result<K::Left, Error> {
    let Start { options, kind, .. } = birth.start;

    if !options.foreground {
        K::restore(birth).map_err(failed(ExitCode::SignalsFailed))?;
    }
    reset_signals::<K>(options).map_err(failed(ExitCode::SignalsFailed))?;
    close_inherited::<K>(options, &birth.own).map_err(failed(ExitCode::CloseFailed))?;
    birth
        .line
        .put_in_place()
        .map_err(failed(ExitCode::ChannelFailed))?;
    let mut buffer = None;
    let working_directory = command_directory(birth, &mut buffer);
    redirect_streams(options, opened)?;
    if !K::EXECUTES {
        // An exec closes it.
        sys::close(opened.null);
        opened.null = NOTHING;
    }
    lock_files(options, &mut opened.locks)?;
    // While the caller's `/proc` is in sight.
    let date = if opened.locks[0] == NOTHING {
        None
    } else {
        own_date()
    };
    set_oom_score_adj(options).map_err(|errno| Error::of_limit(errno, OOM_SCORE_ADJ))?;

    sys::set_umask(options.umask.unwrap_or(K::UMASK));
    change_root(options).map_err(failed(ExitCode::ChrootFailed))?;
    change_directory(options).map_err(failed(ExitCode::ChdirFailed))?;

    opened.has_written = opened.locks[0] != NOTHING;
    write_pidfile(opened.locks, date)?;

    set_limits(options)?;
    change_user(options)?;
    // Last, since a start that fails should lose nothing: only the exec can still fail.
    empty_outputs(options)?;
    kind.finish(birth, working_directory, opened.locks)
}

/// What the steps hold open, [`NOTHING`] where there is nothing. A process that fails in one of them
/// ends and need not care; in the foreground it lives on, and closes it.
pub(crate) struct Opened {
    null: RawFd,
    /// The ones without a file of their own are `null`, and two may be one.
    streams: [RawFd; 3],
    locks: [RawFd; 2],
    /// Whether the text of the pidfile is this start's own.
    has_written: bool,
}

impl Opened {
    pub(crate) const fn new() -> Self {
        Self {
            null: NOTHING,
            streams: [NOTHING; 3],
            locks: [NOTHING; 2],
            has_written: false,
        }
    }

    /// Closes each stream once, but for `/dev/null`.
    fn close_streams(&mut self) {
        let ([input, output, error], null) = (self.streams, self.null);
        if input != null {
            sys::close(input);
        }
        if output != null {
            sys::close(output);
        }
        if error != null && error != output {
            sys::close(error);
        }
        self.streams = [NOTHING; 3];
    }

    /// Empties the pidfile, if it was written: where its path leads nowhere any more, or another user may
    /// not remove it, at least no pid stays in it.
    pub(crate) fn empty_pidfile(&self) {
        let [pidfile, _] = self.locks;
        if self.has_written {
            let _ = sys::truncate(pidfile);
        }
    }

    /// Closes all, and gives up the locks.
    pub(crate) fn close(&mut self) {
        self.close_streams();
        sys::close(self.null);
        for lock in self.locks {
            sys::close(lock);
        }
    }
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

/// The directory that a relative path of the command counts from, if there is one.
fn command_directory<'b, K: Kind>(
    birth: &Birth<'_, K>,
    buffer: &'b mut Option<[u8; PATH_SIZE]>,
) -> &'b [u8] {
    let Start { options, kind, .. } = birth.start;
    match options.paths[place::CHROOT] {
        _ if !kind.is_relative(birth.environment) => b"",
        // It is looked for inside, where the daemon will be.
        Some(_) => b".",
        None => sys::current_directory(buffer.insert([0; PATH_SIZE])),
    }
}

/// Puts files in the place of descriptors 0 to 2: `/dev/null` where there is no path. In the foreground,
/// one without a path stays as it is, if it is open.
///
/// All are opened before the first is put in place: a path may name one of those that are there.
fn redirect_streams(options: &DaemonizeOptions<'_>, opened: &mut Opened) -> Result<(), Error> {
    let [input, output, error, ..] = options.paths;
    let writing = if options.append {
        Open::Append
    } else {
        Open::Write
    };
    for (stream, file) in (0..).zip(&mut opened.streams) {
        let stays = options.foreground && sys::check_open(stream).is_ok();
        if stays || matches!(options.paths.get(stream as usize), Some(Some(_))) {
            continue;
        }
        if opened.null == NOTHING {
            opened.null = sys::open(ThinCStr::new(c"/dev/null"), Open::ReadWrite)
                .map_err(failed(ExitCode::OpenDevNullFailed))?
                .into_raw();
        }
        *file = opened.null;
    }
    let [input_file, output_file, error_file] = &mut opened.streams;
    open_for(Stream::Input, input, Open::Read, input_file)?;
    open_for(Stream::Output, output, writing, output_file)?;
    open_for(Stream::Error, error, writing, error_file)?;
    if error.is_some() && sys::file_of(*output_file) == sys::file_of(*error_file) {
        // Two descriptions of one file would write over each other.
        sys::close(*error_file);
        *error_file = *output_file;
    }
    for (file, to) in opened.streams.iter().zip(0..) {
        if *file != NOTHING {
            sys::move_to(*file, to).map_err(failed(ExitCode::StdioFailed))?;
        }
    }
    opened.close_streams();
    Ok(())
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

/// Locks the lock file and the pidfile. The descriptors must stay open: closing one would give up its
/// lock. The pidfile comes last, since it is made for this start, if the lock file is free.
#[inline(never)]
fn lock_files(
    options: &DaemonizeOptions<'_>,
    [pidfile, lock_file]: &mut [RawFd; 2],
) -> Result<(), Error> {
    pidfile::lock(options.paths[place::LOCK_FILE], lock_file).map_err(Error::of_lock_file)?;
    pidfile::lock(options.paths[place::PIDFILE], pidfile)
}

/// This needs the caller's `/proc`.
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

fn write_pidfile([pidfile, _]: [RawFd; 2], date: Option<Nanoseconds>) -> Result<(), Error> {
    match pidfile {
        NOTHING => Ok(()),
        file => pidfile::write(file, sys::process_id(), date),
    }
}

/// Resource limits, niceness and privileges.
fn set_limits(options: &DaemonizeOptions<'_>) -> Result<(), Error> {
    for ((resource, limit), line) in Resource::ALL.iter().zip(options.limits).zip(0..) {
        if let Some(Limit { soft, hard }) = limit {
            sys::set_limit(*resource as u32, soft, hard)
                .map_err(|errno| Error::of_limit(errno, line))?;
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
