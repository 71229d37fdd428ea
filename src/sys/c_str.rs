//! C strings as one pointer.

use core::ffi::{CStr, c_char};
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

/// A `&CStr` of one word: the `char *` of execve(2).
///
/// `Option<ThinCStr>` is one word too, and `None` is the null pointer. [`CStrings`](crate::CStrings) are lists of
/// them.
///
/// ```
/// use rawdaemon::ThinCStr;
///
/// let string: ThinCStr = c"sleep".into();
/// assert_eq!(string.to_c_str(), c"sleep");
/// assert_eq!(size_of_val(&Some(string)), size_of::<usize>());
/// ```
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct ThinCStr<'a> {
    first: NonNull<c_char>,
    borrowed: PhantomData<&'a CStr>,
}

const _: () = assert!(size_of::<Option<ThinCStr<'static>>>() == size_of::<*const c_char>());

// SAFETY: a `ThinCStr` is a shared borrow of immutable bytes, as a `&CStr` is.
unsafe impl Send for ThinCStr<'_> {}
// SAFETY: as for `Send`.
unsafe impl Sync for ThinCStr<'_> {}

impl<'a> ThinCStr<'a> {
    /// Makes a thin string of a C string.
    #[must_use]
    pub const fn new(string: &'a CStr) -> Self {
        Self {
            // SAFETY: a pointer from a reference is not null.
            first: unsafe { NonNull::new_unchecked(string.as_ptr().cast_mut()) },
            borrowed: PhantomData,
        }
    }

    /// Returns the string as a [`CStr`]. This computes its length.
    #[must_use]
    pub const fn to_c_str(self) -> &'a CStr {
        // SAFETY: `first` points to a C string that is borrowed for `'a`.
        unsafe { CStr::from_ptr(self.first.as_ptr()) }
    }

    /// Returns the bytes of the string, without the terminating zero byte.
    #[must_use]
    pub const fn to_bytes(self) -> &'a [u8] {
        self.to_c_str().to_bytes()
    }

    /// Returns the first byte, or zero if the string is empty.
    #[must_use]
    pub const fn first_byte(self) -> u8 {
        // SAFETY: even an empty string has a first byte, the terminating zero.
        unsafe { self.first.cast::<u8>().read() }
    }

    /// Returns a pointer to the first byte.
    pub(super) const fn as_ptr(self) -> *const c_char {
        self.first.as_ptr()
    }

    /// Returns the string at the start of these bytes, up to the first zero byte. `None` if there is no zero
    /// byte.
    #[must_use]
    pub fn at_start(bytes: &'a [u8]) -> Option<Self> {
        // Not `contains`: its code is larger.
        bytes.iter().position(|byte| *byte == 0)?;
        Some(Self {
            first: NonNull::from(bytes).cast(),
            borrowed: PhantomData,
        })
    }

    /// Returns the string without its first `count` bytes; empty if the string is shorter.
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
