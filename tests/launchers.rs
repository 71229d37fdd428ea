//! The same daemon and the same answer, whoever starts it and with how little.

#![allow(missing_docs, unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Place, before_exec, is_root};

fn limit(resource: Resource, value: u64) -> std::io::Result<()> {
    let maximum = getrlimit(resource)
        .maximum
        .map_or(value, |maximum| maximum.max(value));
    Ok(setrlimit(
        resource,
        Rlimit {
            current: Some(value),
            maximum: Some(maximum),
        },
    )?)
}

#[test]
fn as_many_descriptors_as_there_may_be_are_closed() {
    let place = Place::new();
    let most = getrlimit(Resource::Nofile)
        .maximum
        .unwrap_or(100_000)
        .min(100_000);
    let mut command = place.rawdaemon(["-v", "sleep", "1000"]);
    before_exec(&mut command, move || {
        limit(Resource::Nofile, most)?;
        take_descriptors(most as i32);
        Ok(())
    });
    // The lowest are free again after the exec, for what the start itself needs.
    before_exec(&mut command, move || {
        for fd in 3..16 {
            // SAFETY: a number only.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
        Ok(())
    });
    let daemon = place.start_by(&mut command);
    daemon.state().assert_well_behaved(daemon.pid);
}

/// Opens all descriptors below this one.
fn take_descriptors(end: i32) {
    for fd in 3..end {
        // SAFETY: numbers only. The one that the test harness waits at is left as it is.
        unsafe {
            if libc::fcntl(fd, libc::F_GETFD) == -1 {
                libc::dup2(0, fd);
            }
        }
    }
}

#[test]
fn without_a_free_descriptor_the_step_is_named() {
    let place = Place::new();
    let mut command = place.rawdaemon(["-p", "pid", "sleep", "1000"]);
    before_exec(&mut command, || {
        take_descriptors(64);
        limit(Resource::Nofile, 3)
    });
    let says =
        "rawdaemon: cannot make a channel between the processes: Too many open files (EMFILE)";
    place.fails(&mut command, 20, says);
    assert!(!place.path("pid").exists());
}

#[test]
fn without_a_free_process_the_step_is_named() {
    if !is_root() {
        return;
    }
    let intermediate = "cannot create the intermediate process";
    let daemon = "cannot create the daemon process";
    // The command itself is the first process of this user.
    for (processes, code, step) in [(1, 21, intermediate), (2, 1, daemon)] {
        let place = Place::new();
        let user = 54_321;
        let copy = place.executable(Path::new(env!("CARGO_BIN_EXE_rawdaemon")), "rawdaemon");
        let mut command = place.program(&copy, ["sleep", "1000"]);
        before_exec(&mut command, move || {
            limit(Resource::Nproc, processes)?;
            // SAFETY: numbers only.
            let ids = unsafe {
                (
                    libc::setresgid(user, user, user),
                    libc::setresuid(user, user, user),
                )
            };
            assert_eq!(ids, (0, 0));
            Ok(())
        });
        let why = "Resource temporarily unavailable (EAGAIN)";
        place.fails(&mut command, code, &format!("rawdaemon: {step}: {why}"));
    }
}

#[test]
fn children_that_nobody_waits_for_are_waited_for() {
    let place = Place::new();
    let mut command = place.rawdaemon(["-t", "10", "sh", "-c", "exit 3"]);
    before_exec(&mut command, || {
        // SAFETY: no handler is installed.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_flags = libc::SA_NOCLDWAIT;
            libc::sigaction(libc::SIGCHLD, &action, std::ptr::null_mut());
        }
        Ok(())
    });
    let output = place.run(&mut command);
    assert_eq!(output.code(), 5, "{output:?}");
    assert!(output.stderr.contains("exited with status 3"), "{output:?}");
    place.assert_no_process();
}
