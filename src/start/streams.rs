//! The standard streams, the pidfile and the lock file: the files that the steps open.

use crate::options::DaemonizeOptions;
use crate::protocol::{Errno, Error, ErrorKind, Step, Subject, failed};
use crate::sys::{self, NO_FD, Open, RawFd, ThinCStr};

/// The files that the steps have opened; [`NO_FD`] where there is none. When a start fails, a daemon
/// exits and leaves them to the kernel; in the foreground, the process continues and closes them.
pub(super) struct OpenFiles {
    null: RawFd,
    /// Without a path it is `null`; standard output and standard error may be the same descriptor.
    streams: [RawFd; 3],
    /// The pidfile and the lock file.
    pub(super) locks: [RawFd; 2],
    /// Whether this start has written to the pidfile.
    pub(super) wrote_pidfile: bool,
}

impl OpenFiles {
    pub(super) const fn new() -> Self {
        Self {
            null: NO_FD,
            streams: [NO_FD; 3],
            locks: [NO_FD; 2],
            wrote_pidfile: false,
        }
    }

    /// Opens `/dev/null` for the streams without a path. In the foreground, an open stream without a path
    /// is left as it is.
    pub(super) fn open_null(&mut self, options: &DaemonizeOptions<'_>) -> Result<(), Errno> {
        for ((stream, file), path) in (0..).zip(&mut self.streams).zip(&options.streams()) {
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

    /// Opens the file for the stream of this step.
    pub(super) fn open_stream(
        &mut self,
        step: Step,
        options: &DaemonizeOptions<'_>,
    ) -> Result<(), Errno> {
        let [input, output, error] = &mut self.streams;
        let (subject, how, file) = match step {
            Step::OpenStdin => (Subject::Stdin, Open::Read, input),
            Step::OpenStdout => (Subject::Stdout, Open::output(options.append), output),
            _ => (Subject::Stderr, Open::output(options.append), error),
        };
        let Some(path) = options.path(subject) else {
            return Ok(());
        };
        *file = sys::open(path, how)?.into_raw();
        sys::set_status_flags(*file, how == Open::Append)?;
        let [_, output, error] = &mut self.streams;
        if subject == Subject::Stderr && sys::fstat(*output) == sys::fstat(*error) {
            // Two open file descriptions have two offsets: the streams would overwrite each other's
            // output.
            sys::close(*error);
            *error = *output;
        }
        Ok(())
    }

    /// Duplicates the files to descriptors 0 to 2. By now all of them are open, as a path such as
    /// `/dev/fd/1` may refer to a descriptor that this replaces. With `keeps_null`, `/dev/null` is left
    /// for the exec to close.
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

    /// Closes each file once, but not `/dev/null`.
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

    /// Truncates the pidfile if this start has written it. If it can no longer be removed, after a change
    /// of the root directory or the user, it at least contains no pid.
    pub(super) fn truncate_pidfile(&self) {
        let [pidfile, _] = self.locks;
        if self.wrote_pidfile {
            let _ = sys::ftruncate(pidfile);
        }
    }

    /// Closes all files, which releases the locks.
    pub(super) fn close(&mut self) {
        self.close_streams();
        sys::close(self.null);
        for lock in self.locks {
            sys::close(lock);
        }
    }
}

/// Truncates the files for standard output and standard error.
pub(super) fn truncate_outputs(options: &DaemonizeOptions<'_>) -> Result<(), Error> {
    let [_, output, error] = options.streams();
    truncate(1, Subject::Stdout, output)?;
    truncate(2, Subject::Stderr, error)
}

fn truncate(stream: RawFd, subject: Subject, path: Option<ThinCStr<'_>>) -> Result<(), Error> {
    match path.map(|_| sys::ftruncate(stream)) {
        // FIFOs and devices cannot be truncated.
        None | Some(Ok(()) | Err(Errno::EINVAL)) => Ok(()),
        Some(Err(errno)) => {
            let error = failed(ErrorKind::OpenFailed)(errno).about(subject);
            Err(error.not_emptied())
        }
    }
}
