//! C strings as the kernel takes them.

use core::ffi::{CStr, c_char};
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

/// A `&CStr` of one word: the `char *` of execve(2).
///
/// `Option<ThinCStr>` is one word too, and `None` is the null pointer. A slice of them that ends in
/// `None` has the form in which the kernel reads `argv` and `envp`, without a copy:
///
/// ```
/// use rawdaemon::ThinCStr;
///
/// let argv: [Option<ThinCStr>; 3] = [Some(c"sleep".into()), Some(c"1000".into()), None];
/// assert_eq!(argv[1].unwrap().to_c_str(), c"1000");
/// assert_eq!(size_of_val(&argv), 3 * size_of::<usize>());
/// ```
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct ThinCStr<'a> {
    first: NonNull<c_char>,
    borrowed: PhantomData<&'a CStr>,
}

const _: () = assert!(size_of::<Option<ThinCStr<'static>>>() == size_of::<*const c_char>());

// SAFETY: it is a shared borrow of immutable bytes, like `&CStr`.
unsafe impl Send for ThinCStr<'_> {}
// SAFETY: as above.
unsafe impl Sync for ThinCStr<'_> {}

impl<'a> ThinCStr<'a> {
    /// Makes a string of one word.
    #[must_use]
    pub const fn new(string: &'a CStr) -> Self {
        Self {
            // SAFETY: a pointer to a string is not null.
            first: unsafe { NonNull::new_unchecked(string.as_ptr().cast_mut()) },
            borrowed: PhantomData,
        }
    }

    /// The string as a slice with its length. This reads the whole string.
    #[must_use]
    pub const fn to_c_str(self) -> &'a CStr {
        // SAFETY: `first` came from a `&'a CStr`.
        unsafe { CStr::from_ptr(self.first.as_ptr()) }
    }

    /// The bytes of the string, without the zero byte at its end.
    #[must_use]
    pub const fn to_bytes(self) -> &'a [u8] {
        self.to_c_str().to_bytes()
    }

    /// The first byte; zero if the string is empty.
    #[must_use]
    pub const fn first_byte(self) -> u8 {
        // SAFETY: a string has at least the zero byte at its end.
        unsafe { self.first.cast::<u8>().read() }
    }

    pub(super) const fn as_ptr(self) -> *const c_char {
        self.first.as_ptr()
    }

    /// The string that begins at the start of these bytes; `None` if it has no end there.
    #[must_use]
    pub fn at_start(bytes: &'a [u8]) -> Option<Self> {
        // `contains` is larger: its search is made for long texts.
        bytes.iter().position(|byte| *byte == 0)?;
        Some(Self {
            first: NonNull::from(bytes).cast(),
            borrowed: PhantomData,
        })
    }

    /// The string without its first `count` bytes; empty if it has no more.
    #[must_use]
    pub fn skip(self, count: usize) -> Self {
        let rest = self.to_c_str().to_bytes_with_nul().get(count..);
        rest.and_then(Self::at_start).unwrap_or(Self::new(c""))
    }
}

impl<'a> From<&'a CStr> for ThinCStr<'a> {
    fn from(string: &'a CStr) -> Self {
        Self::new(string)
    }
}

impl PartialEq for ThinCStr<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl Eq for ThinCStr<'_> {}

impl fmt::Debug for ThinCStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_c_str().fmt(f)
    }
}
