//! Looking up the process that a pidfile names.

use super::fingerprint::{
    BOOT_ID_SIZE, Match, NO_FINGERPRINT, Process, TICK, fingerprint, pid_in, pid_of, process,
};
use crate::protocol::{Errno, Pid, SECOND, Signal};
use crate::sys::{self, EntryNames, Fd, LockOwner, NO_FD, Open, RawFd, Stat, ThinCStr};
use crate::text::{NUMBER_LINE, concat, next_field, number_line, split_once};

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

/// Compares a process with the fingerprint of a daemon.
#[inline(never)]
pub(super) fn match_process(pid: Pid, recorded: u32) -> Result<Match, Errno> {
    let found = match read_process(pid)? {
        Some(process) => process.compare(hash(process)?, recorded),
        None => Match::Unseen,
    };
    // Later: it may end in the meantime.
    match found {
        Match::Daemon => Ok(found),
        _ if has_ended(pid) => Ok(Match::Ended),
        _ => Ok(found),
    }
}

/// Compares the process that a pidfile with this status names with the fingerprint in it. Where there is none, a lock
/// of the process shows it: that of a daemon whose supervisor has locked the file, or had.
pub(super) fn match_named(file: RawFd, stat: Stat, pid: Pid) -> Result<Match, Errno> {
    let found = match_process(pid, recorded_fingerprint(stat))?;
    let has_lock = || {
        sys::fcntl_getlk_supervised(file) == Ok(LockOwner::Process(pid))
            && !sys::has_remote_locks(file)
    };
    Ok(match found {
        Match::Unseen if has_lock() => Match::Daemon,
        found => found,
    })
}

/// The fingerprint in the status of a pidfile. Its owner may have chosen it: only root and the caller are believed.
pub(super) fn recorded_fingerprint(stat: Stat) -> u32 {
    match stat.is_ours() && stat.is_dated() {
        true => (stat.mtime() % SECOND) as u32,
        false => NO_FINGERPRINT,
    }
}

/// Whether the process was created after the file was written, so that it is not the one that wrote it, unless the clock
/// was set in between. False if that is not known.
pub(super) fn is_younger(pid: Pid, stat: Stat) -> Result<bool, Errno> {
    Ok(match (read_process(pid)?, sys::time_of_boot()) {
        (Some(process), Some(boot)) => process.is_younger(boot, stat.mtime()),
        _ => false,
    })
}

/// Whether no process has this pid, or only a zombie. Does not need `/proc`. Where there are no pidfds
/// (before Linux 5.3), a zombie is not detected.
pub(crate) fn has_ended(pid: Pid) -> bool {
    match sys::pidfd_open(pid) {
        Ok(process) => pidfd_has_ended(&process),
        // EINVAL and ENOENT: the number is the id of a thread other than the main thread.
        Err(Errno::ESRCH | Errno::EINVAL | Errno::ENOENT) => true,
        Err(_) => sys::kill(pid, 0) == Err(Errno::ESRCH),
    }
}

/// Sends a signal to the process of this pidfd. If a policy refuses that, to its pid: as long as it has not ended, no
/// other process has that.
pub(crate) fn signal_pinned(pidfd: &Fd, pid: Pid, signal: Signal) -> Result<(), Errno> {
    match sys::pidfd_send_signal(pidfd, signal.number()) {
        Err(errno) if errno.is_refusal() && !pidfd_has_ended(pidfd) => {
            sys::kill(pid, signal.number())
        }
        sent => sent,
    }
}

/// Whether the process of this pidfd has ended; true for a zombie.
pub(super) fn pidfd_has_ended(pidfd: &Fd) -> bool {
    let mut ready = [pidfd.raw(), NO_FD, NO_FD, NO_FD];
    let polled = sys::ppoll(&mut ready, 0);
    let [pidfd, ..] = ready;
    polled.is_ok() && pidfd != NO_FD
}

/// Reads `/proc/PID/stat`. `None` if `/proc` is not mounted, shows another pid namespace, or hides the process.
pub(super) fn read_process(pid: Pid) -> Result<Option<Process>, Errno> {
    // In the `/proc` of another pid namespace, the same number is another process.
    if read_own_process()?.is_none_or(|own| own.pid != sys::getpid()) {
        return Ok(None);
    }
    // Long enough for the first 22 fields.
    let mut text = [0; 512];
    let mut buffer = [0; NUMBER_LINE];
    let pid = digits(pid, &mut buffer);
    // The main thread has all that is asked for. For `/proc/PID/stat`, qemu-user tells a program a start time of its own.
    let path = [b"/proc/", pid, b"/task/", pid, b"/stat"];
    Ok(process(read(&path, &mut text)?))
}

/// Whether `/proc` shows a process as a zombie.
pub(crate) fn is_zombie(pid: Pid) -> bool {
    matches!(read_process(pid), Ok(Some(process)) if process.has_ended)
}

/// Calls a function for each process in `/proc` until it returns true, and returns whether it has. `ENOENT` if `/proc`
/// is not mounted or shows another pid namespace.
pub(crate) fn each_process(is_found: &mut dyn FnMut(Pid) -> bool) -> Result<bool, Errno> {
    read_process(sys::getpid())?.ok_or(Errno::ENOENT)?;
    let folder = open_in_proc(&[b"/proc"], Open::Directory)?;
    let mut buffer = [0; 1024];
    loop {
        let length = sys::getdents(folder.raw(), &mut buffer)?;
        if length == 0 {
            return Ok(false);
        }
        let mut names = EntryNames(buffer.get(..length as usize).unwrap_or_default());
        if names.any(|name| pid_of(name).is_some_and(&mut *is_found)) {
            return Ok(true);
        }
    }
}

/// The parent of a process, if `/proc` tells.
pub(crate) fn parent_of(pid: Pid) -> Option<Pid> {
    read_process(pid).ok()??.parent
}

/// The longest line of ancestors that is followed.
const MAX_GENERATIONS: u32 = 1000;

/// Whether a process descends from another one, as far as `/proc` shows. If a process in between has ended, it does
/// not: the kernel has given its children another parent.
#[inline(never)]
pub(crate) fn is_descendant(mut pid: Pid, ancestor: Pid) -> bool {
    for _ in 0..MAX_GENERATIONS {
        match parent_of(pid) {
            Some(parent) if parent == ancestor => return true,
            Some(parent) => pid = parent,
            None => break,
        }
    }
    false
}

fn read_own_process() -> Result<Option<Process>, Errno> {
    Ok(process(read(&[b"/proc/self/stat"], &mut [0; 512])?))
}

/// The fingerprint of a process; [`NO_FINGERPRINT`] if `/proc` has no boot id.
#[inline(never)]
fn hash(process: Process) -> Result<u32, Errno> {
    let mut buffer = [0; BOOT_ID_SIZE];
    let boot_id = read(&[b"/proc/sys/kernel/random/boot_id"], &mut buffer)?;
    Ok(fingerprint(process.ticks, boot_id))
}

/// What `/proc` says of a process, for display: its user, its age in seconds, and the beginning of its command line,
/// in which a zero byte follows each argument. `None` if it says nothing.
#[inline(never)]
pub fn describe_process(pid: Pid, text: &mut [u8]) -> Option<(u32, u64, &[u8])> {
    let process = read_process(pid).ok()??;
    let born = process.ticks.saturating_mul(TICK);
    let age = sys::uptime().ok()?.saturating_sub(born);
    let mut buffer = [0; NUMBER_LINE];
    let pid = digits(pid, &mut buffer);
    // The folder has the owner that the process has now, and its files may not (proc_pid(5)).
    let folder = open_in_proc(&[b"/proc/", pid], Open::Directory).ok()?;
    let user = sys::fstat(folder.raw()).ok()?.owner();
    let command = read(&[b"/proc/", pid, b"/cmdline"], text).ok()?;
    Some((user, age / SECOND, command))
}

/// A child of this process that executes systemd-notify(1), if `/proc` tells: since Linux 3.5, if the kernel is so
/// configured.
#[inline(never)]
pub(crate) fn notifying_child(parent: Pid) -> Option<Pid> {
    let mut buffer = [0; NUMBER_LINE];
    let parent = digits(parent, &mut buffer);
    let mut text = [0; 1024];
    let path = [b"/proc/", parent, b"/task/", parent, b"/children"];
    let mut children = Some(read(&path, &mut text).ok()?);
    while children.is_some() {
        let child = next_field(&mut children, b' ');
        let path = [b"/proc/", child, b"/comm"];
        if read(&path, &mut [0; 16]) == Ok(b"systemd-notify\n") {
            return pid_in(child);
        }
    }
    None
}

fn digits(pid: Pid, buffer: &mut [u8; NUMBER_LINE]) -> &[u8] {
    split_once(number_line(pid.get().into(), buffer), b'\n').0
}

/// Opens a file or a folder of `/proc`. Its path is these parts together.
#[inline(never)]
fn open_in_proc(path: &[&[u8]], purpose: Open) -> Result<Fd, Errno> {
    let mut buffer = [0; 64];
    concat(path, &mut buffer);
    let path = ThinCStr::at_start(&buffer).ok_or(Errno::ENAMETOOLONG)?;
    sys::open(path, purpose)
}

/// Reads the beginning of a file of `/proc`. Its path is these parts together. Empty if there is none; that nothing
/// more can be opened is no answer.
fn read<'t>(path: &[&[u8]], text: &'t mut [u8]) -> Result<&'t [u8], Errno> {
    let length = match open_in_proc(path, Open::Read) {
        Ok(file) => sys::read(file.raw(), text).unwrap_or(0),
        Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)) => return Err(errno),
        Err(_) => 0,
    };
    Ok(text.get(..length as usize).unwrap_or_default())
}

/// The fingerprint of a process; [`NO_FINGERPRINT`] without `/proc`, or if that cannot be read.
pub(crate) fn fingerprint_of(pid: Pid) -> u32 {
    find_fingerprint(pid).unwrap_or(NO_FINGERPRINT)
}

/// The fingerprint of a process; [`NO_FINGERPRINT`] without `/proc`.
#[inline(never)]
pub(super) fn find_fingerprint(pid: Pid) -> Result<u32, Errno> {
    read_process(pid)?.map_or(Ok(NO_FINGERPRINT), hash)
}
