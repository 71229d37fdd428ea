//! What the command gets from the kernel, and the system calls that it makes itself.

use rawdaemon::internal::{self, RawFd, SignalSet};
use rawdaemon::{CStrings, Errno};

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

/// The exit status if the help or the version cannot be written.
pub(crate) const OUTPUT_LOST: u8 = 1;

/// Writes all bytes, or stops at the first error.
///
/// SIGPIPE and SIGXFSZ are blocked and stay blocked: neither a reader that has gone away nor a limit of the size of
/// files must change the exit code. In the foreground the command unblocks them: none may be pending.
pub(crate) fn write_all(fd: RawFd, mut bytes: &[u8]) -> Result<(), Errno> {
    let _ = internal::block_signals(SignalSet::OF_WRITES);
    while !bytes.is_empty() {
        let written = internal::write(fd, bytes)
            .inspect_err(|_| internal::take_pending(SignalSet::OF_WRITES))?;
        if written == 0 {
            return Err(Errno::EIO);
        }
        bytes = bytes.get(written as usize..).unwrap_or_default();
    }
    Ok(())
}

/// Whether this is the init process of its pid namespace.
pub(crate) fn is_init() -> bool {
    internal::getpid().get() == 1
}
