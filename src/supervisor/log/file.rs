//! A log in a file, which is rotated.

use super::name::old_name;
use super::notice::Notice;
use super::position::{Position, count_lines, first_line, whole_lines};
use crate::protocol::Errno;
use crate::start::open_file;
use crate::sys::{self, Fd, Mapping, Open, PATH_SIZE, Stat, ThinCStr, WORKING_DIRECTORY};

/// How much of the end of a file is read to find where its last line begins.
const TAIL: usize = 512;

/// A log in a file.
#[derive(Debug)]
pub(super) struct FileLog<'a> {
    path: ThinCStr<'a>,
    /// 0 if the file is never rotated.
    size: u64,
    keep: u32,
    /// `None` if it could not be opened.
    file: Option<Fd>,
    position: Position,
    /// The length at which the file is rotated.
    limit: u64,
    /// How many lines could not be written since the last one that could.
    dropped: u32,
    /// Whether the rest of the line is dropped, as its beginning was.
    drops_line: bool,
    /// Whether the file is to be opened again, once the line is finished.
    reopens: bool,
}

impl<'a> FileLog<'a> {
    /// A log whose file is not open.
    pub(super) fn new(path: ThinCStr<'a>, size: u64, keep: u32) -> Self {
        Self {
            path,
            size,
            keep,
            file: None,
            position: Position::at(0),
            limit: u64::MAX,
            dropped: 0,
            drops_line: false,
            reopens: false,
        }
    }

    /// Opens the file, and creates it if it is missing. `ELOOP` if it is to be rotated and is a symbolic link: only the
    /// link would be renamed.
    pub(super) fn open(&mut self) -> Result<(), Errno> {
        let file = open_file(WORKING_DIRECTORY, self.path, Open::Append)?;
        let stat = sys::fstat(file.raw())?;
        if self.size != 0 && stat.is_regular() && sys::lstat(self.path)?.is_link() {
            return Err(Errno::ELOOP);
        }
        self.take(file, stat);
        Ok(())
    }

    /// Goes on with this file.
    fn take(&mut self, file: Fd, stat: Stat) {
        let is_rotated = self.size != 0 && stat.is_regular();
        self.limit = if is_rotated { self.size } else { u64::MAX };
        self.position = match stat.is_regular() {
            true => end_of(self.path, stat),
            false => Position::at(0),
        };
        self.file = Some(file);
    }

    /// Whether the last line is unfinished.
    pub(super) fn is_in_line(&self) -> bool {
        self.position.is_in_line()
    }

    /// Finishes a line that a daemon has left unfinished.
    pub(super) fn end_line(&mut self) {
        if self.drops_line {
            self.put(b"\n");
        }
        if self.is_in_line() {
            self.put(b"\n");
        }
    }

    /// Writes lines, or parts of them.
    pub(super) fn put(&mut self, mut bytes: &[u8]) {
        loop {
            if self.drops_line {
                bytes = self.drop_line(bytes);
            }
            if self.reopens && !self.is_in_line() {
                self.reopens = false;
                // If that fails, the file that is open is as good as any.
                let _ = self.renew();
            }
            if bytes.is_empty() {
                return;
            }
            if self.file.is_none() && self.open().is_err() {
                self.drop(bytes);
                return;
            }
            let (count, rotates) = match self.reopens {
                // The rest of the line belongs to the old file.
                true => (first_line(bytes).unwrap_or(bytes).len(), false),
                false => self.position.cut(self.limit, self.size, bytes),
            };
            let (fitting, rest) = bytes.split_at_checked(count).unwrap_or((bytes, b""));
            // On a disk that is full, rotations would only remove the old files.
            if (fitting.is_empty() || self.write(fitting)) && rotates {
                self.rotate();
            }
            bytes = rest;
        }
    }

    /// Opens the file again by its path, if that leads to another file by now.
    pub(super) fn reopen(&mut self) {
        self.reopens = true;
        self.put(b"");
    }

    /// Says how many lines are missing, if that can be written now.
    pub(super) fn finish(&mut self) {
        self.dropped = self.dropped.saturating_add(self.drops_line.into());
        self.drops_line = false;
        if self.dropped > 0 && (self.file.is_some() || self.open().is_ok()) {
            self.write_dropped();
        }
    }

    /// Writes bytes to the file, after the number of lines that are missing before them. That number stays as it is
    /// if no line follows. Returns whether all was written.
    fn write(&mut self, bytes: &[u8]) -> bool {
        let (position, dropped) = (self.position, self.dropped);
        if dropped > 0 && !self.write_dropped() {
            self.drop(bytes);
            return false;
        }
        let start = self.position;
        let is_written = self.append(bytes);
        if !is_written && dropped > 0 && self.position == start {
            self.truncate(position);
            self.dropped = self.dropped.saturating_add(dropped);
        }
        is_written
    }

    /// Writes the number of dropped lines. Returns whether that was possible.
    fn write_dropped(&mut self) -> bool {
        let dropped = core::mem::take(&mut self.dropped);
        // Where the file cannot be truncated, the beginning of a line may stand alone.
        let is_written = (!self.is_in_line() || self.append(b"\n"))
            && self.append(Notice::of_dropped(dropped).line());
        if !is_written {
            // The notice itself is no line of the daemon's.
            self.dropped = dropped;
            self.drops_line = false;
        }
        is_written
    }

    /// Appends bytes to the file. If not all can be written, the part that belongs to no whole line is removed and dropped.
    fn append(&mut self, bytes: &[u8]) -> bool {
        let Some(file) = &self.file else {
            return false;
        };
        let count = sys::write(file.raw(), bytes).unwrap_or(0) as usize;
        let written = bytes.get(..count).unwrap_or(bytes);
        self.position.advance(written);
        if count == bytes.len() {
            return true;
        }
        let lines = whole_lines(written).len();
        if self.is_in_line() {
            self.truncate(Position::at(self.position.line));
        }
        self.drop(bytes.get(lines..).unwrap_or_default());
        false
    }

    /// Truncates the file, unless another process has written to it.
    fn truncate(&mut self, position: Position) {
        let Some(file) = &self.file else {
            return;
        };
        let is_ours = |stat: Stat| stat.is_regular() && stat.length() == self.position.length;
        if sys::fstat(file.raw()).is_ok_and(is_ours)
            && sys::ftruncate(file.raw(), position.length).is_ok()
        {
            self.position = position;
        }
    }

    /// Counts these lines as dropped.
    fn drop(&mut self, bytes: &[u8]) {
        self.dropped = self.dropped.saturating_add(count_lines(bytes));
        self.drops_line = !bytes.ends_with(b"\n");
    }

    /// Drops the rest of a line, and returns what follows it.
    fn drop_line<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let Some(line) = first_line(bytes) else {
            return b"";
        };
        self.drop(line);
        bytes.get(line.len()..).unwrap_or_default()
    }

    /// Begins a new file. If that fails, the log says so, and the file grows until the next attempt.
    fn rotate(&mut self) {
        if let Err(errno) = self.try_rotate() {
            if !self.is_in_line() {
                let _ = self.append(Notice::of_rotation(errno).line());
            }
            self.limit = self.position.length.saturating_add(self.size);
        }
    }

    fn try_rotate(&mut self) -> Result<(), Errno> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let stat = sys::fstat(file.raw())?;
        if stat.length() < self.position.length {
            // Another process has emptied it.
            self.position = Position::at(stat.length());
            return Ok(());
        }
        match sys::lstat(self.path) {
            Ok(named) if named == stat => rename_files(self.path, self.keep)?,
            // Another process has removed or renamed it.
            Ok(_) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
        self.renew()
    }

    /// Goes on with the file that the path leads to, or with a new one that has the owner and the mode of the old one.
    fn renew(&mut self) -> Result<(), Errno> {
        let Some(old) = &self.file else {
            return self.open();
        };
        let old = sys::fstat(old.raw())?;
        if sys::lstat(self.path) == Ok(old) {
            self.position = end_of(self.path, old);
            return Ok(());
        }
        if !old.is_regular() {
            return self.open();
        }
        // Others may open it once it has the mode of the old one.
        let new = match sys::create_new(self.path, 0o600) {
            Err(Errno::EEXIST) => return self.open(),
            new => new?,
        };
        let stat = sys::fstat(new.raw())?;
        // Not every process may set them; the file is then its own, and no other may read more of it.
        if (stat.owner(), stat.group()) == (old.owner(), old.group())
            || sys::fchown(new.raw(), Some(old.owner()), Some(old.group())).is_ok()
        {
            let _ = sys::fchmod(new.raw(), old.permissions());
        }
        self.take(new, stat);
        Ok(())
    }
}

/// Renames `log` to `log.1`, `log.1` to `log.2` and so on; without old files, removes `log`.
fn rename_files(path: ThinCStr<'_>, keep: u32) -> Result<(), Errno> {
    if keep == 0 {
        return sys::unlink(path);
    }
    let mut names = Mapping::<u8>::new(PATH_SIZE.wrapping_mul(2))?;
    // The names lie close together: most paths are short, and use one page.
    let room = path.to_bytes().len().saturating_add(16);
    let (from, to) = names
        .split_at_mut_checked(room)
        .ok_or(Errno::ENAMETOOLONG)?;
    for number in (0..keep).rev() {
        let to = old_name(path, number.saturating_add(1), to).ok_or(Errno::ENAMETOOLONG)?;
        let from = match number {
            0 => path,
            number => old_name(path, number, from).ok_or(Errno::ENAMETOOLONG)?,
        };
        match sys::rename(from, to) {
            Err(Errno::ENOENT) if number > 0 => {}
            result => result?,
        }
    }
    Ok(())
}

/// The end of a file. Its last line is taken for finished if it cannot be read.
fn end_of(path: ThinCStr<'_>, stat: Stat) -> Position {
    let length = stat.length();
    let whole = Position::at(length);
    let begin = length.saturating_sub(TAIL as u64);
    let mut tail = [0; TAIL];
    let mut read = || {
        let file = open_file(WORKING_DIRECTORY, path, Open::Read)?;
        if sys::fstat(file.raw())? != stat {
            return Err(Errno::ENOENT);
        }
        let offset = usize::try_from(begin).map_err(|_| Errno::EOVERFLOW)?;
        sys::seek(file.raw(), offset)?;
        sys::read(file.raw(), &mut tail)
    };
    let Ok(count) = read() else {
        return whole;
    };
    let tail = tail.get(..count as usize).unwrap_or_default();
    let line = begin.saturating_add(whole_lines(tail).len() as u64);
    Position { length, line }
}
