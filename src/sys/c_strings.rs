//! Lists of C strings as the kernel takes them.

use core::ffi::c_char;
use core::fmt;

use super::c_str::ThinCStr;

/// A list of C strings that ends in a null pointer: the `argv` and `envp` of execve(2).
///
/// [`argv!`](crate::argv) makes a list of literals:
///
/// ```
/// use rawdaemon::{CStrings, argv};
///
/// let argv: CStrings = argv![c"sleep", c"1000"];
/// assert!(argv.iter().map(|string| string.to_c_str()).eq([c"sleep", c"1000"]));
/// ```
///
/// [`new`](Self::new) makes a list of strings that are known at run time only:
///
/// ```
/// use rawdaemon::CStrings;
/// use std::ffi::CString;
///
/// let strings = [CString::new("sleep")?, CString::new("1000")?];
/// let list = [Some(strings[0].as_c_str().into()), Some(strings[1].as_c_str().into()), None];
/// let argv = CStrings::new(&list).unwrap();
/// assert_eq!(argv.iter().count(), 2);
/// # Ok::<(), std::ffi::NulError>(())
/// ```
#[derive(Clone, Copy)]
pub struct CStrings<'a>(&'a [Option<ThinCStr<'a>>]);

impl<'a> CStrings<'a> {
    /// A list without strings.
    pub const EMPTY: CStrings<'static> = CStrings(&[None]);

    /// Makes a list of the strings up to the first `None`. Returns `None` unless the last entry is `None`.
    #[must_use]
    pub const fn new(strings: &'a [Option<ThinCStr<'a>>]) -> Option<Self> {
        match strings {
            [.., None] => Some(Self(strings)),
            _ => None,
        }
    }

    /// The strings of the list.
    pub fn iter(self) -> impl Iterator<Item = ThinCStr<'a>> {
        self.0.iter().map_while(|string| *string)
    }

    /// The list without its first `count` strings; empty if it has no more.
    #[must_use]
    pub fn skip(self, count: usize) -> Self {
        match self.0.get(count..) {
            Some(rest @ [_, ..]) => Self(rest),
            _ => CStrings::EMPTY,
        }
    }

    /// The strings, and the null pointer at the end.
    #[must_use]
    pub const fn as_slice(self) -> &'a [Option<ThinCStr<'a>>] {
        self.0
    }

    pub(super) const fn as_ptr(self) -> *const *const c_char {
        self.0.as_ptr().cast()
    }
}

impl fmt::Debug for CStrings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Makes a [`CStrings`] of `&CStr` constants, at compile time. For an environment too. Strings that are known
/// at run time only need `CStringVec` (with the feature `alloc`), `Command` (with `std`) or
/// [`CStrings::new`](crate::CStrings::new).
///
/// ```
/// use rawdaemon::argv;
///
/// let daemon = rawdaemon::spawn(c"sleep", argv![c"sleep", c"0.1"], argv![c"PATH=/usr/bin:/bin"])?;
/// println!("sleep runs as {}", daemon.pid());
/// # Ok::<(), rawdaemon::Error>(())
/// ```
#[macro_export]
macro_rules! argv {
    ($($string:expr),* $(,)?) => {{
        const STRINGS: &[Option<$crate::ThinCStr<'static>>] =
            &[$(Some($crate::ThinCStr::new($string)),)* None];
        const LIST: $crate::CStrings<'static> = match $crate::CStrings::new(STRINGS) {
            Some(list) => list,
            None => $crate::CStrings::EMPTY,
        };
        LIST
    }};
}

#[cfg(test)]
mod tests {
    use super::CStrings;

    #[test]
    fn a_list_ends_in_none_whatever_is_skipped() {
        let list = argv![c"a", c"b"];
        for (count, left) in [(0, 2), (1, 1), (2, 0), (3, 0), (usize::MAX, 0)] {
            let rest = list.skip(count);
            assert_eq!(rest.iter().count(), left, "{count}");
            assert_eq!(rest.as_slice().last(), Some(&None), "{count}");
        }
        assert!(CStrings::new(&[]).is_none());
        assert!(CStrings::new(&[Some(c"a".into())]).is_none());
    }
}
