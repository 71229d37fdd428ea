//! What the processes of a start know of it.

use core::time::Duration;

use crate::channel::DaemonEnd;
use crate::environment::Environment;
use crate::options::DaemonizeOptions;
use crate::protocol::{Errno, Error};
use crate::sys::{self, NOTHING, Pipe, RawFd, Stack, Thread};

/// What becomes a daemon, as far as that makes a difference: the calling process or a command. Each
/// has a code of its own made for it, so that a program holds only what it uses.
pub(crate) trait Kind: Sized {
    /// What a daemon has left when its steps are done.
    type Left;
    /// How long a daemon is watched by default.
    const TIMEOUT: Duration;
    const UMASK: u32;

    /// Whether it executes a command, which wants nothing of what the caller has set up for itself.
    const EXECUTES: bool;

    /// The thread that goes on in the daemon.
    fn thread(&self) -> Option<&Thread>;

    /// Whether a path of the command, in this environment, counts from the working directory.
    fn is_relative(&self, environment: Environment<'_>) -> bool;

    /// The environment of a command.
    fn environment(&self) -> Environment<'_>;

    /// Makes the daemon what the caller was before the start: as far as nothing else does.
    fn restore(birth: &Birth<'_, Self>) -> Result<(), Errno>;

    /// The last of the daemon's steps.
    fn finish(
        &self,
        birth: &Birth<'_, Self>,
        working_directory: &[u8],
        locks: [RawFd; 2],
    ) -> Result<Self::Left, Error>;
}

/// What all three processes know of the start.
pub(crate) struct Start<'a, K> {
    pub(crate) options: &'a DaemonizeOptions<'a>,
    pub(crate) kind: &'a K,
    /// From the intermediate to the original.
    pub(crate) verdict: Pipe,
    /// Where a daemon runs until it executes a command, if it can share the memory.
    pub(crate) stack: &'a Stack,
}

/// How many descriptors of this crate's own the steps spare.
pub(crate) const OWN: usize = 5;

/// What the intermediate and the daemon know besides.
pub(crate) struct Birth<'a, K> {
    pub(crate) start: &'a Start<'a, K>,
    /// From the daemon to the intermediate.
    pub(crate) report: Pipe,
    pub(crate) line: DaemonEnd,
    pub(crate) environment: Environment<'a>,
    /// What is not closed, though the caller has not asked for it.
    pub(crate) own: [RawFd; OWN],
}

impl<K> Birth<'_, K> {
    /// Whether the intermediate, which leads the session, is there; or else somebody has killed it, and
    /// nobody would tell the truth of this start. Without one, nobody is missing.
    pub(crate) fn is_watched(&self) -> bool {
        self.start.verdict.writer == NOTHING || sys::is_child_of_leader()
    }
}
