//! The recipes in `tests/packaging`: what they say, and how they build. `packages` has what they install.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::{Output, Place, copy, has, has_for, package_folder, skip, tested_command};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const APKBUILD: &str = include_str!("../packaging/alpine/APKBUILD");
const BUILDROOT: &str = include_str!("../packaging/buildroot/rawdaemon.mk");
const CONFIG_IN: &str = include_str!("../packaging/buildroot/Config.in");
const OPENWRT: &str = include_str!("../packaging/openwrt/Makefile");
const DEBIAN: &str = include_str!("../packaging/debian/control");
const GUIDE: &str = include_str!("../packaging/README.md");
const YOCTO: &str = "yocto/rawdaemon_0.1.0.bb";

/// Longer than Cargo takes to check or to vendor the command, and lintian to check a package.
pub const CARGO_DEADLINE: Duration = Duration::from_secs(300);

pub fn recipe(name: &str) -> PathBuf {
    package_folder().join("tests/packaging").join(name)
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The value of this line, without quotes.
#[track_caller]
fn value<'a>(text: &'a str, start: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(start));
    line.unwrap_or_else(|| panic!("no line {start}"))
        .trim_matches('"')
}

#[track_caller]
pub fn succeeds(output: Output) -> String {
    assert_eq!(output.code(), 0, "{output:?}");
    output.stdout
}

/// Runs a program to its end, which must be success, and returns what it has printed.
#[track_caller]
pub fn said<const N: usize>(place: &Place, program: &str, arguments: [&str; N]) -> String {
    succeeds(place.run(&mut place.program(Path::new(program), arguments)))
}

/// The files below a folder, by their paths in it.
pub fn files(folder: &Path) -> Vec<String> {
    let mut folders = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// Puts a copy of the command under test here.
pub fn put_command(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    copy(Path::new(tested_command()), path);
}

/// Whether Cargo runs and can get all crates. If not, the test is skipped.
fn has_crates() -> bool {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["fetch", "--quiet", "--locked"]);
    cargo.current_dir(package_folder());
    let why = match cargo.output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    skip(format!("cargo fetch: {}", why.trim_end()));
    false
}

// What the recipes say.

#[test]
fn the_recipes_name_the_version_the_licences_and_the_page_of_the_package() {
    let manifest = read(&package_folder().join("Cargo.toml"));
    let own = value(&manifest, "license = ");
    assert_eq!(own, "MIT OR Apache-2.0");
    let yocto = read(&recipe(&YOCTO.replace("0.1.0", VERSION)));
    let changelog = read(&recipe("debian/changelog"));
    for (found, should_be) in [
        (value(APKBUILD, "pkgver="), VERSION),
        (value(BUILDROOT, "RAWDAEMON_VERSION = "), VERSION),
        (value(OPENWRT, "PKG_VERSION:="), VERSION),
        (changelog.split(['(', '-']).nth(1).unwrap(), VERSION),
    ] {
        assert_eq!(found, should_be);
    }
    // That of the crate syscalls, which is linked into the command, is BSD-2-Clause.
    let all = format!("({own}) AND BSD-2-Clause");
    assert_eq!(value(APKBUILD, "license="), all);
    assert_eq!(value(OPENWRT, "PKG_LICENSE:="), all);
    assert_eq!(value(&yocto, "LICENSE = "), all);
    let in_buildroot = "MIT or Apache-2.0, BSD-2-Clause (syscalls)";
    assert_eq!(value(BUILDROOT, "RAWDAEMON_LICENSE = "), in_buildroot);

    let page = value(&manifest, "documentation = ");
    assert_eq!(value(APKBUILD, "url="), page);
    assert_eq!(value(OPENWRT, "  URL:="), page);
    assert_eq!(value(&yocto, "HOMEPAGE = "), page);
    assert_eq!(value(DEBIAN, "Homepage: "), page);
    // Buildroot wants it as the last line of the help.
    assert_eq!(CONFIG_IN.lines().last().unwrap().trim(), page);
}

#[test]
fn the_licences_of_the_crates_are_those_that_the_recipes_name() {
    if !has_crates() || !has("md5sum") || !has("sha256sum") {
        return;
    }
    let place = Place::new();
    let mut cargo = place.program(Path::new(env!("CARGO")), ["metadata", "--locked"]);
    cargo.args(["--offline", "--format-version", "1"]);
    cargo.current_dir(package_folder());
    let metadata = succeeds(place.run(&mut cargo));
    let manifests = metadata.split("\"manifest_path\":\"").skip(1);
    let manifests = manifests.map(|rest| Path::new(rest.split('"').next().unwrap()));
    let of_crate = |name: &str| {
        let folders = manifests.clone().map(|path| path.parent().unwrap());
        let is_it = |folder: &&Path| {
            let folder = folder.file_name().unwrap().to_str().unwrap();
            folder
                .rsplit_once('-')
                .is_some_and(|(crate_name, _)| crate_name == name)
        };
        folders
            .filter(is_it)
            .map(Path::to_owned)
            .collect::<Vec<_>>()
    };
    let names = ["linux-raw-sys", "syscalls"];
    let licences = [
        "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        "BSD-2-Clause",
    ];
    for (name, licence) in names.into_iter().zip(licences) {
        let folders = of_crate(name);
        assert!(!folders.is_empty(), "{name}");
        for folder in folders {
            let manifest = read(&folder.join("Cargo.toml"));
            assert_eq!(value(&manifest, "license = "), licence, "{folder:?}");
        }
    }

    let syscalls = of_crate("syscalls").remove(0).join("LICENSE");
    let yocto = read(&recipe(YOCTO));
    let hashes = read(&recipe("buildroot/rawdaemon.hash"));
    for (name, file) in [
        ("LICENSE-MIT", package_folder().join("LICENSE-MIT")),
        ("LICENSE-APACHE", package_folder().join("LICENSE-APACHE")),
        ("VENDOR/syscalls/LICENSE", syscalls.clone()),
    ] {
        let sum = |tool| {
            let sums = said(&place, tool, [file.to_str().unwrap()]);
            sums.split(' ').next().unwrap().to_owned()
        };
        let in_yocto = format!("file://{name};md5={} ", sum("md5sum"));
        assert!(yocto.contains(&in_yocto), "{in_yocto}");
        let in_buildroot = format!("\nsha256  {}  {name}\n", sum("sha256sum"));
        assert!(hashes.contains(&in_buildroot), "{in_buildroot}");
        assert!(value(BUILDROOT, "RAWDAEMON_LICENSE_FILES = ").contains(name));
        assert!(value(OPENWRT, "PKG_LICENSE_FILES:=").contains(name));
    }
    // Debian's has the notices of both.
    let words = |text: &str| {
        let words = text.split_whitespace().filter(|word| *word != ".");
        words.collect::<Vec<_>>().join(" ")
    };
    let in_debian = words(&read(&recipe("debian/copyright")));
    for (file, start) in [
        (package_folder().join("LICENSE-MIT"), "Permission is hereby"),
        (syscalls, "Redistribution and use"),
    ] {
        let text = words(&read(&file));
        let notice = &text[text.find(start).unwrap()..];
        assert!(in_debian.contains(notice), "{start}");
    }
}

#[test]
fn the_recipes_install_files_that_exist_and_the_guide_names_each_of_theirs() {
    let mut named = 0;
    for (folder, file) in files(&recipe(""))
        .iter()
        .filter_map(|path| path.split_once('/'))
    {
        assert!(
            GUIDE.contains(&format!("`{file}`")),
            "{folder}: the guide lacks {file}"
        );
        let text = read(&recipe(folder).join(file));
        let is_separator = |c: char| c.is_whitespace() || "\"'{}()".contains(c);
        for word in text.split(is_separator) {
            if let Some(at) = word.find("src/command/") {
                assert!(
                    package_folder().join(&word[at..]).is_file(),
                    "{file}: {word}"
                );
                named += 1;
            }
        }
    }
    assert_eq!(named, 9, "three for each of Yocto, Alpine and Debian");
}

#[test]
fn the_shell_scripts_are_right_for_all_shells() {
    let scripts = [
        "tarball",
        "builds",
        "debian/build",
        "alpine/APKBUILD",
        "buildroot/S50httpd",
        "openwrt/web.init",
    ];
    let place = Place::new();
    for script in scripts.map(recipe) {
        let script = script.to_str().unwrap();
        said(&place, "sh", ["-n", script]);
        if has_for("busybox", "BusyBox' shell") {
            said(&place, "busybox", ["ash", "-n", script]);
        }
    }
}

// The builds.

#[test]
fn one_binary_is_installed_and_atomics_are_small() {
    let manifest = read(&package_folder().join("Cargo.toml"));
    assert_eq!(manifest.matches("[[bin]]").count(), 1);
    let source = package_folder().join("src");
    let found = files(&source);
    assert!(
        !found
            .iter()
            .any(|file| file.starts_with("bin/") || file == "main.rs")
    );
    // MIPS and PowerPC have no atomics of 64 bits.
    for file in found.iter().filter(|file| file.ends_with(".rs")) {
        let text = read(&source.join(file));
        assert!(
            !text.contains("AtomicU64") && !text.contains("AtomicI64"),
            "{file}"
        );
    }
}

#[test]
fn an_environment_that_wants_unwinding_is_told_what_to_do() {
    if !has_crates() {
        return;
    }
    let place = Place::new();
    let mut cargo = place.program(Path::new(env!("CARGO")), ["check", "--locked", "--offline"]);
    cargo.args(["--bin", "rawdaemon", "--target-dir"]);
    // It stays, as the folders of the other programs that tests build.
    cargo.arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("unwinding"));
    cargo.current_dir(package_folder());
    cargo.env("CARGO_PROFILE_DEV_PANIC", "unwind");
    let output = place.run_within(&mut cargo, CARGO_DEADLINE);
    assert_eq!(output.code(), 101, "{output:?}");
    let first = output.stderr.lines().find(|line| line.starts_with("error"));
    let says = "error: a program without std cannot unwind: set panic = \"abort\" in the profile";
    assert!(first.unwrap().starts_with(says), "{output:?}");
}

#[test]
fn mold_is_given_no_linker_script() {
    let place = Place::new();
    let source = package_folder().join("build.rs");
    let source = source.to_str().unwrap();
    // That of the same toolchain.
    let rustc = Path::new(env!("CARGO")).with_file_name("rustc");
    let mut rustc = place.program(&rustc, ["--edition=2024", "-o", "build", source]);
    rustc.env("CARGO_MANIFEST_DIR", package_folder());
    match rustc.output() {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) => return skip(format!("rustc cannot be run: {error}")),
    }
    for (flags, is_given) in [
        ("", true),
        ("-Clink-arg=-fuse-ld=mold", false),
        ("-C\x1flink-arg=-fuse-ld=/usr/bin/ld.mold\x1f-g", false),
        ("-Clink-arg=-fuse-ld=mold\x1f-Clink-arg=-fuse-ld=bfd", true),
        ("--remap-path-prefix=/mold=/", true),
    ] {
        let mut build = place.program(&place.path("build"), [""; 0]);
        build.env("CARGO_ENCODED_RUSTFLAGS", flags);
        for (name, value) in [
            ("OS", "linux"),
            ("ARCH", "x86_64"),
            ("POINTER_WIDTH", "64"),
            ("ENDIAN", "little"),
        ] {
            build.env(format!("CARGO_CFG_TARGET_{name}"), value);
        }
        let said = succeeds(place.run(&mut build));
        assert_eq!(
            said.contains("/src/command/link.ld\n") && said.contains("-T"),
            is_given,
            "{flags:?}: {said}"
        );
    }
}

#[test]
fn the_tarball_has_the_crates_of_the_command_and_no_others() {
    if !has("tar") || !has_crates() {
        return;
    }
    let place = Place::new();
    let mut tarball = place.program(&recipe("tarball"), [place.path("")]);
    tarball
        .env("SOURCE_DATE_EPOCH", "0")
        .env("PATH", cargo_path());
    let path = succeeds(place.run_within(&mut tarball, CARGO_DEADLINE));
    let name = format!("rawdaemon-{VERSION}");
    let should_be = format!("{}\n", place.path(&name).display());
    assert_eq!(path, should_be.replace('\n', "-vendored.tar.gz\n"));
    said(&place, "tar", ["-xzf", path.trim_end()]);
    let folder = place.path(&name);
    let crates = fs::read_dir(folder.join("VENDOR")).unwrap();
    let mut names: Vec<String> = crates
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    // Of two versions, one has its number in the name.
    names.dedup_by(|one, before| one.starts_with(&format!("{before}-0.")));
    assert_eq!(names, ["linux-raw-sys", "syscalls"]);
    assert!(!folder.join("tests").exists());

    // It suffices to build, without network and without a registry. Yocto runs Cargo elsewhere.
    let mut cargo = place.program(Path::new(env!("CARGO")), ["metadata", "--format-version=1"]);
    cargo.args(["--frozen"]).current_dir(&folder);
    cargo.env("CARGO_HOME", place.path("cargo-home"));
    let metadata = succeeds(place.run(&mut cargo));
    assert!(metadata.contains("/VENDOR/syscalls/Cargo.toml"));
    assert!(!metadata.contains("rustix"));
}

/// PATH with Cargo's folder in front.
fn cargo_path() -> String {
    let folder = Path::new(env!("CARGO")).parent().unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}
