//! The times at which daemons began, recorded by the daemons.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Pid;
use tempfile::TempDir;

/// Seconds, nanoseconds and a pid, as written by the programs in C.
const STAMP_SIZE: usize = 3 * size_of::<i64>();

/// The beginning of a daemon.
#[derive(Clone, Copy)]
pub struct Stamp {
    /// Nanoseconds of the clock.
    pub time: i64,
    pub pid: Pid,
}

/// A FIFO named `stamps` in a folder of its own. It holds 2730 stamps. Several daemons can write to it at once.
pub struct Stamps {
    pub folder: TempDir,
    pub path: PathBuf,
    fifo: File,
}

impl Stamps {
    pub fn new() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("stamps");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        // Also open for writing, so that the daemons do not block in open.
        let fifo = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path)?;
        Ok(Self { folder, path, fifo })
    }

    /// Removes all stamps and returns them.
    pub fn take(&self) -> Vec<Stamp> {
        let mut stamps = Vec::new();
        while let Some(stamp) = self.take_one() {
            stamps.push(stamp);
        }
        stamps
    }

    fn take_one(&self) -> Option<Stamp> {
        let mut stamp = [0; STAMP_SIZE];
        (&self.fifo).read_exact(&mut stamp).ok()?;
        let [seconds, nanoseconds, pid] = [0, 8, 16].map(|offset| number(&stamp, offset));
        Some(Stamp {
            time: seconds * 1_000_000_000 + nanoseconds,
            pid: Pid::from_raw(pid.try_into().ok()?)?,
        })
    }

    /// Removes the next stamp and returns it, as soon as there is one.
    pub fn wait(&self, limit: Duration) -> io::Result<Stamp> {
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        poll(&mut [PollFd::new(&self.fifo, PollFlags::IN)], Some(&limit))?;
        self.take_one()
            .ok_or_else(|| io::Error::other("the daemon has not begun in time"))
    }
}

fn number(stamp: &[u8; STAMP_SIZE], offset: usize) -> i64 {
    let bytes = stamp[offset..].first_chunk().copied();
    i64::from_ne_bytes(bytes.unwrap_or_default())
}
