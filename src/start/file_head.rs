//! What the first bytes of an executable file say: its interpreter, and the machine that it is for. Pure.

use crate::text::split_once;

/// The interpreter that the first bytes of a file name: the program after `#!` in a script, or the dynamic
/// linker of an ELF file. The kernel takes a zero byte in a script for a blank. `None` if they name none, or
/// not the whole name.
#[must_use]
pub fn interpreter(head: &[u8]) -> Option<&[u8]> {
    let Some(offset) = elf_interpreter(head) else {
        return script_interpreter(head);
    };
    let (path, end) = split_once(head.get(offset..)?, 0);
    end.filter(|_| !path.is_empty()).map(|_| path)
}

/// The program after `#!`.
pub(super) fn script_interpreter(head: &[u8]) -> Option<&[u8]> {
    let [b'#', b'!', line @ ..] = head else {
        return None;
    };
    let line = split_once(line, b'\n').0;
    line.split(|byte| matches!(byte, b' ' | b'\t' | 0))
        .find(|word| !word.is_empty())
}

/// Where the interpreter's name lies in an ELF file for this machine: its `PT_INTERP` entry (elf(5)).
pub(super) fn elf_interpreter(head: &[u8]) -> Option<usize> {
    find_interpreter::<{ cfg!(target_endian = "big") }>(head)
}

/// [`elf_interpreter`], with this byte order. Of 64-bit numbers, only the lower half is read.
#[inline(never)]
fn find_interpreter<const IS_BIG_ENDIAN: bool>(head: &[u8]) -> Option<usize> {
    const PT_INTERP: usize = 3;
    let [0x7f, b'E', b'L', b'F', class, ..] = head else {
        return None;
    };
    let number = |at: usize| {
        let bytes = *head.get(at..)?.first_chunk()?;
        Some(match IS_BIG_ENDIAN {
            true => u32::from_be_bytes(bytes) as usize,
            false => u32::from_le_bytes(bytes) as usize,
        })
    };
    let (table_at, sizes_at, offset_at) = match (*class == 2, IS_BIG_ENDIAN) {
        (true, false) => (32, 54, 8),
        (true, true) => (36, 54, 12),
        (false, _) => (28, 42, 4),
    };
    let mut entry = number(table_at)?;
    // Two numbers of 16 bits.
    let sizes = number(sizes_at)?;
    let (low, high) = (sizes & 0xffff, sizes >> 16);
    let (entry_size, entries) = if IS_BIG_ENDIAN {
        (high, low)
    } else {
        (low, high)
    };
    for _ in 0..entries {
        if number(entry)? == PT_INTERP {
            return number(entry.saturating_add(offset_at));
        }
        entry = entry.saturating_add(entry_size);
    }
    None
}

/// The machine that an ELF file is for: its number, such as `EM_X86_64` (elf(5)).
pub(super) fn elf_machine(head: &[u8]) -> Option<u16> {
    let [0x7f, b'E', b'L', b'F', _, order, ..] = head else {
        return None;
    };
    let bytes = *head.get(18..)?.first_chunk()?;
    Some(match order {
        2 => u16::from_be_bytes(bytes),
        _ => u16::from_le_bytes(bytes),
    })
}

/// Whether a file with this head, which the kernel does not execute, may be a script for the shell: its first line has
/// no control characters. Shells refuse others, too.
#[inline(never)]
pub(super) fn is_script(head: &[u8]) -> bool {
    for byte in head {
        match byte {
            b'\n' => break,
            0..=8 | 14..=31 | 127 => return false,
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{elf_machine, find_interpreter, interpreter, is_script};

    #[test]
    fn a_script_is_text() {
        for head in [&b""[..], b"exit 3", b"\techo \xff\r\n\0", b"#!/bin/sh"] {
            assert!(is_script(head), "{head:?}");
        }
        for head in [&b"\0"[..], b"\x7fELF", b"exit \x1b\n", b"PK\x03\x04"] {
            assert!(!is_script(head), "{head:?}");
        }
    }

    #[test]
    fn the_machine_of_an_executable() {
        let machine = |order| {
            let mut head = *b"\x7fELF\x01\0\0\0\0\0\0\0\0\0\0\0\x02\0\x01\x02";
            head[5] = order;
            elf_machine(&head)
        };
        assert_eq!((machine(1), machine(2)), (Some(0x201), Some(0x102)));
        assert_eq!(elf_machine(b"\x7fELF\x02\x01"), None);
        assert_eq!(elf_machine(b"#!/bin/sh and more text"), None);
    }

    /// An executable for a big-endian machine, with two entries.
    fn big_endian(is_wide: bool) -> [u8; 256] {
        let mut head = [0_u8; 256];
        let (class, table, sizes, offset) = match is_wide {
            true => (2, 32 + 4, 54, 8 + 4),
            false => (1, 28, 42, 4),
        };
        head[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 2]);
        head[table..][..4].copy_from_slice(&100_u32.to_be_bytes());
        head[sizes..][..4].copy_from_slice(&[0, 56, 0, 2]);
        head[156..][..4].copy_from_slice(&3_u32.to_be_bytes());
        head[156 + offset..][..4].copy_from_slice(&240_u32.to_be_bytes());
        head
    }

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
        for is_wide in [false, true] {
            let head = big_endian(is_wide);
            assert_eq!(find_interpreter::<true>(&head), Some(240));
            assert_eq!(find_interpreter::<false>(&head), None);
        }
        let own = fs::read("/proc/self/exe").unwrap();
        let linker = interpreter(&own[..4096]).unwrap();
        assert!(
            linker.starts_with(b"/lib") && linker.windows(3).any(|part| part == b"ld-"),
            "{linker:?}"
        );
    }
}
