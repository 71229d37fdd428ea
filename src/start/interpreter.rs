//! The interpreter of an executable file.

use core::ffi::CStr;

use super::path_search::any_path;
use crate::sys::{self, CStrings, Open};
use crate::text::split_once;

/// Returns the interpreter of a command: the program after `#!` in a script, or the dynamic linker of an
/// ELF file. If [`spawn`](crate::spawn) fails with `ExecFailed` and `ENOENT`, the interpreter is missing.
///
/// The command is searched for as [`spawn`](crate::spawn) does, and its first bytes are read into
/// `buffer`; 4096 bytes are usually enough. `None` if the file does not exist, cannot be read or names no
/// interpreter, or if the name lies beyond the end of `buffer`. See execve(2) and elf(5).
#[inline(never)]
pub fn interpreter_of<'b>(
    program: &CStr,
    envp: CStrings<'_>,
    buffer: &'b mut [u8],
) -> Option<&'b [u8]> {
    let mut file = None;
    any_path(program.into(), envp, b".", &mut |path| {
        file = path.and_then(|path| sys::open(path, Open::Read).ok());
        file.is_some()
    });
    let file = file?;
    let length = sys::read(file.raw(), buffer).ok()?;
    interpreter(buffer.get(..length as usize)?)
}

/// The interpreter that the first bytes of a file name.
fn interpreter(head: &[u8]) -> Option<&[u8]> {
    match head {
        [b'#', b'!', line @ ..] => {
            let line = split_once(line, b'\n').0;
            line.split(|byte| matches!(byte, b' ' | b'\t'))
                .find(|word| !word.is_empty())
        }
        [0x7f, b'E', b'L', b'F', class, ..] => elf_interpreter(head, *class == 2),
        _ => None,
    }
}

/// The `PT_INTERP` entry of a little-endian ELF file (elf(5)). Of 64-bit numbers, only the lower half is
/// read.
fn elf_interpreter(head: &[u8], wide: bool) -> Option<&[u8]> {
    const PT_INTERP: usize = 3;
    let number = |at: usize| {
        let bytes = head.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes) as usize)
    };
    let (table_at, sizes_at, offset_at) = if wide { (32, 54, 8) } else { (28, 42, 4) };
    let mut entry = number(table_at)?;
    let sizes = number(sizes_at)?;
    let (entry_size, entries) = (sizes & 0xffff, sizes >> 16);
    for _ in 0..entries {
        if number(entry)? == PT_INTERP {
            let offset = number(entry.saturating_add(offset_at))?;
            let (path, end) = split_once(head.get(offset..)?, 0);
            return end.map(|_| path);
        }
        entry = entry.saturating_add(entry_size);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::interpreter;

    #[test]
    fn the_interpreter_of_a_script_and_of_an_executable() {
        assert_eq!(interpreter(b"#!/bin/sh\nexit\n"), Some(&b"/bin/sh"[..]));
        assert_eq!(
            interpreter(b"#! \t/usr/bin/env python3\n"),
            Some(&b"/usr/bin/env"[..])
        );
        assert_eq!(interpreter(b"#!/bin/sh"), Some(&b"/bin/sh"[..]));
        assert_eq!(interpreter(b"#!\n/bin/sh"), None);
        assert_eq!(interpreter(b"exit 3\n"), None);
        assert_eq!(interpreter(b"\x7fELF\x02"), None);
        let own = fs::read("/proc/self/exe").unwrap();
        let linker = interpreter(&own[..4096]).unwrap();
        assert!(
            linker.starts_with(b"/lib") && linker.windows(3).any(|part| part == b"ld-"),
            "{linker:?}"
        );
    }
}
