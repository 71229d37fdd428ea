//! Links the command as one static file: no C start files, no interpreter. The library and the programs that
//! depend on it link as they always do.

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
