//! Decodes fuzz data to numbers, errors and events.

use std::time::Duration;

use rawdaemon::internal::{Event, Record};
use rawdaemon::{Cause, Errno, Error, ErrorKind, Pid, Subject, WaitStatus};

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

    pub fn kind(&mut self) -> ErrorKind {
        ErrorKind::ALL[usize::from(self.byte()) % ErrorKind::ALL.len()]
    }

    pub fn cause(&mut self) -> Cause {
        match self.byte() % 10 {
            0 => Cause::Unknown,
            1 => Cause::NotAFile,
            2 => Cause::Owner(pid(self.number())),
            3 => Cause::Errno(errno(self.number())),
            4 => Cause::NotListed,
            5 => Cause::Silent,
            6 => Cause::Reason(self.byte()),
            9 => Cause::Late(self.span()),
            kind => {
                let status = WaitStatus::from_raw(self.number());
                let after = (kind == 7).then(|| self.span());
                Cause::Died { status, after }
            }
        }
    }

    pub fn subject(&mut self) -> Option<Subject> {
        Subject::ALL.get(usize::from(self.byte() % 32)).copied()
    }

    pub fn error(&mut self) -> Error {
        let error = Error::new(self.kind(), self.cause());
        match self.subject() {
            Some(subject) => error.about(subject),
            None => error,
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
            9 => Event::Reported(Record::Errno(errno(self.number()))),
            10 => Event::Extended(u64::from_le_bytes(self.take()) >> (self.byte() % 64)),
            11 => Event::Abandoned,
            12 => Event::Reported(Record::Status(self.byte())),
            0 => Event::Reported(Record::SetUp),
            1 => Event::Reported(Record::Runs(pid(self.byte().into()))),
            2 => Event::Reported(Record::Failed(self.error())),
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
