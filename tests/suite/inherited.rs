//! Streams of the launcher that the daemon inherits, and the null device in the place of others.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use crate::support::{
    Daemon, Place, before_exec, eventually, has_terminals, is_root, mount, own_mounts, pid_in,
    terminal,
};

/// Starts a daemon with these streams, and checks that what it writes arrives at `other` and what is written there
/// is read. `end` is what this kind of stream makes of a newline.
fn is_inherited(
    what: &str,
    streams: [OwnedFd; 3],
    mut other: File,
    input: Option<File>,
    end: &str,
) {
    let place = Place::new();
    let program = "read -r line; echo \"$line\"; echo error >&2; exec sleep 1000";
    for options in [&["-t", "0.1"][..], &["-v"], &["-R", "fd:3"]] {
        let program = match options {
            ["-R", _] => format!("echo >&3; exec 3>&-; {program}"),
            _ => program.to_owned(),
        };
        let [stdin, stdout, stderr] = streams.each_ref().map(|fd| fd.try_clone().unwrap());
        let mut input = input.as_ref().unwrap_or(&other).try_clone().unwrap();
        let mut command = place.rawdaemon(["-p", "pid", "-i", "inherit", "-o", "inherit"]);
        command.args(["-e", "inherit"]).args(options);
        command.args(["--", "sh", "-c", &program]);
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        assert_eq!(
            command.status().unwrap().code(),
            Some(0),
            "{what} {options:?}"
        );
        drop(command);
        input.write_all(b"a line\n").unwrap();
        let expected = format!("a line{end}error{end}");
        let mut said = String::new();
        eventually(what, || {
            let mut bytes = [0; 1000];
            match other.read(&mut bytes) {
                Ok(length) => said.push_str(std::str::from_utf8(&bytes[..length]).unwrap()),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{what}: {error}"),
            }
            said.ends_with(&expected)
        });
        Daemon::new(pid_in(&place.path("pid"))).assert_alive();
    }
}

fn nonblocking(fd: impl Into<OwnedFd>) -> File {
    let fd = fd.into();
    let flags = rustix::fs::fcntl_getfl(&fd).unwrap();
    rustix::fs::fcntl_setfl(&fd, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    fd.into()
}

fn thrice(fd: &OwnedFd) -> [OwnedFd; 3] {
    [(); 3].map(|()| fd.try_clone().unwrap())
}

#[test]
fn pipes_and_sockets_are_inherited() {
    let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let ((reader, writer), (input, to_input)) = (pipe(), pipe());
    let (output, error) = (writer.try_clone().unwrap(), writer);
    let streams = [input, output, error];
    is_inherited(
        "a pipe",
        streams,
        nonblocking(reader),
        Some(to_input.into()),
        "\n",
    );

    let (own, other) = UnixStream::pair().unwrap();
    is_inherited(
        "a socket",
        thrice(&own.into()),
        nonblocking(other),
        None,
        "\n",
    );

    // The journal's: systemd connects to a named socket.
    let place = Place::new();
    let listener = UnixListener::bind(place.path("journal")).unwrap();
    let own = UnixStream::connect(place.path("journal")).unwrap();
    let (other, _) = listener.accept().unwrap();
    is_inherited(
        "the journal",
        thrice(&own.into()),
        nonblocking(other),
        None,
        "\n",
    );
}

#[test]
fn terminals_are_inherited() {
    if !has_terminals() {
        return;
    }
    let (terminal, name) = terminal();
    let own = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(std::ffi::OsStr::from_bytes(name.to_bytes()))
        .unwrap();
    is_inherited(
        "a terminal",
        thrice(&own.into()),
        nonblocking(terminal),
        None,
        "\r\n",
    );
}

/// A file that programs write to, since somebody has put it in the place of the device.
#[test]
fn what_is_not_the_null_device_is_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let file = place.path("null");
    fs::write(&file, "").unwrap();
    let hint = "not the null device (rm /dev/null; mknod -m 666 /dev/null c 1 3)";
    let says = format!("rawdaemon: cannot open /dev/null: {hint}");
    // A program that redirects to /dev/null opens it itself: this shell does not.
    for replacement in [file.as_path(), "/dev/zero".as_ref()] {
        let replaced = |options: &[&str]| {
            let mut command = place.rawdaemon(options);
            let from = std::ffi::CString::new(replacement.as_os_str().as_bytes()).unwrap();
            before_exec(&mut command, move || {
                own_mounts();
                mount(from.as_ptr(), c"/dev/null".as_ptr(), libc::MS_BIND);
                Ok(())
            });
            command
        };
        let options = [
            "-p",
            "pid",
            "-o",
            "out",
            "--",
            "sh",
            "-c",
            "echo a text; echo >&2",
        ];
        place.fails(&mut replaced(&options), 4, &says);
        // The same device, by its path.
        let by_path = [
            "-i",
            "/proc/self/exe",
            "-o",
            "/dev/null",
            "-a",
            "-e",
            "out",
            "true",
        ];
        place.fails(&mut replaced(&by_path), 4, &says);
        // Descriptor 20 of a supervisor that has not passed it.
        let mut command = replaced(&["-f", "-R", "fd:20", "sh", "-c", "echo >&20"]);
        assert_eq!(place.run(&mut command).code(), 20);
        // It is not needed if every stream has a file.
        let files = ["-i", "/proc/self/exe", "-o", "out", "-e", "out", "true"];
        assert_eq!(place.run(&mut replaced(&files)).code(), 0);
        assert_eq!(fs::read(&file).unwrap(), b"");
        assert!(!place.path("pid").exists());
    }
}
