//! Another root directory: which paths are inside it, and what it must contain.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{
    Place, before_exec, copy, eventually, fails_beside, has, is_root, is_root_for, pid_in,
    tested_command,
};

/// Copies a program and its libraries into a root directory.
fn furnish(root: &Path, program: &str) {
    let libraries = Command::new("ldd").arg(program).output().unwrap();
    let libraries = String::from_utf8(libraries.stdout).unwrap();
    let paths = libraries
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    for path in paths.chain([program]) {
        let inside = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(inside.parent().unwrap()).unwrap();
        copy(Path::new(path), &inside);
    }
}

#[test]
fn a_daemon_gets_its_root_directory() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let root = place.path("root");
    furnish(&root, "/bin/sleep");
    fs::create_dir_all(root.join("data/deep")).unwrap();
    fs::write(place.path("in"), "").unwrap();
    // Files are outside, relative to the caller. The command and the working directory are inside.
    for (directory, expected, command) in [
        (None, "/", "sleep"),
        (Some("/data"), "/data", "/bin/sleep"),
        (Some("data/deep"), "/data/deep", "../../bin/sleep"),
    ] {
        let files = [
            "-r",
            "root",
            "-p",
            "pid",
            "-l",
            "lock",
            "-i",
            "in",
            "-o",
            "out",
            "-E",
            "PATH=/bin",
        ];
        let mut start = place.rawdaemon(["-v", "--oom-score-adj=500"]);
        start.args(files);
        if let Some(directory) = directory {
            start.args(["-c", directory]);
        }
        let daemon = place.start_by(start.args([command, "1000"]));
        let link = |name: &str| fs::read_link(format!("/proc/{}/{name}", daemon.pid)).unwrap();
        assert_eq!(link("root"), root);
        assert_eq!(link("cwd"), root.join(expected.trim_start_matches('/')));
        assert_eq!(link("exe"), root.join("bin/sleep"));
        let descriptors = daemon.state().descriptors;
        let names: Vec<_> = descriptors.values().cloned().collect();
        let expected = ["in", "out"].map(|name| place.path(name));
        assert_eq!(names[..2], expected);
        assert_eq!(names[3..], ["lock", "pid"].map(|name| place.path(name)));
        assert_eq!(pid_in(&place.path("pid")), daemon.pid);
        fails_beside(
            &place,
            &files_and(&files, command),
            12,
            &format!("rawdaemon: already running (lock) as pid {}", daemon.pid),
        );
    }
    for (options, code, says) in [
        (
            &["-r", "nowhere", "sleep"][..],
            13,
            "cannot chroot nowhere: No such file or directory (ENOENT)",
        ),
        (
            &["-r", "in", "sleep"],
            13,
            "cannot chroot in: Not a directory (ENOTDIR)",
        ),
        (
            &["-r", "root", "-c", "/srv", "sleep"],
            3,
            "cannot enter the working directory /srv: No such file or directory (ENOENT)",
        ),
        // It exists outside only.
        (
            &["-r", "root", "/bin/sh"],
            127,
            "cannot find the command /bin/sh: No such file or directory (ENOENT)",
        ),
    ] {
        let mut command = place.rawdaemon(["-p", "pid2"]);
        place.fails(command.args(options), code, &format!("rawdaemon: {says}"));
        assert!(!place.path("pid2").exists());
    }
    // The interpreter of the file outside is not that of the file inside.
    let web = place.script("web", "#!/bin/outside\n");
    let name = web.to_str().unwrap();
    let inside = root.join(name.trim_start_matches('/'));
    fs::create_dir_all(inside.parent().unwrap()).unwrap();
    copy(&place.script("inside", "#!/bin/inside\n"), &inside);
    let says = format!("rawdaemon: cannot execute {name}: No such file or directory (ENOENT)");
    place.fails(&mut place.rawdaemon(["-r", "root", name]), 126, &says);
}

fn files_and<'a>(files: &[&'a str], command: &'a str) -> Vec<&'a str> {
    files.iter().copied().chain([command, "1000"]).collect()
}

#[test]
fn an_empty_root_is_enough() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    place.executable(Path::new(tested_command()), "rawdaemon");
    let inside = |arguments: &[&str]| {
        let root = place.path("");
        let mut command = place.program(Path::new("/rawdaemon"), arguments);
        before_exec(&mut command, move || Ok(rustix::process::chroot(&root)?));
        command
    };
    let says = "rawdaemon: cannot open /dev/null: No such file or directory (ENOENT); \
        mount -t devtmpfs dev /dev";
    place.fails(&mut inside(&["-p", "/pid", "/rawdaemon", "-V"]), 4, says);
    // If each stream has a file or is inherited, /dev/null is not needed.
    let inherit = ["-i", "inherit", "-o", "inherit", "-e", "inherit"];
    let mut command = inside(&["--mkdir", "/run/web", "-p", "/run/web/pid"]);
    let output = place.run(command.args(inherit).args(["/rawdaemon", "-V"]));
    assert_eq!(output.code(), 0, "{output:?}");
    eventually("it has ended", || place.processes().is_empty());
    let files = [
        "-i",
        "/rawdaemon",
        "-o",
        "/out",
        "-e",
        "/out",
        "/rawdaemon",
        "-V",
    ];
    let output = place.run(&mut inside(&files));
    assert_eq!(output.code(), 0, "{output:?}");
    let version = concat!("rawdaemon ", env!("CARGO_PKG_VERSION"), "\n");
    eventually("the version is printed", || place.read("out") == version);
    assert!(!place.path("pid").exists());
}

/// Ids without a number in the user namespace read as 65534, that of nobody.
const IN_A_NAMESPACE: &str = "
import ctypes, os, sys
ready, told = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    os.setgroups([4, 5])
    assert ctypes.CDLL(None).unshare(0x10000000) == 0
    os.write(ready[1], b'x')
    os.read(told[0], 1)
    os.execv(sys.argv[1], sys.argv[1:])
os.read(ready[0], 1)
for kind in ['uid_map', 'gid_map']:
    with open('/proc/%d/%s' % (child, kind), 'w') as ids:
        ids.write('0 0 1\\n65534 65534 1\\n')
os.write(told[1], b'x')
sys.exit(os.waitpid(child, 0)[1] >> 8)
";

#[test]
fn no_group_without_a_number_survives_a_change_of_the_user() {
    if !is_root_for("a user namespace") || !has("python3") {
        return;
    }
    let place = Place::new();
    let mut command = place.program(Path::new("python3"), ["-c", IN_A_NAMESPACE]);
    command.arg(tested_command());
    command.args(["-u", "65534:65534", "-o", "out", "--"]);
    command.args(["grep", "Groups", "/proc/self/status"]);
    let output = place.run(&mut command);
    assert_eq!(output.code(), 0, "{output:?}");
    eventually("it has written", || place.read("out").ends_with('\n'));
    let said = place.read("out");
    let groups: Vec<_> = said.split_whitespace().skip(1).collect();
    assert!(groups.len() < 2, "{said}");
    eventually("no process is left", || place.processes().is_empty());
}
