//! The strings that options take.

use core::ffi::CStr;

use crate::sys::ThinCStr;

/// A string for an option: a path or a name.
///
/// This is a [`CStr`]. With the feature `alloc` it is also a [`str`], a `String` or a `CString`, and with the
/// feature `std` everything else that names a path: `Path`, `PathBuf`, `OsStr` and `OsString`. A string with a
/// zero byte is refused at the start, with the error [`Usage`](crate::ErrorKind::Usage).
pub trait IntoCStr<'a> {
    /// Makes the string that an option holds. Not part of the API.
    #[doc(hidden)]
    fn into_arg(self) -> CStrArg<'a>;
}

/// A string that an option holds.
#[derive(Clone, Debug)]
pub struct CStrArg<'a>(Held<'a>);

#[derive(Clone, Debug)]
enum Held<'a> {
    Borrowed(ThinCStr<'a>),
    #[cfg(feature = "alloc")]
    Owned(alloc::ffi::CString),
    /// It contained a zero byte.
    #[cfg(feature = "alloc")]
    Invalid,
}

#[cfg(feature = "alloc")]
impl CStrArg<'_> {
    /// A string of its own.
    pub(crate) fn owned(string: Result<alloc::ffi::CString, alloc::ffi::NulError>) -> Self {
        Self(string.map_or(Held::Invalid, Held::Owned))
    }
}

impl CStrArg<'_> {
    /// The string; empty if it is invalid.
    pub(crate) fn get(&self) -> ThinCStr<'_> {
        match &self.0 {
            Held::Borrowed(string) => *string,
            #[cfg(feature = "alloc")]
            Held::Owned(string) => ThinCStr::new(string),
            #[cfg(feature = "alloc")]
            Held::Invalid => ThinCStr::new(c""),
        }
    }
}

impl<'a> IntoCStr<'a> for &'a CStr {
    fn into_arg(self) -> CStrArg<'a> {
        CStrArg(Held::Borrowed(self.into()))
    }
}

impl<'a> IntoCStr<'a> for ThinCStr<'a> {
    fn into_arg(self) -> CStrArg<'a> {
        CStrArg(Held::Borrowed(self))
    }
}
