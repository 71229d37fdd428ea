//! The output of a daemon on its way from the pipe to the log.

use super::file::FileLog;
use super::options::{LogOptions, LogTarget, LogTime};
use super::record::{RECORD_SIZE, split_lines};
use super::records::RecordLog;
use super::stamp::{Stamp, Stamper};
use crate::protocol::Errno;
use crate::sys::{self, Mapping, NO_FD, RawFd};

/// How much is read at once: what a pipe holds.
const INPUT: usize = 1 << 16;

/// Room for lines with their times.
const OUTPUT: usize = 1 << 16;

/// The memory of a [`Log`], in bytes.
pub(super) const MEMORY: usize = INPUT + OUTPUT;

/// The log of a daemon's output.
#[derive(Debug)]
pub(super) struct Log<'a> {
    destination: Destination<'a>,
    time: LogTime,
    stamper: Stamper,
    /// The length of an unfinished line for a record, at the beginning of the memory.
    held: usize,
    /// How much of the memory has been used since it was given back.
    pub(super) used: usize,
}

#[derive(Debug)]
enum Destination<'a> {
    Off,
    File(FileLog<'a>),
    Records(RecordLog),
}

impl<'a> Log<'a> {
    pub(super) fn new(options: &LogOptions<'a>) -> Self {
        let destination = match options.target {
            LogTarget::Off => Destination::Off,
            LogTarget::File(path) => {
                Destination::File(FileLog::new(path, options.size, options.keep))
            }
            LogTarget::Kmsg => Destination::Records(RecordLog::new(None, options.name)),
            LogTarget::Syslog(facility) => {
                Destination::Records(RecordLog::new(Some(facility), options.name))
            }
        };
        Self {
            destination,
            time: options.time,
            stamper: Stamper { is_in_line: false },
            held: 0,
            used: 0,
        }
    }

    /// Opens the file, or `/dev/kmsg`.
    pub(super) fn open(&mut self) -> Result<(), Errno> {
        match &mut self.destination {
            Destination::Off => Ok(()),
            Destination::File(file) => {
                file.open()?;
                self.stamper.is_in_line = file.is_in_line();
                Ok(())
            }
            Destination::Records(records) => records.open(),
        }
    }

    /// Ends a line that a daemon has left unfinished.
    pub(super) fn end_line(&mut self, memory: &[u8]) {
        match &mut self.destination {
            Destination::Off => {}
            Destination::File(file) => file.end_line(),
            Destination::Records(records) => {
                let line = memory.get(..self.held).unwrap_or_default();
                let most = records.room();
                records.begin();
                split_lines(line, most, true, &mut |line| records.put(line));
            }
        }
        self.stamper.is_in_line = false;
        self.held = 0;
    }

    /// Opens the log again, if its path leads elsewhere by now.
    pub(super) fn reopen(&mut self) {
        match &mut self.destination {
            Destination::Off => {}
            Destination::File(file) => file.reopen(),
            Destination::Records(records) => records.reopen(),
        }
    }

    /// Gives the memory back to the kernel, without the unfinished line.
    pub(super) fn give_back(&mut self, memory: &mut Mapping<u8>) {
        let mut line = [0; RECORD_SIZE];
        for (to, from) in line.iter_mut().zip(&**memory).take(self.held) {
            *to = *from;
        }
        memory.madvise_dontneed();
        for (to, from) in memory.iter_mut().zip(&line).take(self.held) {
            *to = *from;
        }
        self.used = 0;
    }

    /// Reads once, and writes what was read. Returns how much that was; `None` at the end of the pipe.
    pub(super) fn transfer(&mut self, pipe: RawFd, memory: &mut [u8]) -> Option<usize> {
        let (input, output) = memory.split_at_mut_checked(INPUT)?;
        let count = sys::read(pipe, input.get_mut(self.held..)?).ok()? as usize;
        if count == 0 {
            return None;
        }
        let length = self.held.saturating_add(count);
        self.used = self.used.max(length);
        let text = input.get(..length)?;
        self.held = self.pass(text, output);
        move_to_front(input, length.saturating_sub(self.held), self.held);
        Some(count)
    }

    /// Writes a line of the supervisor's, after the end of an unfinished one.
    pub(super) fn say(&mut self, line: &[u8], memory: &mut [u8]) {
        self.end_line(memory);
        let (_, output) = memory.split_at_mut_checked(INPUT).unwrap_or_default();
        self.pass(line, output);
    }

    /// Passes text on, with the times. Returns how much of its end is an unfinished record.
    fn pass(&mut self, text: &[u8], output: &mut [u8]) -> usize {
        match (&mut self.destination, self.time) {
            (Destination::Off, _) => {}
            (Destination::File(file), LogTime::None) => file.put(text),
            (Destination::File(file), time) => {
                let clock = if time == LogTime::Utc {
                    sys::realtime()
                } else {
                    sys::uptime()
                };
                let stamp = Stamp::new(time, clock);
                let mut rest = text;
                while !rest.is_empty() {
                    let (taken, filled) = self.stamper.fill(&stamp, rest, output);
                    self.used = self.used.max(text.len().saturating_add(filled));
                    file.put(output.get(..filled).unwrap_or_default());
                    rest = rest.get(taken..).unwrap_or_default();
                }
            }
            (Destination::Records(records), _) => {
                let most = records.room();
                records.begin();
                return split_lines(text, most, false, &mut |line| records.put(line));
            }
        }
        0
    }

    /// Writes what the pipe holds, without a wait for its end.
    pub(super) fn drain(&mut self, pipe: RawFd, memory: &mut [u8]) {
        let mut left = sys::fionread(pipe).unwrap_or(0) as usize;
        while left > 0 {
            // Another process may have read it.
            let mut ready = [pipe, NO_FD, NO_FD, NO_FD];
            if sys::ppoll(&mut ready, 0).is_err() || ready == [NO_FD; 4] {
                break;
            }
            match self.transfer(pipe, memory) {
                Some(count) => left = left.saturating_sub(count),
                None => break,
            }
        }
    }

    /// Passes on what is left: an unfinished record, and the number of dropped lines.
    pub(super) fn finish(&mut self, memory: &[u8]) {
        match &mut self.destination {
            Destination::Off => {}
            Destination::File(file) => file.finish(),
            Destination::Records(_) => self.end_line(memory),
        }
        if let Destination::Records(records) = &mut self.destination {
            let _ = records.put_dropped();
        }
    }
}

/// Moves bytes that begin at `from` to the front.
fn move_to_front(bytes: &mut [u8], from: usize, count: usize) {
    for index in 0..count {
        let byte = bytes.get(from.wrapping_add(index)).copied();
        if let (Some(byte), Some(slot)) = (byte, bytes.get_mut(index)) {
            *slot = byte;
        }
    }
}
