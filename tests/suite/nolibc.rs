//! The library without `std` and libc: the program in `tests/nolibc`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Daemon, Place, before_exec, pid_in, skip};

/// The program without `std` and libc is a package of its own, as such programs are.
fn nolibc_program() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nolibc");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nolibc/Cargo.toml");
    if !manifest.exists() {
        skip("the packaged crate has no tests/nolibc");
        return None;
    }
    let program = target.join("release/nolibc");
    // Whoever may not write there, as an ordinary user, has what was built before.
    let folder = target.join("release");
    let writable = |path: &Path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    let nearest = folder.ancestors().find(|folder| folder.exists());
    if !nearest.is_some_and(writable) {
        if program.is_file() {
            return Some(program);
        }
        skip(format!("{} cannot be written to", folder.display()));
        return None;
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--manifest-path",
        ])
        .arg(manifest);
    match cargo.arg("--target-dir").arg(&target).status() {
        Ok(status) => assert!(status.success()),
        Err(error) => {
            skip(format!("cargo cannot be run: {error}"));
            return None;
        }
    }
    Some(program)
}

#[test]
fn a_program_without_std_and_libc() {
    let Some(program) = nolibc_program() else {
        return;
    };
    let place = Place::new();
    let output = place.run(&mut place.program(&program, ["pid"]));
    assert_eq!(output.code(), 0, "{output:?}");
    let daemon = Daemon::new(output.pid());
    let mut state = daemon.state();
    assert_eq!(place.read("pid"), format!("{}\n", daemon.pid));
    assert_eq!(state.umask, "", "the umask is 0");
    (state.umask, state.ignored) = ("22".into(), String::new());
    let lock = state.descriptors.split_off(&3);
    assert_eq!(lock.into_values().collect::<Vec<_>>(), [place.path("pid")]);
    state.assert_well_behaved(daemon.pid);
    let output = place.run(&mut place.program(&program, ["pid"]));
    let says = format!("nolibc: already running as pid {}\n", daemon.pid);
    assert_eq!((output.code(), output.stderr), (12, says));
}

/// Unlike the runtime of Rust, such a program does not open what is closed.
#[test]
fn a_program_without_libc_may_have_descriptors_0_to_2_closed() {
    let Some(program) = nolibc_program() else {
        return;
    };
    for closed in 0..8 {
        let place = Place::new();
        let mut command = place.program(&program, ["pid"]);
        before_exec(&mut command, move || {
            for fd in (0..3).filter(|fd| closed & (1 << fd) != 0) {
                // SAFETY: a number only.
                unsafe { libc::close(fd) };
            }
            Ok(())
        });
        assert_eq!(place.run(&mut command).code(), 0, "{closed:#b}");
        let daemon = Daemon::new(pid_in(&place.path("pid")));
        let mut descriptors = daemon.state().descriptors;
        let lock = descriptors.split_off(&3);
        assert_eq!(
            lock.into_values().collect::<Vec<_>>(),
            [place.path("pid")],
            "{closed:#b}"
        );
        let null = Path::new("/dev/null");
        assert!(
            descriptors.values().all(|file| file == null),
            "{closed:#b}: {descriptors:?}"
        );
        assert_eq!(descriptors.len(), 3, "{closed:#b}: {descriptors:?}");
    }
}
