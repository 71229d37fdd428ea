//! The standard streams, the pidfile and the lock file: the files that the steps open.

use super::open_file::open_file;
use crate::options::{Settings, Stream};
use crate::protocol::{Errno, Error, ErrorKind, Note, Subject, failed};
use crate::sys::{self, Fd, NO_FD, Open, RawFd, ThinCStr, WORKING_DIRECTORY};

/// The files that the steps have opened; [`NO_FD`] where there is none. When a start fails, a daemon
/// exits and leaves them to the kernel; in the foreground, the process continues and closes them.
pub(super) struct OpenFiles {
    null: RawFd,
    /// May be `null`; standard output and standard error may be the same descriptor.
    streams: [RawFd; 3],
    /// The pidfile and the lock file.
    pub(super) locks: [RawFd; 2],
    /// The working directory of the caller, if the command is resolved against it and its path is not known.
    pub(super) directory: RawFd,
    /// Whether this start has written to the pidfile.
    pub(super) wrote_pidfile: bool,
}

impl OpenFiles {
    pub(super) const fn new() -> Self {
        Self {
            null: NO_FD,
            streams: [NO_FD; 3],
            locks: [NO_FD; 2],
            directory: WORKING_DIRECTORY,
            wrote_pidfile: false,
        }
    }

    /// The descriptors for the standard streams.
    pub(super) const fn streams(&self) -> [RawFd; 4] {
        let [input, output, error] = self.streams;
        [self.null, input, output, error]
    }

    /// Opens `/dev/null` for the streams that are to be it, and for inherited ones that are closed.
    pub(super) fn open_null(&mut self, options: &Settings<'_>) -> Result<(), Errno> {
        for (index, file) in (0..).zip(&mut self.streams) {
            match options.stream(index) {
                Stream::Null => {}
                Stream::Inherit => match sys::fcntl_getfd(index as RawFd) {
                    Err(Errno::EBADF) => {}
                    open => {
                        open?;
                        continue;
                    }
                },
                _ => continue,
            }
            if self.null == NO_FD {
                self.null = open_null()?.into_raw();
            }
            *file = self.null;
        }
        Ok(())
    }

    /// Opens the working directory. If that fails, the command has no relative path.
    #[inline(never)]
    pub(super) fn open_directory(&mut self) {
        if let Ok(directory) = sys::open(ThinCStr::new(c"."), Open::Path) {
            self.directory = directory.into_raw();
        }
    }

    /// Opens the file for the stream with this index. A file that is one of the pipes `internal` is
    /// refused: a path such as `/dev/fd/3` names it if the caller has no such descriptor.
    pub(super) fn open_stream(
        &mut self,
        index: usize,
        options: &Settings<'_>,
        internal: &[RawFd],
    ) -> Result<(), Errno> {
        let stream = options.stream(index);
        let Some(file) = self.streams.get_mut(index) else {
            return Ok(());
        };
        let purpose = if index == 0 { Open::Read } else { Open::Append };
        if let Some(path) = stream.path() {
            *file = open_file(WORKING_DIRECTORY, path, purpose)?.into_raw();
            let stat = sys::fstat(*file)?;
            if stat.is_fifo() && internal.iter().any(|fd| sys::fstat(*fd) == Ok(stat)) {
                return Err(Errno::EBADF);
            }
            sys::set_status_flags(*file, purpose == Open::Append)?;
        }
        if let Some(fd) = stream.fd() {
            // Above the standard streams, which other files are about to replace.
            *file = sys::dupfd_cloexec(fd as RawFd, 3)?;
        }
        let [_, output, error] = &mut self.streams;
        if index == 2 && sys::fstat(*output) == sys::fstat(*error) {
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
            let _ = sys::ftruncate(pidfile, 0);
        }
    }

    /// Closes all files, which releases the locks.
    pub(super) fn close(&mut self) {
        self.close_streams();
        sys::close(self.null);
        sys::close(self.directory);
        for lock in self.locks {
            sys::close(lock);
        }
    }
}

/// Opens `/dev/null`. `ENODEV` if it is not the null device: a regular file in its place has contents, and would
/// grow.
pub(crate) fn open_null() -> Result<Fd, Errno> {
    let null = sys::open(ThinCStr::new(c"/dev/null"), Open::ReadWrite)?;
    match sys::fstat(null.raw())?.is_null_device() {
        true => Ok(null),
        false => Err(Errno::ENODEV),
    }
}

/// Truncates the files for standard output and standard error.
pub(super) fn truncate_outputs(options: &Settings<'_>) -> Result<(), Error> {
    for (fd, subject) in [(1, Subject::Stdout), (2, Subject::Stderr)] {
        let Stream::File(_) = options.stream(fd as usize) else {
            continue;
        };
        match sys::ftruncate(fd, 0) {
            // FIFOs and devices cannot be truncated.
            Ok(()) | Err(Errno::EINVAL) => {}
            Err(errno) => {
                let error = failed(ErrorKind::OpenFailed)(errno).about(subject);
                return Err(error.with(Note::Other));
            }
        }
    }
    Ok(())
}
