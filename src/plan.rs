//! The options with their defaults: what counts as success, after how long, and on what stack.

use core::time::Duration;

use crate::context::Kind;
use crate::options::{DaemonizeOptions, Readiness};
use crate::protocol::{Goal, Nanoseconds};
use crate::sys::{self, Stack};

/// What counts as success, and after how long.
pub(crate) fn goal_and_time<K: Kind>(options: &DaemonizeOptions<'_>) -> (Goal, Nanoseconds) {
    let (must_be_ready, default) = match options.readiness {
        Readiness::Executed if K::EXECUTES => (false, K::TIMEOUT),
        _ if K::EXECUTES => (true, READY_TIMEOUT),
        _ => (options.require_ready, K::TIMEOUT),
    };
    let timeout = options.timeout.unwrap_or(default);
    let goal = match timeout {
        _ if must_be_ready => Goal::Ready,
        Duration::ZERO => Goal::Begun,
        _ => Goal::Alive,
    };
    match timeout {
        Duration::ZERO => (goal, Nanoseconds::MAX),
        timeout => (goal, sys::nanoseconds(timeout)),
    }
}

/// How long a command may take by default until it says that it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// The daemon shares the memory until it executes. What the kernel remembers by memory would change for the
/// caller too: that a process which has become another user may not be looked at (`dumpable`, proc(5)), and
/// since Linux 4.8 how ready it shall be to be killed. Who becomes another user gets a group too.
///
/// Its parent stops meanwhile, unless there is something to wait for: time, a word, or files that somebody
/// else has named.
pub(crate) fn daemon_stack<K: Kind>(options: &DaemonizeOptions<'_>) -> Stack {
    if !K::EXECUTES || options.group.is_some() || options.oom_score_adj.is_some() {
        return Stack::none();
    }
    let is_begun = goal_and_time::<K>(options).0 == Goal::Begun;
    if is_begun && options.paths.iter().all(Option::is_none) {
        Stack::stopping()
    } else {
        Stack::new()
    }
}
