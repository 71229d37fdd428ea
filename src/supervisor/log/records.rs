//! A log of records: `/dev/kmsg`, or the socket of syslogd.

use super::notice::Notice;
use super::record::{Prefix, RECORD_SIZE};
use crate::protocol::Errno;
use crate::sys::{self, Fd, Open, ThinCStr};

/// The facility `daemon` (syslog(3)).
const DAEMON: u8 = 3;

/// How many records the kernel takes from one descriptor in five seconds. More are lost, and the write does not fail.
const BURST: u8 = 10;

/// How long a record waits for a syslogd that is busy, in microseconds.
const PATIENCE: u32 = 100_000;

/// How many lines are dropped after one that failed.
const SKIPPED: u8 = 63;

/// A log of records.
#[derive(Debug)]
pub(super) struct RecordLog {
    prefix: Prefix,
    /// `None` stands for the kernel.
    socket: Option<Socket>,
    /// `/dev/kmsg`, or a connected socket.
    file: Option<Fd>,
    /// How many records `/dev/kmsg` takes before it is opened anew.
    burst: u8,
    dropped: u32,
    /// How many lines are dropped before another one is tried.
    skipped: u8,
}

/// The socket of syslogd.
#[derive(Debug, Default)]
struct Socket {
    is_stream: bool,
    /// Whether the last record was lost. Then the next one waits for nothing.
    is_stuck: bool,
}

impl RecordLog {
    /// The kernel's log, with the facility `daemon`; or that of syslogd, with this facility.
    pub(super) fn new(syslog: Option<u8>, name: &[u8]) -> Self {
        Self {
            prefix: Prefix::new(syslog.unwrap_or(DAEMON), name),
            socket: syslog.map(|_| Socket::default()),
            file: None,
            burst: 0,
            dropped: 0,
            skipped: 0,
        }
    }

    /// The longest text of a record.
    pub(super) const fn room(&self) -> usize {
        self.prefix.room()
    }

    /// Opens `/dev/kmsg`. A syslogd may be started later.
    pub(super) fn open(&mut self) -> Result<(), Errno> {
        if self.socket.is_none() {
            self.open_kmsg()?;
        }
        Ok(())
    }

    /// Opens `/dev/kmsg`, or connects to syslogd, for the next record.
    pub(super) fn reopen(&mut self) {
        self.file = None;
    }

    /// More lines have been read: the next one is tried.
    pub(super) fn begin(&mut self) {
        self.skipped = 0;
    }

    /// Passes a line on. After a failure, the next ones are dropped at once: the daemon may write faster than they can
    /// be tried.
    pub(super) fn put(&mut self, line: &[u8]) {
        if self.skipped == 0 && self.put_dropped() && self.send(line) {
            return;
        }
        self.dropped = self.dropped.saturating_add(1);
        self.skipped = self.skipped.checked_sub(1).unwrap_or(SKIPPED);
    }

    /// Writes how many lines are missing. Returns false if some are, and this cannot be written.
    pub(super) fn put_dropped(&mut self) -> bool {
        if self.dropped == 0 {
            return true;
        }
        let notice = Notice::of_dropped(self.dropped);
        let [text @ .., _] = notice.line() else {
            return false;
        };
        let is_sent = self.send(text);
        if is_sent {
            self.dropped = 0;
        }
        is_sent
    }

    /// Sends a record. Returns whether it was taken.
    fn send(&mut self, text: &[u8]) -> bool {
        // A zero byte ends a record on a stream.
        let mut buffer = [0; RECORD_SIZE + 1];
        let room = buffer.get_mut(..RECORD_SIZE).unwrap_or_default();
        let length = self.prefix.record(text, room).len();
        if self.socket.is_some() {
            return self.send_syslog(&buffer, length);
        }
        // Without a newline, the kernel shows a record only when another one follows.
        if let Some(end) = buffer.get_mut(length) {
            *end = b'\n';
        }
        let record = buffer.get(..=length).unwrap_or_default();
        self.write_kmsg(record).is_ok()
    }

    fn open_kmsg(&mut self) -> Result<(), Errno> {
        // The new one is opened first, so that a failure leaves the old one.
        self.file = Some(sys::open(ThinCStr::new(c"/dev/kmsg"), Open::Append)?);
        self.burst = BURST;
        Ok(())
    }

    fn write_kmsg(&mut self, record: &[u8]) -> Result<(), Errno> {
        if self.file.is_none() || self.burst == 0 {
            self.open_kmsg()?;
        }
        self.burst = self.burst.saturating_sub(1);
        let file = self.file.as_ref().ok_or(Errno::EBADF)?;
        sys::write(file.raw(), record).map(drop)
    }

    /// Sends a record to syslogd, and connects anew if that was restarted.
    fn send_syslog(&mut self, buffer: &[u8], length: usize) -> bool {
        for _ in 0..2 {
            let Some(socket) = &mut self.socket else {
                return false;
            };
            let waits = !socket.is_stuck;
            if self.file.is_none() {
                self.file = connect(socket).ok();
            }
            let Some(file) = &self.file else {
                break;
            };
            let size = length.saturating_add(socket.is_stream.into());
            let record = buffer.get(..size).unwrap_or_default();
            match sys::send(file.raw(), record, waits) {
                Ok(count) if count as usize == size => {
                    socket.is_stuck = false;
                    return true;
                }
                // A whole datagram, and none of it: there is no room.
                Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM) => break,
                // It has ended, or has taken a part.
                _ => self.file = None,
            }
        }
        if let Some(socket) = &mut self.socket {
            socket.is_stuck = true;
        }
        false
    }
}

/// Connects to syslogd, by a stream if it has no socket for datagrams.
fn connect(socket: &mut Socket) -> Result<Fd, Errno> {
    let path = ThinCStr::new(c"/dev/log");
    let patience = if socket.is_stuck { 1 } else { PATIENCE };
    let to = |is_stream| {
        let file = sys::client_socket(is_stream, patience)?;
        sys::connect(file.raw(), path)?;
        Ok(file)
    };
    socket.is_stream = false;
    match to(false) {
        Err(Errno::EPROTOTYPE) => {
            socket.is_stream = true;
            to(true)
        }
        result => result,
    }
}
