//! The library, as used by a program that turns itself into a daemon.

use std::fs;

use crate::support::{
    DEADLINE, Daemon, Output, Place, before_exec, eventually, example, has, has_test_programs,
    is_root, pid_in, run, status_line, std_program, strace, without_core,
};
use rustix::process::Pid;

/// The daemon of a successful start, and the milliseconds that the start took.
fn started(output: &Output) -> (Daemon, u64) {
    assert_eq!(output.code(), 0, "{output:?}");
    let daemon = Daemon::new(output.pid());
    daemon.assert_alive();
    let took = output
        .stdout
        .lines()
        .find_map(|line| line.split_once("after ")?.1.strip_suffix(" ms"))
        .unwrap();
    (daemon, took.parse().unwrap())
}

/// What a failed start printed. It must leave no process.
fn failed(place: &Place, case: &str, code: i32) -> String {
    let output = place.run(without_core(&mut std_program(place, case)));
    assert_eq!(output.code(), code, "{output:?}");
    place.assert_no_process();
    output.stdout
}

#[test]
fn by_default_the_daemon_is_alive_after_a_second() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let (daemon, took) = started(&run(&place, "defaults"));
    assert!(
        (1000..3000).contains(&took),
        "alive after a second: {took} ms"
    );
    let mut state = daemon.state();
    assert_eq!(state.umask, "", "the umask is 0");
    // The dispositions stay: a Rust program ignores SIGPIPE.
    assert_eq!(state.ignored, "1000");
    (state.umask, state.ignored) = ("22".into(), String::new());
    // The daemon has not reported yet, and keeps the descriptor for it.
    assert_eq!(state.descriptors.split_off(&3).len(), 1);
    state.assert_well_behaved(daemon.pid);
}

#[test]
fn threads_are_found_by_proc_if_a_sandbox_refuses_unshare() {
    if !has("strace") || !has_test_programs() {
        return;
    }
    for errno in ["EPERM", "ENOSYS", "EINVAL"] {
        let inject = format!("--inject=unshare:error={errno}");
        let traced = |place: &Place, case| {
            let mut command = strace(place, &[&inject], &example("std_program"));
            place.run(command.arg(case))
        };
        let place = Place::new();
        let (daemon, _) = started(&traced(&place, "no timeout"));
        daemon.assert_alive();
        let trace = fs::read_to_string(place.path("trace")).unwrap();
        assert!(trace.contains("(INJECTED)"), "{trace}");
        drop(daemon);
        let place = Place::new();
        let output = traced(&place, "threads");
        assert_eq!(output.code(), 0, "{output:?}");
        let says = "the process has other threads\n";
        assert!(output.stdout.starts_with(says), "{output:?}");
        drop(Daemon::new(output.pid()));
    }
}

#[test]
fn the_daemon_inherits_the_disposition_of_sigchld() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let (daemon, _) = started(&run(&place, "SIGCHLD ignored"));
    let ignored = u64::from_str_radix(&daemon.state().ignored, 16).unwrap();
    assert_ne!(ignored & 1 << (libc::SIGCHLD - 1), 0, "{ignored:#x}");
}

#[test]
fn a_daemon_that_reports_readiness_releases_the_original() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let (daemon, took) = started(&run(&place, "notify"));
    assert!(
        (50..5000).contains(&took),
        "not after the ten seconds: {took} ms"
    );
    assert_eq!(
        daemon.state().descriptors.len(),
        3,
        "the descriptor is closed after the report"
    );
}

/// Whether the intermediate sees the report or the end first is chance.
#[test]
fn a_daemon_may_end_as_soon_as_it_has_reported_readiness() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    for _ in 0..50 {
        let output = run(&place, "ready and done");
        assert_eq!(output.code(), 0, "{output:?}");
        Daemon::new(output.pid()).ended();
    }
}

#[test]
fn without_a_timeout_the_original_waits_for_the_steps_only() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let (_daemon, took) = started(&run(&place, "no timeout"));
    assert!(took < 900, "{took} ms");
}

#[test]
fn files_directory_umask_and_pidfile() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    fs::write(place.path("in"), "read from standard input").unwrap();
    fs::write(place.path("out"), "old\n").unwrap();
    fs::create_dir(place.path("folder")).unwrap();
    let (daemon, _) = started(&place.run(std_program(&place, "files").arg("folder")));
    let expected = "old\nread from standard input\nsaid on standard error\n";
    eventually("the daemon has written", || place.read("out") == expected);
    assert_eq!(place.read("pid"), format!("{}\n", daemon.pid));
    let state = daemon.state();
    assert_eq!(
        (state.directory, state.umask.as_str()),
        (place.path("folder"), "27")
    );
    assert_eq!(state.descriptors[&0], place.path("in"));
    // The daemon holds the lock, so a second start fails.
    let output = place.run(std_program(&place, "files").arg("folder"));
    assert_eq!(
        (output.code(), output.stdout),
        (12, format!("already running as pid {}\n", daemon.pid))
    );
}

#[test]
fn a_daemon_s_death_is_reported() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    for (case, how) in [
        ("exit 3", "exited with status 3"),
        ("exit 3 with SIGCHLD ignored", "exited with status 3"),
        ("exit 3 with a handler that reaps", "exited with status 3"),
        ("abort", "killed by signal 6 (SIGABRT)"),
    ] {
        let said = failed(&place, case, 5);
        let said = said
            .strip_prefix("the handler ran 0 times\n")
            .unwrap_or(&said);
        let says = format!("the daemon ended too soon: {how} after ");
        assert!(
            said.replace(", core dumped", "").starts_with(&says),
            "{case}: {said}"
        );
    }
}

#[test]
fn a_child_of_the_daemon_does_not_hide_its_death() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let output = run(&place, "leaves a child and exits 4");
    assert_eq!(output.code(), 5, "{output:?}");
    assert!(output.took < DEADLINE / 2, "{output:?}");
    // The child is ended, too.
    place.assert_no_process();
}

#[test]
fn a_step_that_fails_is_named() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let says = "cannot enter the working directory: No such file or directory (ENOENT)\n";
    assert_eq!(failed(&place, "bad directory", 3), says);
}

#[test]
fn signals_do_not_restart_the_timeout() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let (_daemon, took) = started(&run(&place, "storm of signals"));
    assert!((300..2000).contains(&took), "{took} ms");
}

#[test]
fn all_options_together() {
    if !is_root() || !has_test_programs() {
        return;
    }
    let place = Place::new();
    fs::create_dir_all(place.path("root/data")).unwrap();
    fs::write(place.path("in"), "").unwrap();
    let output = run(&place, "everything");
    let (daemon, _) = started(&output);
    let pid = daemon.pid;
    let link = |name: &str| fs::read_link(format!("/proc/{pid}/{name}")).unwrap();
    assert_eq!(link("root"), place.path("root"));
    assert_eq!(link("cwd"), place.path("root/data"));
    let state = daemon.state();
    // The kept descriptor is the old standard input. The last one reports to the launcher.
    let files = ["in", "out", "lock", "pid"].map(|name| place.path(name));
    let [input, out, lock, pidfile] = &files;
    let mut found = state.descriptors.clone();
    assert_eq!(found.remove(&0).as_ref(), Some(input));
    assert_eq!(found.remove(&1).as_ref(), Some(out));
    assert_eq!(found.remove(&2), Some("/dev/null".into()));
    assert_eq!(found.remove(&41), Some("/dev/null".into()));
    let mut rest: Vec<_> = found.into_values().collect();
    rest.sort();
    assert_eq!(rest.len(), 3, "{state:?}");
    assert_eq!([&rest[0], &rest[1]], [lock, pidfile]);
    assert_eq!(
        (
            state.ignored.as_str(),
            state.caught.as_str(),
            state.blocked.as_str()
        ),
        ("", "", "")
    );
    let words = |name| status_line(pid, name);
    let nobody = words("Uid");
    assert_ne!(nobody[0], "0");
    assert_eq!(
        nobody,
        [
            nobody[0].clone(),
            nobody[0].clone(),
            nobody[0].clone(),
            nobody[0].clone()
        ]
    );
    assert_eq!(words("Gid"), ["5100"; 4]);
    assert_eq!(words("Groups"), ["5100", "5200"]);
    assert_eq!(words("NoNewPrivs"), ["1"]);
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(words(set), ["0000000000000060"], "{set}");
    }
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let has_line = |start: &str| {
        limits.lines().any(|line| {
            line.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .starts_with(start)
        })
    };
    assert!(has_line("Max open files 90 91"), "{limits}");
    let most = rustix::process::getrlimit(rustix::process::Resource::Core).maximum;
    let most = most.map_or("unlimited".into(), |most| most.to_string());
    let core = format!("Max core file size 0 {most} ");
    assert!(has_line(&core), "{limits}");
    assert_eq!(
        fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap(),
        "7\n"
    );
    assert_eq!(pid_in(pidfile), pid);
    // The locks are held. The failed attempts before have not changed the program.
    let second = run(&place, "everything");
    assert_eq!(second.stdout, format!("already running as pid {pid}\n"));
}

#[test]
fn a_late_report_is_an_error_and_no_signal() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let (daemon, _) = started(&run(&place, "late"));
    let says = "cannot make a channel between the processes: Broken pipe (EPIPE)\n";
    eventually("the daemon has written", || {
        place.path("out").exists() && place.read("out") == says
    });
    daemon.assert_alive();
}

#[test]
fn buffers_and_exit_handlers_of_the_original_run_once() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let output = run(&place, "once");
    let (_daemon, _) = started(&output);
    assert_eq!(output.stdout.matches("buffered").count(), 1, "{output:?}");
    assert_eq!(output.stdout.matches("at exit").count(), 1, "{output:?}");
}

#[test]
fn a_threaded_process_may_daemonize_unchecked() {
    if !has_test_programs() {
        return;
    }
    let place = Place::new();
    let (daemon, _) = started(&run(&place, "unchecked"));
    assert_eq!(
        fs::read_dir(format!("/proc/{}/task", daemon.pid))
            .unwrap()
            .count(),
        1
    );
}

#[test]
fn standard_streams_stay_open_across_exec() {
    if !has_test_programs() {
        return;
    }
    for closed in 0..8 {
        let place = Place::new();
        let mut command = std_program(&place, "files");
        fs::write(place.path("in"), "").unwrap();
        before_exec(command.arg("/"), move || {
            for fd in (0..3).filter(|fd| closed & (1 << fd) != 0) {
                // SAFETY: a number only.
                unsafe { libc::close(fd) };
            }
            Ok(())
        });
        place.run(&mut command);
        let daemon = Daemon::new(Pid::from_raw(place.read("pid").trim().parse().unwrap()).unwrap());
        for fd in 0..3 {
            let info = fs::read_to_string(format!("/proc/{}/fdinfo/{fd}", daemon.pid)).unwrap();
            let flags = info
                .lines()
                .find_map(|line| line.strip_prefix("flags:"))
                .unwrap()
                .trim();
            let flags = i32::from_str_radix(flags, 8).unwrap();
            assert_eq!(
                flags & (libc::O_CLOEXEC | libc::O_NONBLOCK),
                0,
                "{closed:#b}: {fd}"
            );
        }
    }
}
