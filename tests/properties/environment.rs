//! Properties of every change to every environment.

use std::ffi::{CStr, CString};

use rawdaemon::internal::{copy_with_variable, search_path, set_variable, variable};
use rawdaemon::{CStrings, ThinCStr};

/// Where a command is searched for if there is no PATH.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Checks one change. The data is strings that end in a zero byte, which is optional after the last: the
/// variable to set, and the environment.
pub fn check(data: &[u8]) {
    let words = data.split_inclusive(|byte| *byte == 0);
    let words = words.map(|word| word.strip_suffix(&[0]).unwrap_or(word));
    let words: Vec<CString> = words.map(|word| CString::new(word).unwrap()).collect();
    let words: Vec<&CStr> = words.iter().map(CString::as_c_str).collect();
    for word in &words {
        assert_eq!(variable((*word).into()), name(word));
    }
    let (set, before) = words
        .split_first()
        .map_or((c"A=", &[][..]), |(first, rest)| (*first, rest));
    check_search_path(before);
    if name(set).is_some() {
        check_set(set, before);
        check_copy(set, before);
    }
}

/// The name in `NAME=VALUE`.
fn name(variable: &CStr) -> Option<&[u8]> {
    let bytes = variable.to_bytes();
    let end = bytes.iter().position(|byte| *byte == b'=')?;
    Some(&bytes[..end]).filter(|name| !name.is_empty())
}

/// Every variable of that name gets the value, at its place. If there is none, it is the last.
fn expected<'a>(set: &'a CStr, before: &[&'a CStr]) -> Vec<&'a CStr> {
    let is_same = |other: &&CStr| name(other) == name(set);
    let mut after: Vec<_> = before
        .iter()
        .map(|other| if is_same(other) { set } else { other })
        .collect();
    if !before.iter().any(is_same) {
        after.push(set);
    }
    after
}

fn list<'a>(words: &[&'a CStr], nones: usize) -> Vec<Option<ThinCStr<'a>>> {
    let words = words.iter().map(|word| Some((*word).into()));
    words.chain(std::iter::repeat_n(None, nones)).collect()
}

fn check_set(set: &CStr, before: &[&CStr]) {
    let after = expected(set, before);
    for nones in [2, 3] {
        let mut environment = list(before, nones);
        set_variable(&mut environment, set.into());
        assert_eq!(
            environment,
            list(&after, before.len() + nones - after.len())
        );
        // The second time, nothing changes.
        let once = environment.clone();
        set_variable(&mut environment, set.into());
        assert_eq!(environment, once);
    }
    // What follows the end is not read, and not written.
    let mut environment = [list(before, 2), list(before, 1)].concat();
    set_variable(&mut environment, set.into());
    assert_eq!(environment[before.len() + 2..], list(before, 1));
    // Without room, it replaces but does not add.
    let mut environment = list(before, 0);
    set_variable(&mut environment, set.into());
    assert_eq!(environment, list(&after[..before.len()], 0));
}

fn check_copy(set: &CStr, before: &[&CStr]) {
    let after = expected(set, before);
    // The environment ends at the first of several ends.
    for rest in [&[][..], before] {
        let environment = [list(before, 1), list(rest, rest.len().min(1))].concat();
        let mut copy = vec![None; environment.len() + 1];
        let environment = CStrings::new(&environment).unwrap();
        let copy = copy_with_variable(environment, set.into(), &mut copy).unwrap();
        assert!(
            copy.iter()
                .map(ThinCStr::to_c_str)
                .eq(after.iter().copied())
        );
        assert_eq!(copy.as_slice().last(), Some(&None));
    }
}

/// The value of the first PATH, even if it is empty.
fn check_search_path(environment: &[&CStr]) {
    let list = list(environment, 1);
    let found = search_path(CStrings::new(&list).unwrap());
    let mut paths = environment
        .iter()
        .filter_map(|word| word.to_bytes().strip_prefix(b"PATH="));
    assert_eq!(found, paths.next().unwrap_or(DEFAULT_PATH));
}
