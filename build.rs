//! Links the command as one static file that needs nothing: no C start files, no interpreter.
//! The library and everything that depends on it link as they always do.

use std::path::Path;
use std::{env, fs, io};

/// One segment with one section: nothing is written to at run time, and every further one costs its
/// headers. Nothing unwinds, so the unwind tables, a tenth of the file, are left out.
const SCRIPT: &str = "\
ENTRY(_start)
PHDRS { all PT_LOAD FILEHDR PHDRS FLAGS(5); stack PT_GNU_STACK FLAGS(6); }
SECTIONS {
  . = 0x200000 + SIZEOF_HEADERS;
  .text : {
    *(.rodata .rodata.* .srodata .srodata.* .data.rel.ro .data.rel.ro.* .got .got.plt)
    *(.text .text.*)
  } :all
  /DISCARD/ : { *(.eh_frame .data.DW.ref.* .comment .note.* .ARM.* .riscv.attributes) }
  .data : { *(.data .data.* .sdata .sdata.* .bss .bss.* .sbss .sbss.*) } :all
  ASSERT(SIZEOF(.data) == 0, \"the command must not have variables\")
}
";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let script = Path::new(&env::var_os("OUT_DIR").unwrap_or_default()).join("command.ld");
    fs::write(&script, SCRIPT)?;
    for argument in [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--build-id=none",
        "-Wl,-z,norelro",
        "-Wl,--no-eh-frame-hdr",
    ] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
    Ok(())
}
