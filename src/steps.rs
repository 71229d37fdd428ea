//! The daemon's steps, in the order of the README's list.

use crate::daemonize::{Birth, Kind, Start, failed};
use crate::options::DaemonizeOptions;
use crate::pidfile;
use crate::program::PATH_SIZE;
use crate::protocol::{Errno, Error, ExitCode, Stream};
use crate::sys::{self, NOTHING, Open, RawFd, ThinCStr};

/// Takes the steps.
///
/// The lock comes when all that will be closed is closed: closing any descriptor for the pidfile
/// gives it up, be it an inherited one or one that was opened here. And output files are emptied
/// under the lock only, for another daemon may be writing to them.
pub(crate) fn take<K: Kind>(
    birth: &Birth<'_, K>,
    buffer: &mut [u8; PATH_SIZE],
) -> Result<K::Left, Error> {
    let Start { options, kind, .. } = birth.start;

    let working_directory = kind.begin(birth, buffer)?;
    let streams = open_streams(options)?;
    put_in_place(&streams).map_err(failed(ExitCode::StdioFailed))?;
    let pidfile = match options.pidfile {
        Some(path) => pidfile::lock(path)?,
        None => NOTHING,
    };

    sys::set_umask(options.umask.unwrap_or(K::UMASK));
    sys::change_directory(options.chdir).map_err(failed(ExitCode::ChdirFailed))?;

    empty_outputs(options)?;
    if pidfile != NOTHING {
        pidfile::write(pidfile, sys::process_id())?;
    }
    kind.finish(birth, working_directory, pidfile)
}

/// Opens the files for descriptors 0 to 2, above them: `/dev/null` for those that have none.
///
/// Where a step fails the process ends, so that nothing here needs to be closed again.
fn open_streams(options: &DaemonizeOptions<'_>) -> Result<[RawFd; 3], Error> {
    let [input, output, error] = options.streams;
    let writing = if options.append {
        Open::Append
    } else {
        Open::Write
    };
    let null = if matches!(options.streams, [Some(_), Some(_), Some(_)]) {
        NOTHING
    } else {
        sys::open(ThinCStr::new(c"/dev/null"), Open::ReadWrite)
            .map_err(failed(ExitCode::OpenDevNullFailed))?
            .into_raw()
    };
    let mut files = [null; 3];
    let [input_file, output_file, error_file] = &mut files;
    open_for(Stream::Input, input, Open::Read, input_file)?;
    open_for(Stream::Output, output, writing, output_file)?;
    if output == error {
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
    let refused = |errno| Error::of_stream(ExitCode::OpenFailed, errno, stream);
    *file = sys::open(path, how).map_err(refused)?.into_raw();
    sys::set_blocking(*file, how == Open::Append).map_err(refused)
}

fn put_in_place(files: &[RawFd]) -> Result<(), Errno> {
    for (file, to) in files.iter().zip(0..) {
        sys::move_to(*file, to)?;
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

/// Empties the files for output, unless they are to be appended to.
fn empty_outputs(options: &DaemonizeOptions<'_>) -> Result<(), Error> {
    let [_, output, error] = options.streams;
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
        Some(Err(errno)) => Err(Error::of_stream(ExitCode::OpenFailed, errno, stream)),
    }
}
