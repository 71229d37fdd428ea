//! The standard streams, and the other files that the steps open.

use crate::options::DaemonizeOptions;
use crate::protocol::{Errno, Error, Step, Stream};
use crate::sys::{self, NO_FD, Open, RawFd, ThinCStr};

/// The files that the steps have opened, [`NO_FD`] where there is none. A daemon that fails ends, and leaves
/// them to the kernel. In the foreground the process lives on, and closes them.
pub(super) struct OpenFiles {
    null: RawFd,
    /// A stream without a file of its own is `null`, and two streams may be one.
    streams: [RawFd; 3],
    /// The pidfile and the lock file.
    pub(super) locks: [RawFd; 2],
    /// Whether the text of the pidfile comes from this start.
    pub(super) has_written: bool,
}

impl OpenFiles {
    pub(super) const fn new() -> Self {
        Self {
            null: NO_FD,
            streams: [NO_FD; 3],
            locks: [NO_FD; 2],
            has_written: false,
        }
    }

    /// Opens `/dev/null` for the streams without a path. In the foreground, a stream without a path stays as
    /// it is if it is open.
    pub(super) fn open_null(&mut self, options: &DaemonizeOptions<'_>) -> Result<(), Errno> {
        for ((stream, file), path) in (0..).zip(&mut self.streams).zip(&options.paths) {
            if path.is_some() || options.foreground && sys::fcntl_getfd(stream).is_ok() {
                continue;
            }
            if self.null == NO_FD {
                let null = sys::open(ThinCStr::new(c"/dev/null"), Open::ReadWrite)?;
                self.null = null.into_raw();
            }
            *file = self.null;
        }
        Ok(())
    }

    /// Opens the file of the stream that this step is about.
    pub(super) fn open_stream(
        &mut self,
        step: Step,
        options: &DaemonizeOptions<'_>,
    ) -> Result<(), Error> {
        let (stream, how) = match step {
            Step::OpenStdin => (Stream::Input, Open::Read),
            Step::OpenStdout => (Stream::Output, Open::output(options.append)),
            _ => (Stream::Error, Open::output(options.append)),
        };
        let (Some(path), Some(file)) = (
            options.path(step.subject()),
            self.streams.get_mut(stream as usize),
        ) else {
            return Ok(());
        };
        let refused = |errno| Error::of_stream(errno, stream);
        *file = sys::open(path, how).map_err(refused)?.into_raw();
        sys::set_status_flags(*file, how == Open::Append).map_err(refused)?;
        let [_, output, error] = &mut self.streams;
        if stream == Stream::Error && sys::fstat(*output) == sys::fstat(*error) {
            // Two descriptions of one file would overwrite each other's output.
            sys::close(*error);
            *error = *output;
        }
        Ok(())
    }

    /// Makes the files descriptors 0 to 2. All are open by then: a path may name one of those that were
    /// there. `keeps_null` leaves `/dev/null` to be closed by an exec.
    pub(super) fn place_streams(&mut self, keeps_null: bool) -> Result<(), Errno> {
        for (file, stream) in self.streams.iter().zip(0..) {
            if *file != NO_FD {
                sys::dup3(*file, stream)?;
            }
        }
        self.close_streams();
        if !keeps_null {
            sys::close(self.null);
            self.null = NO_FD;
        }
        Ok(())
    }

    /// Closes each stream once, but not `/dev/null`.
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
        self.streams = [NO_FD; 3];
    }

    /// Empties the pidfile, if this start has written it: if its path leads nowhere any more, or another user
    /// may not remove it, at least no pid stays in it.
    pub(super) fn empty_pidfile(&self) {
        let [pidfile, _] = self.locks;
        if self.has_written {
            let _ = sys::ftruncate(pidfile);
        }
    }

    /// Closes all, and gives up the locks.
    pub(super) fn close(&mut self) {
        self.close_streams();
        sys::close(self.null);
        for lock in self.locks {
            sys::close(lock);
        }
    }
}

/// Empties the files for output.
pub(super) fn empty_outputs(options: &DaemonizeOptions<'_>) -> Result<(), Error> {
    let [_, output, error, ..] = options.paths;
    empty(Stream::Output, output)?;
    empty(Stream::Error, error)
}

fn empty(stream: Stream, path: Option<ThinCStr<'_>>) -> Result<(), Error> {
    match path.map(|_| sys::ftruncate(stream as RawFd)) {
        // A FIFO or a device has no contents.
        None | Some(Ok(()) | Err(Errno::EINVAL)) => Ok(()),
        Some(Err(errno)) => Err(Error::of_truncate(errno, stream)),
    }
}
