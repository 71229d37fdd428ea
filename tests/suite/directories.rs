//! Directories that a start makes.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use rawdaemon::{DaemonizeOptions, Errno, ErrorKind, Subject, argv};

use crate::support::{
    Place, before_exec, eventually, fails_under_strace, has, is_root, is_root_for, pid_in, skip,
    strace_rawdaemon,
};

const OTHER: u32 = 65534;

/// Whose the directory is, and its mode.
fn owner_and_mode(path: &Path) -> (u32, u32) {
    let metadata = fs::symlink_metadata(path).unwrap();
    assert!(metadata.is_dir(), "{}", path.display());
    (metadata.uid(), metadata.mode() & 0o7777)
}

#[test]
fn directories_are_made_before_anything_is_opened_in_them() {
    let place = Place::new();
    let own = rustix::process::geteuid().as_raw();
    let absolute = place.path("deep/er/than");
    let socket = format!("notify:{}", place.path("run/web/socket").display());
    let files = [
        "-p",
        "run/web/pid",
        "-l",
        "run/web/lock",
        "-o",
        "log/a",
        "-e",
        "deep/er/than/err",
    ];
    for foreground in [false, true] {
        let mut command = place.rawdaemon(["-v", "--mkdir", "run/web/", "--mkdir=./log"]);
        command.arg("--mkdir").arg(&absolute).args(files);
        before_exec(&mut command, || {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o133));
            Ok(())
        });
        if foreground {
            assert_eq!(place.run(command.args(["-f", "true"])).code(), 0);
        } else {
            let program = "echo text; systemd-notify --ready || exit 3; exec sleep 1000";
            let ready = if crate::support::has("systemd-notify") {
                &socket
            } else {
                "exec"
            };
            let daemon = place.start_by(command.args(["-R", ready, "sh", "-c", program]));
            assert_eq!(pid_in(&place.path("run/web/pid")), daemon.pid);
            eventually("the line is written", || place.read("log/a") == "text\n");
        }
        let all = ["run", "run/web", "log", "deep", "deep/er", "deep/er/than"];
        for made in all {
            assert_eq!(owner_and_mode(&place.path(made)), (own, 0o755), "{made}");
        }
    }
}

#[test]
fn the_last_directory_is_the_users() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let options = [
        "-u",
        "65534:65533",
        "--mkdir",
        "run/web",
        "--mkdir",
        "run/web/sub/x",
    ];
    for _ in 0..2 {
        let arguments = [&options[..], &["-p", "run/web/pid", "sleep", "1000"]].concat();
        let daemon = place.start(arguments);
        daemon.kill();
    }
    assert_eq!(owner_and_mode(&place.path("run")), (0, 0o755));
    assert_eq!(owner_and_mode(&place.path("run/web")), (OTHER, 0o755));
    assert_eq!(fs::metadata(place.path("run/web")).unwrap().gid(), 65533);
    assert_eq!(owner_and_mode(&place.path("run/web/sub")), (0, 0o755));
    assert_eq!(owner_and_mode(&place.path("run/web/sub/x")), (OTHER, 0o755));

    // Of another user: refused, and not changed.
    let why = "it belongs to another user (EEXIST)";
    let says = format!("rawdaemon: cannot make run for mkdir: {why}");
    let mut command = place.rawdaemon(["-u", "65534:65534", "--mkdir", "new", "--mkdir", "run"]);
    place.fails(command.arg("true"), 8, &says);
    assert_eq!(owner_and_mode(&place.path("run")), (0, 0o755));
    assert!(!place.path("new").exists());

    // That user may not lead root elsewhere; root may.
    fs::create_dir(place.path("safe")).unwrap();
    symlink(place.path("safe"), place.path("run/web/link")).unwrap();
    let through = place.rawdaemon(["--mkdir", "run/web/link/a", "true"]);
    assert_eq!(place.run(&mut { through }).code(), 0);
    eventually("it has ended", || place.processes().is_empty());
    lchown(place.path("run/web/link"), Some(OTHER), Some(OTHER)).unwrap();
    for path in ["run/web/link/b", "run/web/link"] {
        let why = "a symbolic link of another user, or a loop (ELOOP)";
        let says = format!("rawdaemon: cannot make {path} for mkdir: {why}");
        place.fails(&mut place.rawdaemon(["--mkdir", path, "true"]), 8, &says);
    }
    let inside: Vec<_> = fs::read_dir(place.path("safe")).unwrap().collect();
    assert_eq!(inside.len(), 1);
}

#[test]
fn a_failed_start_removes_what_it_has_made() {
    let place = Place::new();
    fs::create_dir(place.path("old")).unwrap();
    fs::write(place.path("file"), "").unwrap();
    let made = [
        "--mkdir",
        "old/a/b/c/",
        "--mkdir",
        "old/a/d",
        "--mkdir",
        "../new/../new/x",
        "--mkdir",
        "e",
    ];
    let made: Vec<_> = made
        .iter()
        .map(|path| path.replace("../new", "./new"))
        .collect();
    for (options, code) in [
        (&["-c", "/no/such", "true"][..], 3),
        (&["-p", "e/pid", "/no/such/command"], 127),
        (&["-p", "old/a/b/c/pid", "-t", "5", "false"], 5),
        (
            &[
                "-R",
                "fd:3",
                "-p",
                "old/a/pid",
                "sh",
                "-c",
                "exec 3>&-; sleep 1000",
            ],
            18,
        ),
        (&["-f", "-p", "e/pid", "/no/such/command"], 127),
        (&["-f", "-v", "-c", "/no/such", "true"], 3),
        (&["--mkdir", "file/x", "true"], 8),
        (&["--mkdir", "old/name/../../file", "true"], 8),
        (&["-o", "e", "true"], 8),
    ] {
        let output = place.run(place.rawdaemon(&made).args(options));
        assert_eq!(output.code(), code, "{options:?}: {output:?}");
        let mut left: Vec<_> = fs::read_dir(place.path(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["file", "old"], "{options:?}");
        assert_eq!(
            fs::read_dir(place.path("old")).unwrap().count(),
            0,
            "{options:?}"
        );
    }
    let says = "rawdaemon: cannot make file/x for mkdir: Not a directory (ENOTDIR)";
    place.fails(
        &mut place.rawdaemon(["--mkdir=e", "--mkdir", "file/x", "true"]),
        8,
        says,
    );
    let name = "x".repeat(256);
    let says =
        format!("rawdaemon: cannot make {name} for mkdir: File name too long (ENAMETOOLONG)");
    place.fails(&mut place.rawdaemon(["--mkdir", &name, "true"]), 8, &says);
    // What others have put there stays.
    let script = "touch e/kept; exit 3";
    let mut command = place.rawdaemon(["--mkdir", "e", "--mkdir", "f/g", "-t", "5", "-c."]);
    assert_eq!(place.run(command.args(["sh", "-c", script])).code(), 5);
    assert!(place.path("e/kept").exists() && !place.path("f").exists());
    if !is_root_for("a user who may not make them") {
        return;
    }
    let mut command = place.rawdaemon([
        "--mkdir",
        "mine/a",
        "--mkdir",
        "/etc/rawdaemon-test/a",
        "true",
    ]);
    before_exec(&mut command, || {
        // SAFETY: a number only.
        match unsafe { libc::setuid(OTHER) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    });
    chown(place.path(""), Some(OTHER), None).unwrap();
    let denied = "Permission denied (EACCES)";
    let says = format!("rawdaemon: cannot make /etc/rawdaemon-test/a for mkdir: {denied}");
    place.fails(&mut command, 8, &says);
    assert!(!place.path("mine").exists());
}

#[test]
fn a_program_makes_directories_too() {
    let place = Place::new();
    let path = |name: &str| {
        std::ffi::CString::new(place.path(name).into_os_string().into_encoded_bytes()).unwrap()
    };
    let (first, second, file) = (path("a/b"), path("c"), path("file"));
    fs::write(place.path("file"), "").unwrap();
    let options = DaemonizeOptions::new()
        .mkdir(first.as_c_str())
        .mkdir(second.as_c_str());
    if let Err(error) = options.spawn(c"true", argv![c"true"], argv![c"PATH=/usr/bin:/bin"]) {
        skip(error);
        return;
    }
    assert!(place.path("a/b").is_dir() && place.path("c").is_dir());
    let options = options.mkdir(file.as_c_str());
    let error = options.spawn(c"true", argv![c"true"], argv![]).unwrap_err();
    assert_eq!(
        (error.kind(), error.subject()),
        (ErrorKind::OpenFailed, Some(Subject::Mkdir))
    );
    assert_eq!(error.cause(), Errno::ENOTDIR.into());
    let says = format!(
        "cannot make {} for mkdir: Not a directory (ENOTDIR)",
        place.path("file").display()
    );
    assert_eq!(options.describe(&error).to_string(), says);
    // Eight of them at most.
    let mut options = DaemonizeOptions::new();
    for _ in 0..9 {
        options = options.mkdir(second.as_c_str());
    }
    let error = options.spawn(c"true", argv![c"true"], argv![]).unwrap_err();
    assert_eq!(
        (error.kind(), error.subject()),
        (ErrorKind::Usage, Some(Subject::Mkdir))
    );
}

/// Between mkdir(2) and fchown(2), the directory is root's.
#[test]
fn simultaneous_starts_make_one_directory() {
    if !is_root() || !has("strace") {
        return;
    }
    let place = Place::new();
    let options = ["-u", "65534:65534", "--mkdir", "run/web//", "sleep", "1000"];
    for slow in ["fchmod", "fchown"] {
        let delay = format!("--inject={slow}:delay_enter=100ms");
        let traced = [&["-v"], &options[..]].concat();
        let mut first = strace_rawdaemon(&place, &[&delay], &traced);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| place.start_by(&mut first));
            eventually("the directory is made", || place.path("run/web").exists());
            place.start(options).kill();
            assert_eq!(owner_and_mode(&place.path("run/web")), (OTHER, 0o755));
            first.join().unwrap().kill();
        });
        fs::remove_dir_all(place.path("run")).unwrap();
    }
}

/// Who may write to the directory around it, as another user could.
#[test]
fn a_directory_that_is_put_in_its_place_is_not_given_away() {
    if !is_root() || !has("strace") {
        return;
    }
    let place = Place::new();
    let why = "it belongs to another user (EEXIST)";
    for mode in [0o755, 0o1777] {
        fs::create_dir(place.path("secret")).unwrap();
        let private = fs::Permissions::from_mode(mode);
        fs::set_permissions(place.path("secret"), private).unwrap();
        fs::write(place.path("secret/file"), "").unwrap();
        let options = ["-u", "65534:65534", "--mkdir", "web", "true"];
        let delay = ["--inject=mkdirat:delay_exit=1s"];
        let output = std::thread::scope(|scope| {
            let start = scope.spawn(|| fails_under_strace(&place, &delay, &options));
            eventually("the directory is made", || place.path("web").exists());
            fs::rename(place.path("web"), place.path("away")).unwrap();
            fs::rename(place.path("secret"), place.path("web")).unwrap();
            start.join().unwrap()
        });
        let says = format!("rawdaemon: cannot make web for mkdir: {why}\n");
        assert_eq!(output.code(), 8, "{output:?}");
        assert!(output.stderr.ends_with(&says), "{output:?}");
        assert_eq!(owner_and_mode(&place.path("web")), (0, mode));
        fs::remove_dir_all(place.path("web")).unwrap();
        fs::remove_dir(place.path("away")).unwrap();
    }
}

#[test]
fn a_failed_start_says_what_it_leaves() {
    let place = Place::new();
    let left = "; its pidfile, socket or directory may be left";
    // The original does not know what a killed intermediate has made.
    if has("strace") {
        let kill = ["--inject=pidfd_open:signal=SIGKILL"];
        let options = ["--mkdir", "a/b", "-t", "0.1", "sleep", "0"];
        let output = fails_under_strace(&place, &kill, &options);
        let lost =
            "rawdaemon: lost track of the intermediate process: killed by signal 9 (SIGKILL)";
        let says = [lost, left, "\n"].concat();
        assert!(output.stderr.ends_with(&says), "{output:?}");
        assert!(place.path("a/b").is_dir());
        fs::remove_dir_all(place.path("a")).unwrap();
    }
    if !is_root_for("a change of the user or the root directory in the foreground") {
        return;
    }
    let failed = "rawdaemon: cannot find the command /no/such: No such file or directory (ENOENT)";
    for (options, path) in [(["-u", "65534:65534"], "a/b"), (["-r", "."], "a/./b/")] {
        for exists in [false, true] {
            let mut command = place.rawdaemon(["-f", "--mkdir", path]);
            let says = [failed, if exists { "" } else { left }].concat();
            place.fails(command.args(options).arg("/no/such"), 127, &says);
            assert!(place.path("a/b").is_dir());
        }
        fs::remove_dir_all(place.path("a")).unwrap();
    }
    // In the background, root removes them.
    for options in [["-u", "65534:65534"], ["-r", "."]] {
        let mut command = place.rawdaemon(["--mkdir", "a/./b/"]);
        place.fails(command.args(options).arg("/no/such"), 127, failed);
        assert!(!place.path("a").exists());
    }
}
