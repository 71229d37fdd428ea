//! What the kernel and `/proc` say of a process that a pidfile names.

use super::fingerprint::{Match, Process, date, pid_in, pid_of, process};
use crate::protocol::{Errno, Nanoseconds, Pid};
use crate::sys::{self, Fd, NO_FD, Open, RawFd, Stat, ThinCStr};
use crate::text::{NUMBER_LINE, join, number_line, split_once};

/// The daemon that has given up its lock on this file and still runs.
pub(super) fn unlocked_daemon(file: &Fd, about: Stat) -> Option<Pid> {
    match named_in(file.raw()) {
        (Some(pid), true) if match_of(pid, about) == Match::Daemon => Some(pid),
        _ => None,
    }
}

/// The pid that the file begins with, and whether it has nothing else. This process it does not mean.
pub(super) fn named_in(file: RawFd) -> (Option<Pid>, bool) {
    // One byte more, so that a longer text is seen to be longer.
    let mut text = [0; NUMBER_LINE + 1];
    let length = sys::read(file, &mut text).unwrap_or_default();
    let text = text.get(..length as usize).unwrap_or_default();
    let named = pid_in(text).filter(|pid| *pid != sys::getpid());
    (named, pid_of(text).is_some())
}

/// How a process stands to the file that names it. Without `/proc`, what lives is taken to be old enough.
pub(super) fn match_of(pid: Pid, about: Stat) -> Match {
    if has_ended(pid) {
        return Match::Ended;
    }
    match (process_with(pid), sys::time_of_boot()) {
        (Some(process), Some(boot)) => process.compare(about.written(), boot),
        _ => Match::Older,
    }
}

/// Whether there is no such process, or it has not been waited for: as far as that is known without
/// `/proc`, which before Linux 5.3 takes the latter for a process that lives.
pub(super) fn has_ended(pid: Pid) -> bool {
    match sys::pidfd_open(pid) {
        Ok(process) => is_over(&process),
        // A thread's number is no process's.
        Err(Errno::ESRCH | Errno::EINVAL | Errno::ENOENT) => true,
        Err(_) => sys::kill(pid, 0) == Err(Errno::ESRCH),
    }
}

/// Whether the process that is held has ended, be it as a zombie.
pub(super) fn is_over(process: &Fd) -> bool {
    let mut ready = [process.raw(), NO_FD, NO_FD, NO_FD];
    let polled = sys::ppoll(&mut ready, 0);
    let [process, ..] = ready;
    polled.is_ok() && process != NO_FD
}

/// What `/proc` says of a process.
pub(super) fn process_with(pid: Pid) -> Option<Process> {
    // It may be the one of another pid namespace, and speak of others by the same numbers.
    if own_process()?.pid != sys::getpid() {
        return None;
    }
    let mut buffer = [0; NUMBER_LINE];
    let mut path = [0; 48];
    let (number, _) = split_once(number_line(pid.get().into(), &mut buffer), b'\n');
    let mut folder = [0; 32];
    let folder = join(b"/proc/", number, &mut folder);
    join(folder, b"/stat\0", &mut path);
    read_process(ThinCStr::at_start(&path)?)
}

fn own_process() -> Option<Process> {
    read_process(ThinCStr::new(c"/proc/self/stat"))
}

fn read_process(path: ThinCStr<'_>) -> Option<Process> {
    // Enough for the fields that count.
    let mut text = [0; 512];
    let file = sys::open(path, Open::Read).ok()?;
    let length = sys::read(file.raw(), &mut text).ok()?;
    process(text.get(..length as usize)?)
}

/// What the pidfile of the calling process is to be dated, if `/proc` is there.
pub(crate) fn own_date() -> Option<Nanoseconds> {
    date(own_process()?.created.saturating_add(sys::time_of_boot()?))
}
