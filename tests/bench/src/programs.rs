//! The programs that are measured.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Where the command is, once it has been built.
pub fn rawdaemon() -> PathBuf {
    Path::new(ROOT).join("target/release/rawdaemon")
}

/// Builds the command.
pub fn build_rawdaemon() -> io::Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--manifest-path"]);
    command.arg(Path::new(ROOT).join("Cargo.toml"));
    command
        .arg("--target-dir")
        .arg(Path::new(ROOT).join("target"));
    let status = command.status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other("the command cannot be built"))
    }
}
