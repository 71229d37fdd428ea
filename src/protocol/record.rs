//! Records: eight bytes over a pipe, for what does not fit in an exit code.
//!
//! | bytes | contents |
//! | --- | --- |
//! | 0 | the kind of the cause, or of the record |
//! | 1 | the exit code |
//! | 2, 3 | an errno or a wait status, little-endian |
//! | 4 to 7 | a pid, milliseconds, a subject, or the length of a text that follows, little-endian |

use super::errno::Errno;
use super::error::{Cause, Error};
use super::exit_code::ErrorKind;
use super::pid::Pid;
use super::wait_status::WaitStatus;

/// The size of a record in bytes. Writes of at most `PIPE_BUF` bytes to a pipe are atomic (pipe(7)).
pub const RECORD_SIZE: usize = 8;

/// A report of a process to the process that waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// The daemon exists, so the original no longer has to wait before it changes its memory.
    Created,
    /// The daemon has taken all its steps.
    SetUp,
    /// The daemon executes its command next. Reported if the exec itself cannot be observed.
    Executes,
    /// The daemon runs with this pid. From the daemon: it is ready. From the intermediate: the start is a
    /// success.
    Runs(Pid),
    /// The start failed.
    Failed(Error),
    /// A status text of this many bytes follows, in which the daemon reports its progress.
    Status(u8),
    /// The daemon has reported this error, which is no failure by itself.
    Errno(Errno),
    /// A message of the process with this pid does not count; 0 for a process of another pid namespace.
    Ignored(u32),
}

/// The kinds of the records that are not failures.
const KIND_IGNORED: u64 = 249;
const KIND_ERRNO: u64 = 250;
const KIND_EXECUTES: u64 = 251;
const KIND_CREATED: u64 = 252;
const KIND_STATUS: u64 = 253;
const KIND_RUNS: u64 = 254;
const KIND_SET_UP: u64 = 255;

/// Encodes a record.
#[must_use]
// Inlined, since the callers know which record it is: this makes the command smaller.
#[inline(always)]
pub fn encode(record: &Record) -> [u8; RECORD_SIZE] {
    let word = match *record {
        Record::Executes => KIND_EXECUTES,
        Record::Created => KIND_CREATED,
        Record::SetUp => KIND_SET_UP,
        Record::Runs(pid) => KIND_RUNS | u64::from(pid.get().unsigned_abs()) << 32,
        Record::Failed(error) => error.to_word(),
        Record::Status(length) => KIND_STATUS | u64::from(length) << 32,
        Record::Errno(errno) => KIND_ERRNO | u64::from(errno.number().unsigned_abs()) << 32,
        Record::Ignored(pid) => KIND_IGNORED | u64::from(pid) << 32,
    };
    word.to_le_bytes()
}

/// Decodes a record. `None` if the bytes are neither a success nor a failure.
///
/// The numbers of a failure are not checked: only this crate's processes write to the pipes, and the
/// methods of [`Error`] have an answer for every number.
#[must_use]
pub fn decode(bytes: &[u8; RECORD_SIZE]) -> Option<Record> {
    let word = u64::from_le_bytes(*bytes);
    match word & 0xffff_ffff {
        KIND_EXECUTES if word == KIND_EXECUTES => Some(Record::Executes),
        KIND_CREATED if word == KIND_CREATED => Some(Record::Created),
        KIND_SET_UP if word == KIND_SET_UP => Some(Record::SetUp),
        KIND_RUNS => Pid::new((word >> 32) as i32).map(Record::Runs),
        KIND_ERRNO => Errno::new((word >> 32) as i32).map(Record::Errno),
        KIND_IGNORED => Some(Record::Ignored((word >> 32) as u32)),
        KIND_STATUS => u8::try_from(word >> 32).ok().map(Record::Status),
        _ => Error::from_word(word).map(Record::Failed),
    }
}

/// The outcome of a start for the original: from the intermediate's record, or, without a record, from its
/// exit status. `ended` is how the intermediate ended, or why that is not known.
///
/// # Errors
///
/// The error in the record. Without a record, the error with the kind whose exit code is the intermediate's
/// exit status, and `WaitFailed` if there is no such kind.
pub fn outcome(record: Option<Record>, ended: Result<WaitStatus, Errno>) -> Result<Pid, Error> {
    match record {
        Some(Record::Runs(pid)) => return Ok(pid),
        Some(Record::Failed(error)) => return Err(error),
        _ => {}
    }
    let status = match ended {
        Ok(status) => status,
        Err(errno) => return Err(Error::new(ErrorKind::WaitFailed, Cause::Errno(errno))),
    };
    let kind = status.exit_status().and_then(ErrorKind::from_exit_code);
    let after = None;
    Err(match kind {
        Some(kind) => Error::new(kind, Cause::Unknown),
        None => Error::new(ErrorKind::WaitFailed, Cause::Died { status, after }),
    })
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::vec::Vec;

    use super::{RECORD_SIZE, Record, decode, encode, outcome};
    use crate::protocol::{Cause, Errno, Error, ErrorKind, Note, Pid, Subject, WaitStatus, failed};

    /// Every cause, with every errno and wait status, and the extremes of the other numbers.
    fn causes() -> Vec<Cause> {
        let mut causes = Vec::from([
            Cause::Unknown,
            Cause::NotAFile,
            Cause::NotListed,
            Cause::Silent,
            Cause::Late(Duration::ZERO),
            Cause::Late(Duration::from_millis(0xffff_fffe)),
        ]);
        causes.extend((0..=u8::MAX).map(Cause::Reason));
        causes.extend((1..=4095).filter_map(Errno::new).map(Cause::Errno));
        causes.extend(
            [1, 2, 255, 32768, 4_194_304, i32::MAX]
                .into_iter()
                .filter_map(Pid::new)
                .map(Cause::Owner),
        );
        for word in 0..=0xffff {
            let after = Duration::from_millis(u64::from(word as u32) * 65_537);
            causes.push(Cause::Died {
                status: WaitStatus::from_raw(word),
                after: (word != 0xffff).then_some(after),
            });
        }
        causes
    }

    #[test]
    fn every_record_decodes_to_what_was_encoded() {
        let check_round_trip = |record| {
            let decoded = decode(&encode(&record));
            assert_eq!(decoded, Some(record));
            assert_eq!(
                decoded.map(|decoded| encode(&decoded)),
                Some(encode(&record))
            );
        };
        check_round_trip(Record::Executes);
        check_round_trip(Record::Created);
        check_round_trip(Record::SetUp);
        for pid in [1, 2, 300, 4_194_304, i32::MAX] {
            check_round_trip(Record::Runs(Pid::new(pid).unwrap()));
        }
        for length in 0..=u8::MAX {
            check_round_trip(Record::Status(length));
        }
        for errno in (1..=4095).filter_map(Errno::new) {
            check_round_trip(Record::Errno(errno));
        }
        for pid in [0, 1, 4_194_304, u32::MAX] {
            check_round_trip(Record::Ignored(pid));
        }
        for cause in causes() {
            for kind in ErrorKind::ALL {
                let error = Error::new(*kind, cause);
                assert_eq!(error.cause(), cause);
                assert_eq!(error.with(Note::AllSteps).cause(), cause);
                check_round_trip(Record::Failed(error));
                check_round_trip(Record::Failed(error.with(Note::AllSteps)));
            }
        }
        for errno in (1..=4095).filter_map(Errno::new) {
            for subject in [Subject::Stdin, Subject::Readiness, Subject::Cpu] {
                let error = failed(ErrorKind::OpenFailed)(errno).about(subject);
                assert_eq!(error.subject(), Some(subject));
                assert_eq!(error.cause(), Cause::Errno(errno));
                check_round_trip(Record::Failed(error));
                check_round_trip(Record::Failed(error.with(Note::Other)));
            }
            let error = Error::of_descriptor(ErrorKind::CloseFailed, errno, 1 << 20);
            assert_eq!(error.descriptor(), Some(1 << 20));
            check_round_trip(Record::Failed(error));
        }
    }

    #[test]
    fn a_changed_byte_makes_another_record_or_none() {
        let not_entered = failed(ErrorKind::ChdirFailed)(Errno::ENOENT);
        for record in [
            Record::Executes,
            Record::Created,
            Record::SetUp,
            Record::Status(7),
            Record::Errno(Errno::EIO),
            Record::Ignored(7),
            Record::Runs(Pid::new(7).unwrap()),
            Record::Failed(not_entered),
        ] {
            for index in 0..RECORD_SIZE {
                for byte in 0..=u8::MAX {
                    let mut changed = encode(&record);
                    changed[index] = byte;
                    match decode(&changed) {
                        Some(other) => assert_eq!(encode(&other), changed),
                        None => assert_ne!(changed, encode(&record)),
                    }
                }
            }
        }
    }

    #[test]
    fn uniform_bytes_are_not_a_success() {
        assert_eq!(decode(&[0; RECORD_SIZE]), None);
        let noise = decode(&[255; RECORD_SIZE]);
        assert!(matches!(noise, Some(Record::Failed(_))));
    }

    #[test]
    fn without_a_record_the_exit_status_names_the_step() {
        for byte in 0..=u8::MAX {
            let status = WaitStatus::from_raw(i32::from(byte) << 8);
            let lost = Error::new(
                ErrorKind::WaitFailed,
                Cause::Died {
                    status,
                    after: None,
                },
            );
            let kind = ErrorKind::from_exit_code(byte);
            let expected = kind.map_or(lost, |kind| Error::new(kind, Cause::Unknown));
            assert_eq!(outcome(None, Ok(status)), Err(expected));
            assert_eq!(outcome(Some(Record::SetUp), Ok(status)), Err(expected));
        }
        let killed = WaitStatus::from_raw(9);
        let lost = Error::new(
            ErrorKind::WaitFailed,
            Cause::Died {
                status: killed,
                after: None,
            },
        );
        assert_eq!(outcome(None, Ok(killed)), Err(lost));
        let unknown = Error::new(ErrorKind::WaitFailed, Cause::Errno(Errno::ECHILD));
        assert_eq!(outcome(None, Err(Errno::ECHILD)), Err(unknown));
        let pid = Pid::new(7).unwrap();
        assert_eq!(
            outcome(Some(Record::Runs(pid)), Err(Errno::ECHILD)),
            Ok(pid)
        );
        assert_eq!(
            outcome(Some(Record::Failed(lost)), Ok(WaitStatus::from_raw(0))),
            Err(lost)
        );
    }
}
