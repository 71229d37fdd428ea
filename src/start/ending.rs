//! The end of a daemon that has failed: of the daemon, and of what it has started.

use super::watch::{END_INTERVAL, Watch};
use crate::pidfile::signal_pinned;
use crate::protocol::{Errno, Nanoseconds, Signal};
use crate::sys::{self, Fd, NO_FD};

/// How long the daemon may take to end after a SIGTERM, before it gets a SIGKILL.
const TERM_TIMEOUT: Nanoseconds = 1_000_000_000;

/// How long a daemon that has reported a failure may take to exit, before it gets a SIGTERM.
const REFUSAL_TIMEOUT: Nanoseconds = 100_000_000;

impl Watch<'_> {
    /// Ends the process that is watched in place of the daemon. Returns whether it has ended, or there is none.
    #[inline(never)]
    pub(super) fn end_main(&mut self) -> bool {
        if self.main == self.daemon {
            return true;
        }
        let pidfd = Fd::from_raw(self.death);
        let mut has_ended = false;
        // One that has ended gets none of them. A wait may be interrupted.
        for signal in [Signal::TERM, Signal::KILL, Signal::KILL] {
            if !has_ended {
                let _ = signal_pinned(&pidfd, self.main, signal);
                let mut ready = [pidfd.raw(), NO_FD, NO_FD, NO_FD];
                has_ended = sys::ppoll(&mut ready, TERM_TIMEOUT).is_ok() && ready != [NO_FD; 4];
            }
        }
        (self.main, self.death) = (self.daemon, NO_FD);
        has_ended
    }

    /// Ends the daemon with a SIGTERM, and with a SIGKILL if that takes too long. A daemon that has
    /// refused to start first gets time to exit.
    pub(super) fn end_daemon(&mut self, has_refused: bool) {
        if self.has_ended || has_refused && self.ends_within(REFUSAL_TIMEOUT) {
            return;
        }
        let _ = sys::kill(self.daemon, Signal::TERM.number());
        if !self.ends_within(TERM_TIMEOUT) {
            // kill(2) fails if the daemon has changed its user. Do not wait for it then.
            let killed = sys::kill(self.daemon, Signal::KILL.number());
            self.is_reaped = killed.and_then(|()| sys::waitpid(self.daemon)).is_ok();
            self.has_ended = killed.is_ok();
        }
    }

    /// Ends the rest of the daemon's process group: what it has started.
    pub(super) fn end_group(&self) {
        if self.forked {
            // Its id may be that of another group by now.
            return;
        }
        // Those that are killed remain members until they are reaped.
        for (signal, time) in [
            (Signal::TERM, TERM_TIMEOUT),
            (Signal::KILL, REFUSAL_TIMEOUT),
        ] {
            // A group that has members keeps its id. If another process has this id, the group is gone.
            let is_gone = || self.has_ended && sys::getsid(Some(self.daemon)) != Err(Errno::ESRCH);
            if is_gone() || sys::killpg(self.daemon, signal.number()).is_err() {
                break;
            }
            for _ in 0..time / END_INTERVAL {
                // A supervisor is the parent of those whose own has ended.
                while self.has_ended
                    && self.supervision.is_some()
                    && matches!(sys::try_wait_any(), Ok(Some(_)))
                {}
                if is_gone() || sys::killpg(self.daemon, 0).is_err() {
                    break;
                }
                sys::sleep(END_INTERVAL);
            }
        }
    }

    /// The kernel hangs up a process group with a stopped member when the last process that could continue it, its
    /// parent in the same session, ends (setpgid(2)). So the group is continued before. No call tells whether a
    /// member is stopped.
    pub(super) fn continue_group(&self) {
        if !self.has_ended {
            let _ = sys::killpg(self.daemon, Signal::CONT.number());
        }
    }

    /// Counts the time and reads no clock, which may be what is refused. Messages are ignored: the daemon may send
    /// them forever.
    fn ends_within(&mut self, time: Nanoseconds) -> bool {
        let _ = self.prepare_to_wait();
        for _ in 0..time / END_INTERVAL {
            if self.has_ended {
                break;
            }
            let _ = sys::ppoll(&mut [self.death, NO_FD, NO_FD, NO_FD], END_INTERVAL);
            let _ = self.try_wait();
        }
        self.has_ended
    }
}
