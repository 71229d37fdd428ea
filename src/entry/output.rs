//! The standard streams of a program without a C library, for its messages.

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use crate::protocol::Errno;
use crate::sys::{self, RawFd};

/// Standard output, for programs without `std`. It has no buffer.
///
/// ```
/// use core::fmt::Write;
/// use rawdaemon::Stdout;
///
/// writeln!(Stdout, "the answer is {}", 42)?;
/// # Ok::<(), core::fmt::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Stdout;

/// Standard error, for programs without `std`. It has no buffer.
#[derive(Clone, Copy, Debug)]
pub struct Stderr;

impl Stdout {
    /// Writes all bytes.
    ///
    /// # Errors
    ///
    /// Those of write(2). Some of the bytes may have been written.
    pub fn write_all(self, bytes: &[u8]) -> Result<(), Errno> {
        write_all(1, bytes)
    }
}

impl Stderr {
    /// Writes all bytes.
    ///
    /// # Errors
    ///
    /// Those of write(2). Some of the bytes may have been written.
    pub fn write_all(self, bytes: &[u8]) -> Result<(), Errno> {
        write_all(2, bytes)
    }
}

impl Write for Stdout {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_all(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

impl Write for Stderr {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_all(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

fn write_all(fd: RawFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let written = sys::write(fd, bytes)?;
        if written == 0 {
            return Err(Errno::EIO);
        }
        bytes = bytes.get(written as usize..).unwrap_or_default();
    }
    Ok(())
}

/// Writes the message of a panic to standard error, and exits with the status of a Rust program that panics.
pub fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(Stderr, "{info}");
    sys::exit(101)
}
