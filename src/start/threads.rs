//! Whether the process has other threads, in which case a fork of it would not be sound.

use crate::protocol::{Cause, Errno, Error, ExitCode};
use crate::sys::{self, Open, ThinCStr};

/// `Threaded`, unless the calling thread is known to be the only one.
pub(crate) fn refuse_threads() -> Result<(), Error> {
    let errno = match sys::check_single_threaded() {
        Ok(()) => return Ok(()),
        Err(errno) => errno,
    };
    // A sandbox may have refused the question; kernels before 4.3 also say no while another process
    // looks at this one.
    match (count_in_proc(), errno) {
        (Some(1), _) => Ok(()),
        (Some(_), _) | (None, Errno::EINVAL) => Err(Error::new(ExitCode::Threaded, Cause::Unknown)),
        (None, _) => Err(Error::new(ExitCode::Threaded, Cause::Errno(errno))),
    }
}

/// The number of threads that `/proc/self/stat` gives.
fn count_in_proc() -> Option<u32> {
    let file = sys::open(ThinCStr::new(c"/proc/self/stat"), Open::Read).ok()?;
    let mut buffer = [0; 512];
    let length = sys::read(file.raw(), &mut buffer).ok()?;
    count_in(buffer.get(..length as usize)?)
}

/// Field 20 of proc_pid_stat(5). The name in field 2 may contain anything, parentheses and spaces
/// included.
fn count_in(stat: &[u8]) -> Option<u32> {
    let after_name = stat.rsplit(|byte| *byte == b')').next()?;
    let count = after_name.split(|byte| *byte == b' ').nth(18)?;
    core::str::from_utf8(count).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::count_in;

    #[test]
    fn the_twentieth_field_is_the_number_of_threads() {
        let stat = b"42 (a ) (b) S 1 42 42 0 -1 4194560 86 0 0 0 0 0 0 0 20 0 7 0 306 2609152 1";
        assert_eq!(count_in(stat), Some(7));
        assert_eq!(count_in(b"42 (sleep) S 1 42"), None);
        assert_eq!(count_in(b""), None);
    }

    #[test]
    fn a_test_harness_has_threads() {
        assert_eq!(
            super::refuse_threads().unwrap_err().code(),
            super::ExitCode::Threaded
        );
        assert!(super::count_in_proc().unwrap() > 1);
    }
}
