//! The interpreter that the first bytes of an executable file name. Pure.

use crate::text::split_once;

/// The interpreter that the first bytes of a file name: the program after `#!` in a script, or the dynamic
/// linker of an ELF file. The kernel takes a zero byte in a script for a blank. `None` if they name none, or
/// not the whole name.
#[inline(never)]
#[must_use]
pub fn interpreter(head: &[u8]) -> Option<&[u8]> {
    match head {
        [b'#', b'!', line @ ..] => {
            let line = split_once(line, b'\n').0;
            line.split(|byte| matches!(byte, b' ' | b'\t' | 0))
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
            return end.filter(|_| !path.is_empty()).map(|_| path);
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
        assert_eq!(interpreter(b"#!/bin/sh\0x\n"), Some(&b"/bin/sh"[..]));
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
