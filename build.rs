//! Refuses machines that the package does not know, and links the command as a static executable, without C start
//! files and without an interpreter. The flags do not apply to the library or to programs that depend on it.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/command/link.ld");
    if let Some(reason) = refusal() {
        // Cargo compiles nothing more, so this is the only error.
        println!("cargo::error=rawdaemon does not run here: {reason}");
        return;
    }
    // Both C compilers and linkers take each of these.
    for argument in ["-nostdlib", "-static", "-no-pie", "-z", "norelro"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    if !is_mold() {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/command/link.ld");
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
}

/// Whether the flags choose mold, which knows no linker scripts. Without the script, the command is larger.
fn is_mold() -> bool {
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let mut from_last = flags.rsplit('\x1f');
    let chosen = from_last.find_map(|flag| Some(flag.split_once("-fuse-ld=")?.1));
    chosen.is_some_and(|linker| linker.ends_with("mold"))
}

/// Why the package cannot be compiled for the target, if so.
fn refusal() -> Option<&'static str> {
    let [system, architecture, width, endian] = [
        "CARGO_CFG_TARGET_OS",
        "CARGO_CFG_TARGET_ARCH",
        "CARGO_CFG_TARGET_POINTER_WIDTH",
        "CARGO_CFG_TARGET_ENDIAN",
    ]
    .map(|name| env::var(name).unwrap_or_default());
    match (&*architecture, &*width, &*endian) {
        _ if system != "linux" => Some("it is made of Linux system calls"),
        ("x86_64", "32", _) => Some("x32 has system calls of its own; use x86_64 or i686"),
        ("aarch64", "32", _) => Some("Linux has no system calls for ILP32; use aarch64 or arm"),
        ("aarch64", "64", _) => None,
        ("x86_64" | "riscv64" | "loongarch64" | "powerpc64", "64", "little") => None,
        ("s390x", "64", _) | ("mips", "32", _) => None,
        ("x86" | "arm" | "riscv32", "32", "little") => None,
        _ => Some("src/sys/arch has no file for this architecture"),
    }
}
