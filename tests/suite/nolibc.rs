//! The library without `std` and libc: the program in `tests/nolibc`.

use std::path::Path;

use crate::support::{Daemon, Place, before_exec, nolibc_program, pid_in};

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

/// Unlike Rust's runtime, such a program does not open closed streams.
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
