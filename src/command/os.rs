//! What the command gets from the kernel, and the system calls that it makes itself.

use rawdaemon::CStrings;
use rawdaemon::internal::{self, RawFd, SignalSet};

/// The lists that the command was executed with.
pub(crate) struct Given {
    /// The arguments, without the name of the command.
    pub(crate) arguments: CStrings<'static>,
    pub(crate) environment: CStrings<'static>,
}

pub(crate) const STDOUT: RawFd = 1;

pub(crate) const STDERR: RawFd = 2;

/// The exit status of a command that has done what was asked for.
pub(crate) const SUCCESS: u8 = 0;

/// Writes all bytes, or stops at the first error.
///
/// SIGPIPE is blocked and stays blocked: a reader that has gone away must not change the exit code.
pub(crate) fn write_all(fd: RawFd, mut bytes: &[u8]) {
    let _ = internal::block_signals(SignalSet::PIPE);
    while !bytes.is_empty() {
        match internal::write(fd, bytes) {
            Ok(written) => bytes = bytes.get(written as usize..).unwrap_or_default(),
            Err(_) => return,
        }
    }
}

/// Whether this is the init process of its pid namespace.
pub(crate) fn is_init() -> bool {
    internal::getpid().get() == 1
}
