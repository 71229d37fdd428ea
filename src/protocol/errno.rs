//! The kernel's error numbers, with names and descriptions.

use core::fmt;
use core::num::NonZeroU32;

use linux_raw_sys::errno;

use crate::packed::{Packed, packed};
use crate::text::{Sink, display, write_number};

/// An error number of the kernel (errno(3)).
///
/// The numbers are those of the architecture. `Display` prints the description and the name:
/// `Permission denied (EACCES)`. An error that no step can return, such as those of STREAMS, is
/// printed as a number: `error 50`.
///
/// ```
/// use rawdaemon::Errno;
///
/// assert_eq!(Errno::new(Errno::EACCES.number()), Some(Errno::EACCES));
/// assert_eq!(Errno::EACCES.to_string(), "Permission denied (EACCES)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(NonZeroU32);

macro_rules! errnos {
    ($($name:ident $words:literal,)*) => {
        impl Errno {
            $(
                #[doc = $words]
                pub const $name: Self = match Self::new(errno::$name as i32) {
                    Some(errno) => errno,
                    None => Self::UNKNOWN,
                };
            )*
        }

        $(const _: () = assert!(errno::$name <= u8::MAX as u32);)*
        /// The numbers that are printed with their names.
        static NUMBERS: &[u8] = &[$(errno::$name as u8,)*];

        /// The name of each of the [`NUMBERS`].
        static NAMES: Packed = packed![$(stringify!($name), "\n",)*];

        /// The description of each of the [`NUMBERS`].
        static WORDS: Packed = packed![$($words, "\n",)*];
    };
}

impl Errno {
    /// Makes an error number. `None` outside the range that the kernel uses, 1 to 4095.
    #[must_use]
    pub const fn new(number: i32) -> Option<Self> {
        match NonZeroU32::new(number as u32) {
            Some(nonzero) if 0 < number && number < 4096 => Some(Self(nonzero)),
            _ => None,
        }
    }

    /// The error as a number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0.get() as i32
    }

    /// An error that the kernel does not define.
    const UNKNOWN: Self = Self(NonZeroU32::MAX);

    /// Converts an error that a system call has returned.
    pub(crate) fn from_kernel(errno: syscalls::Errno) -> Self {
        NonZeroU32::new(errno.into_raw() as u32).map_or(Self::UNKNOWN, Self)
    }

    fn name_and_words(self) -> Option<(Packed, Packed)> {
        let index = NUMBERS
            .iter()
            .position(|number| u32::from(*number) == self.0.get())?;
        Some((NAMES.line(index), WORDS.line(index)))
    }

    /// Writes `Permission denied (EACCES)`.
    #[doc(hidden)]
    pub fn describe(self, out: &mut Sink<'_>) {
        match self.name_and_words() {
            Some((name, words)) => {
                words.write(out);
                out(b" (");
                name.write(out);
                out(b")");
            }
            None => {
                out(b"error ");
                write_number(self.0.get(), out);
            }
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(f, |out| self.describe(out))
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Errno {}

errnos! {
    EPERM "Operation not permitted",
    ENOENT "No such file or directory",
    ESRCH "No such process",
    EINTR "Interrupted system call",
    EIO "Input/output error",
    ENXIO "No such device or address",
    E2BIG "Argument list too long",
    ENOEXEC "Exec format error",
    EBADF "Bad file descriptor",
    ECHILD "No child processes",
    EAGAIN "Resource temporarily unavailable",
    ENOMEM "Cannot allocate memory",
    EACCES "Permission denied",
    EFAULT "Bad address",
    ENOTBLK "Block device required",
    EBUSY "Device or resource busy",
    EEXIST "File exists",
    EXDEV "Invalid cross-device link",
    ENODEV "No such device",
    ENOTDIR "Not a directory",
    EISDIR "Is a directory",
    EINVAL "Invalid argument",
    ENFILE "Too many open files in system",
    EMFILE "Too many open files",
    ENOTTY "Inappropriate ioctl for device",
    ETXTBSY "Text file busy",
    EFBIG "File too large",
    ENOSPC "No space left on device",
    ESPIPE "Illegal seek",
    EROFS "Read-only file system",
    EMLINK "Too many links",
    EPIPE "Broken pipe",
    EDOM "Numerical argument out of domain",
    ERANGE "Numerical result out of range",
    EDEADLK "Resource deadlock avoided",
    ENAMETOOLONG "File name too long",
    ENOLCK "No locks available",
    ENOSYS "Function not implemented",
    ENOTEMPTY "Directory not empty",
    ELOOP "Too many levels of symbolic links",
    ENOMSG "No message of desired type",
    EIDRM "Identifier removed",
    ENOLINK "Link has been severed",
    EPROTO "Protocol error",
    EBADMSG "Bad message",
    EOVERFLOW "Value too large for defined data type",
    ELIBBAD "Accessing a corrupted shared library",
    EILSEQ "Invalid or incomplete multibyte or wide character",
    ENOPROTOOPT "Protocol not available",
    EPROTONOSUPPORT "Protocol not supported",
    EOPNOTSUPP "Operation not supported",
    EAFNOSUPPORT "Address family not supported by protocol",
    EADDRINUSE "Address already in use",
    EADDRNOTAVAIL "Cannot assign requested address",
    ENETDOWN "Network is down",
    ENETUNREACH "Network is unreachable",
    ECONNABORTED "Software caused connection abort",
    ECONNRESET "Connection reset by peer",
    ENOBUFS "No buffer space available",
    ENOTCONN "Transport endpoint is not connected",
    ETIMEDOUT "Connection timed out",
    ECONNREFUSED "Connection refused",
    EHOSTDOWN "Host is down",
    EHOSTUNREACH "No route to host",
    ESTALE "Stale file handle",
    EUCLEAN "Structure needs cleaning",
    EREMOTEIO "Remote I/O error",
    EDQUOT "Disk quota exceeded",
    ENOMEDIUM "No medium found",
    EMEDIUMTYPE "Wrong medium type",
    ENOKEY "Required key not available",
    EKEYEXPIRED "Key has expired",
    EKEYREVOKED "Key has been revoked",
    EKEYREJECTED "Key was rejected by service",
    EHWPOISON "Memory page has hardware error",
    // Those of STREAMS and XENIX, and those that only a connected socket or a mutex returns, are printed as numbers.
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::string::{String, ToString};

    use super::{Errno, NUMBERS};
    use crate::packed::Packed;

    fn unpacked(packed: Packed) -> String {
        let mut text = std::vec::Vec::new();
        packed.write(&mut |piece| text.extend_from_slice(piece));
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn descriptions_are_those_of_the_c_library() {
        for number in 1..=4095 {
            let errno = Errno::new(number).unwrap();
            assert_eq!(errno.number(), number);
            // SAFETY: strerror returns a string in static or thread-local storage, which is read before the
            // next call.
            #[allow(unsafe_code)]
            let description = unsafe { CStr::from_ptr(libc::strerror(number)) }
                .to_str()
                .unwrap();
            match errno.name_and_words() {
                Some((name, words)) => {
                    assert_eq!(unpacked(words), description);
                    let name = unpacked(name);
                    assert_eq!(errno.to_string(), std::format!("{description} ({name})"));
                }
                None => {
                    let is_unknown = description.starts_with("Unknown error");
                    assert!(number > 43 || is_unknown, "{description}");
                    assert_eq!(errno.to_string(), std::format!("error {number}"));
                }
            }
        }
    }

    #[test]
    fn numbers_outside_the_range_of_the_kernel_are_rejected() {
        for number in [i32::MIN, -1, 0, 4096, 65537, i32::MAX] {
            assert_eq!(Errno::new(number), None);
        }
    }

    #[test]
    fn no_number_occurs_twice_in_the_table() {
        for (index, number) in NUMBERS.iter().enumerate() {
            assert_eq!(
                NUMBERS.iter().position(|other| other == number),
                Some(index)
            );
        }
        assert_eq!(Errno::EACCES.to_string(), "Permission denied (EACCES)");
    }
}
