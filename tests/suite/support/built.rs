//! The programs of this package that the tests run. Cargo builds them on first use, so none is stale.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use rustix::fs::{Access, access};

use super::skip;

/// The command that Cargo has built for these tests.
const COMMAND: &str = env!("CARGO_BIN_EXE_rawdaemon");

/// Names another build of the command, which is tested in its place.
pub const OTHER_COMMAND: &str = "RAWDAEMON_COMMAND";

/// Names a folder that has the command and all test programs. Nothing is built then.
pub const PROGRAMS: &str = "RAWDAEMON_PROGRAMS";

fn built_before(name: &str) -> Option<PathBuf> {
    Some(Path::new(&std::env::var_os(PROGRAMS)?).join(name))
}

/// The path of the command under test.
pub fn tested_command() -> &'static str {
    static PATH: LazyLock<String> = LazyLock::new(|| {
        let other = std::env::var_os(OTHER_COMMAND).map(PathBuf::from);
        let path = other.or_else(|| built_before("rawdaemon"));
        path.map_or(COMMAND.into(), |path| path.to_str().unwrap().into())
    });
    &PATH
}

/// The examples in `Cargo.toml`.
const EXAMPLES: [&str; 4] = ["c_library", "notifier", "repeat", "std_program"];

/// Whether there are test programs. If not, the test is skipped.
pub fn has_test_programs() -> bool {
    static BUILT: LazyLock<Result<(), String>> = LazyLock::new(build_examples);
    BUILT.as_ref().inspect_err(|why| skip(why)).is_ok()
}

/// The path of a test program.
pub fn example(name: &str) -> PathBuf {
    assert!(EXAMPLES.contains(&name), "{name} is not among the examples");
    assert!(has_test_programs(), "the test asks has_test_programs()");
    example_path(name)
}

fn example_path(name: &str) -> PathBuf {
    built_before(name).unwrap_or_else(|| profile_folder().join("examples").join(name))
}

/// `target/debug`, for instance.
fn profile_folder() -> &'static Path {
    Path::new(COMMAND).parent().unwrap()
}

/// Builds the examples as `cargo test` does for these tests: with the same options, in the same folder.
fn build_examples() -> Result<(), String> {
    let name = |path: &'static Path| path.file_name().unwrap().to_str().unwrap();
    let profile = match name(profile_folder()) {
        "debug" => "dev",
        profile => profile,
    };
    let mut target_folder = profile_folder().parent().unwrap();
    let mut options = Vec::new();
    // With `--target`, there is a folder between, which has the name of the target.
    if name(target_folder).contains("-linux-") {
        options = vec!["--target", name(target_folder)];
        target_folder = target_folder.parent().unwrap();
    }
    options.extend(["--examples", "--profile", profile]);
    let mut cargo = cargo_build(Path::new("Cargo.toml"), target_folder);
    cargo.args(options);
    // `cargo test` builds libraries and examples that unwind, whatever the profile says. So does this:
    // otherwise Cargo would build all of it again.
    let variable = profile.to_uppercase().replace('-', "_");
    cargo.env(format!("CARGO_PROFILE_{variable}_PANIC"), "unwind");
    // Cargo passes it on to the tests, but it may not be Cargo that runs them.
    if cfg!(rawdaemon_plain_fork) && std::env::var_os("RUSTFLAGS").is_none() {
        cargo.env("RUSTFLAGS", "--cfg rawdaemon_plain_fork");
    }
    run(cargo, profile_folder(), &EXAMPLES.map(example_path))
}

/// Cargo sets the variable when it builds the tests and when it runs them.
pub fn package_folder() -> PathBuf {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR");
    folder.map_or(env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

pub(super) fn cargo_build(manifest: &Path, target_folder: &Path) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--manifest-path"]);
    cargo.arg(package_folder().join(manifest));
    cargo.arg("--target-dir").arg(target_folder);
    cargo
}

/// Runs Cargo, which must succeed. A user who cannot run it, or may not write to this folder, gets the
/// programs that are there.
pub(super) fn run(
    mut cargo: Command,
    folder: &Path,
    programs: &[impl AsRef<Path>],
) -> Result<(), String> {
    if std::env::var_os(PROGRAMS).is_some() {
        return Ok(());
    }
    let nearest = folder.ancestors().find(|folder| folder.exists());
    let why = if nearest.is_none_or(|folder| access(folder, Access::WRITE_OK).is_err()) {
        format!("{} cannot be written to", folder.display())
    } else {
        match cargo.status() {
            Ok(status) => {
                assert!(status.success(), "{cargo:?}: {status}");
                return Ok(());
            }
            Err(error) => format!("cargo cannot be run: {error}"),
        }
    };
    let are_there = programs.iter().all(|program| program.as_ref().is_file());
    if are_there {
        Ok(())
    } else {
        Err(format!("the program is not built: {why}"))
    }
}
