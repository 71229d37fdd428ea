//! The programs of the packages below `tests`, which are separate as those of users are. Cargo builds them on
//! first use.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::built::{cargo_build, run};
use super::{PROGRAMS, package_folder, skip};

/// The path of the program in `tests/nolibc`. Without it, the test is skipped.
pub fn nolibc_program() -> Option<PathBuf> {
    static BUILT: LazyLock<Result<PathBuf, String>> =
        LazyLock::new(|| build_package("nolibc", "release", &["nolibc"]));
    program(&BUILT, "nolibc")
}

/// The path of the program in `tests/origin`. Without it, the test is skipped.
pub fn origin_program() -> Option<PathBuf> {
    static BUILT: LazyLock<Result<PathBuf, String>> =
        LazyLock::new(|| build_package("origin", "release", &["origin-daemon"]));
    program(&BUILT, "origin-daemon")
}

/// The programs in `tests/ports`, a package of its own.
const PORTS: [&str; 10] = [
    "checked_fork",
    "checked_rawdaemon",
    "gateway_daemonize",
    "gateway_rawdaemon",
    "network_daemonize",
    "network_rawdaemon",
    "tokio_daemonize",
    "tokio_spawn",
    "wallet_daemonize",
    "wallet_rawdaemon",
];

/// The path of a program in `tests/ports`. Without it, the test is skipped.
pub fn port(name: &str) -> Option<PathBuf> {
    static BUILT: LazyLock<Result<PathBuf, String>> =
        LazyLock::new(|| build_package("ports", "dev", &PORTS));
    assert!(PORTS.contains(&name), "{name} is not among the ports");
    program(&BUILT, name)
}

fn program(folder: &Result<PathBuf, String>, name: &str) -> Option<PathBuf> {
    let folder = folder.as_ref().inspect_err(|why| skip(why)).ok()?;
    Some(folder.join(name))
}

/// Builds a package of its own in `tests`. Returns the folder that has its programs.
fn build_package(name: &str, profile: &str, programs: &[&str]) -> Result<PathBuf, String> {
    if let Some(folder) = std::env::var_os(PROGRAMS) {
        return Ok(folder.into());
    }
    let manifest = Path::new("tests").join(name).join("Cargo.toml");
    if !package_folder().join(&manifest).exists() {
        return Err(format!("the packaged crate has no tests/{name}"));
    }
    let target_folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let folder = target_folder.join(match profile {
        "dev" => "debug",
        profile => profile,
    });
    let programs: Vec<_> = programs
        .iter()
        .map(|program| folder.join(program))
        .collect();
    if let Err(why) = metadata(&manifest) {
        let are_there = programs.iter().all(|program| program.is_file());
        return if are_there { Ok(folder) } else { Err(why) };
    }
    let mut cargo = cargo_build(&manifest, &target_folder);
    cargo.args(["--locked", "--profile", profile]);
    run(cargo, &target_folder, &programs)?;
    Ok(folder)
}

/// Downloads the dependencies of a package, and returns what Cargo says of them, as JSON. That fails without
/// a network.
fn metadata(manifest: &Path) -> Result<String, String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--quiet", "--format-version=1", "--locked"]);
    cargo.arg("--manifest-path");
    cargo.arg(package_folder().join(manifest));
    let output = cargo.output();
    let output = output.map_err(|error| format!("cargo cannot be run: {error}"))?;
    let says = String::from_utf8_lossy(&output.stderr);
    assert!(!says.contains("--locked"), "{cargo:?}: {says}");
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        let why = says.lines().next().unwrap_or_default();
        Err(format!("the dependencies cannot be had: {why}"))
    }
}
