//! The kernel's error numbers, with names and descriptions.

use core::fmt;
use core::num::NonZeroU32;

use linux_raw_sys::errno;

use crate::packed::{Packed, packed};
use crate::text::{Sink, display, write_number};

/// An error number of the kernel (errno(3)).
///
/// The numbers are those of the architecture. `Display` prints the description and the name:
/// `Permission denied (EACCES)`. One that Linux hardly returns, such as those of STREAMS, is
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
    ($($name:ident $words:literal,)* ; $($rare:ident $meaning:literal,)*) => {
        impl Errno {
            $(
                #[doc = $words]
                pub const $name: Self = match Self::new(errno::$name as i32) {
                    Some(errno) => errno,
                    None => Self::UNKNOWN,
                };
            )*
            $(
                #[doc = $meaning]
                pub const $rare: Self = match Self::new(errno::$rare as i32) {
                    Some(errno) => errno,
                    None => Self::UNKNOWN,
                };
            )*
        }

        /// The numbers that are printed as such.
        #[cfg(test)]
        static RARE: &[u8] = &[$(errno::$rare as u8,)*];

        $(const _: () = assert!(short(errno::$name) <= u8::MAX as u32);)*
        /// The numbers that are printed with their names.
        static NUMBERS: &[u8] = &[$(short(errno::$name) as u8,)*];

        /// The name of each of the [`NUMBERS`].
        static NAMES: Packed = packed![$(stringify!($name), "\n",)*];

        /// The description of each of the [`NUMBERS`].
        static WORDS: Packed = packed![$($words, "\n",)*];
    };
}

/// The number in the table. On mips, `EDQUOT` is 1133, and 255 is no error.
const fn short(number: u32) -> u32 {
    if errno::EDQUOT > u8::MAX as u32 && number == errno::EDQUOT {
        u8::MAX as u32
    } else {
        number
    }
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

    /// Whether an older kernel, which lacks a call, or a policy may answer so: then an older way is taken, if there is
    /// one.
    pub(crate) const fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::ENOSYS | Self::EPERM | Self::EACCES | Self::EOPNOTSUPP
        )
    }

    fn name_and_words(self) -> Option<(Packed, Packed)> {
        let index = NUMBERS
            .iter()
            .position(|number| u32::from(*number) == short(self.0.get()))?;
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
    EDEADLK "Resource deadlock avoided",
    ENAMETOOLONG "File name too long",
    ENOLCK "No locks available",
    ENOSYS "Function not implemented",
    ENOTEMPTY "Directory not empty",
    ELOOP "Too many levels of symbolic links",
    EOVERFLOW "Value too large for defined data type",
    ELIBBAD "Accessing a corrupted shared library",
    ENOPROTOOPT "Protocol not available",
    EOPNOTSUPP "Operation not supported",
    EAFNOSUPPORT "Address family not supported by protocol",
    EADDRINUSE "Address already in use",
    EADDRNOTAVAIL "Cannot assign requested address",
    ENETDOWN "Network is down",
    ENETUNREACH "Network is unreachable",
    ECONNRESET "Connection reset by peer",
    ENOBUFS "No buffer space available",
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
    EDOM "Numerical argument out of domain",
    ERANGE "Numerical result out of range",
    EILSEQ "Invalid or incomplete multibyte or wide character",
    ENOTSOCK "Socket operation on non-socket",
    EDESTADDRREQ "Destination address required",
    EMSGSIZE "Message too long",
    EPROTOTYPE "Protocol wrong type for socket",
    EPROTONOSUPPORT "Protocol not supported",
    EPFNOSUPPORT "Protocol family not supported",
    ENETRESET "Network dropped connection on reset",
    ECONNABORTED "Software caused connection abort",
    EISCONN "Transport endpoint is already connected",
    ENOTCONN "Transport endpoint is not connected",
    ESHUTDOWN "Cannot send after transport endpoint shutdown",
    EALREADY "Operation already in progress",
    EINPROGRESS "Operation now in progress",
    ECANCELED "Operation canceled",
    EPROTO "Protocol error",
    EBADMSG "Bad message",
    ENODATA "No data available",
    ENOTRECOVERABLE "State not recoverable",
    EOWNERDEAD "Owner died",
    ENOMSG "No message of desired type",
    EIDRM "Identifier removed",
    // Linux does not return these, or hardly: most are of STREAMS and XENIX. They are printed as numbers.
    ;
    EUSERS "Too many users",
    ENOLINK "Link has been severed",
    EBADFD "File descriptor in bad state",
    ETIME "Timer expired",
    ENOTBLK "Block device required",
    ESOCKTNOSUPPORT "Socket type not supported",
    ECHRNG "Channel number out of range",
    EL2NSYNC "Level 2 not synchronized",
    EL3HLT "Level 3 halted",
    EL3RST "Level 3 reset",
    ELNRNG "Link number out of range",
    EUNATCH "Protocol driver not attached",
    ENOCSI "No CSI structure available",
    EL2HLT "Level 2 halted",
    EBADE "Invalid exchange",
    EBADR "Invalid request descriptor",
    EXFULL "Exchange full",
    ENOANO "No anode",
    EBADRQC "Invalid request code",
    EBADSLT "Invalid slot",
    EBFONT "Bad font file format",
    ENOSTR "Device not a stream",
    ENOSR "Out of streams resources",
    ENONET "Machine is not on the network",
    ENOPKG "Package not installed",
    EREMOTE "Object is remote",
    EADV "Advertise error",
    ESRMNT "Srmount error",
    ECOMM "Communication error on send",
    EMULTIHOP "Multihop attempted",
    EDOTDOT "RFS specific error",
    ENOTUNIQ "Name not unique on network",
    EREMCHG "Remote address changed",
    ELIBACC "Can not access a needed shared library",
    ELIBSCN ".lib section in a.out corrupted",
    ELIBMAX "Attempting to link in too many shared libraries",
    ELIBEXEC "Cannot exec a shared library directly",
    ERESTART "Interrupted system call should be restarted",
    ESTRPIPE "Streams pipe error",
    ETOOMANYREFS "Too many references: cannot splice",
    ENOTNAM "Not a XENIX named type file",
    ENAVAIL "No XENIX semaphores available",
    EISNAM "Is a named type file",
    ERFKILL "Operation not possible due to RF-kill",
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::string::{String, ToString};

    use super::{Errno, NUMBERS, RARE};
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
                    let is_rare = u8::try_from(number).is_ok_and(|number| RARE.contains(&number));
                    assert!(is_unknown || is_rare, "{description}");
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
