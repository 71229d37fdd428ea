//! Links the command as a static executable, without C start files and without an interpreter. The flags do not
//! apply to the library or to programs that depend on it.

fn main() {
    println!("cargo::rerun-if-changed=src/command/link.ld");
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
