//! The events that a supervisor waits for.

use core::mem;

use super::context::{Init, Request, Supervisor};
use super::init;
use crate::protocol::{Errno, Event as Message, Nanoseconds, Pid, Signal, WaitStatus};
use crate::start::Running;
use crate::sys::{self, NO_FD, SIGCHLD};

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The daemon has ended. Its status is known if it was a child.
    Ended(Option<WaitStatus>),
    /// The daemon has sent a message.
    Heard(Message),
    /// There is a request, or a child has ended: look again.
    Other,
    /// The time has passed.
    Timeout,
}

impl Supervisor<'_> {
    /// Waits for the next event, until the deadline.
    ///
    /// # Errors
    ///
    /// A call that nothing can replace is refused.
    pub(super) fn wait(
        &mut self,
        mut running: Option<&mut Running>,
        deadline: Nanoseconds,
    ) -> Result<Event, Errno> {
        loop {
            let is_logger_due = self.logger.due < deadline;
            let left = match deadline.min(self.logger.due) {
                _ if self.is_told => 0,
                Nanoseconds::MAX => Nanoseconds::MAX,
                next => next.saturating_sub(sys::monotonic_time()?),
            };
            let (channel, end) = running
                .as_ref()
                .map_or((NO_FD, NO_FD), |it| (it.fd(), it.main_end));
            let mut ready = [self.signals, channel, end, self.logger.end];
            match sys::ppoll(&mut ready, left) {
                Err(Errno::EINTR) => ready = [self.signals, NO_FD, NO_FD, NO_FD],
                polled => polled?,
            }
            let [signals, channel, end, logger] = ready;
            if logger != NO_FD {
                self.logger.has_ended();
            }
            // One at a time: a process may send messages forever, and they must not hide the other events.
            let message = match &mut running {
                Some(running) if channel != NO_FD => running.receive(self.supervised).flatten(),
                _ => None,
            };
            let main = running.as_ref().map(|running| running.main);
            let mut is_told = mem::take(&mut self.is_told);
            if signals != NO_FD || is_told {
                is_told |= self.read_signals(running.as_deref());
                if let Some(status) = reap(main)? {
                    return Ok(Event::Ended(Some(status)));
                }
                if let Some(running) = &running {
                    self.stop_beside(running);
                }
            }
            if let (true, Some(main)) = (end != NO_FD, main) {
                // Its status is known if its parent has ended before.
                return Ok(Event::Ended(sys::try_wait(main).unwrap_or(None)));
            }
            if let Some(message) = message {
                return Ok(Event::Heard(message));
            }
            if is_told {
                return Ok(Event::Other);
            }
            if left == 0 && is_logger_due {
                self.logger.start();
            } else if left == 0 {
                return Ok(Event::Timeout);
            }
        }
    }

    /// Takes the pending signals. Returns whether there is something to look at.
    pub(super) fn read_signals(&mut self, running: Option<&Running>) -> bool {
        let mut is_told = false;
        while let Some(number) = sys::read_signal(self.signals) {
            if number == SIGCHLD {
                is_told = true;
                continue;
            }
            let Some(signal) = Signal::new(number as u8) else {
                continue;
            };
            match self.init {
                _ if signal == Signal::WIND_DOWN => {
                    self.request = self.request.max(Request::Finish);
                }
                Init::No => self.obey(signal, running),
                Init::Container => self.pass_on(signal, running),
                Init::Image => self.power_off(signal, running),
            }
            is_told |= self.request != Request::None;
        }
        is_told
    }

    /// A signal to a supervisor.
    fn obey(&mut self, signal: Signal, running: Option<&Running>) {
        match signal {
            Signal::HUP => {
                if let Some(running) = running {
                    running.signal(signal);
                }
            }
            Signal::USR1 => self.logger.reopen(),
            Signal::USR2 => self.request = self.request.max(Request::Finish),
            _ => self.request = Request::Stop,
        }
    }

    /// A signal to the init process of a container: it is the daemon's. When the daemon does not run, it ends the
    /// container.
    fn pass_on(&mut self, signal: Signal, running: Option<&Running>) {
        let is_end = matches!(signal, Signal::TERM | Signal::INT | Signal::QUIT);
        if let Some(running) = running {
            running.signal(signal);
        }
        if is_end {
            self.request = self.request.max(Request::Finish);
        }
    }

    /// A signal to the init process of an image. They are those of BusyBox.
    fn power_off(&mut self, signal: Signal, running: Option<&Running>) {
        match init::power(signal) {
            Some(power) => self.power = Some(power),
            None if signal == Signal::HUP => return self.obey(signal, running),
            None => return,
        }
        self.request = Request::Stop;
    }
}

/// Reaps every child that has ended. Returns the status of the daemon, if that is one of them.
fn reap(main: Option<Pid>) -> Result<Option<WaitStatus>, Errno> {
    let mut ended = None;
    loop {
        match sys::try_wait_any() {
            Ok(Some((pid, status))) if Some(pid) == main => ended = Some(status),
            Ok(Some(_)) => {}
            Ok(None) | Err(Errno::ECHILD) => return Ok(ended),
            Err(errno) => return Err(errno),
        }
    }
}
