//! Records over the report and verdict pipes, and the original's wait for the verdict.

use core::time::Duration;

use super::progress::{Progress, Show};
use crate::protocol::{
    Errno, Nanoseconds, Pid, RECORD_SIZE, Record, STATUS_SIZE, WaitStatus, decode,
};
use crate::sys::{self, NO_FD, RawFd, Stack};
use crate::text::join;

/// How often the original reports [`Progress::Waiting`].
const REPORT_INTERVAL: Nanoseconds = 1_000_000_000;

/// Reads the next record from a nonblocking pipe: `Some(None)` at end of file, `None` if the pipe is
/// empty.
pub(super) fn read_record(pipe: RawFd) -> Option<Option<Record>> {
    let mut bytes = [0; RECORD_SIZE];
    // At end of file the bytes stay zero, which is not a record. Records are shorter than PIPE_BUF
    // (pipe(7)), so they are written, and therefore read, whole.
    sys::read(pipe, &mut bytes).ok()?;
    Some(decode(&bytes))
}

/// What the original waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// The verdict of a supervisor, which stays after a success.
    Verdict,
    /// The verdict of the intermediate, and then its end.
    VerdictAndEnd,
    /// The end of the intermediate, when the verdict is in the pipe: the original is woken once.
    End,
}

/// Waits for the intermediate, and returns its last record and its wait status, which a supervisor that stays does not
/// have. Reports progress to `show`.
#[inline(never)]
pub(crate) fn wait_for_verdict(
    pipe: RawFd,
    intermediate: Pid,
    until: Until,
    show: Show<'_>,
) -> (Option<Record>, Result<WaitStatus, Errno>) {
    let mut ended = match until {
        // An error is no answer, and ECHILD is none as long as there is no verdict.
        Until::End => Some(sys::waitpid(intermediate)).filter(Result::is_ok),
        Until::Verdict | Until::VerdictAndEnd => None,
    };
    let mut ignore = |_: Progress<'_>| {};
    let show = show.unwrap_or(&mut ignore);
    // Only the progress needs the clock, so none is shown if it cannot be read.
    let began = sys::monotonic_time().unwrap_or(Nanoseconds::MAX);
    let (mut now, mut next_report) = (began, began.saturating_add(REPORT_INTERVAL));
    loop {
        let left = next_report.saturating_sub(now).min(REPORT_INTERVAL);
        match sys::ppoll(&mut [pipe, NO_FD, NO_FD, NO_FD], left) {
            Ok(()) | Err(Errno::EINTR) => {}
            // Then read(2) waits.
            Err(_) => drop(sys::set_status_flags(pipe, false)),
        }
        match read_record(pipe) {
            Some(Some(Record::Status(length))) => {
                let mut text = [0; STATUS_SIZE];
                let text = text.get_mut(..length.into()).unwrap_or_default();
                if sys::read(pipe, text).is_ok() {
                    show(Progress::Status(text));
                }
            }
            Some(Some(Record::Errno(errno))) => show(Progress::Errno(errno)),
            Some(Some(Record::Ignored(pid))) => show(Progress::Ignored(Pid::new(pid as i32))),
            Some(Some(Record::Executes | Record::Created)) => {}
            Some(record @ Some(Record::Runs(_))) if until == Until::Verdict => {
                break (record, Err(Errno::ECHILD));
            }
            Some(record) => break (record, ended.unwrap_or_else(|| sys::waitpid(intermediate))),
            // The intermediate was killed, and another process still has the write end of the pipe.
            None if ended.is_some() => break (None, ended.unwrap_or(Err(Errno::ECHILD))),
            // Only that there is no such child means that it has ended: any other error is no answer.
            None => {
                ended = sys::try_wait(intermediate)
                    .transpose()
                    .filter(|ended| matches!(ended, Ok(_) | Err(Errno::ECHILD)));
            }
        }
        now = sys::monotonic_time().unwrap_or(0);
        if now >= next_report {
            next_report = now.saturating_add(REPORT_INTERVAL);
            show(Progress::Waiting(Duration::from_nanos(
                now.saturating_sub(began),
            )));
        }
    }
}

/// How often a process checks whether another one has left its memory.
const CHECK_INTERVAL: Nanoseconds = 100_000_000;

/// Waits until no process uses this stack. If the kernel does not report that, end of file on a pipe does, of which
/// the process has a write end until its exec or its end. The stack then stays mapped. [`NO_FD`] stands for a pipe
/// at its end.
#[inline(never)]
pub(super) fn wait_until_released(stack: &Stack, pipe: RawFd) {
    while stack.in_use() {
        if pipe == NO_FD || sys::read(pipe, &mut [0; RECORD_SIZE]) == Ok(0) {
            stack.leak();
        } else {
            let _ = sys::ppoll(&mut [pipe, NO_FD, NO_FD, NO_FD], CHECK_INTERVAL);
        }
    }
}

/// Sends a record to the original. Blocks while the pipe is full, as the original may not read for a
/// while. Does nothing in the original itself.
#[inline(never)]
pub(crate) fn send_verdict(verdict: RawFd, record: [u8; RECORD_SIZE]) -> Result<(), Errno> {
    if verdict == NO_FD {
        return Ok(());
    }
    let sent = match sys::write(verdict, &record) {
        Err(Errno::EAGAIN) => {
            sys::set_status_flags(verdict, false).and_then(|()| sys::write(verdict, &record))
        }
        sent => sent,
    };
    sent.map(drop)
}

/// Sends what the daemon has said to the original: a record, and the text that follows it. It is dropped if the pipe
/// is full.
#[inline(never)]
pub(super) fn send_progress(verdict: RawFd, record: [u8; RECORD_SIZE], text: &[u8]) {
    let mut message = [0; RECORD_SIZE + STATUS_SIZE];
    let _ = sys::write(verdict, join(&record, text, &mut message));
}
