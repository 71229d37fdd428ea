//! Ending what a daemon leaves: the rest of its process group, and its other descendants.

use super::context::{Init, Supervisor};
use crate::pidfile::{each_process, has_members, parent_of, signal_pinned};
use crate::protocol::{Errno, Nanoseconds, Pid, Signal};
use crate::start::Running;
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
    /// known, and what ends by itself. An init process spares what is not in the group until it ends: not all orphans
    /// are the daemon's. Returns whether nothing is left, as far as that is known.
    #[inline(never)]
    pub(super) fn end_rest(&mut self, ended: Option<&Running>, is_last: bool) -> bool {
        let rest = Rest {
            ended,
            logger: self.logger.pid,
            has_others: self.init == Init::No || is_last,
        };
        for (signal, time) in TIMES {
            let Ok(now) = sys::monotonic_time() else {
                return false;
            };
            let deadline = now.saturating_add(time);
            let mut told = 0;
            loop {
                if rest.group().is_none()
                    && !(rest.has_others && sys::try_wait_any() != Err(Errno::ECHILD))
                {
                    return true;
                }
                // What ends may leave children of its own: these are new.
                if told == 0 || rest.count() != told {
                    // If no signal gets through, there is nothing to wait for.
                    let Some(count) = rest.signal(signal) else {
                        return false;
                    };
                    told = count.max(1);
                }
                let now = sys::monotonic_time().unwrap_or(Nanoseconds::MAX);
                let next = deadline.min(now.saturating_add(CHECK_INTERVAL));
                if now >= deadline || self.wait(None, next).is_err() {
                    break;
                }
            }
        }
        false
    }
}

/// What a daemon leaves.
struct Rest<'r> {
    /// The daemon.
    ended: Option<&'r Running>,
    /// The process that writes the log.
    logger: Option<Pid>,
    /// Whether other processes than those of its group are its rest.
    has_others: bool,
}

impl Rest<'_> {
    /// The process group of the daemon, if it has members. The kernel does not give its id to another process as long
    /// as it has. A process with this pid must be the daemon, which has not been reaped: any other leads a group that
    /// is not the daemon's.
    fn group(&self) -> Option<Pid> {
        let ended = self.ended?;
        ended.group.filter(|group| {
            let is_own = match sys::getsid(Some(*group)) {
                Err(errno) => errno == Errno::ESRCH,
                Ok(_) => ended.main == *group && ended.is_pinned(),
            };
            is_own && sys::killpg(*group, 0).is_ok() && has_members(*group)
        })
    }

    /// Whether a process is one of the supervisor's session, or a child of it, but not the one that writes the log.
    fn includes(&self, pid: Pid) -> bool {
        let own = sys::getpid();
        self.has_others
            && pid != own
            && Some(pid) != self.logger
            && (sys::getsid(Some(pid)) == Ok(Some(own)) || is_child(pid))
    }

    fn count(&self) -> u32 {
        self.each(&mut |_| ())
    }

    /// Calls a function for each process of the rest, and returns their number.
    fn each(&self, call: &mut dyn FnMut(Pid)) -> u32 {
        let mut count = 0_u32;
        let _ = each_process(&mut |pid| {
            if self.includes(pid) {
                count = count.saturating_add(1);
                call(pid);
            }
            false
        });
        count
    }

    /// Sends a signal to the rest, and returns the number of its processes; `None` if no process gets it.
    fn signal(&self, signal: Signal) -> Option<u32> {
        let group = self.group();
        let mut is_sent = group.is_some_and(|group| sys::killpg(group, signal.number()).is_ok());
        if self.has_others && sys::kill_all(signal.number()).is_ok() {
            return Some(self.count());
        }
        let count = self.each(&mut |pid| {
            if group.is_some() && sys::getpgid(pid) == group {
                return;
            }
            // A child keeps its pid until it is reaped. The others become children when their parents have ended.
            if sys::has_exited(pid).is_ok() {
                is_sent |= sys::kill(pid, signal.number()).is_ok();
            } else if let Ok(process) = sys::pidfd_open(pid) {
                // Its pid may have been given to another process.
                if self.includes(pid) {
                    is_sent |= signal_pinned(&process, pid, signal).is_ok();
                }
            }
        });
        is_sent.then_some(count)
    }
}

/// Whether a process is a child. A file of `/proc` for each process of the machine would take much longer.
fn is_child(pid: Pid) -> bool {
    match sys::has_exited(pid) {
        Ok(_) => true,
        Err(Errno::ECHILD) => false,
        // A policy refuses the call.
        Err(_) => parent_of(pid) == Some(sys::getpid()),
    }
}
