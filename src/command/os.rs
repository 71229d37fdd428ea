//! The system calls of the command itself.

use rawdaemon::internal::{self, RawFd, SignalSet};

/// Standard output.
pub(crate) const STDOUT: RawFd = 1;

/// Standard error.
pub(crate) const STDERR: RawFd = 2;

/// Writes until all is written, or nothing more can be. If no process reads, this must not end the command by
/// a SIGPIPE: its exit code is its answer.
pub(crate) fn write_all(fd: RawFd, mut bytes: &[u8]) {
    let _ = internal::block_signals(SignalSet::PIPE);
    while !bytes.is_empty() {
        match internal::write(fd, bytes) {
            Ok(written) => bytes = bytes.get(written as usize..).unwrap_or_default(),
            Err(_) => return,
        }
    }
}

/// Whether this is the first process of its pid namespace, or of the machine.
pub(crate) fn is_first_process() -> bool {
    internal::getpid().get() == 1
}
