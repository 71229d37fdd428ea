//! The names of old files. Pure.

use crate::sys::{PATH_SIZE, ThinCStr};
use crate::text::{concat, write_number};

/// Writes the name of an old file, `log.1` for number 1 of `log`, to a buffer. `None` if the buffer is too short for it
/// and for the zero byte at its end, or if it is longer than the kernel accepts.
pub(super) fn old_name<'b>(
    path: ThinCStr<'_>,
    number: u32,
    buffer: &'b mut [u8],
) -> Option<ThinCStr<'b>> {
    let mut digits = [0; 10];
    let mut count = 0;
    write_number(number, &mut |piece| {
        count = concat(&[piece], &mut digits).len()
    });
    let digits = digits.get(..count)?;
    let path = path.to_bytes();
    // The dot and the zero byte.
    let size = path.len().checked_add(count)?.checked_add(2)?;
    let buffer = buffer.get_mut(..size.min(PATH_SIZE))?;
    let name = concat(&[path, b".", digits, b"\0"], buffer);
    if name.len() < size {
        None
    } else {
        ThinCStr::at_start(name)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::old_name;
    use crate::sys::{PATH_SIZE, ThinCStr};

    #[test]
    fn old_files_have_numbers() {
        let path = ThinCStr::new(c"/var/log/web.log");
        for (number, name) in [(1, c"/var/log/web.log.1"), (999, c"/var/log/web.log.999")] {
            let mut buffer = [b'x'; 32];
            assert_eq!(old_name(path, number, &mut buffer), Some(name.into()));
            assert_eq!(old_name(path, number, &mut [0; 18]), None);
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_none() {
        let mut buffer = [0; PATH_SIZE * 2];
        for (length, fits) in [(PATH_SIZE - 3, true), (PATH_SIZE - 2, false)] {
            let path = CString::new(std::vec![b'x'; length]).unwrap();
            let name = old_name(ThinCStr::new(&path), 1, &mut buffer);
            assert_eq!(name.is_some(), fits, "{length}");
        }
    }
}
