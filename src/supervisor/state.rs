//! The state of a supervisor: a file beside the pidfile, for `--status`.
//!
//! Its lines are the supervisor's pid, the time of the next start in nanoseconds (CLOCK_MONOTONIC; 0 if none is due),
//! the folder of the notification socket, which is to be removed if the supervisor is killed, and a sentence.

use crate::packed::{Packed, packed};
use crate::pidfile::{has_ended, open_or_create, pid_in};
use crate::protocol::{Cause, Errno, Error, ErrorKind, Nanoseconds, Pid, describe};
use crate::sys::{self, Fd, NO_FD, Open, PATH_SIZE, RawFd, ThinCStr};
use crate::text::{NUMBER_LINE, concat, next_field, number_line, parse_number, write_number};

/// The suffix that the name of the file has in addition to that of the pidfile.
const SUFFIX: &[u8] = b".supervisor\0";

/// Text of a limited length. The rest is dropped.
#[derive(Clone, Debug)]
pub(super) struct StateText {
    bytes: [u8; 512],
    length: usize,
}

impl StateText {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; 512],
            length: 0,
        }
    }

    pub(super) fn add(&mut self, text: &[u8]) {
        let room = self.bytes.get_mut(self.length..).unwrap_or_default();
        for (slot, byte) in room.iter_mut().zip(text) {
            *slot = *byte;
            self.length = self.length.wrapping_add(1);
        }
    }

    pub(super) fn say(&mut self, text: Packed) {
        text.write(&mut |piece| self.add(piece));
    }

    pub(super) fn add_number(&mut self, number: u32) {
        write_number(number, &mut |digits| self.add(digits));
    }

    /// Adds how a daemon has ended, or why it was not started.
    pub(super) fn add_end(&mut self, error: &Error, program: ThinCStr<'_>) {
        match error.cause() {
            Cause::Died { status, .. } if error.kind() == ErrorKind::DaemonDied => {
                status.describe(&mut |piece| self.add(piece));
            }
            Cause::Unknown if error.kind() == ErrorKind::DaemonDied => {
                self.say(packed!("its status is not known"));
            }
            _ => {
                let path = match error.kind() {
                    ErrorKind::ExecFailed | ErrorKind::CommandNotFound => Some(program),
                    _ => None,
                };
                let path = path.map(ThinCStr::to_c_str);
                describe(error, path, &mut |piece| self.add(piece));
            }
        }
    }

    pub(super) fn text(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The path of the file beside this pidfile. `None` if it is too long.
fn path_beside<'b>(pidfile: ThinCStr<'_>, buffer: &'b mut [u8; PATH_SIZE]) -> Option<ThinCStr<'b>> {
    let path = concat(&[pidfile.to_bytes(), SUFFIX], buffer);
    path.ends_with(SUFFIX).then_some(())?;
    ThinCStr::at_start(buffer)
}

/// Opens or creates the file. [`NO_FD`] if that is not possible: the daemon runs without it.
#[inline(never)]
pub(super) fn open_state(pidfile: ThinCStr<'_>) -> RawFd {
    let mut buffer = [0; PATH_SIZE];
    let opened = path_beside(pidfile, &mut buffer).and_then(|path| open_or_create(path, 0).ok());
    let is_own = |file: &Fd| {
        let stat = sys::fstat(file.raw());
        stat.is_ok_and(|stat| stat.is_regular() && stat.is_ours() && !stat.has_other_links())
    };
    opened.filter(is_own).map_or(NO_FD, Fd::into_raw)
}

/// Removes the file. Returns whether there was one.
#[inline(never)]
pub fn remove_state(pidfile: ThinCStr<'_>) -> bool {
    if read_state(pidfile).is_some_and(|state| state.has_ended()) {
        remove_lost_folder(pidfile);
    }
    let mut buffer = [0; PATH_SIZE];
    path_beside(pidfile, &mut buffer).is_some_and(|path| sys::unlink(path).is_ok())
}

/// Removes the folder of the notification socket of a supervisor that was killed. Its pid may be that of another
/// process by now, or of this one, which holds its lock.
#[inline(never)]
pub(super) fn remove_lost_folder(pidfile: ThinCStr<'_>) {
    let lost = read_state(pidfile);
    if let Some(folder) = lost.as_ref().map(|state| state.folder.text()) {
        let mut buffer = [0; PATH_SIZE];
        for (name, remove) in [
            (&b"/notify\0"[..], sys::unlink as fn(ThinCStr<'_>) -> _),
            (b"\0", sys::rmdir),
        ] {
            concat(&[folder, name], &mut buffer);
            if let Some(path) = ThinCStr::at_start(&buffer).filter(|_| !folder.is_empty()) {
                let _: Result<(), Errno> = remove(path);
            }
        }
    }
}

/// Writes the file.
#[inline(never)]
pub(super) fn write_state(file: RawFd, next: Nanoseconds, folder: &[u8], sentence: &[u8]) {
    let (mut pid, mut time) = ([0; NUMBER_LINE], [0; NUMBER_LINE]);
    let mut state = StateText::new();
    state.add(number_line(sys::getpid().get().into(), &mut pid));
    state.add(number_line(
        i64::try_from(next).unwrap_or(i64::MAX),
        &mut time,
    ));
    state.add(folder);
    state.add(b"\n");
    state.add(sentence);
    state.add(b"\n");
    // It has contents at every moment.
    let _ = sys::seek(file, 0);
    let _ = sys::write(file, state.text());
    let _ = sys::ftruncate(file, state.text().len() as u64);
}

/// What the file says.
#[derive(Clone, Debug)]
pub struct State {
    /// The pid of the supervisor.
    pub supervisor: Pid,
    next: Nanoseconds,
    folder: StateText,
    sentence: StateText,
}

impl State {
    /// How often the daemon was started again, and how it ended last.
    #[must_use]
    pub fn sentence(&self) -> &[u8] {
        self.sentence.text()
    }

    /// Whether the supervisor was starting the daemon.
    pub(super) fn is_starting(&self) -> bool {
        self.sentence().starts_with(b"starting")
    }

    /// Whether the supervisor has ended, and had not given up.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.has_ended() && !self.sentence().starts_with(b"gave")
    }

    fn has_ended(&self) -> bool {
        has_ended(self.supervisor)
    }

    /// The milliseconds until the next start; `None` if none is due.
    #[must_use]
    pub fn milliseconds_left(&self) -> Option<u32> {
        let left = self.next.checked_sub(sys::monotonic_time().ok()?)?;
        u32::try_from(left / 1_000_000).ok()
    }
}

/// Reads the file. `None` if there is none, or if a user has made it who is neither root nor the caller.
#[inline(never)]
pub fn read_state(pidfile: ThinCStr<'_>) -> Option<State> {
    let mut buffer = [0; PATH_SIZE];
    let path = path_beside(pidfile, &mut buffer)?;
    let file = sys::open(path, Open::LockQuery).ok()?;
    let stat = sys::fstat(file.raw()).ok()?;
    if !stat.is_regular() || !stat.is_ours() {
        return None;
    }
    let mut text = [0; 512];
    let length = sys::read(file.raw(), &mut text).ok()?;
    let mut rest = Some(text.get(..length as usize)?);
    let supervisor = pid_in(next_field(&mut rest, b'\n'))?;
    let next = parse_number(next_field(&mut rest, b'\n'), 10)?;
    let (mut folder, mut sentence) = (StateText::new(), StateText::new());
    folder.add(next_field(&mut rest, b'\n'));
    sentence.add(next_field(&mut rest, b'\n'));
    Some(State {
        supervisor,
        next,
        folder,
        sentence,
    })
}
