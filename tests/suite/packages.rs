//! The packages of `tests/packaging` are made, installed, used and removed, as far as the tools are here, and their
//! init scripts run.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::init_scripts::{Script, search_path};
use crate::packaging::{CARGO_DEADLINE, files, put_command, read, recipe, said, succeeds};
use crate::support::{
    Daemon, Output, Place, before_exec, has, has_for, is_root_for, mount, own_mounts,
    package_folder, pid_in,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Starts a daemon by a command, and stops it. `run` runs the command with these arguments.
fn starts_and_stops(pidfile: &Path, named: &str, run: impl Fn(&[&str]) -> Output) {
    let version = succeeds(run(&["--version"]));
    assert_eq!(version, format!("rawdaemon {VERSION}\n"));
    succeeds(run(&["-p", named, "-t", "0.1", "sleep", "1000"]));
    let daemon = Daemon::new(pid_in(pidfile));
    assert_eq!(
        succeeds(run(&["-p", named, "--status"])),
        format!("{}\n", daemon.pid)
    );
    succeeds(run(&["-p", named, "--stop"]));
    daemon.ended();
    assert!(!pidfile.exists());
}

// Debian.

/// What the package contains, below `usr`.
const DEBIAN_FILES: [&str; 8] = [
    "sbin/rawdaemon",
    "share/bash-completion/completions/rawdaemon",
    "share/doc/rawdaemon/changelog.Debian.gz",
    "share/doc/rawdaemon/changelog.gz",
    "share/doc/rawdaemon/copyright",
    "share/lintian/overrides/rawdaemon",
    "share/man/man8/rawdaemon.8.gz",
    "share/zsh/vendor-completions/_rawdaemon",
];

/// Makes the package in the folder of the test, and returns its path.
fn debian_package(place: &Place) -> PathBuf {
    put_command(&place.path("built/rawdaemon"));
    let arguments = [place.path("built/rawdaemon"), place.path("")];
    succeeds(place.run(&mut place.program(&recipe("debian/build"), arguments)));
    let architecture = said(place, "dpkg", ["--print-architecture"]);
    place.path(&format!(
        "rawdaemon_{VERSION}-1_{}.deb",
        architecture.trim_end()
    ))
}

fn has_dpkg() -> bool {
    has("dpkg-deb") && has("dpkg") && has("gzip") && has("awk") && has("md5sum") && has("strip")
}

#[test]
fn the_debian_package_has_what_the_policy_wants() {
    if !has_dpkg() {
        return;
    }
    let place = Place::new();
    let package = debian_package(&place);
    let package = package.to_str().unwrap();
    let information = said(&place, "dpkg-deb", ["--info", package]);
    for line in [
        " Package: rawdaemon",
        &format!(" Version: {VERSION}-1"),
        " Section: admin",
    ] {
        assert!(
            information.lines().any(|other| other == line),
            "{line}: {information}"
        );
    }
    assert!(!information.contains("Depends"), "{information}");
    let listed = said(&place, "dpkg-deb", ["--contents", package]);
    for line in listed.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let mode = match (fields[0].starts_with('d'), fields[5]) {
            (true, _) => "drwxr-xr-x",
            (false, "./usr/sbin/rawdaemon") => "-rwxr-xr-x",
            (false, _) => "-rw-r--r--",
        };
        assert_eq!(fields[..2], [mode, "root/root"], "{line}");
    }
    said(&place, "dpkg-deb", ["--extract", package, "extracted"]);
    assert_eq!(files(&place.path("extracted/usr")), DEBIAN_FILES);
    said(&place, "dpkg-deb", ["--control", package, "control"]);
    let sums = place.path("control/md5sums");
    let mut check = place.program(Path::new("md5sum"), ["--check", "--quiet"]);
    succeeds(place.run(check.arg(&sums).current_dir(place.path("extracted"))));
    let manual = "extracted/usr/share/man/man8/rawdaemon.8.gz";
    let manual = said(&place, "gzip", ["-dc", manual]);
    assert_eq!(
        manual,
        read(&package_folder().join("src/command/rawdaemon.8"))
    );

    // The same sources give the same package.
    let first = fs::read(package).unwrap();
    assert_eq!(first, fs::read(debian_package(&place)).unwrap());
    if has_for("lintian", "lintian's checks") {
        // The one tag that it must have is for uploads to Debian.
        let mut lintian = place.program(Path::new("lintian"), ["--fail-on=none", "--allow-root"]);
        lintian
            .args(["--suppress-tags", "initial-upload-closes-no-bugs"])
            .arg(package);
        assert_eq!(succeeds(place.run_within(&mut lintian, CARGO_DEADLINE)), "");
    }
}

#[test]
fn the_debian_package_is_installed_used_and_removed() {
    if !has_dpkg() {
        return;
    }
    let place = Place::new();
    let package = debian_package(&place);
    let root = place.path("root");
    for folder in [
        "root/var/lib/dpkg/info",
        "root/var/lib/dpkg/updates",
        "root/run",
    ] {
        fs::create_dir_all(place.path(folder)).unwrap();
    }
    fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
    let outside_dpkg = || {
        let mut files = files(&root);
        files.retain(|file| !file.starts_with("var/lib/dpkg/"));
        files
    };
    // root has /usr/sbin in PATH, without which dpkg refuses to work.
    let path = std::env::var("PATH").unwrap() + ":/usr/sbin:/sbin";
    let dpkg = |action: &str, what: &str| {
        let mut dpkg = place.program(Path::new("dpkg"), ["--force-not-root", "--log=/dev/null"]);
        dpkg.arg(format!("--root={}", root.display()));
        dpkg.args([action, what]).env("PATH", &path);
        succeeds(place.run(&mut dpkg))
    };
    dpkg("--install", package.to_str().unwrap());
    assert_eq!(dpkg("--verify", "rawdaemon"), "");
    let installed = root.join("usr/sbin/rawdaemon");
    let pidfile = root.join("run/sleep.pid");
    starts_and_stops(&pidfile, pidfile.to_str().unwrap(), |arguments| {
        place.run(&mut place.program(&installed, arguments))
    });
    if is_root_for("in a root directory of its own") {
        in_a_root_of_its_own(&place, &root);
    }
    dpkg("--purge", "rawdaemon");
    assert_eq!(outside_dpkg(), [""; 0]);
    assert!(!root.join("usr").exists() && root.join("run").exists());
    assert_eq!(read(&root.join("var/lib/dpkg/status")), "");
    place.assert_no_process();
}

/// Uses the installed command by its name in `root`, which has the programs of this machine while it runs.
fn in_a_root_of_its_own(place: &Place, root: &Path) {
    let mut mounts = Vec::new();
    let mut made = Vec::new();
    for name in [
        "bin",
        "lib",
        "lib64",
        "usr/bin",
        "usr/lib",
        "usr/lib64",
        "dev",
        "proc",
    ] {
        let (from, to) = (Path::new("/").join(name), root.join(name));
        if let Ok(target) = fs::read_link(&from) {
            symlink(target, &to).unwrap();
        } else if from.is_dir() {
            fs::create_dir_all(&to).unwrap();
            let c_string = |path: &Path| CString::new(path.as_os_str().as_bytes()).unwrap();
            mounts.push((c_string(&from), c_string(&to)));
        } else {
            continue;
        }
        made.push(to);
    }
    let c_root = CString::new(root.as_os_str().as_bytes()).unwrap();
    starts_and_stops(&root.join("run/sleep.pid"), "/run/sleep.pid", |arguments| {
        let mut command = place.program(Path::new("rawdaemon"), arguments);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let (mounts, c_root) = (mounts.clone(), c_root.clone());
        before_exec(&mut command, move || {
            own_mounts();
            for (from, to) in &mounts {
                mount(from.as_ptr(), to.as_ptr(), libc::MS_BIND);
            }
            rustix::process::chroot(&c_root)?;
            Ok(rustix::process::chdir(c"/")?)
        });
        place.run(&mut command)
    });
    for path in made.iter().rev() {
        let is_link = path.is_symlink();
        let removed = if is_link {
            fs::remove_file(path)
        } else {
            fs::remove_dir(path)
        };
        removed.unwrap();
    }
}

// Alpine.

#[test]
fn the_alpine_package_is_checked_and_installed() {
    if !has("busybox") {
        return;
    }
    let place = Place::new();
    let build = place.path("build");
    put_command(&build.join("target/release/rawdaemon"));
    fs::create_dir_all(build.join("VENDOR/syscalls")).unwrap();
    fs::write(build.join("VENDOR/syscalls/LICENSE"), "").unwrap();
    for name in ["src", "LICENSE-MIT"] {
        symlink(package_folder().join(name), build.join(name)).unwrap();
    }
    // As abuild does: a failed command ends it.
    let program = ". \"$1\"; pkgdir=$2 builddir=$PWD; set -e; check; package";
    let mut ash = place.program(Path::new("busybox"), ["ash", "-c", program, "abuild"]);
    ash.arg(recipe("alpine/APKBUILD"))
        .arg(place.path("package"));
    succeeds(place.run(ash.current_dir(&build)));
    place.assert_no_process();
    let should_be = [
        "sbin/rawdaemon",
        "share/bash-completion/completions/rawdaemon",
        "share/licenses/rawdaemon/LICENSE-MIT",
        "share/licenses/rawdaemon/LICENSE-syscalls",
        "share/man/man8/rawdaemon.8",
        "share/zsh/site-functions/_rawdaemon",
    ];
    assert_eq!(files(&place.path("package/usr")), should_be);
}

// Buildroot and OpenWrt.

/// What stands around the recipe of Buildroot.
const BUILDROOT: &str = "\
INSTALL = install
RUSTC_TARGET_NAME = target
TARGET_DIR = root
RAWDAEMON_PKGDIR = recipe/
cargo-package =
include $(RECIPE)
built/installed:
\t$(RAWDAEMON_INSTALL_TARGET_CMDS)
environment:
\t@CARGO_PROFILE_RELEASE_LTO=false $(RAWDAEMON_CARGO_ENV) env
";

/// What stands around the recipe of OpenWrt, in the folder of the test.
const OPENWRT: &str = "\
TOPDIR = .
INCLUDE_DIR = include
INSTALL_DIR = install -d -m 0755
INSTALL_BIN = install -m 0755
PKG_INSTALL_DIR = target
include $(RECIPE)
install:
\t$(call Package/rawdaemon/install,root)
environment:
\t@$(CARGO_PKG_VARS) env
";

#[test]
fn make_reads_the_recipes_and_installs_the_command() {
    if !has("make") || !has("install") {
        return;
    }
    for (around, file, target) in [
        (BUILDROOT, "buildroot/rawdaemon.mk", "built/installed"),
        (OPENWRT, "openwrt/Makefile", "install"),
    ] {
        let place = Place::new();
        fs::write(place.path("around.mk"), around).unwrap();
        fs::create_dir_all(place.path("include")).unwrap();
        fs::create_dir_all(place.path("feeds/packages/lang/rust")).unwrap();
        for name in ["rules.mk", "include/package.mk"] {
            fs::write(place.path(name), "").unwrap();
        }
        // It exports this, which the command cannot be built with.
        let text = "CARGO_PKG_VARS= CARGO_PROFILE_RELEASE_PANIC=unwind\n";
        fs::write(place.path("feeds/packages/lang/rust/rust-package.mk"), text).unwrap();
        put_command(&place.path("built/target/target/release/rawdaemon"));
        put_command(&place.path("target/bin/rawdaemon"));
        let make = |target: &str| {
            let mut make = place.program(Path::new("make"), ["-s", "-B", "-f", "around.mk"]);
            make.arg(format!("RECIPE={}", recipe(file).display()));
            succeeds(place.run(make.arg(target)))
        };
        make(target);
        assert_eq!(files(&place.path("root")), ["usr/sbin/rawdaemon"], "{file}");
        let installed = place.path("root/usr/sbin/rawdaemon");
        let pidfile = place.path("sleep.pid");
        starts_and_stops(&pidfile, "sleep.pid", |arguments| {
            place.run(&mut place.program(&installed, arguments))
        });
        let environment = make("environment");
        for variable in ["PANIC=abort", "STRIP=none"] {
            let line = format!("CARGO_PROFILE_RELEASE_{variable}");
            assert!(
                environment.lines().any(|other| other == line),
                "{line}: {environment}"
            );
        }
        let is_small = environment.contains("CARGO_PROFILE_RELEASE_LTO=true\n");
        assert!(is_small || file.starts_with("openwrt"), "{environment}");
    }
}

#[test]
fn the_init_script_for_buildroot() {
    if !has("busybox") {
        return;
    }
    let text = read(&recipe("buildroot/S50httpd"));
    let script = Script::with_text(&text, "S50httpd", "/var/run/$DAEMON.pid", "/var/www");
    let place = &script.place;
    fs::create_dir(place.path("bin")).unwrap();
    place.script("bin/httpd", "#!/bin/sh\nexec busybox httpd \"$@\"\n");
    let path = std::env::var("PATH").unwrap();
    let path = search_path(&format!("{}:{path}", place.path("bin").display()));
    let run = |word: &str| {
        let mut command = place.program(Path::new("busybox"), ["ash"]);
        command.env("PATH", &path).arg(&script.path).arg(word);
        place.run(&mut command)
    };
    script.manages_its_daemon(5, run);
    // At boot, each daemon has one line.
    assert_eq!(succeeds(run("start")), "Starting httpd: OK\n");
    assert_eq!(succeeds(run("restart")), "Restarting httpd: OK\n");
    assert_eq!(succeeds(run("reload")), "Reloading httpd: OK\n");
    assert_eq!(succeeds(run("stop")), "Stopping httpd: OK\n");
    let reload = run("reload");
    assert_eq!(
        (reload.code(), &*reload.stdout),
        (7, "Reloading httpd: FAIL\n")
    );
    let wrong = run("halt");
    assert_eq!(wrong.code(), 1);
    assert!(wrong.stdout.starts_with("Usage: "), "{wrong:?}");
}

/// What `/etc/rc.common` of OpenWrt does with a script that does not use procd.
const RC_COMMON: &str = "\
script=$1
action=${2:-help}
shift 2
reload() { restart; }
restart() { trap '' TERM; stop; start; }
help() { echo \"Syntax: $script [command]\"; echo \"$EXTRA_HELP\"; }
. \"$script\"
case \" start stop reload restart $EXTRA_COMMANDS \" in
*\" $action \"*) ;;
*) action=help ;;
esac
$action \"$@\"
";

#[test]
fn the_init_script_for_openwrt() {
    if !has("busybox") {
        return;
    }
    let text = read(&recipe("openwrt/web.init"));
    assert!(text.starts_with("#!/bin/sh /etc/rc.common\n"));
    let script = Script::with_text(&text, "web", "/var/run/web.pid", "/srv/www");
    let place = &script.place;
    let common = place.script("rc.common", RC_COMMON);
    let path = search_path(&std::env::var("PATH").unwrap());
    let run = |word: &str| {
        let mut command = place.program(Path::new("busybox"), ["ash"]);
        command.env("PATH", &path).arg(&common);
        place.run(command.arg(&script.path).arg(word))
    };
    script.manages_its_daemon(5, run);
    assert_eq!(run("reload").code(), 7);
    let help = succeeds(run("halt"));
    assert!(help.contains("\tstatus\tPrint the pid\n"), "{help}");
}
