//! The interpreter of a command.

use core::ffi::CStr;

use super::file_head::interpreter;
use super::path_search::any_path;
use crate::sys::{self, CStrings, Open};

/// Returns the interpreter of a command: the program after `#!` in a script, or the dynamic linker of an
/// ELF file. If [`spawn`](crate::spawn) fails with `ExecFailed` and `ENOENT`, the interpreter is missing.
///
/// The command is searched for as [`spawn`](crate::spawn) does, and its first bytes are read into
/// `buffer`; 4096 bytes are usually enough. `None` if the file does not exist, cannot be read or names no
/// interpreter, or if the name lies beyond the end of `buffer`. See execve(2) and elf(5).
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
