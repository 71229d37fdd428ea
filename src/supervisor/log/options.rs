//! What is asked of the log. Pure.

use crate::sys::ThinCStr;

/// Where the output of a daemon goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogTarget<'a> {
    /// Nowhere.
    #[default]
    Off,
    /// To this file.
    File(ThinCStr<'a>),
    /// To the kernel's log.
    Kmsg,
    /// To syslogd, with this facility.
    Syslog(u8),
}

/// The time in front of each line of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogTime {
    /// None.
    #[default]
    None,
    /// The date and the time of the wall clock, in UTC.
    Utc,
    /// The seconds since boot.
    Boot,
}

/// The largest number of old files.
pub const MAX_KEPT_LOGS: u32 = 999;

/// The least size of a file, other than 0.
pub const MIN_LOG_SIZE: u64 = 4096;

/// The options of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions<'a> {
    /// Where the output goes.
    pub target: LogTarget<'a>,
    /// The size, in bytes, that a file does not exceed by more than one line; 0 if it may grow without limit.
    pub size: u64,
    /// How many old files are kept, as `FILE.1`, `FILE.2` and so on.
    pub keep: u32,
    /// The time in front of each line. The kernel and syslogd have their own.
    pub time: LogTime,
    /// The name in front of each record for the kernel or syslogd: that of the command.
    pub name: &'a [u8],
}

impl LogOptions<'_> {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            target: LogTarget::Off,
            size: 0,
            keep: 4,
            time: LogTime::None,
            name: b"",
        }
    }

    /// Whether the log is the file with this path.
    pub(crate) fn is_to(&self, path: ThinCStr<'_>) -> bool {
        matches!(self.target, LogTarget::File(file) if file == path)
    }

    /// Whether the path of the log depends on the working directory.
    pub(crate) fn has_relative_path(&self) -> bool {
        matches!(self.target, LogTarget::File(file) if file.first_byte() != b'/')
    }

    /// Whether a process must read the output. The daemon itself can write to a file that is not rotated, without times.
    #[must_use]
    pub fn needs_process(&self) -> bool {
        match self.target {
            LogTarget::Off => false,
            LogTarget::File(_) => self.size != 0 || self.time != LogTime::None,
            LogTarget::Kmsg | LogTarget::Syslog(_) => true,
        }
    }
}

impl Default for LogOptions<'_> {
    fn default() -> Self {
        Self::new()
    }
}
