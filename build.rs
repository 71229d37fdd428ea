//! Links the command as a static executable, without C start files and without an interpreter. The flags do not
//! apply to the library or to programs that depend on it.

fn main() {
    println!("cargo::rerun-if-changed=src/command/link.ld");
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
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/command/link.ld");
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{script}");
}
