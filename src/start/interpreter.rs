//! Why a command could not be executed: its interpreter, and the machine that it is for.

use core::ffi::CStr;

use super::file_head::{elf_interpreter, elf_machine, is_script, script_interpreter};
use super::path_search::any_path;
use crate::packed::packed;
use crate::sys::{self, CStrings, Open};
use crate::text::{Lines, Sink, split_once, write_number};

/// The machines of ELF files: the lower byte of the number, and a name. Only old machines share these bytes.
static MACHINES: Lines = Lines::of_bytes(
    b"\x03i386\n\x08mips\n\x14powerpc\n\x15powerpc64\n\x16s390\n\x28arm\n\x3ex86-64\n\xb7aarch64\n\xf3riscv\n\
    \x02loongarch\n",
);

/// The interpreter of a script that names none.
const SHELL: &[u8] = b"/bin/sh";

/// Writes why a command that exists could not be executed. After `ENOENT`, that is its interpreter: the program after
/// `#!` in a script, or the dynamic linker of an ELF file. After `ENOEXEC`, it is the machine that an ELF file is for.
///
/// The command is searched for as [`spawn`](crate::spawn) does. Writes nothing if the file cannot be read, or has no
/// reason in it. See execve(2) and elf(5).
#[inline(never)]
pub fn describe_file(program: &CStr, envp: CStrings<'_>, is_format: bool, out: &mut Sink<'_>) {
    let mut file = None;
    any_path(program.into(), envp, b".", &mut |path| {
        file = path.and_then(|path| sys::open(path, Open::Read).ok());
        file.is_some()
    });
    let Some(file) = file else {
        return;
    };
    let mut buffer = [0; 4096];
    let _ = sys::read(file.raw(), &mut buffer);
    if is_format {
        let Some(machine) = elf_machine(&buffer) else {
            return;
        };
        packed!("; it is for ").write(out);
        match MACHINES
            .iter()
            .find(|line| line.first() == Some(&(machine as u8)))
        {
            Some(name) => out(name.get(1..).unwrap_or_default()),
            None => {
                packed!("machine ").write(out);
                write_number(machine.into(), out);
            }
        }
        return;
    }
    let name = match elf_interpreter(&buffer) {
        Some(offset) => {
            buffer = [0; 4096];
            let _ = sys::seek(file.raw(), offset).and_then(|()| sys::read(file.raw(), &mut buffer));
            split_once(&buffer, 0).0
        }
        None => match script_interpreter(&buffer) {
            None if is_script(&buffer) => SHELL,
            name => name.unwrap_or_default(),
        },
    };
    if !name.is_empty() {
        packed!("; its interpreter ").write(out);
        out(name);
        packed!(" may be missing").write(out);
    }
}
