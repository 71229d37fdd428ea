//! Commands that the kernel does not execute by itself: scripts without an interpreter, files for other machines, and
//! files whose directory has no path.

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::support::{
    Place, before_exec, eventually, filter, has_filters, is_root, is_root_for, may_become_others,
    skip_part, tested_command,
};

#[test]
fn a_script_without_an_interpreter_is_run_by_the_shell() {
    let place = Place::new();
    let text = "printf '<%s>' \"$0\" \"$@\"; echo; exec sleep 1000\n";
    let script = place.script("plain", text);
    let own = place
        .path("")
        .to_str()
        .unwrap()
        .trim_end_matches('/')
        .to_owned();
    for (options, name, shown) in [
        (&["-v"][..], "./plain", format!("{own}/./plain")),
        (
            &["-v", "--argv0", "other"],
            script.to_str().unwrap(),
            format!("{own}/plain"),
        ),
        (
            &["-v", "-t", "0.1", "-E", "PATH=/bin:."],
            "plain",
            format!("{own}/./plain"),
        ),
        (
            &["-v", "-u", "65534:65534"],
            "./plain",
            format!("{own}/./plain"),
        ),
    ] {
        if options.contains(&"-u") && !is_root_for("as another user") {
            continue;
        }
        let mut command = place.rawdaemon(["-o", "out"]);
        command.args(options).args([name, "one", "", "-x y"]);
        let daemon = place.start_by(&mut command);
        let expected = format!("<{shown}><one><><-x y>\n");
        eventually("the script has run", || place.read("out") == expected);
        daemon.assert_alive();
    }
    // Nothing but text: an empty file is an empty script.
    place.script("empty", "");
    place.script("later", "exit 3\n\0\x7f");
    for (name, code) in [("./empty", 0), ("./later", 3)] {
        assert_eq!(
            place.run(&mut place.rawdaemon(["-f", name])).code(),
            code,
            "{name}"
        );
    }
    let format = "Exec format error (ENOEXEC)";
    for text in ["exit\0 3\n", "\x1b\n", "exit 3 \x7f"] {
        place.script("binary", text);
        let says = format!("rawdaemon: cannot execute ./binary: {format}");
        place.fails(&mut place.rawdaemon(["-p", "pid", "./binary"]), 126, &says);
    }
    let many = vec!["x"; 300];
    let says = "rawdaemon: cannot execute ./plain: Argument list too long (E2BIG)";
    place.fails(place.rawdaemon(["./plain"]).args(many), 126, says);
    place.fails(place.rawdaemon(["./plain"]).args(vec!["x"; 254]), 126, says);
    let daemon = place.start_by(place.rawdaemon(["-v", "./plain"]).args(vec!["x"; 253]));
    daemon.assert_alive();
}

#[test]
fn a_script_that_cannot_be_read_is_no_file_of_another_format() {
    let place = Place::new();
    let script = place.script("plain", "exit 3\n");
    fs::set_permissions(&script, Permissions::from_mode(0o111)).unwrap();
    let launcher = place.executable(Path::new(tested_command()), "rawdaemon");
    let mut command = place.program(&launcher, ["./plain"]);
    if rustix::process::geteuid().is_root() {
        if !may_become_others() {
            return;
        }
        command.uid(65534);
    }
    let says = "rawdaemon: cannot execute ./plain: Permission denied (EACCES)";
    place.fails(&mut command, 126, says);
}

#[test]
fn the_shell_of_a_script_may_be_missing() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    place.script("plain", "exit 3\n");
    place.executable(Path::new(tested_command()), "rawdaemon");
    let root = place.path("");
    let mut command = place.program(Path::new("/rawdaemon"), ["-f", "./plain"]);
    before_exec(&mut command, move || Ok(rustix::process::chroot(&root)?));
    let reason = "No such file or directory (ENOENT); its interpreter /bin/sh may be missing";
    let says = format!("rawdaemon: cannot execute ./plain: {reason}");
    place.fails(&mut command, 126, &says);
}

#[test]
fn the_machine_of_a_file_is_named() {
    let place = Place::new();
    for (machine, order, name) in [
        (258_u16, 1, "loongarch"),
        (22, 2, "s390"),
        (20, 2, "powerpc"),
        (9999, 1, "machine 9999"),
    ] {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(64, 0);
        file[5] = order;
        file[16] = 2;
        let machine = match order {
            2 => machine.to_be_bytes(),
            _ => machine.to_le_bytes(),
        };
        file[18..20].copy_from_slice(&machine);
        fs::write(place.path("source"), file).unwrap();
        place.executable(&place.path("source"), "foreign");
        let output = place.run(&mut place.rawdaemon(["./foreign"]));
        if !output.stderr.contains("ENOEXEC") {
            skip_part(format!("{name} is emulated here"));
            continue;
        }
        let says = format!(
            "rawdaemon: cannot execute ./foreign: Exec format error (ENOEXEC); it is for {name}\n"
        );
        assert_eq!((output.code(), output.stderr), (126, says));
    }
}

#[test]
fn an_interpreter_is_named_wherever_its_name_lies() {
    let place = Place::new();
    let mut program = fs::read("/proc/self/exe").unwrap();
    let wide = program[4] == 2;
    let number = |program: &[u8], at: usize, size: usize| {
        let bytes = program[at..at + size].iter().rev();
        bytes.fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let (table, sizes, fields) = match wide {
        true => (number(&program, 32, 8), 54, [8, 32, 40]),
        false => (number(&program, 28, 4), 42, [4, 16, 20]),
    };
    let word = if wide { 8 } else { 4 };
    let count = number(&program, sizes + 2, 2);
    let mut entries = (0..count).map(|index| table + index * number(&program, sizes, 2));
    let entry = entries
        .find(|entry| number(&program, *entry, 4) == 3)
        .unwrap();
    let name = "/no/such/store/of/packages/ld.so";
    let end = program.len();
    for (field, value) in fields
        .into_iter()
        .zip([end, name.len() + 1, name.len() + 1])
    {
        program[entry + field..entry + field + word].copy_from_slice(&value.to_le_bytes()[..word]);
    }
    program.extend_from_slice(name.as_bytes());
    program.push(0);
    fs::write(place.path("source"), program).unwrap();
    place.executable(&place.path("source"), "program");
    let why = format!("No such file or directory (ENOENT); its interpreter {name} may be missing");
    let says = format!("rawdaemon: cannot execute ./program: {why}");
    place.fails(&mut place.rawdaemon(["-p", "pid", "./program"]), 126, &says);
}

/// Runs the command in a directory that is deeper than `PATH_MAX`, or one that was removed, with hard links to these
/// files of the place.
fn without_path(place: &Place, is_removed: bool, files: &[&str], arguments: &[&str]) -> Command {
    let mut command = place.rawdaemon(arguments);
    let string = |path: &Path| CString::new(path.as_os_str().as_bytes()).unwrap();
    let files: Vec<_> = files
        .iter()
        .map(|name| (string(&place.path(name)), string(Path::new(name))))
        .collect();
    let (name, depth) = if is_removed {
        ("gone".into(), 1)
    } else {
        ("d".repeat(200), 30)
    };
    let up = CString::new(format!("../{name}")).unwrap();
    let deep = CString::new(name).unwrap();
    before_exec(&mut command, move || {
        // SAFETY: the strings outlive the calls.
        unsafe {
            for _ in 0..depth {
                libc::mkdir(deep.as_ptr(), 0o755);
                if libc::chdir(deep.as_ptr()) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            for (from, to) in &files {
                libc::link(from.as_ptr(), to.as_ptr());
            }
            if is_removed && libc::rmdir(up.as_ptr()) != 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    });
    command
}

#[test]
fn a_relative_command_needs_no_path() {
    let place = Place::new();
    place.executable(Path::new("/bin/sleep"), "prog");
    place.script("script", "#!/bin/sh\nexec sleep 1000\n");
    place.script("plain", "exec sleep 1000\n");
    let files = ["prog", "script", "plain"];
    let deep = |arguments: &[&str]| without_path(&place, false, &files, arguments);
    for arguments in [
        &["-v", "./prog", "1000"][..],
        &["-v", "-t", "0.1", "-p", "pid", "./prog", "1000"],
        &["-v", "-E", "PATH=/nowhere:.", "prog", "1000"],
        &["-v", "-c", "/usr", "./prog", "1000"],
    ] {
        let daemon = place.start_by(&mut deep(arguments));
        let state = daemon.state();
        let expected = if arguments.contains(&"/usr") {
            "/usr"
        } else {
            "/"
        };
        assert_eq!(state.directory, Path::new(expected));
        // A pidfile in this directory has no path that /proc could show.
        if !arguments.contains(&"pid") {
            eventually("only the streams are open", || {
                daemon.state().descriptors.len() == 3
            });
        }
    }
    let output = place.run(&mut deep(&["-f", "./prog", "0"]));
    assert_eq!(output.code(), 0, "{output:?}");
    let missing = "No such file or directory (ENOENT)";
    let says = format!("rawdaemon: cannot find the command ./none: {missing}");
    place.fails(&mut deep(&["./none"]), 127, &says);
    let why = "; the path of its directory is too long or unknown";
    for (name, error) in [
        ("./script", missing),
        ("./plain", "Exec format error (ENOEXEC)"),
    ] {
        let says = format!("rawdaemon: cannot execute {name}: {error}{why}");
        place.fails(&mut deep(&[name]), 126, &says);
        place.fails(&mut deep(&["-f", name]), 126, &says);
    }
    // In a directory that was removed there is nothing, but there is something above it.
    let removed = |arguments: &[&str]| without_path(&place, true, &[], arguments);
    let says = format!("rawdaemon: cannot find the command ./prog: {missing}");
    place.fails(&mut removed(&["./prog"]), 127, &says);
    let daemon = place.start_by(&mut removed(&["-v", "../prog", "1000"]));
    assert_eq!(daemon.state().directory, Path::new("/"));
    daemon.kill();
    // Before Linux 3.19.
    if !has_filters() {
        return;
    }
    let mut command = deep(&["./prog", "1000"]);
    let answer = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    before_exec(&mut command, filter(libc::SYS_execveat, answer));
    let says = format!("rawdaemon: cannot execute ./prog: Function not implemented (ENOSYS){why}");
    place.fails(&mut command, 126, &says);
}
