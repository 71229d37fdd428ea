//! Symbolic links of other users, and files that exist already.

use std::fs;
use std::os::unix::fs::{chown, lchown, symlink};
use std::path::Path;

use crate::support::{
    Daemon, Place, before_exec, eventually, has, is_root, is_root_for, skip_part, tested_command,
    under_strace,
};

const OTHER: u32 = 65534;

#[test]
fn root_follows_no_link_of_another_user() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.path("log")).unwrap();
    chown(place.path("log"), Some(OTHER), Some(OTHER)).unwrap();
    fs::write(place.path("secret"), "precious").unwrap();
    let why = "a symbolic link of another user, or a loop (ELOOP)";
    for target in ["secret", "none"] {
        let link = place.path("log/web.log");
        symlink(place.path(target), &link).unwrap();
        lchown(&link, Some(OTHER), Some(OTHER)).unwrap();
        for (option, stream) in [("-o", "output"), ("-e", "error"), ("-i", "input")] {
            let says = format!("rawdaemon: cannot open log/web.log for standard {stream}: {why}");
            for more in [&["-u", "65534:65534"][..], &["-a"], &["-f"]] {
                let mut command = place.rawdaemon([option, "log/web.log", "-p", "pid"]);
                place.fails(command.args(more).args(["echo", "text"]), 8, &says);
            }
        }
        for option in ["-p", "-l"] {
            let mut command = place.rawdaemon([option, "log/web.log", "true"]);
            assert_eq!(place.run(&mut command).code(), 11);
        }
        fs::remove_file(link).unwrap();
    }
    assert_eq!(place.read("secret"), "precious");
    assert!(!place.path("none").exists() && !place.path("pid").exists());
}

#[test]
fn other_links_are_followed() {
    let place = Place::new();
    fs::write(place.path("in"), "a line\n").unwrap();
    fs::write(place.path("old"), "old\n").unwrap();
    // The second points to a file that does not exist yet, the third to another link.
    for (name, target) in [
        ("link", "old"),
        ("dangling", "new"),
        ("chain", "link"),
        ("input", "in"),
    ] {
        symlink(target, place.path(name)).unwrap();
    }
    for (link, target) in [("link", "old"), ("dangling", "new"), ("chain", "old")] {
        let _daemon = place.start([
            "-i",
            "input",
            "-o",
            link,
            "sh",
            "-c",
            "cat; exec sleep 1000",
        ]);
        eventually("the line is written", || place.read(target) == "a line\n");
    }
    assert!(place.path("dangling").is_symlink());
    if !is_root_for("the root of a user namespace") {
        return;
    }
    // In such a namespace, the links in /dev belong to a user without a number.
    let script = "exec unshare -r \"$0\" -v -a -o /dev/stdout -e chain -- \
        sh -c 'echo text; echo >&2; exec sleep 1000' >>out";
    let mut command = place.program(Path::new("/bin/sh"), ["-c", script, tested_command()]);
    before_exec(&mut command, || {
        // SAFETY: numbers only.
        match unsafe { libc::setgid(OTHER) | libc::setuid(OTHER) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    });
    fs::write(place.path("out"), "").unwrap();
    for name in ["", "old", "out"] {
        chown(place.path(name), Some(OTHER), Some(OTHER)).unwrap();
    }
    let output = place.run(&mut command);
    if output.stderr.starts_with("unshare") {
        skip_part(output.stderr);
        return;
    }
    assert_eq!(output.code(), 0, "{output:?}");
    let daemon = Daemon::new(output.pid());
    eventually("both are written", || {
        place.read("out") == "text\n" && place.read("old") == "a line\n\n"
    });
    daemon.assert_alive();
}

/// In a sticky directory, the kernel may refuse O_CREAT for a file of another user.
#[test]
fn files_that_exist_are_opened_without_creating_them() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let files = [
        "-i", "in", "-o", "out", "-e", "err", "-p", "pid", "-l", "lock",
    ];
    let arguments = [&files[..], &["-v", "sleep", "1000"]].concat();
    let creating = || {
        let output = under_strace(&place, &["-e", "trace=openat"], &arguments);
        assert_eq!(output.code(), 0, "{output:?}");
        drop(Daemon::new(output.pid()));
        let trace = place.read("trace");
        let of_start = trace
            .lines()
            .take_while(|line| !line.contains("/etc/ld.so"));
        let creating = of_start.filter(|line| line.contains("O_CREAT"));
        creating.map(str::to_owned).collect::<Vec<_>>()
    };
    fs::write(place.path("in"), "").unwrap();
    // New files are created only if there is none: no link is followed, and no other file opened.
    let created = creating();
    assert_eq!(created.len(), 4, "{created:?}");
    assert!(
        created.iter().all(|line| line.contains("O_EXCL")),
        "{created:?}"
    );
    assert_eq!(creating(), [""; 0]);
}
