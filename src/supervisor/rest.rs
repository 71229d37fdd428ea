//! Ending what a daemon leaves: the rest of its process group, and its other descendants.

use super::context::Supervisor;
use crate::pidfile::{each_process, parent_of};
use crate::protocol::{Errno, Nanoseconds, Pid, Signal};
use crate::sys;

/// How long the rest may take to end after each signal.
const TIMES: [(Signal, Nanoseconds); 2] =
    [(Signal::TERM, 5_000_000_000), (Signal::KILL, 1_000_000_000)];

/// How often it looks again at what is not its child.
const CHECK_INTERVAL: Nanoseconds = 20_000_000;

impl Supervisor<'_> {
    /// Ends what is left of a daemon that has ended.
    ///
    /// A child subreaper becomes the parent of what has lost its parent. Without `/proc` only the process group is
    /// known, and what ends by itself.
    #[inline(never)]
    pub(super) fn end_rest(&mut self, daemon: Option<Pid>) {
        let logger = self.logger.pid;
        for (signal, time) in TIMES {
            let Ok(now) = sys::monotonic_time() else {
                return;
            };
            let deadline = now.saturating_add(time);
            let mut told = 0;
            loop {
                if group_of(daemon).is_none() && sys::try_wait_any() == Err(Errno::ECHILD) {
                    return;
                }
                let mut count = 0;
                let _ = each_process(&mut |pid| {
                    count += u32::from(is_rest(pid, logger));
                    false
                });
                // What ends may leave children of its own: these are new.
                if count != told || told == 0 {
                    told = count.max(1);
                    signal_rest(daemon, signal, logger);
                }
                let now = sys::monotonic_time().unwrap_or(Nanoseconds::MAX);
                let next = deadline.min(now.saturating_add(CHECK_INTERVAL));
                if now >= deadline || self.wait(None, next).is_err() {
                    break;
                }
            }
        }
    }
}

/// The process group of a daemon that was reaped, if it has members. The kernel does not give its id to another
/// process as long as it has.
fn group_of(daemon: Option<Pid>) -> Option<Pid> {
    daemon.filter(|group| {
        sys::getsid(Some(*group)) == Err(Errno::ESRCH) && sys::killpg(*group, 0).is_ok()
    })
}

/// Whether a process is one of the supervisor's session, or a child of it, but not the one that writes the log.
fn is_rest(pid: Pid, logger: Option<Pid>) -> bool {
    let own = sys::getpid();
    pid != own
        && Some(pid) != logger
        && (parent_of(pid) == Some(own) || sys::getsid(Some(pid)) == Ok(Some(own)))
}

fn signal_rest(daemon: Option<Pid>, signal: Signal, logger: Option<Pid>) {
    let group = group_of(daemon);
    if let Some(group) = group {
        let _ = sys::killpg(group, signal.number());
    }
    let _ = each_process(&mut |pid| {
        if (group.is_none() || sys::getpgid(pid) != group) && is_rest(pid, logger) {
            if let Ok(process) = sys::pidfd_open(pid) {
                // Its pid may have been given to another process.
                if is_rest(pid, logger) {
                    let _ = sys::pidfd_send_signal(&process, signal.number());
                }
            }
        }
        false
    });
}
