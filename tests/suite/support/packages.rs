//! The programs of the packages below `tests`, which are separate as those of users are. Cargo builds them on
//! first use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
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

/// The path of a program in `tests/clients`, a package of its own. Without it, the test is skipped.
pub fn client(name: &str) -> Option<PathBuf> {
    static BUILT: LazyLock<Result<PathBuf, String>> =
        LazyLock::new(|| build_package("clients", "dev", &["client_sd_notify"]));
    let path = program(&BUILT, name)?;
    if !path.exists() {
        skip("tests/clients/run has not built the program");
        return None;
    }
    Some(path)
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

/// The tests of the crate `fork`, by the names of their files. They are compiled where Cargo has put the crate,
/// with `tests/ports/fork_shim` in its place. Without them, the test is skipped.
pub fn fork_tests(names: &[&str]) -> Option<Vec<PathBuf>> {
    build_fork_tests(names).inspect_err(|why| skip(why)).ok()
}

fn build_fork_tests(names: &[&str]) -> Result<Vec<PathBuf>, String> {
    if std::env::var_os(PROGRAMS).is_some() {
        return Err("the tests of fork are built by Cargo".into());
    }
    let ports = Path::new("tests/ports");
    if !package_folder().join(ports).exists() {
        return Err("the packaged crate has no tests/ports".into());
    }
    let metadata = metadata(&ports.join("Cargo.toml"))?;
    let is_fork = |path: &Path| {
        let folder = path.parent().and_then(Path::file_name);
        path.is_absolute() && folder.is_some_and(|name| name.to_str().unwrap().starts_with("fork-"))
    };
    let mut paths = metadata.split('"').map(Path::new);
    let fork = paths.find(|path| path.ends_with("Cargo.toml") && is_fork(path));
    let sources = fork.ok_or("fork is no dependency")?.with_file_name("tests");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fork_tests");
    let shim = package_folder().join("tests/ports/fork_shim");
    let mut manifest = format!(
        "[workspace]\n[package]\nname = \"fork_tests\"\nedition = \"2024\"\n[dependencies]\n\
        fork = {{ package = \"fork_shim\", path = {shim:?} }}\nlibc = \"0.2\"\n"
    );
    for name in names {
        let source = sources.join(name).with_extension("rs");
        let text = fs::read_to_string(&source).map_err(|error| format!("{source:?}: {error}"))?;
        let has_main = text.contains("\nfn main()");
        let harness = !has_main;
        manifest += &format!("[[test]]\nname = {name:?}\npath = {source:?}\nharness = {harness}\n");
    }
    let lock = package_folder().join(ports).join("Cargo.lock");
    fs::create_dir_all(folder.join("src"))
        .and_then(|()| fs::write(folder.join("src/lib.rs"), ""))
        .and_then(|()| fs::write(folder.join("Cargo.toml"), manifest))
        .and_then(|()| fs::copy(lock, folder.join("Cargo.lock")))
        .map_err(|error| format!("{} cannot be written to: {error}", folder.display()))?;
    // The same folder as for the ports, which have the same dependencies.
    let target_folder = folder.with_file_name("ports");
    let mut cargo = cargo_build(&folder.join("Cargo.toml"), &target_folder);
    cargo.args(["--offline", "--tests", "--message-format=json"]);
    let output = cargo.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{cargo:?}: {}", output.status);
    let messages = String::from_utf8(output.stdout).unwrap();
    let built = |name: &&str| {
        let start = format!("/{name}-");
        let paths = messages.split("\"executable\":\"").skip(1);
        let mut paths = paths.map(|rest| rest.split('"').next().unwrap());
        PathBuf::from(paths.find(|path| path.contains(&start)).unwrap())
    };
    Ok(names.iter().map(built).collect())
}
