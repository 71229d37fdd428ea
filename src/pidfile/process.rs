//! Looking up the process that a pidfile names.

use super::fingerprint::{Match, Process, date, pid_in, pid_of, process};
use crate::protocol::{Errno, Nanoseconds, Pid};
use crate::sys::{self, Fd, NO_FD, Open, RawFd, Stat, ThinCStr};
use crate::text::{NUMBER_LINE, join, number_line, split_once};

/// The daemon that has released its lock on this file and still runs.
pub(super) fn find_unlocked_daemon(file: &Fd, stat: Stat) -> Result<Option<Pid>, Errno> {
    Ok(match read_pid(file.raw())? {
        (Some(pid), true) if match_process(pid, stat) == Match::Daemon => Some(pid),
        _ => None,
    })
}

/// Reads the pid at the start of the file, and whether it is all that the file contains. The caller's own
/// pid is left out: the file is then that of a dead daemon.
pub(super) fn read_pid(file: RawFd) -> Result<(Option<Pid>, bool), Errno> {
    // One byte more than the longest pid, to detect longer contents.
    let mut text = [0; NUMBER_LINE + 1];
    let length = sys::read(file, &mut text)?;
    let text = text.get(..length as usize).unwrap_or_default();
    let pid = pid_in(text).filter(|pid| *pid != sys::getpid());
    Ok((pid, pid_of(text).is_some()))
}

/// Compares a process with the file that names it. Without `/proc`, a process that exists is `Older`.
pub(super) fn match_process(pid: Pid, stat: Stat) -> Match {
    if has_ended(pid) {
        return Match::Ended;
    }
    match (read_process(pid), sys::time_of_boot()) {
        (Some(process), Some(boot)) => process.compare(stat.mtime(), boot),
        _ => Match::Older,
    }
}

/// Whether no process has this pid, or only a zombie. Does not need `/proc`. Where there are no pidfds
/// (before Linux 5.3), a zombie is not detected.
pub(super) fn has_ended(pid: Pid) -> bool {
    match sys::pidfd_open(pid) {
        Ok(process) => pidfd_has_ended(&process),
        // EINVAL and ENOENT: the number is the id of a thread other than the main thread.
        Err(Errno::ESRCH | Errno::EINVAL | Errno::ENOENT) => true,
        Err(_) => sys::kill(pid, 0) == Err(Errno::ESRCH),
    }
}

/// Whether the process of this pidfd has ended; true for a zombie.
pub(super) fn pidfd_has_ended(pidfd: &Fd) -> bool {
    let mut ready = [pidfd.raw(), NO_FD, NO_FD, NO_FD];
    let polled = sys::ppoll(&mut ready, 0);
    let [pidfd, ..] = ready;
    polled.is_ok() && pidfd != NO_FD
}

/// Reads `/proc/PID/stat`. `None` if `/proc` is not mounted or shows another pid namespace.
pub(super) fn read_process(pid: Pid) -> Option<Process> {
    // In the `/proc` of another pid namespace, the same number is another process.
    if read_own_process()?.pid != sys::getpid() {
        return None;
    }
    let mut buffer = [0; NUMBER_LINE];
    let mut path = [0; 48];
    let (number, _) = split_once(number_line(pid.get().into(), &mut buffer), b'\n');
    let mut folder = [0; 32];
    let folder = join(b"/proc/", number, &mut folder);
    join(folder, b"/stat\0", &mut path);
    read_stat(ThinCStr::at_start(&path)?)
}

fn read_own_process() -> Option<Process> {
    read_stat(ThinCStr::new(c"/proc/self/stat"))
}

fn read_stat(path: ThinCStr<'_>) -> Option<Process> {
    // Long enough for the first 22 fields.
    let mut text = [0; 512];
    let file = sys::open(path, Open::Read).ok()?;
    let length = sys::read(file.raw(), &mut text).ok()?;
    process(text.get(..length as usize)?)
}

/// The modification time for the pidfile of the calling process. `None` without `/proc`.
pub(crate) fn own_mtime() -> Option<Nanoseconds> {
    let created = read_own_process()?.created;
    date(created.saturating_add(sys::time_of_boot()?))
}
