//! Every failure has its exit code and its message, and leaves nothing behind.

use std::ffi::CString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::Duration;

use crate::support::{
    Daemon, Place, before_exec, fails_under_strace, has, is_root, may_become_others, own_mounts,
    skip, tested_command, under_strace,
};

#[test]
fn a_command_that_cannot_be_executed() {
    let place = Place::new();
    let says =
        "rawdaemon: cannot find the command no-such-command: No such file or directory (ENOENT)";
    place.fails(
        // Without folders that this user may not search.
        place
            .rawdaemon(["-p", "pid", "no-such-command"])
            .env("PATH", "/usr/bin:/bin"),
        127,
        says,
    );
    let says =
        "rawdaemon: cannot find the command /no/such/command: No such file or directory (ENOENT)";
    place.fails(
        &mut place.rawdaemon(["-p", "pid", "/no/such/command"]),
        127,
        says,
    );
    fs::write(place.path("file"), "").unwrap();
    let says = "rawdaemon: cannot find the command file/command: Not a directory (ENOTDIR)";
    place.fails(&mut place.rawdaemon(["file/command"]), 127, says);
    let says = "rawdaemon: cannot find the command : No such file or directory (ENOENT)";
    place.fails(&mut place.rawdaemon(["-p", "pid", ""]), 127, says);

    fs::write(place.path("plain"), "#!/bin/sh\n").unwrap();
    let says = "rawdaemon: cannot execute ./plain: Permission denied (EACCES)";
    place.fails(&mut place.rawdaemon(["-p", "pid", "./plain"]), 126, says);
    let says = "rawdaemon: cannot execute /tmp: Permission denied (EACCES)";
    place.fails(&mut place.rawdaemon(["-p", "pid", "/tmp"]), 126, says);
    place.script("binary", "\x7fnothing that a kernel knows");
    let says = "rawdaemon: cannot execute ./binary: Exec format error (ENOEXEC)";
    place.fails(&mut place.rawdaemon(["-p", "pid", "./binary"]), 126, says);

    // The file exists, so it is no missing command, although its interpreter cannot exist.
    place.script("odd", "#!/dev/null/sh\n");
    let says = "rawdaemon: cannot execute ./odd: Not a directory (ENOTDIR)";
    let mut command = place.rawdaemon(["-p", "pid", "./odd"]);
    let output = place.run(&mut command);
    assert_eq!(output.code(), 126, "{output:?}");
    assert!(output.stderr.starts_with(says), "{output:?}");

    assert!(!place.path("pid").exists());
}

#[test]
fn a_search_goes_on_after_a_file_that_may_not_be_executed() {
    let is_root = rustix::process::geteuid().is_root();
    if is_root && !may_become_others() {
        return;
    }
    let place = Place::new();
    for folder in ["plain", "closed", "good"] {
        fs::create_dir(place.path(folder)).unwrap();
    }
    fs::write(place.path("plain/tool"), "#!/bin/sh\n").unwrap();
    place.script("closed/tool", "#!/bin/sh\n");
    place.script("good/tool", "#!/bin/sh\nexec /bin/sleep 1000\n");
    let mode = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(place.path("closed"), mode).unwrap();
    };
    mode(0o000);
    let tool = |folders: &[&str]| {
        let folders = folders.iter().map(|name| place.path(name));
        let mut command = place.rawdaemon(["-v", "tool"]);
        command.env("PATH", std::env::join_paths(folders).unwrap());
        if is_root {
            // Root may search every folder.
            command.uid(65534).gid(65534);
        }
        let output = place.run(&mut command);
        let said = output.stderr.lines().last().unwrap_or_default().to_owned();
        (output.code(), said, output)
    };
    let denied = "rawdaemon: cannot execute tool: Permission denied (EACCES)";
    let missing = "rawdaemon: cannot find the command tool: No such file or directory (ENOENT)";
    let results = [
        (tool(&["plain"]), 126, denied),
        (tool(&["plain", "closed"]), 126, denied),
        // Whether the file is there is not known. execvp(3) says the same.
        (tool(&["closed"]), 126, denied),
        (tool(&["closed", "nowhere"]), 126, denied),
        (tool(&["nowhere"]), 127, missing),
    ];
    let (code, said, output) = tool(&["plain", "closed", "good"]);
    mode(0o755);
    for ((code, said, _), expected, says) in results {
        assert_eq!((code, said.as_str()), (expected, says));
    }
    assert_eq!(code, 0, "{said}");
    Daemon::new(output.pid()).assert_alive();
}

#[test]
fn a_missing_interpreter_is_named() {
    let place = Place::new();
    let why = "No such file or directory (ENOENT); its interpreter /bin/nosuch may be missing";
    place.script("web", "#! /bin/nosuch -x\nexit 0\n");
    let says = format!("rawdaemon: cannot execute ./web: {why}");
    place.fails(&mut place.rawdaemon(["-p", "pid", "./web"]), 126, &says);
    let says = format!("rawdaemon: cannot execute web: {why}");
    place.fails(
        place
            .rawdaemon(["-p", "pid", "web"])
            .env("PATH", "/nowhere:."),
        126,
        &says,
    );

    // PATH of the daemon's environment takes precedence here too.
    let path = format!("PATH={}", place.path(".").display());
    place.fails(
        place
            .rawdaemon(["-E", &path, "web"])
            .env("PATH", "/nowhere"),
        126,
        &says,
    );

    // A dynamic executable without its dynamic linker: these tests, with one byte of that path changed.
    let mut program = fs::read("/proc/self/exe").unwrap();
    let linker = program.windows(4).position(|part| part == b"/lib").unwrap();
    program[linker + 1] = b'X';
    let end = linker
        + program[linker..]
            .iter()
            .position(|byte| *byte == 0)
            .unwrap();
    let name = String::from_utf8(program[linker..end].to_vec()).unwrap();
    fs::write(place.path("written"), program).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(place.path("written"), mode).unwrap();
    place.executable(&place.path("written"), "dynamic");
    let why = format!("No such file or directory (ENOENT); its interpreter {name} may be missing");
    let says = format!("rawdaemon: cannot execute ./dynamic: {why}");
    place.fails(&mut place.rawdaemon(["-p", "pid", "./dynamic"]), 126, &says);
    assert!(!place.path("pid").exists());
}

/// The errors of a directory of PATH whose mount is gone: execvp(3) skips some of them too.
#[test]
fn a_directory_that_cannot_be_searched_does_not_end_the_search() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let gone = place.path("gone/sleep");
    let gone = gone.to_str().unwrap();
    let [path, nowhere] = ["gone:/usr/bin:/bin", "gone:/nowhere"]
        .map(|path| format!("PATH={}", place.path(path).display()));
    for (errno, words) in [
        ("ESTALE", "Stale file handle (ESTALE)"),
        ("EIO", "Input/output error (EIO)"),
        ("ENODEV", "No such device (ENODEV)"),
        ("ETIMEDOUT", "Connection timed out (ETIMEDOUT)"),
        ("EHOSTDOWN", "Host is down (EHOSTDOWN)"),
        ("ENOTCONN", "Transport endpoint is not connected (ENOTCONN)"),
    ] {
        let inject = format!("--inject=execve:error={errno}");
        let fault = ["-P", gone, &inject];
        let start = ["-v", "-E", &path, "sleep", "1000"];
        let output = under_strace(&place, &fault, &start);
        assert_eq!(output.code(), 0, "{output:?}");
        drop(Daemon::new(output.pid()));
        let output = fails_under_strace(&place, &fault, &["-E", &nowhere, "sleep", "1000"]);
        let says = format!("rawdaemon: cannot find the command sleep: {words}\n");
        assert_eq!((output.code(), output.stderr), (127, says));
    }
    // A path that is given is not searched for.
    let fault = ["-P", gone, "--inject=execve:error=ESTALE"];
    let output = fails_under_strace(&place, &fault, &[gone, "1000"]);
    let says = format!("rawdaemon: cannot execute {gone}: Stale file handle (ESTALE)\n");
    assert_eq!((output.code(), output.stderr), (126, says));
    // The file is there, and cannot be read.
    let path = format!("PATH={}:/usr/bin:/bin", place.path("bin").display());
    fs::create_dir(place.path("bin")).unwrap();
    let file = place.script("bin/sleep", "#!/bin/sh\n");
    let fault = ["-P", file.to_str().unwrap(), "--inject=execve:error=EIO"];
    let output = fails_under_strace(&place, &fault, &["-E", &path, "sleep", "1000"]);
    let says = "rawdaemon: cannot execute sleep: Input/output error (EIO)\n";
    assert_eq!((output.code(), output.stderr.as_str()), (126, says));
}

#[test]
fn a_mount_without_its_server_does_not_end_the_search() {
    if !is_root() {
        return;
    }
    if fs::File::open("/dev/fuse").is_err() {
        return skip("there is no /dev/fuse");
    }
    let place = Place::new();
    fs::create_dir(place.path("gone")).unwrap();
    let folder = CString::new(place.path("gone").into_os_string().into_encoded_bytes()).unwrap();
    let path = format!("PATH={}:/usr/bin:/bin", folder.to_str().unwrap());
    let mut command = place.rawdaemon(["-v", "-E", &path, "sleep", "1000"]);
    before_exec(&mut command, move || {
        own_mounts();
        let (kind, options) = (c"fuse", c"fd=99,rootmode=40000,user_id=0,group_id=0");
        // SAFETY: strings and numbers.
        let result = unsafe {
            let server = libc::open(c"/dev/fuse".as_ptr(), libc::O_RDWR);
            libc::dup2(server, 99);
            let (kind, options) = (kind.as_ptr(), options.as_ptr().cast());
            let result = libc::mount(kind, folder.as_ptr(), kind, 0, options);
            // From now on, the mount gives ENOTCONN.
            libc::close(server);
            libc::close(99);
            result
        };
        if result == 0 {
            Ok(())
        } else {
            Err(std::io::Error::last_os_error())
        }
    });
    drop(place.start_by(&mut command));
}

#[test]
fn a_file_that_was_just_written_is_tried_again() {
    if !has("strace") {
        return;
    }
    let place = Place::new();
    let program = place.script("program", "#!/bin/sh\nexec sleep 1000\n");
    let program = program.to_str().unwrap();
    let fault = ["-P", program, "--inject=execve:error=ETXTBSY:when=1..3"];
    for options in [&["-v"][..], &["-v", "-t", "0.3"], &["-v", "-c", "/"]] {
        let start = [options, &[program]].concat();
        let output = under_strace(&place, &fault, &start);
        assert_eq!(output.code(), 0, "{output:?}");
        drop(Daemon::new(output.pid()));
    }
    let fault = ["-P", program, "--inject=execve:error=ETXTBSY"];
    let output = fails_under_strace(&place, &fault, &["-p", "pid", program]);
    assert!(output.took > Duration::from_millis(90), "{output:?}");
    let says = format!("rawdaemon: cannot execute {program}: Text file busy (ETXTBSY)\n");
    assert_eq!((output.code(), output.stderr), (126, says));
    assert!(!place.path("pid").exists());
}

#[test]
fn a_step_that_fails() {
    let place = Place::new();
    fs::write(place.path("file"), "").unwrap();
    fs::create_dir(place.path("folder")).unwrap();
    std::os::unix::fs::symlink("target", place.path("link")).unwrap();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        place.path("fifo"),
        rustix::fs::Mode::from_raw_mode(0o600),
    )
    .unwrap();
    let missing = "No such file or directory (ENOENT)";
    let no_folder = format!("{missing}; its directory is missing, and mkdir makes it");
    for (arguments, code, says) in [
        (
            ["-c", "nowhere"],
            3,
            format!("cannot enter the working directory nowhere: {missing}"),
        ),
        (
            ["-c", "file"],
            3,
            "cannot enter the working directory file: Not a directory (ENOTDIR)".into(),
        ),
        (
            ["-i", "nowhere"],
            8,
            format!("cannot open nowhere for standard input: {missing}"),
        ),
        (
            ["-o", "nowhere/out"],
            8,
            format!("cannot open nowhere/out for standard output: {no_folder}"),
        ),
        (
            ["-e", "nowhere/err"],
            8,
            format!("cannot open nowhere/err for standard error: {no_folder}"),
        ),
        (
            ["-p", "nowhere/pid"],
            11,
            format!("cannot use the pidfile nowhere/pid: {no_folder}"),
        ),
        (
            ["-p", "folder"],
            11,
            "cannot use the pidfile folder: not a regular file".into(),
        ),
        (
            ["-p", "link"],
            11,
            "cannot use the pidfile link: Too many levels of symbolic links (ELOOP)".into(),
        ),
        (
            ["-p", "fifo"],
            11,
            "cannot use the pidfile fifo: not a regular file".into(),
        ),
    ] {
        let mut command = place.rawdaemon(["-p", "pid"]);
        place.fails(
            command.args(arguments).args(["sleep", "1000"]),
            code,
            &format!("rawdaemon: {says}"),
        );
        assert!(
            !place.path("pid").exists(),
            "{arguments:?} left the pidfile"
        );
    }
    assert!(!place.path("target").exists());
    let says = format!("rawdaemon: cannot open nowhere for standard input: {missing}");
    fs::write(place.path("pid"), "text of another program\n").unwrap();
    place.fails(
        &mut place.rawdaemon(["-p", "pid", "-i", "nowhere", "sleep", "1000"]),
        8,
        &says,
    );
    assert_eq!(
        place.read("pid"),
        "text of another program\n",
        "a start does not remove what it has not written"
    );
}

#[test]
fn the_first_process_of_a_pid_namespace_cannot_stay_for_the_daemon() {
    if !is_root() || !has("unshare") {
        return;
    }
    let place = Place::new();
    for time in ["0", "0.1"] {
        let unshare = ["--pid", tested_command(), "-t", time, "sleep", "1000"];
        let says = "rawdaemon: cannot create the daemon process: Invalid argument (EINVAL)";
        place.fails(&mut place.program(Path::new("unshare"), unshare), 1, says);
    }
}

#[test]
fn a_bad_command_line() {
    let place = Place::new();
    for (arguments, says) in [
        (&[][..], "no command given"),
        (&["-v"], "no command given"),
        (&["--nonsense", "sleep"], "unknown option --nonsense"),
        (&["-vz", "sleep"], "unknown option -z"),
        (&["-p"], "option --pidfile needs a file"),
        (
            &["-m", "abc", "sleep"],
            "option --umask needs an octal mask from 0 to 777, which 'abc' is not",
        ),
        (
            &["-E", "NAME", "sleep"],
            "option --env needs NAME=VALUE, which 'NAME' is not",
        ),
    ] {
        let says = format!("rawdaemon: {says}; see rawdaemon --help");
        place.fails(&mut place.rawdaemon(arguments), 64, &says);
    }
}

#[test]
fn every_refused_step_is_named() {
    if !has("strace") {
        return;
    }
    let pipe = "cannot make a channel between the processes: Too many open files (EMFILE)";
    let clone = "cannot create the daemon process: Resource temporarily unavailable (EAGAIN)";
    let session = "cannot lead a new session: Operation not permitted (EPERM)";
    let signals = "cannot reset the signals: Invalid argument (EINVAL)";
    let null = "cannot open /dev/null: No such file or directory (ENOENT); \
        mount -t devtmpfs dev /dev";
    let stdio = "cannot put the standard descriptors in place: Device or resource busy (EBUSY)";
    let folder = Place::new();
    let program = folder.script("program", "#!/bin/sh\nexec sleep 1000\n");
    let program = program.to_str().unwrap();
    let execute = &*format!("cannot execute {program}: Argument list too long (E2BIG)");
    let directory = "cannot enter the working directory /: Input/output error (EIO)";
    for (options, code, says) in [
        (&["--inject=pipe2:error=EMFILE"][..], 20, pipe),
        (&["--inject=clone:error=EAGAIN"], 1, clone),
        (&["--inject=setsid:error=EPERM"], 2, session),
        (&["--inject=rt_sigaction:error=EINVAL:when=3"], 7, signals),
        (&["--inject=openat:error=ENOENT"], 4, null),
        (&["--inject=dup3:error=EBUSY"], 9, stdio),
        (
            &["-P", program, "--inject=execve:error=E2BIG"],
            126,
            execute,
        ),
        (&["--inject=chdir:error=EIO"], 3, directory),
    ] {
        let place = Place::new();
        let output = fails_under_strace(&place, options, &["-c", "/", program]);
        let expected = (code, format!("rawdaemon: {says}\n"));
        assert_eq!((output.code(), output.stderr), expected, "{options:?}");
    }
}
