//! The check for other threads: forking a threaded process would not be sound.

use crate::protocol::{Cause, Errno, Error, ErrorKind};
use crate::sys::{self, Open, ThinCStr};

/// Fails with `Threaded` unless the process is known to be single-threaded.
pub(super) fn refuse_threads() -> Result<(), Error> {
    let errno = match sys::check_single_threaded() {
        Ok(()) => return Ok(()),
        Err(errno) => errno,
    };
    // A sandbox may have refused the call. Before Linux 4.3 it also fails while another process inspects
    // this one's memory.
    match (read_thread_count(), errno) {
        (Some(1), _) => Ok(()),
        (Some(_), _) | (None, Errno::EINVAL) => {
            Err(Error::new(ErrorKind::Threaded, Cause::Unknown))
        }
        (None, _) => Err(Error::new(ErrorKind::Threaded, Cause::Errno(errno))),
    }
}

/// Reads the number of threads from `/proc/self/stat`.
fn read_thread_count() -> Option<u32> {
    let file = sys::open(ThinCStr::new(c"/proc/self/stat"), Open::Read).ok()?;
    let mut buffer = [0; 512];
    let length = sys::read(file.raw(), &mut buffer).ok()?;
    thread_count(buffer.get(..length as usize)?)
}

/// Field 20 of proc_pid_stat(5). The name in field 2 may contain parentheses and spaces.
fn thread_count(stat: &[u8]) -> Option<u32> {
    let after_name = stat.rsplit(|byte| *byte == b')').next()?;
    let count = after_name.split(|byte| *byte == b' ').nth(18)?;
    core::str::from_utf8(count).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::thread_count;

    #[test]
    fn field_20_is_the_number_of_threads() {
        let stat = b"42 (a ) (b) S 1 42 42 0 -1 4194560 86 0 0 0 0 0 0 0 20 0 7 0 306 2609152 1";
        assert_eq!(thread_count(stat), Some(7));
        assert_eq!(thread_count(b"42 (sleep) S 1 42"), None);
        assert_eq!(thread_count(b""), None);
    }

    #[test]
    fn a_test_harness_has_threads() {
        assert_eq!(
            super::refuse_threads().unwrap_err().kind(),
            super::ErrorKind::Threaded
        );
        assert!(super::read_thread_count().unwrap() > 1);
    }
}
