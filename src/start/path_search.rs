//! The search for a command in PATH. Pure.

use crate::environment::search_path;
pub(super) use crate::sys::PATH_SIZE;
use crate::sys::{CStrings, ThinCStr};
use crate::text::{join, next_field, split_once};

/// Calls `attempt` with each path that the command may have until it returns true, and returns whether it
/// did. A path that is too long is passed as `None`.
///
/// As with execvp(3), a name without a slash is searched for in the directories of PATH, where an empty
/// entry means the working directory. Relative paths are resolved against `working_directory`, and
/// skipped if that is empty.
pub fn any_path(
    name: ThinCStr<'_>,
    environment: CStrings<'_>,
    working_directory: &[u8],
    attempt: &mut dyn FnMut(Option<ThinCStr<'_>>) -> bool,
) -> bool {
    if name.first_byte() == b'/' {
        // No copy is needed.
        return attempt((name.to_bytes().len() < PATH_SIZE).then_some(name));
    }
    any_joined_path(name.to_bytes(), environment, working_directory, attempt)
}

/// [`any_path`] with a buffer.
#[inline(never)]
fn any_joined_path(
    name: &[u8],
    environment: CStrings<'_>,
    working_directory: &[u8],
    attempt: &mut dyn FnMut(Option<ThinCStr<'_>>) -> bool,
) -> bool {
    let (_, after_slash) = split_once(name, b'/');
    let mut directories = Some(match after_slash {
        Some(_) => b"",
        None => search_path(environment),
    });
    let mut path = Path::new();
    while directories.is_some() {
        let directory = next_field(&mut directories, b':');
        path.length = 0;
        if !is_absolute(directory) {
            if working_directory.is_empty() {
                continue;
            }
            path.add(working_directory, b'/');
        }
        if !directory.is_empty() {
            path.add(directory, b'/');
        }
        path.add(name, 0);
        // A path that is too long has no null byte.
        if attempt(ThinCStr::at_start(&path.bytes)) {
            return true;
        }
    }
    false
}

/// Whether [`any_path`] resolves a path of this command against the working directory.
#[must_use]
pub fn is_relative(name: ThinCStr<'_>, environment: CStrings<'_>) -> bool {
    let name = name.to_bytes();
    let (directories, end) = match split_once(name, b'/') {
        // It has no zero byte, so it is the only field.
        (_, Some(_)) => (name, 0),
        _ => (search_path(environment), b':'),
    };
    let mut directories = Some(directories);
    while directories.is_some() {
        if !is_absolute(next_field(&mut directories, end)) {
            return true;
        }
    }
    false
}

const fn is_absolute(path: &[u8]) -> bool {
    matches!(path, [b'/', ..])
}

/// A buffer in which a path is assembled.
struct Path {
    bytes: [u8; PATH_SIZE],
    length: usize,
}

impl Path {
    const fn new() -> Self {
        Self {
            bytes: [0; PATH_SIZE],
            length: 0,
        }
    }

    /// Appends `part` and `end`, as far as they fit.
    fn add(&mut self, part: &[u8], end: u8) {
        let rest = self.bytes.get_mut(self.length..).unwrap_or_default();
        self.length = self.length.saturating_add(join(part, &[end], rest).len());
    }
}

#[cfg(test)]
mod tests {
    use core::ffi::CStr;
    use std::borrow::ToOwned;
    use std::ffi::CString;
    use std::vec::Vec;

    use super::{CStrings, PATH_SIZE, ThinCStr, any_path, is_relative};

    fn environment(variable: &CStr) -> [Option<ThinCStr<'_>>; 3] {
        [Some(c"HOME=/".into()), Some(variable.into()), None]
    }

    fn list<'a>(environment: &'a [Option<ThinCStr<'a>>]) -> CStrings<'a> {
        CStrings::new(environment).unwrap()
    }

    fn paths_from(directory: &[u8], name: &CStr, variable: &CStr) -> Vec<Option<CString>> {
        let mut paths = Vec::new();
        any_path(
            name.into(),
            list(&environment(variable)),
            directory,
            &mut |path| {
                paths.push(path.map(|path| path.to_c_str().into()));
                false
            },
        );
        paths
    }

    fn paths(name: &CStr, variable: &CStr) -> Vec<CString> {
        let paths = paths_from(b"/home", name, variable);
        paths.into_iter().map(Option::unwrap).collect()
    }

    #[test]
    fn a_name_without_a_slash_is_searched_for_in_path() {
        assert_eq!(
            paths(c"web", c"PATH=/a:/b"),
            [c"/a/web".into(), CString::from(c"/b/web")]
        );
        assert_eq!(paths(c"web", c"PATH="), [CString::from(c"/home/web")]);
        assert_eq!(paths(c"web", c"PATHS=/a").len(), 6);
        assert_eq!(paths(c"web", c"PATH").len(), 6);
    }

    #[test]
    fn the_search_stops_when_an_attempt_succeeds() {
        let mut tried = 0;
        let path = environment(c"PATH=/a:/b:/c");
        any_path(c"web".into(), list(&path), b"", &mut |_| {
            tried += 1;
            tried == 2
        });
        assert_eq!(tried, 2);
    }

    #[test]
    fn relative_paths_are_resolved_against_the_working_directory() {
        let path = c"PATH=/bin:bin:/a:";
        assert_eq!(paths(c"/bin/web", path), [c"/bin/web".to_owned()]);
        assert_eq!(paths(c"./web", path), [c"/home/./web".to_owned()]);
        let expected = [c"/bin/web", c"/home/bin/web", c"/a/web", c"/home/web"];
        assert_eq!(paths(c"web", path), expected.map(CStr::to_owned));
        let expected = [c"/bin/web", c"/a/web"].map(|path| Some(path.to_owned()));
        assert_eq!(paths_from(b"", c"web", path), expected);
        assert_eq!(paths_from(b"", c"./web", path), []);
    }

    #[test]
    fn a_relative_path_is_detected() {
        let relative = [
            (c"./web", c"PATH=/a"),
            (c"web", c"PATH=/a:b"),
            (c"web", c"PATH="),
            (c"web", c"PATH=/a:"),
        ];
        let absolute = [
            (c"/web", c"PATH="),
            (c"/opt/a:b/web", c"PATH="),
            (c"web", c"PATH=/a:/b"),
            (c"web", c"HOME=a"),
        ];
        for (cases, expected) in [(&relative[..], true), (&absolute[..], false)] {
            for (name, variable) in cases {
                let found = is_relative((*name).into(), list(&environment(variable)));
                assert_eq!(found, expected, "{name:?} {variable:?}");
            }
        }
    }

    #[test]
    fn a_path_that_is_too_long_is_passed_as_none() {
        for (length, fits) in [(PATH_SIZE - 8, false), (PATH_SIZE - 9, true)] {
            let directory = [b"PATH=/a:", &[b'a'; PATH_SIZE][..length], b":/b"].concat();
            let directory = CString::new(directory).unwrap();
            let paths = paths_from(b"/home", c"w", &directory);
            let lengths = paths
                .iter()
                .map(|path| path.as_ref().map(|path| path.count_bytes()));
            let expected = [Some(4), fits.then_some(PATH_SIZE - 1), Some(4)];
            assert_eq!(lengths.collect::<Vec<_>>(), expected);
        }
    }
}
