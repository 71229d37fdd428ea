//! The measured programs: the command, the C programs of the benchmark, and installed ones.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// What peers.sh unpacks.
const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/peers");

/// Compiler options for a static program without a C library.
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
    // A single segment.
    "-Wl,-N",
    "-s",
];

/// The C programs: name, compiler and options.
const SOURCES: [(&str, &str, &[&str]); 5] = [
    ("floor", "cc", BARE),
    ("stamp", "cc", BARE),
    ("stay", "cc", BARE),
    ("flood", "cc", BARE),
    ("daemon3", "musl-gcc", &["-O2", "-static", "-s"]),
];

/// The path of the command. [`build_rawdaemon`] builds it.
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
        Err(io::Error::other("cannot build the command"))
    }
}

/// The directory of the compiled C programs.
pub struct Programs(TempDir);

impl Programs {
    /// Compiles the C programs. Prints the names of those that do not compile.
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
                Ok(_) => println!("skipped: {name}: {compiler} failed"),
                Err(error) => println!("skipped: {name}: {compiler}: {error}"),
            }
        }
        Ok(Self(folder))
    }

    /// Finds a program: the command, a C program, one in PATH, or one that peers.sh has unpacked.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        if name == "rawdaemon" {
            return Some(rawdaemon());
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let compiled = self.0.path().to_path_buf();
        let unpacked =
            ["usr/bin", "usr/sbin", "bin", "sbin"].map(|name| Path::new(PEERS).join(name));
        [compiled]
            .into_iter()
            .chain(env::split_paths(&path))
            .chain(unpacked)
            .map(|folder| folder.join(name))
            .find(|path| path.is_file())
    }
}

/// The shared libraries that peers.sh has unpacked.
pub fn libraries() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = library_folders()
        .into_iter()
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// The value of LD_LIBRARY_PATH for a program that peers.sh has unpacked.
pub fn library_path() -> OsString {
    env::join_paths(library_folders()).unwrap_or_default()
}

/// The folders of each architecture in `lib`.
fn library_folders() -> Vec<PathBuf> {
    ["lib", "usr/lib"]
        .iter()
        .flat_map(|name| {
            fs::read_dir(Path::new(PEERS).join(name))
                .into_iter()
                .flatten()
                .flatten()
        })
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with("-linux-gnu"))
        .collect()
}
