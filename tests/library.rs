//! The library from outside: programs that use it, with and without `std`.

#![allow(missing_docs, unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::ffi::CStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use rawdaemon::{DaemonizeOptions, Readiness};
use rustix::process::Pid;
use support::{
    DEADLINE, Daemon, Output, Place, State, before_exec, eventually, example, has, is_root, pid_in,
    status_line, std_program, strace,
};

fn run(place: &Place, case: &str) -> Output {
    place.run(&mut std_program(place, case))
}

/// The daemon of a start that went well, and the milliseconds that it took.
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

/// What a start that failed said; nothing may be left of it.
fn failed(place: &Place, case: &str, code: i32) -> String {
    let output = run(place, case);
    assert_eq!(output.code(), code, "{output:?}");
    place.assert_no_process();
    output.stdout
}

#[test]
fn by_default_the_daemon_is_as_the_seed_s() {
    let place = Place::new();
    let (daemon, took) = started(&run(&place, "defaults"));
    assert!(
        (1000..3000).contains(&took),
        "alive after a second: {took} ms"
    );
    let mut state = daemon.state();
    assert_eq!(state.umask, "", "the umask is 0");
    // The dispositions are as they were: a Rust program ignores SIGPIPE, and this one is another.
    assert_eq!(state.ignored, State::of(rustix::process::getpid()).ignored);
    (state.umask, state.ignored) = ("22".into(), String::new());
    // The daemon has not used its word, and holds on to it.
    assert_eq!(state.descriptors.split_off(&3).len(), 1);
    state.assert_well_behaved(daemon.pid);
}

#[test]
fn where_a_sandbox_does_not_tell_of_threads_proc_does() {
    if !has("strace") {
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
        let says = "cannot fork soundly, the process has other threads\n";
        assert!(output.stdout.starts_with(says), "{output:?}");
        drop(Daemon::new(output.pid()));
    }
}

#[test]
fn what_the_caller_does_with_sigchld_the_daemon_does_too() {
    let place = Place::new();
    let (daemon, _) = started(&run(&place, "SIGCHLD ignored"));
    let ignored = u64::from_str_radix(&daemon.state().ignored, 16).unwrap();
    assert_ne!(ignored & 1 << (libc::SIGCHLD - 1), 0, "{ignored:#x}");
}

#[test]
fn a_daemon_that_says_it_is_ready_releases_the_original() {
    let place = Place::new();
    let (daemon, took) = started(&run(&place, "notify"));
    assert!(
        (50..5000).contains(&took),
        "not after the ten seconds: {took} ms"
    );
    assert_eq!(
        daemon.state().descriptors.len(),
        3,
        "the word is given, and its descriptor closed"
    );
}

#[test]
fn without_a_timeout_the_steps_are_waited_for() {
    let place = Place::new();
    let (_daemon, took) = started(&run(&place, "no timeout"));
    assert!(took < 900, "{took} ms");
}

#[test]
fn files_directory_umask_and_pidfile() {
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
    // The lock is the daemon's: a second start does not get it.
    let output = place.run(std_program(&place, "files").arg("folder"));
    assert_eq!(
        (output.code(), output.stdout),
        (12, format!("already running as pid {}\n", daemon.pid))
    );
}

#[test]
fn a_daemon_s_death_is_told() {
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
    let place = Place::new();
    let output = run(&place, "leaves a child and exits 4");
    assert_eq!(output.code(), 5, "{output:?}");
    assert!(output.took < DEADLINE / 2, "{output:?}");
    let left = place.processes();
    assert_eq!(left.len(), 1);
    drop(Daemon::new(left[0]));
}

#[test]
fn a_step_that_fails_is_named() {
    let place = Place::new();
    let says = "cannot enter the working directory: No such file or directory (ENOENT)\n";
    assert_eq!(failed(&place, "bad directory", 3), says);
}

#[test]
fn signals_do_not_restart_the_timeout() {
    let place = Place::new();
    let (_daemon, took) = started(&run(&place, "storm of signals"));
    assert!((300..2000).contains(&took), "{took} ms");
}

#[test]
fn a_program_may_ask_for_everything() {
    if !is_root() {
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
    // The kept one leads to what was standard input before; the last is the word to the launcher.
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
    assert!(has_line("Max core file size 0 unlimited"), "{limits}");
    assert_eq!(
        fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap(),
        "7\n"
    );
    assert_eq!(pid_in(pidfile), pid);
    // The locks are held, and the failed attempts before have left the program as it was.
    let second = run(&place, "everything");
    assert_eq!(second.stdout, format!("already running as pid {pid}\n"));
}

#[test]
fn a_word_that_comes_too_late_is_an_error_and_no_signal() {
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
    let place = Place::new();
    let output = run(&place, "once");
    let (_daemon, _) = started(&output);
    assert_eq!(output.stdout.matches("buffered").count(), 1, "{output:?}");
    assert_eq!(output.stdout.matches("at exit").count(), 1, "{output:?}");
}

#[test]
fn a_threaded_process_is_not_forked_but_may_spawn() {
    let place = Place::new();
    let output = run(&place, "threads");
    assert_eq!(output.code(), 0, "{output:?}");
    let says = "cannot fork soundly, the process has other threads\n";
    assert!(output.stdout.starts_with(says), "{output:?}");
    let daemon = Daemon::new(output.pid());
    daemon.state().assert_well_behaved(daemon.pid);
}

#[test]
fn who_knows_better_may_fork_a_threaded_process() {
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
fn spawning_disturbs_no_thread() {
    let place = Place::new();
    let mut command = std_program(&place, "threads that spawn");
    let output = place.run(command.arg(env!("CARGO_BIN_EXE_rawdaemon")));
    assert_eq!(output.code(), 0, "{output:?}");
    let spawned = if cfg!(rawdaemon_plain_fork) {
        "1000 spawned\n"
    } else {
        "10000 spawned\n"
    };
    assert_eq!(output.stdout, spawned);
    place.assert_no_process();
}

#[test]
fn what_the_kernel_keeps_by_memory_stays_the_caller_s_own() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let output = run(&place, "as others");
    assert_eq!(output.code(), 0, "{output:?}");
    let pids = place.processes();
    let daemons: Vec<_> = pids.into_iter().map(Daemon::new).collect();
    assert_eq!(daemons.len(), 3);
    let told = output
        .stdout
        .lines()
        .filter(|line| line.starts_with("dumpable"));
    let told: Vec<_> = told.collect();
    assert!(told[0].starts_with("dumpable 1"), "{told:?}");
    assert_eq!(told, [told[0]; 4]);
    let adjusted = daemons.iter().filter(|daemon| {
        let file = format!("/proc/{}/oom_score_adj", daemon.pid);
        fs::read_to_string(file).unwrap() == "500\n"
    });
    assert_eq!(adjusted.count(), 1);
}

#[test]
fn a_panic_while_the_start_is_shown_leaves_nothing() {
    // SAFETY: numbers only. What is left by the panic is this process's then.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    let text = format!("RAWDAEMON_TEST=a panic of {}\0", std::process::id());
    let mark = CStr::from_bytes_with_nul(text.as_bytes()).unwrap();
    let mark = [Some(mark.into()), None];
    let argv = [Some(c"sleep".into()), Some(c"1000".into()), None];
    let options = DaemonizeOptions::new().ready(Readiness::Descriptor(9));
    // A thread has its own children, and none of those that are left to the process.
    let start = || {
        let caught = std::panic::catch_unwind(|| {
            options.spawn_and_show(c"/bin/sleep", &argv, &mark, &mut |_| {
                panic!("not to be shown")
            })
        });
        caught.unwrap_err();
        fs::read_to_string("/proc/thread-self/children")
    };
    let children = thread::scope(|scope| scope.spawn(start).join().unwrap());
    let marked = fs::read_dir("/proc").unwrap().filter(|entry| {
        let file = entry.as_ref().unwrap().path().join("environ");
        fs::read(file).is_ok_and(|environment| environment == text.as_bytes())
    });
    assert_eq!(marked.count(), 0);
    match children {
        Ok(children) => assert_eq!(children, "", "the intermediate is no zombie"),
        Err(error) => println!("not looked for zombies: {error}"),
    }
}

#[test]
fn no_memory_is_copied_but_for_the_daemon_of_daemonize() {
    if !has("strace") {
        return;
    }
    let clones = |case| {
        let place = Place::new();
        let mut command = strace(&place, &["--trace=clone"], &example("std_program"));
        let output = place.run(command.arg(case));
        let daemon = Daemon::new(output.pid());
        daemon.assert_alive();
        let trace = place.read("trace");
        let shares = |line: &str| Some(line.split_once("flags=")?.1.starts_with("CLONE_VM|"));
        trace.lines().filter_map(shares).collect::<Vec<_>>()
    };
    let shares = !cfg!(rawdaemon_plain_fork);
    assert_eq!(clones("no timeout"), [shares, false]);
    assert_eq!(clones("defaults"), [shares, false]);
    assert_eq!(clones("spawn"), [shares, shares]);
}

#[test]
fn a_program_can_spawn_another() {
    let place = Place::new();
    let daemon = place.start_by(&mut std_program(&place, "spawn"));
    daemon.state().assert_well_behaved(daemon.pid);
}

#[test]
fn standard_streams_stay_open_in_what_the_daemon_executes() {
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

/// The program without `std` and libc is a package of its own, as such programs are.
fn nolibc_program() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nolibc");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nolibc/Cargo.toml");
    if !manifest.exists() {
        eprintln!("skipped: Cargo does not put a package into a package");
        return None;
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--manifest-path",
        ])
        .arg(manifest);
    match cargo.arg("--target-dir").arg(&target).status() {
        Ok(status) => assert!(status.success()),
        Err(error) => {
            eprintln!("skipped: cargo cannot be run here: {error}");
            return None;
        }
    }
    Some(target.join("release/nolibc"))
}

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

/// Unlike the runtime of Rust, such a program does not open what is closed.
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
