//! The progress of a start that takes its time.

use rawdaemon::internal::{Goal, Plan, STATUS_SIZE, join, terminal_width};
use rawdaemon::{DaemonizeOptions, Progress};

use crate::args::Verbosity;
use crate::line::{ERASE, Line};
use crate::os::{STDERR, write_all};

/// The width of a terminal that does not know it, such as a serial console.
const COLUMNS: usize = 80;

/// With `--verbose`, a line on the terminal that is erased when the start is over. If standard error is not a
/// terminal, a line for each status text.
pub(crate) struct ProgressLine {
    is_verbose: bool,
    /// The words for what the launcher is doing.
    what: &'static [u8],
    /// In whole seconds; zero for ever.
    timeout: u64,
    seconds: u64,
    /// Whether there is text on the terminal.
    is_shown: bool,
    status: [u8; STATUS_SIZE],
    length: usize,
}

impl ProgressLine {
    pub(crate) fn new(verbosity: Verbosity) -> Self {
        Self {
            is_verbose: verbosity == Verbosity::Verbose,
            what: b"",
            timeout: 0,
            seconds: 0,
            is_shown: false,
            status: [0; STATUS_SIZE],
            length: 0,
        }
    }

    /// Takes what the start waits for, and for how long, from its options.
    pub(crate) fn begin(&mut self, options: &DaemonizeOptions<'_>) {
        let (goal, time) = Plan::for_command(options).goal_and_time();
        self.what = match goal {
            Goal::Begun => b"waiting for the daemon to be executed",
            Goal::Alive => b"watching whether the daemon stays alive",
            Goal::Ready => b"waiting for the daemon to become ready",
        };
        self.timeout = time.map_or(0, |time| time.as_secs());
    }

    /// The last status text that the daemon has sent.
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
        match (terminal_width(STDERR), progress) {
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
        line.add_number(self.seconds as u32);
        line.add(b" s");
        if self.timeout != 0 {
            line.add(b" of ");
            line.add_number(self.timeout as u32);
            line.add(b" s");
        }
        if self.length != 0 {
            line.add(b": ");
            line.add(self.status());
        }
        // After the last column, some terminals move the cursor to the next line.
        line.show(width.saturating_sub(1));
        self.is_shown = true;
    }

    /// Erases the line: the start is over.
    pub(crate) fn erase(&self) {
        if self.is_shown {
            write_all(STDERR, b"\r");
            write_all(STDERR, ERASE);
        }
    }
}
