//! What is shown of a start that takes its time.

use core::time::Duration;

use rawdaemon::args::{Invocation, Verbosity};
use rawdaemon::protocol::{STATUS_SIZE, join, say_number};
use rawdaemon::{Progress, Readiness};

use crate::{ERASE, Line, STDERR, start};

/// Of a terminal that does not know its width: a serial console, mostly.
const COLUMNS: usize = 80;

/// With `--verbose`, a line on the terminal that is gone when the start is over. Without a terminal, a
/// line for each status.
pub(crate) struct Waiting {
    what: &'static [u8],
    /// In whole seconds; zero for ever.
    timeout: u64,
    is_verbose: bool,
    seconds: u64,
    /// Whether something stands on the terminal.
    is_shown: bool,
    status: [u8; STATUS_SIZE],
    length: usize,
}

impl Waiting {
    #[inline(never)]
    pub(crate) fn new(invocation: &Invocation<'_>) -> Self {
        let (what, default): (&[u8], _) = match (invocation.readiness, invocation.timeout) {
            (Readiness::Executed, None | Some(Duration::ZERO)) => {
                (b"waiting for the daemon to be executed", 0)
            }
            (Readiness::Executed, _) => (b"watching whether the daemon stays alive", 0),
            _ => (b"waiting for the daemon to get ready", 60),
        };
        Self {
            what,
            timeout: invocation.timeout.map_or(default, |time| time.as_secs()),
            is_verbose: invocation.verbosity == Verbosity::Verbose,
            seconds: 0,
            is_shown: false,
            status: [0; STATUS_SIZE],
            length: 0,
        }
    }

    /// The last status that the daemon has told.
    #[inline(never)]
    pub(crate) fn status(&self) -> &[u8] {
        self.status.get(..self.length).unwrap_or_default()
    }

    pub(crate) fn show(&mut self, progress: Progress<'_>) {
        match progress {
            Progress::Waiting(time) => self.seconds = time.as_secs(),
            Progress::Status(text) => {
                self.length = join(text, b"", &mut self.status).len();
            }
            _ => {}
        }
        if !self.is_verbose {
            return;
        }
        match (start::terminal_width(STDERR), progress) {
            (Some(width), _) => self.draw(if width == 0 { COLUMNS } else { width }),
            (None, Progress::Status(_)) => {
                let mut line = Line::new();
                line.add(b"the daemon says: ");
                line.add(self.status());
                line.end();
            }
            (None, _) => {}
        }
    }

    fn draw(&mut self, width: usize) {
        let mut line = Line::new();
        line.add(self.what);
        line.add(b", ");
        add_seconds(&mut line, self.seconds);
        if self.timeout != 0 {
            line.add(b" of ");
            add_seconds(&mut line, self.timeout);
        }
        if self.length != 0 {
            line.add(b": ");
            line.add(self.status());
        }
        // In the last column the cursor may already have gone to the next line.
        line.show(width.saturating_sub(1));
        self.is_shown = true;
    }

    /// The start is over: what was shown is erased.
    pub(crate) fn end(&self) {
        if self.is_shown {
            start::write_all(STDERR, b"\r");
            start::write_all(STDERR, ERASE);
        }
    }
}

fn add_seconds(line: &mut Line, seconds: u64) {
    say_number(seconds as u32, &mut |digits| line.add(digits));
    line.add(b" s");
}
