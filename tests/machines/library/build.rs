//! Links the program as a static executable, without libc and without C start files.

fn main() {
    for argument in ["-nostdlib", "-static", "-no-pie"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
