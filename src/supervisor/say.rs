//! What the supervisor says where the daemon's error output goes.

use super::process::Supervisor;
use super::state::StateText;
use crate::options::Stream;
use crate::packed::packed;
use crate::sys::{self, Missing, Open, RawFd, WORKING_DIRECTORY};

const STDERR: RawFd = 2;

impl Supervisor<'_> {
    /// Writes a line to the daemon's standard error: its log, its file, or the stream that it inherits.
    #[inline(never)]
    pub(super) fn say(&self, sentence: &StateText) {
        let mut line = StateText::new();
        line.say(packed!("rawdaemon: "));
        line.add(sentence.text());
        line.add(b"\n");
        let settings = self.supervised.settings;
        let opened;
        let fd = match settings.stream(STDERR as usize) {
            Stream::Null => return,
            Stream::Inherit => STDERR,
            // The pipe of the log.
            stream => match (stream.fd(), stream.path()) {
                (Some(fd), _) => fd as RawFd,
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
        // Nobody is left to be told if this fails.
        let _ = sys::write(fd, line.text());
    }
}
