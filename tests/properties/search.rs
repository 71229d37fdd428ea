//! Properties of every search for a command in PATH, and of every reading of a file's interpreter.

use std::ffi::CString;

use rawdaemon::internal::{any_path, interpreter, is_relative};
use rawdaemon::{CStrings, ThinCStr};

/// The longest path that the kernel accepts, with its zero byte.
const PATH_MAX: usize = 4096;

/// Checks one search. The data is four parts, separated by zero bytes: the command, the working directory, the
/// value of PATH, and the first bytes of a file, which may contain zero bytes.
pub fn check(data: &[u8]) {
    let mut parts = data.splitn(4, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let [name, directory, path, head] = [part(), part(), part(), part()];
    check_search(&stretch(name), &stretch(directory), &stretch(path));
    check_interpreter(data);
    check_interpreter(head);
    // Some beginnings, as if that is all of the file that has been read.
    for cut in [1, 2, 4, 8] {
        check_interpreter(&head[..head.len() - head.len() / cut]);
    }
}

/// Makes the first five tabs a thousand letters each: a long path then needs only a short seed.
fn stretch(text: &[u8]) -> Vec<u8> {
    let mut stretched = Vec::new();
    let mut left = 5;
    for byte in text {
        if *byte == b'\t' && left > 0 {
            left -= 1;
            stretched.resize(stretched.len() + 1000, b'a');
        } else {
            stretched.push(*byte);
        }
    }
    stretched
}

/// The paths of a command, as execvp(3) has them.
fn expected(name: &[u8], directory: &[u8], path: &[u8]) -> Vec<Vec<u8>> {
    let resolve = |path: Vec<u8>| match (path.first(), directory) {
        (Some(b'/'), _) => Some(path),
        (_, []) => None,
        (_, directory) => Some([directory, b"/", &path].concat()),
    };
    if name.contains(&b'/') {
        return resolve(name.to_vec()).into_iter().collect();
    }
    let directories = path.split(|byte| *byte == b':');
    let paths = directories.map(|directory| match directory {
        [] => name.to_vec(),
        directory => [directory, b"/", name].concat(),
    });
    paths.filter_map(resolve).collect()
}

fn check_search(name: &[u8], directory: &[u8], path: &[u8]) {
    let command = CString::new(name).unwrap();
    let command: ThinCStr<'_> = command.as_c_str().into();
    let variable = CString::new([b"PATH=", path].concat()).unwrap();
    let list = [Some(variable.as_c_str().into()), None];
    let environment = CStrings::new(&list).unwrap();

    // Stops at this attempt.
    let search = |stop: usize| {
        let mut paths = Vec::new();
        let found = any_path(command, environment, directory, &mut |path| {
            paths.push(path.map(|path| path.to_bytes().to_vec()));
            paths.len() > stop
        });
        (found, paths)
    };
    let expected = self::expected(name, directory, path);
    let fits = |path: &Vec<u8>| (path.len() < PATH_MAX).then(|| path.clone());
    let expected: Vec<_> = expected.iter().map(fits).collect();
    assert_eq!(search(usize::MAX), (false, expected.clone()));
    for stop in [0, expected.len() / 2, expected.len().saturating_sub(1)] {
        let first = expected.iter().take(stop + 1).cloned().collect();
        assert_eq!(search(stop), (stop < expected.len(), first));
    }

    // It is relative if the working directory matters.
    let elsewhere = [&b"/a"[..], b"/b"].map(|directory| self::expected(name, directory, path));
    assert_eq!(
        is_relative(command, environment),
        elsewhere[0] != elsewhere[1]
    );
}

/// Compares the reader with a second one.
fn check_interpreter(head: &[u8]) {
    let found = interpreter(head);
    let expected = match head {
        [b'#', b'!', line @ ..] => script_interpreter(line),
        [0x7f, b'E', b'L', b'F', 2, ..] => elf_interpreter(head, true),
        [0x7f, b'E', b'L', b'F', _, ..] => elf_interpreter(head, false),
        _ => None,
    };
    assert_eq!(found, expected, "{}", head.escape_ascii());
    if let Some(name) = found {
        assert!(
            !name.is_empty() && !name.contains(&0),
            "{}",
            name.escape_ascii()
        );
    }
}

/// The kernel takes a zero byte for a blank.
fn script_interpreter(line: &[u8]) -> Option<&[u8]> {
    let end = line.iter().position(|byte| *byte == b'\n');
    let line = &line[..end.unwrap_or(line.len())];
    let is_blank = |byte: &u8| b" \t\0".contains(byte);
    let start = line.iter().position(|byte| !is_blank(byte))?;
    let name = &line[start..];
    Some(&name[..name.iter().position(is_blank).unwrap_or(name.len())])
}

/// The first program header of type 3 has the offset of the name. All numbers are little-endian.
fn elf_interpreter(head: &[u8], wide: bool) -> Option<&[u8]> {
    let number = |at: u64, size: u64| {
        let bytes = head.get(usize::try_from(at).ok()?..)?;
        let bytes = bytes.get(..size as usize)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    };
    // Of e_phoff and p_offset, only the lower half is read.
    let (table, sizes, offset) = match wide {
        true => (number(0x20, 4)?, 0x36, 8),
        false => (number(0x1c, 4)?, 0x2a, 4),
    };
    let (size, count) = (number(sizes, 2)?, number(sizes + 2, 2)?);
    for index in 0..count {
        let entry = table + index * size;
        if number(entry, 4)? == 3 {
            let start = usize::try_from(number(entry + offset, 4)?).ok()?;
            let name = head.get(start..)?;
            let end = name.iter().position(|byte| *byte == 0)?;
            return Some(&name[..end]).filter(|name| !name.is_empty());
        }
    }
    None
}
