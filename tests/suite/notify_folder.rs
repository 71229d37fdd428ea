//! The folder of the notification socket: who can reach it, and that nothing of it is left.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::readiness::{Waiting, notifier};
use crate::support::{
    Place, State, before_exec, environment, eventually, example, filter, has_filters,
    has_test_programs, is_root, may_become_others, tested_command,
};
use rustix::process::{Pid, Signal, kill_process};

/// The value of NOTIFY_SOCKET of a daemon.
fn socket_of(pid: Pid) -> String {
    let variables = environment(pid);
    let mut values = variables
        .iter()
        .filter_map(|variable| variable.strip_prefix("NOTIFY_SOCKET="));
    values.next().unwrap().to_owned()
}

/// The folder of a socket at `PLACE/rawdaemon-NUMBER/notify`.
fn folder_in(place: &str, socket: &str) -> PathBuf {
    let folder = Path::new(socket).parent().unwrap();
    assert_eq!(folder.parent(), Some(Path::new(place)), "{socket}");
    assert_eq!(folder.join("notify"), Path::new(socket));
    let name = folder.file_name().unwrap().to_str().unwrap();
    let number = name.strip_prefix("rawdaemon-").unwrap();
    assert!(number.parse::<u64>().is_ok(), "{socket}");
    folder.to_owned()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

/// A launcher that runs as another user, in a folder that this user can reach.
fn as_other(place: &Place, arguments: &[&str]) -> Command {
    let launcher = place.executable(Path::new(tested_command()), "rawdaemon");
    let mut command = place.program(&launcher, arguments);
    command.uid(65534).gid(65534);
    command
}

#[test]
fn root_s_folder_lies_in_run_and_any_descendant_can_reach_it() {
    if !is_root() || !has_test_programs() {
        return;
    }
    let place = Place::new();
    for words in [
        &["say READY=1"][..],
        // Daemons change their user before they are ready.
        &["become 65534", "say READY=1"],
        &["child READY=1"],
    ] {
        let daemon = place.start_by(&mut notifier(&place, &["-m", "077"], words));
        let folder = folder_in("/run", &socket_of(daemon.pid));
        assert!(!folder.exists(), "{words:?}");
    }
    let mut command = place.rawdaemon(["-R", "notify", "-t", "60"]);
    let mut waiting = Waiting::start(&place, command.args(["sleep", "1000"]));
    let socket = socket_of(waiting.daemon);
    let folder = folder_in("/run", &socket);
    assert_eq!(
        (mode(&folder), fs::metadata(&folder).unwrap().uid()),
        (0o711, 0)
    );
    waiting.signal(Signal::TERM);
    waiting.launcher.wait().unwrap();
    waiting.daemon_ended();
    eventually("nothing is left", || !folder.exists());
}

#[test]
fn only_the_user_of_the_daemon_can_send_to_it() {
    if !is_root() || !has_test_programs() {
        return;
    }
    let place = Place::new();
    let notifier = place.executable(&example("notifier"), "notifier");
    let notifier = notifier.to_str().unwrap();
    let options = ["-v", "-R", "notify", "-u", "12345:12345", notifier];
    let mut command = place.rawdaemon(options);
    let daemon = place.start_by(command.arg("say READY=1"));
    assert!(!folder_in("/run", &socket_of(daemon.pid)).exists());
    drop(daemon);

    let options = ["-v", "-R", "notify", "-u", "12345:12345", "sleep", "1000"];
    let mut command = place.rawdaemon(options);
    let mut waiting = Waiting::start(&place, &mut command);
    let socket = socket_of(waiting.daemon);
    let folder = folder_in("/run", &socket);
    let status = fs::symlink_metadata(&socket).unwrap();
    assert_eq!((status.uid(), mode(Path::new(&socket))), (12345, 0o600));
    // The daemon's user can leave nothing in the folder.
    let status = fs::symlink_metadata(&folder).unwrap();
    assert_eq!((status.uid(), mode(&folder)), (0, 0o711));
    let mut other = Command::new(notifier);
    other
        .env("NOTIFY_SOCKET", &socket)
        .args(["say READY=1", "exit 0"]);
    let output = other.uid(65534).output().unwrap();
    let says = String::from_utf8_lossy(&output.stderr);
    assert!(says.contains("PermissionDenied"), "{output:?}");
    waiting.signal(Signal::TERM);
    waiting.launcher.wait().unwrap();
    waiting.daemon_ended();
    eventually("nothing is left", || !folder.exists());
}

#[test]
fn a_user_s_folder_is_private() {
    let place = Place::new();
    let own = place.path("own");
    fs::create_dir(&own).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    if is_root && !may_become_others() {
        return;
    }
    let own = own.to_str().unwrap();
    for (runtime, temporary, found) in [
        (Some(own), Some("/tmp"), own),
        (None, Some(own), own),
        (Some("/no/such"), Some(own), own),
        // These are no absolute paths.
        (Some(""), Some("own"), "/tmp"),
        (None, None, "/tmp"),
    ] {
        let arguments = ["-v", "-R", "notify", "-t", "60", "sleep", "1000"];
        let mut command = match is_root {
            true => as_other(&place, &arguments),
            false => place.rawdaemon(arguments),
        };
        for (name, value) in [("XDG_RUNTIME_DIR", runtime), ("TMPDIR", temporary)] {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut waiting = Waiting::start(&place, &mut command);
        let folder = folder_in(found, &socket_of(waiting.daemon));
        assert_eq!(mode(&folder), 0o700);
        waiting.signal(Signal::TERM);
        waiting.launcher.wait().unwrap();
        waiting.daemon_ended();
        eventually("nothing is left", || !folder.exists());
    }
}

#[test]
fn without_a_folder_the_name_is_abstract() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let says = ["say READY=1"];
    let mut command = place.rawdaemon(["-v", "-R", "notify:@"]);
    let daemon = place.start_by(command.arg(example("notifier")).args(says));
    assert!(socket_of(daemon.pid).starts_with('@'));
    drop(daemon);
    if has_filters() {
        let mut command = notifier(&place, &[], &says);
        let answer = libc::SECCOMP_RET_ERRNO | libc::EROFS as u32;
        before_exec(&mut command, filter(libc::SYS_mkdirat, answer));
        let daemon = place.start_by(&mut command);
        assert!(socket_of(daemon.pid).starts_with('@'));
    }
    if !is_root() {
        return;
    }
    // A path is not found from another root directory.
    let daemon = place.start_by(&mut notifier(&place, &["-r", "/"], &says));
    assert!(socket_of(daemon.pid).starts_with('@'));
}

#[test]
fn whoever_is_last_removes_the_folder() {
    let place = Place::new();
    for kills_launcher in [false, true] {
        let mut command = place.rawdaemon(["-v", "-R", "notify", "-t", "60", "sleep", "1000"]);
        let mut waiting = Waiting::start(&place, &mut command);
        let socket = socket_of(waiting.daemon);
        let folder = Path::new(&socket).parent().unwrap();
        assert!(folder.join("notify").exists());
        if kills_launcher {
            waiting.signal(Signal::KILL);
        } else {
            let intermediate = State::of(waiting.daemon).parent;
            kill_process(Pid::from_raw(intermediate).unwrap(), Signal::KILL).unwrap();
        }
        let status = waiting.launcher.wait().unwrap();
        let code = (!kills_launcher).then_some(22);
        assert_eq!(status.code(), code, "{}", place.read("stderr"));
        eventually("nothing is left", || !folder.exists());
        let left = Pid::from_raw(waiting.daemon.as_raw_pid()).unwrap();
        if !kills_launcher {
            // Nobody is left who would stop it.
            kill_process(left, Signal::KILL).unwrap();
        }
        waiting.daemon_ended();
    }
}

#[test]
fn a_socket_in_place_of_the_own_one_is_not_removed() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let how = format!("notify:{}", place.path("socket").display());
    let mut command = place.rawdaemon(["-v", "-R", &how, "-t", "60", "sleep", "1000"]);
    let mut waiting = Waiting::start(&place, &mut command);
    fs::remove_file(place.path("socket")).unwrap();
    let _other = UnixDatagram::bind(place.path("socket")).unwrap();
    waiting.signal(Signal::TERM);
    waiting.launcher.wait().unwrap();
    waiting.daemon_ended();
    eventually("nothing is left", || place.processes().is_empty());
    assert!(place.path("socket").exists());
}
