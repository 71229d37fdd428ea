//! Strings and lists of strings that are made at run time.

use alloc::ffi::CString;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::options::{CStrArg, IntoCStr};
use crate::sys::{CStrings, ThinCStr};

/// A list of C strings that is made at run time, for [`CStrings`]. It borrows the strings.
///
/// ```
/// use rawdaemon::{CStringVec, argv};
/// use std::ffi::CString;
///
/// let strings = [CString::new("sleep")?, CString::new("0.1")?];
/// let argv: CStringVec = strings.iter().collect();
/// rawdaemon::spawn(c"sleep", argv.as_c_strings(), argv![c"PATH=/usr/bin:/bin"])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CStringVec<'a>(Vec<Option<ThinCStr<'a>>>);

impl CStringVec<'_> {
    /// The list, with the null pointer at its end.
    #[must_use]
    pub fn as_c_strings(&self) -> CStrings<'_> {
        // The last entry is always `None`.
        CStrings::new(&self.0).unwrap_or(CStrings::EMPTY)
    }
}

impl<'a, S: AsRef<CStr> + ?Sized> FromIterator<&'a S> for CStringVec<'a> {
    fn from_iter<I: IntoIterator<Item = &'a S>>(strings: I) -> Self {
        let strings = strings.into_iter();
        let strings = strings.map(|string| Some(ThinCStr::new(string.as_ref())));
        Self(strings.chain([None]).collect())
    }
}

impl<'a> IntoCStr<'a> for &'a CString {
    fn into_arg(self) -> CStrArg<'a> {
        self.as_c_str().into_arg()
    }
}

impl<'a> IntoCStr<'a> for CString {
    fn into_arg(self) -> CStrArg<'a> {
        CStrArg::owned(Ok(self))
    }
}

impl<'a> IntoCStr<'a> for &str {
    fn into_arg(self) -> CStrArg<'a> {
        CStrArg::owned(CString::new(self))
    }
}

impl<'a> IntoCStr<'a> for String {
    fn into_arg(self) -> CStrArg<'a> {
        CStrArg::owned(CString::new(self))
    }
}

impl<'a> IntoCStr<'a> for &String {
    fn into_arg(self) -> CStrArg<'a> {
        self.as_str().into_arg()
    }
}
