//! A program with `std` and glibc that uses the library. Its argument is the name of a case.

#![allow(missing_docs, unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod ported;
mod required;
mod spawning;

use std::ffi::CString;
use std::process::ExitCode;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, io, process, thread};

use rawdaemon::{
    Account, Capabilities, DaemonizeOptions, Error, Identity, Limit, Readiness, Ready, Resource,
    SchedPolicy, Stdio, argv,
};

use ported::ported;
use required::required;
use spawning::{
    ready_at_an_own_pipe, spawn, start_within_a_start, start_within_an_action, threads_that_spawn,
    what_goes_by_memory,
};

fn main() -> ExitCode {
    let case = env::args().nth(1).unwrap_or_default();
    let began = Instant::now();
    match run(&case, began) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(case: &str, began: Instant) -> Result<(), Error> {
    let options = DaemonizeOptions::new();
    match case {
        "defaults" => started(rawdaemon::daemonize()?, began, sleep_on),
        "notify" => started(
            options.timeout(Duration::from_secs(10)).daemonize()?,
            began,
            |ready| {
                thread::sleep(Duration::from_millis(50));
                ready.notify().unwrap();
                sleep();
            },
        ),
        "no timeout" => started(
            // How a command reports that it is ready does not matter to a program.
            options
                .timeout(Duration::ZERO)
                .ready(Readiness::Descriptor(1))
                .daemonize()?,
            began,
            sleep_on,
        ),
        "files" => {
            // The paths are relative to this directory, not to the daemon's.
            let options = options
                .stdin(Stdio::file(c"in"))
                .stdout(Stdio::append(c"out"))
                .stderr(Stdio::append(c"out"))
                .pidfile(c"pid")
                .umask(0o027);
            let folder = CString::new(env::args().nth(2).unwrap()).unwrap();
            started(
                options
                    .chdir(folder.as_c_str())
                    .timeout(Duration::ZERO)
                    .daemonize()?,
                began,
                |_ready| {
                    println!("{}", io::read_to_string(io::stdin()).unwrap());
                    eprintln!("said on standard error");
                    sleep();
                },
            );
        }
        "exit 3" => started(options.daemonize()?, began, |_ready| process::exit(3)),
        "SIGCHLD ignored" => {
            // SAFETY: no handler is installed.
            unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
            let options = options.timeout(Duration::ZERO);
            started(options.daemonize()?, began, sleep_on);
        }
        "exit 3 with SIGCHLD ignored" => {
            // SAFETY: no handler is installed.
            unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
            started(options.daemonize()?, began, |_ready| process::exit(3));
        }
        "exit 3 with a handler that reaps" => {
            // SAFETY: the handler calls async-signal-safe functions only.
            unsafe { libc::signal(libc::SIGCHLD, reap as *const () as usize) };
            let outcome = options.daemonize();
            println!("the handler ran {} times", HANDLED.load(Ordering::Relaxed));
            started(outcome?, began, |_ready| process::exit(3));
        }
        "abort" => started(options.daemonize()?, began, |_ready| process::abort()),
        "leaves a child and exits 4" => {
            let options = options.timeout(Duration::from_secs(60));
            started(options.daemonize()?, began, |_ready| {
                // SAFETY: this process has one thread. The child sleeps, and keeps all descriptors open.
                if unsafe { libc::fork() } == 0 {
                    sleep();
                }
                process::exit(4);
            });
        }
        "bad directory" => started(
            options.chdir(c"/no/such/directory").daemonize()?,
            began,
            sleep_on,
        ),
        "storm of signals" => {
            // SAFETY: the handler does nothing; the timer is initialized.
            unsafe {
                libc::signal(libc::SIGALRM, ignore as *const () as usize);
                let interval = libc::timeval {
                    tv_sec: 0,
                    tv_usec: 3000,
                };
                let timer = libc::itimerval {
                    it_interval: interval,
                    it_value: interval,
                };
                libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut());
            }
            started(
                options.timeout(Duration::from_millis(300)).daemonize()?,
                began,
                sleep_on,
            );
        }
        "late" => {
            // SAFETY: no handler is installed.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
            let options = options
                .stdout(Stdio::file(c"out"))
                .timeout(Duration::from_millis(500));
            started(options.daemonize()?, began, |ready| {
                // When the parent changes, the launcher is gone.
                let launcher = parent();
                while parent() == launcher {
                    thread::sleep(Duration::from_millis(2));
                }
                println!("{}", ready.notify().unwrap_err());
                sleep();
            });
        }
        "once" => {
            extern "C" fn say() {
                println!("at exit");
            }
            // SAFETY: the function may be called at exit.
            unsafe { libc::atexit(say) };
            print!("buffered, ");
            started(options.daemonize()?, began, sleep_on);
        }
        "as init" => {
            let options = options.timeout(Duration::ZERO).pidfile(c"pid");
            let identity = options.daemonize()?;
            if matches!(identity, Identity::Original(_)) {
                std::fs::write("code", "0\n").unwrap();
            }
            sleep();
        }
        "everything" => everything(began)?,
        "threads" => {
            thread::scope(|scope| {
                let (end, ended) = std::sync::mpsc::channel::<()>();
                scope.spawn(move || ended.recv());
                let error = rawdaemon::daemonize().unwrap_err();
                println!("{error}");
                let spawned = spawn(&options);
                drop(end);
                spawned
            })?;
        }
        "unchecked" => {
            thread::spawn(sleep);
            // SAFETY: the other thread sleeps, and the daemon uses nothing of it.
            started(unsafe { options.daemonize_unchecked() }?, began, sleep_on);
        }
        "spawn" => spawn(&options)?,
        "ready at an own pipe" => ready_at_an_own_pipe(options)?,
        "start within a start" => start_within_a_start(options)?,
        "start within an action" => start_within_an_action(&options, began)?,
        "spawn fails" => {
            let before = (open_descriptors(), status_line("SigBlk:"));
            let outcome = spawn(&options);
            let after = (open_descriptors(), status_line("SigBlk:"));
            assert_eq!(after, before);
            outcome?;
        }
        "many at once" => {
            let options = options
                .ready(Readiness::Descriptor(3))
                .timeout(Duration::from_secs(60));
            let barrier = Barrier::new(4);
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        barrier.wait();
                        let _ = spawn(&options);
                    });
                }
            });
        }
        "threads that spawn" => threads_that_spawn(),
        "as others" => {
            println!("{}", what_goes_by_memory());
            let adjustment = env::args().nth(2).unwrap().parse().unwrap();
            for options in [
                options.clone().user_ids(65534, 65534, &[]),
                options.clone().group_id(65534),
                options.oom_score_adj(adjustment),
            ] {
                spawn(&options)?;
                println!("{}", what_goes_by_memory());
            }
        }
        "refused capabilities" => {
            // No kernel has this one.
            let options = options.foreground(true).user_ids(5033, 5034, &[]);
            let options = options.capabilities(Capabilities::from_bits(1 << 63));
            println!("{}", spawn(&options).unwrap_err());
            for name in ["Uid", "CapPrm", "CapEff", "CapInh"] {
                println!("{}", status_line(name).unwrap());
            }
        }
        "become root" => {
            // SAFETY: numbers only.
            assert_eq!(unsafe { libc::setresuid(0, 0, 0) }, 0);
            sleep();
        }
        "foreground" => {
            let options = options.foreground(true).pidfile(c"pid").chdir(c"/usr");
            // A failed start leaves a closed stream closed.
            // SAFETY: numbers only.
            unsafe { libc::close(0) };
            let before = (open_descriptors(), umask());
            for failing in [
                options
                    .clone()
                    .stdin(Stdio::file(c"/dev/zero"))
                    .stdout(Stdio::file(c"/no/such/file")),
                options
                    .clone()
                    .lock_file(c"lock")
                    .chdir(c"/no/such/directory"),
                options
                    .clone()
                    .lock_file(c"lock")
                    // More than any user may set.
                    .limit(
                        Resource::Nofile,
                        Limit {
                            soft: 0,
                            hard: 1 << 40,
                        },
                    ),
            ] {
                println!("{}", failing.daemonize().unwrap_err());
                println!("{}", env::current_dir().unwrap().display());
                assert!(!fs_exists("pid"));
                assert_eq!((open_descriptors(), umask()), before, "{failing:?}");
            }
            let failing = options.clone().ready(Readiness::Descriptor(9));
            println!(
                "{}",
                failing
                    .spawn(c"/no/such", argv![c"such"], argv![])
                    .unwrap_err()
            );
            assert_eq!((open_descriptors(), umask()), before, "{failing:?}");
            block_signals();
            let options = match env::args().nth(2) {
                Some(_) => options.stderr(Stdio::append(c"err")),
                None => options.reset_signals(true),
            };
            started(options.daemonize()?, began, |ready| {
                println!("{}", env::current_dir().unwrap().display());
                println!("the daemon runs as pid {}", ready.pid());
                ready.notify().unwrap();
                sleep();
            });
        }
        _ => match ported(case, options.clone(), began) {
            Some(outcome) => outcome?,
            None => required(case, options.require_ready(true), began)?,
        },
    }
    Ok(())
}

fn open_descriptors() -> Vec<std::ffi::OsString> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

fn block_signals() {
    // SAFETY: the set is initialized by sigfillset; nothing else is touched.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
    }
}

fn umask() -> libc::mode_t {
    // SAFETY: numbers only.
    unsafe {
        let mask = libc::umask(0o077);
        libc::umask(mask);
        mask
    }
}

fn status_line(name: &str) -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    lines.find(|line| line.starts_with(name)).map(str::to_owned)
}

fn fs_exists(path: &str) -> bool {
    std::path::Path::new(path).exists()
}

/// Every option that changes what the daemon is.
fn everything(began: Instant) -> Result<(), Error> {
    // Descriptors to close, and one to keep.
    for fd in [40, 41, 42] {
        // SAFETY: numbers only.
        unsafe { libc::fcntl(0, libc::F_DUPFD_CLOEXEC, fd) };
    }
    let (mut buffer, mut groups) = (vec![0; 1 << 20], [0; 64]);
    let nobody = Account::look_up(c"nobody", Some(c"5100"), &mut buffer, &mut groups)?;
    assert!(nobody.groups.contains(&5100));
    let options = DaemonizeOptions::new()
        .timeout(Duration::ZERO)
        .chroot(c"root")
        .chdir(c"data")
        .stdin(Stdio::file(c"in"))
        .stdout(Stdio::file(c"out"))
        .pidfile(c"pid")
        .lock_file(c"lock")
        .nice(19)
        .limit(Resource::Nofile, Limit { soft: 90, hard: 91 })
        .limit(
            Resource::Core,
            Limit {
                soft: 0,
                hard: most_core(),
            },
        )
        .oom_score_adj(7)
        .sched(SchedPolicy::Batch)
        .user_ids(nobody.user, nobody.group, &[5100, 5200])
        .capabilities(Capabilities::KILL | Capabilities::SETGID)
        .no_new_privs(true)
        .reset_signals(true)
        .close_fds(&[41]);
    let error = options
        .clone()
        .close_fds(&[41, 99])
        .daemonize()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot keep descriptor 99: Bad file descriptor (EBADF)"
    );
    let error = options.clone().close_fds(&[-1]).daemonize().unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid option (descriptor): Invalid argument (EINVAL)"
    );
    assert_eq!((error.exit_code(), error.descriptor()), (64, Some(-1)));
    started(options.daemonize()?, began, sleep_on);
    Ok(())
}

/// The hard limit of core files. Only root may raise it.
fn most_core() -> u64 {
    let mut limit = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes a limit.
    unsafe { libc::getrlimit64(libc::RLIMIT_CORE, &raw mut limit) };
    limit.rlim_max
}

/// The original prints the daemon's pid and the time. The daemon calls this function.
fn started(identity: Identity, began: Instant, daemon: impl FnOnce(Ready)) {
    match identity {
        Identity::Original(daemon) => {
            println!("after {} ms", began.elapsed().as_millis());
            println!("the daemon runs as pid {}", daemon.pid());
        }
        Identity::Daemon(ready) => {
            assert_eq!(ready.pid().get().unsigned_abs(), process::id());
            daemon(ready);
        }
    }
}

fn sleep() {
    thread::sleep(Duration::from_secs(1000));
}

fn sleep_on(_ready: Ready) {
    sleep();
}

fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

static HANDLED: AtomicU32 = AtomicU32::new(0);

extern "C" fn reap(_signal: i32) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
    // SAFETY: a null status is not written to.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
}

extern "C" fn ignore(_signal: i32) {}
