//! The reports of a supervisor: by its locks, the pidfile, its state, and the daemon's error output.

use super::context::Supervisor;
use super::state::{StateText, write_state};
use crate::options::Stream;
use crate::packed::packed;
use crate::pidfile::fingerprint_of;
use crate::protocol::{Error, Nanoseconds};
use crate::start::Running;
use crate::sys::{self, Locker, Missing, NO_FD, Open, RawFd, WORKING_DIRECTORY};

const STDERR: RawFd = 2;

impl Supervisor<'_> {
    /// The first start is over: the lock shows that.
    pub(super) fn hold_lock(&self) {
        let [pidfile, _] = self.supervised.supervision.locks;
        if pidfile != NO_FD {
            let fingerprint = fingerprint_of(sys::getpid());
            let _ = sys::fcntl_setlk(pidfile, Locker::Supervisor(fingerprint));
        }
    }

    /// The daemon has ended: its pid may be given to another process.
    pub(super) fn empty_pidfile(&self) {
        let [pidfile, _] = self.supervised.supervision.locks;
        if pidfile != NO_FD {
            let _ = sys::ftruncate(pidfile, 0);
        }
    }

    /// Tells the state: the time of the next start, how often there was one, and how the daemon ended last.
    pub(super) fn tell(&self, next: Nanoseconds, last: Option<&Error>, running: Option<&Running>) {
        let mut text = StateText::new();
        self.add_tally(&mut text, last);
        let folder = running.map_or(&[][..], Running::folder);
        write_state(self.state, next, folder, text.text());
        if next != 0 {
            text.say(packed!("; next start in "));
            text.add_number(self.tally.milliseconds());
            text.add(b" ms");
            self.say(&text);
        }
    }

    /// Tells that the daemon is being started.
    pub(super) fn tell_start(&self) {
        let mut text = StateText::new();
        text.say(packed!("starting; "));
        self.add_tally(&mut text, None);
        write_state(self.state, 0, b"", text.text());
    }

    /// Tells the last state.
    pub(super) fn give_up(&mut self, error: &Error) {
        let mut text = StateText::new();
        text.say(packed!("gave up; "));
        self.add_tally(&mut text, Some(error));
        write_state(self.state, 0, b"", text.text());
        self.say(&text);
    }

    fn add_tally(&self, text: &mut StateText, last: Option<&Error>) {
        text.say(packed!("restarts: "));
        text.add_number(self.tally.restarts);
        if let Some(last) = last {
            text.say(packed!(", last ended: "));
            let (program, _, _) = self.supervised.command;
            text.add_end(last, program);
        }
    }

    /// Writes a line to the daemon's standard error: its log, its file, or the stream that it inherits.
    #[inline(never)]
    fn say(&self, sentence: &StateText) {
        let mut line = StateText::new();
        line.say(packed!("rawdaemon: "));
        line.add(sentence.text());
        line.add(b"\n");
        let opened;
        let fd = match self.supervised.settings.stream(STDERR as usize) {
            Stream::Null => return,
            Stream::Inherit => STDERR,
            stream => match (stream.fd(), stream.path()) {
                (Some(_), _) => return self.logger.say(line.text()),
                (None, Some(path)) => {
                    match sys::open_at(WORKING_DIRECTORY, path, Open::Append, Missing::Fails) {
                        Ok(file) => {
                            opened = file;
                            opened.raw()
                        }
                        Err(_) => return,
                    }
                }
                (None, None) => return,
            },
        };
        // If this fails, there is no process to report it to.
        let _ = sys::write(fd, line.text());
    }
}
