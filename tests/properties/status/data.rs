//! Decodes fuzz data to numbers, errors and events.

use std::time::Duration;

use rawdaemon::internal::{Event, Record};
use rawdaemon::{Cause, Errno, Error, ExitCode, Pid, Stream, WaitStatus};

/// The rest of the data, followed by zeros.
pub struct Data<'d>(pub &'d [u8]);

impl Data<'_> {
    pub fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        let (head, rest) = self.0.split_at(self.0.len().min(N));
        taken[..head.len()].copy_from_slice(head);
        self.0 = rest;
        taken
    }

    pub fn byte(&mut self) -> u8 {
        let [byte] = self.take();
        byte
    }

    pub fn number(&mut self) -> i32 {
        i32::from_le_bytes(self.take())
    }

    pub fn code(&mut self) -> ExitCode {
        ExitCode::ALL[usize::from(self.byte()) % ExitCode::ALL.len()]
    }

    pub fn cause(&mut self) -> (Cause, Option<Stream>) {
        let streams = [Stream::Input, Stream::Output, Stream::Error];
        match self.byte() % 10 {
            8 => (Cause::Silent, None),
            9 => (Cause::Reason(self.byte()), None),
            7 => (Cause::NotListed, None),
            0 => (Cause::Unknown, None),
            1 => (Cause::NotAFile, None),
            2 => (Cause::Owner(pid(self.number())), None),
            3 => (Cause::Errno(errno(self.number())), None),
            4 => {
                let cause = Cause::Errno(errno(self.number()));
                (cause, Some(streams[usize::from(self.byte()) % 3]))
            }
            kind => {
                let status = WaitStatus::from_raw(self.number());
                let after = (kind == 6).then(|| self.span());
                (Cause::Died { status, after }, None)
            }
        }
    }

    /// From a microsecond to half a million years.
    fn span(&mut self) -> Duration {
        Duration::from_micros(u64::from_le_bytes(self.take()))
    }

    /// Returns `None` at the end of the data.
    pub fn event(&mut self) -> Option<Event> {
        if self.0.is_empty() {
            return None;
        }
        Some(match self.byte() % 13 {
            7 => Event::Ready,
            8 => Event::Silent,
            9 => Event::Refused(errno(self.number())),
            10 => Event::Extended(u64::from_le_bytes(self.take()) >> (self.byte() % 64)),
            11 => Event::Abandoned,
            12 => Event::Reported(Record::Status(self.byte())),
            0 => Event::Reported(Record::SetUp),
            1 => Event::Reported(Record::Runs(pid(self.byte().into()))),
            2 => {
                let code = self.code();
                let (cause, stream) = self.cause();
                Event::Reported(Record::Failed(error(code, cause, stream)))
            }
            3 => Event::Closed { executed: true },
            4 => Event::Closed { executed: false },
            5 => Event::Died {
                status: WaitStatus::from_raw(u16::from_le_bytes(self.take()).into()),
                milliseconds: self.byte().into(),
            },
            _ => Event::Deadline,
        })
    }
}

pub fn errno(number: i32) -> Errno {
    Errno::new(number & 0xfff).unwrap_or(Errno::EPERM)
}

pub fn pid(number: i32) -> Pid {
    let smallest = Pid::new(1).expect("greater than zero");
    Pid::new(number & i32::MAX).unwrap_or(smallest)
}

pub fn error(code: ExitCode, cause: Cause, stream: Option<Stream>) -> Error {
    match (cause, stream) {
        (Cause::Errno(errno), Some(stream)) if code == ExitCode::OpenFailed => {
            Error::of_stream(errno, stream)
        }
        _ => Error::new(code, cause),
    }
}
