//! The times at which daemons began, recorded by the daemons.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

/// Seconds and nanoseconds, as written by programs/stamp.c.
const STAMP_SIZE: usize = 2 * size_of::<i64>();

/// A FIFO that holds 4096 stamps. Several daemons can write to it at once.
pub struct Stamps {
    _folder: TempDir,
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
        Ok(Self {
            _folder: folder,
            path,
            fifo,
        })
    }

    /// Removes all stamps and returns them, in nanoseconds of the clock.
    pub fn take(&self) -> Vec<i64> {
        let mut stamps = Vec::new();
        let mut stamp = [0; STAMP_SIZE];
        while (&self.fifo).read_exact(&mut stamp).is_ok() {
            let [seconds, nanoseconds] = [0, 8].map(|offset| number(&stamp, offset));
            stamps.push(seconds * 1_000_000_000 + nanoseconds);
        }
        stamps
    }
}

fn number(stamp: &[u8; STAMP_SIZE], offset: usize) -> i64 {
    let bytes = stamp[offset..].first_chunk().copied();
    i64::from_ne_bytes(bytes.unwrap_or_default())
}
