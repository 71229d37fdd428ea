//! The programs that are measured: the command, those that are written here, and those that are installed.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// For a static program without a C library.
const BARE: &[&str] = &[
    "-O2",
    "-static",
    "-nostdlib",
    "-ffreestanding",
    "-fno-stack-protector",
    "-fno-pie",
    "-no-pie",
    "-fno-asynchronous-unwind-tables",
    "-Wl,--build-id=none",
    // All in one segment.
    "-Wl,-N",
    "-s",
];

/// Each with its compiler.
const SOURCES: [(&str, &str, &[&str]); 3] = [
    ("floor", "cc", BARE),
    ("stamp", "cc", BARE),
    ("daemon3", "musl-gcc", &["-O2", "-static", "-s"]),
];

/// The path of the command, once it has been built.
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
    if command.status()?.success() {
        Ok(())
    } else {
        Err(io::Error::other("the command cannot be built"))
    }
}

/// The folder of the programs that are written here.
pub struct Programs(TempDir);

impl Programs {
    /// Compiles the programs, and reports those that cannot be compiled.
    pub fn compile() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        for (name, compiler, options) in SOURCES {
            let source = format!("{}/programs/{name}.c", env!("CARGO_MANIFEST_DIR"));
            let mut command = Command::new(compiler);
            command
                .args(options)
                .arg("-o")
                .arg(folder.path().join(name));
            match command.arg(source).output() {
                Ok(output) if output.status.success() => {}
                Ok(_) => println!("left out: {name}, which {compiler} does not compile"),
                Err(error) => println!("left out: {name}, for {compiler}: {error}"),
            }
        }
        Ok(Self(folder))
    }

    /// Finds a program of this name, in PATH too.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        if name == "rawdaemon" {
            return Some(rawdaemon());
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let own = self.0.path().to_path_buf();
        [own]
            .into_iter()
            .chain(env::split_paths(&path))
            .map(|folder| folder.join(name))
            .find(|path| path.is_file())
    }
}
