//! The progress of a start.

use rawdaemon::internal::{
    Goal, Packed, Plan, STATUS_SIZE, Settings, join, packed, terminal_width,
};
use rawdaemon::{Errno, Pid, Progress};

use crate::args::Verbosity;
use crate::line::{ERASE_TO_END, Line};
use crate::os::{STDERR, write_all};

/// The width of a terminal whose width is unknown, such as a serial console.
const COLUMNS: usize = 80;

/// Displays the progress with `--verbose`: one line on the terminal, erased after the start. If standard error is
/// not a terminal, a line for each status text. Without `--verbose`, it only keeps the last status text.
pub(crate) struct ProgressLine {
    is_verbose: bool,
    /// A description of what the launcher is doing.
    activity: Packed,
    /// In whole seconds. Zero is not displayed.
    timeout: u64,
    /// How long the launcher has waited, in whole seconds.
    elapsed: u64,
    /// Whether the line is on the terminal.
    is_drawn: bool,
    status: [u8; STATUS_SIZE],
    status_length: usize,
    /// The last error that the daemon has reported.
    pub(crate) errno: Option<Errno>,
    /// The sender of the last message that was ignored.
    pub(crate) ignored: Option<Option<Pid>>,
}

impl ProgressLine {
    pub(crate) fn new(verbosity: Verbosity) -> Self {
        Self {
            is_verbose: verbosity == Verbosity::Verbose,
            activity: packed!(),
            timeout: 0,
            elapsed: 0,
            is_drawn: false,
            status: [0; STATUS_SIZE],
            status_length: 0,
            errno: None,
            ignored: None,
        }
    }

    /// Reads from the settings what the launcher waits for, and for how long.
    pub(crate) fn set_goal(&mut self, settings: &Settings<'_>) {
        let (goal, time) = Plan::for_command(settings).goal_and_time();
        self.activity = match goal {
            Goal::Begun => packed!("waiting for the exec"),
            Goal::Alive => packed!("watching whether it stays alive"),
            Goal::Ready => packed!("waiting for the daemon to become ready"),
        };
        self.timeout = time.map_or(0, |time| time.as_secs());
    }

    /// The last status text that the daemon sent, if any.
    #[inline(never)]
    pub(crate) fn status(&self) -> &[u8] {
        self.status.get(..self.status_length).unwrap_or_default()
    }

    pub(crate) fn show(&mut self, progress: Progress<'_>) {
        match progress {
            Progress::Waiting(time) => self.elapsed = time.as_secs(),
            Progress::Status(text) => {
                self.status_length = join(text, b"", &mut self.status).len();
            }
            Progress::Errno(errno) => self.errno = Some(errno),
            Progress::Ignored(pid) => self.ignored = Some(pid),
            _ => {}
        }
        if !self.is_verbose {
            return;
        }
        match (terminal_width(STDERR), progress) {
            (Some(width), _) => self.draw(if width == 0 { COLUMNS } else { width }),
            (None, Progress::Status(_)) => {
                let mut line = Line::new();
                line.say(packed!("the daemon says: "));
                line.add(self.status());
                line.end();
            }
            (None, _) => {}
        }
    }

    fn draw(&mut self, width: usize) {
        let mut line = Line::new();
        line.say(self.activity);
        line.add(b", ");
        line.add_number(self.elapsed as u32);
        line.add(b" s");
        if self.timeout != 0 {
            line.add(b" of ");
            line.add_number(self.timeout as u32);
            line.add(b" s");
        }
        if self.status_length != 0 {
            line.add(b": ");
            line.add(self.status());
        }
        // After the last column, some terminals move the cursor to the next line.
        line.redraw(width.saturating_sub(1));
        self.is_drawn = true;
    }

    /// Erases the line.
    pub(crate) fn erase(&self) {
        if self.is_drawn {
            let _ = write_all(STDERR, b"\r");
            let _ = write_all(STDERR, ERASE_TO_END);
        }
    }
}
