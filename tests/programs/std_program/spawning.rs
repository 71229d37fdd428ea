//! Starting other programs, with many threads.

use std::ffi::CString;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use rawdaemon::{CStrings, DaemonizeOptions, Errno, Error, Readiness, argv};

use crate::{sleep_on, started};

pub(crate) fn spawn(options: &DaemonizeOptions<'_>) -> Result<(), Error> {
    with_environment(|envp| {
        let daemon = options.spawn(c"sleep", argv![c"sleep", c"1000"], envp)?;
        println!("the daemon runs as pid {}", daemon.pid());
        Ok(())
    })
}

/// The environment of this program, which has the mark of the test.
fn with_environment<T>(run: impl FnOnce(CStrings<'_>) -> T) -> T {
    let mark: Vec<CString> = env::vars()
        .map(|(name, value)| CString::new(format!("{name}={value}")).unwrap())
        .collect();
    let list: Vec<_> = mark
        .iter()
        .map(|variable| Some(variable.as_c_str().into()))
        .chain([None])
        .collect();
    // A list without an end is no list.
    assert!(CStrings::new(&list[..1]).is_none());
    assert!(CStrings::new(&[]).is_none());
    run(CStrings::new(&list).unwrap())
}

/// The number of the notification fd is that of the second descriptor that the crate opens: the write end of its
/// first pipe.
pub(crate) fn ready_at_an_own_pipe(options: DaemonizeOptions<'_>) -> Result<(), Error> {
    // SAFETY: numbers only.
    let second = unsafe {
        let (first, second) = (libc::dup(0), libc::dup(0));
        libc::close(first);
        libc::close(second);
        second
    };
    spawn(&options.ready(Readiness::Descriptor(second)))
}

/// Tries every kind of start, and returns what comes of it.
fn try_to_start() -> String {
    let options = DaemonizeOptions::new();
    let spawned = with_environment(|envp| {
        let spawned = options.spawn(c"sleep", argv![c"sleep", c"1000"], envp);
        spawned.map(drop)
    });
    // SAFETY: this is no other thread's memory.
    let unchecked = unsafe { options.daemonize_unchecked() };
    let mut outcomes = String::new();
    for outcome in [
        spawned,
        rawdaemon::daemonize().map(drop),
        options.daemonize_with(|| Ok::<_, Errno>(())).map(drop),
        unchecked.map(drop),
        options.foreground(true).daemonize().map(drop),
    ] {
        outcomes += &outcome.map_or_else(|error| error.to_string(), |()| "it starts".into());
        outcomes.push('\n');
    }
    outcomes
}

/// The callback for progress starts daemons.
pub(crate) fn start_within_a_start(options: DaemonizeOptions<'_>) -> Result<(), Error> {
    let options = options.ready(Readiness::Descriptor(9));
    let argv = argv![
        c"sh",
        c"-c",
        c"sleep 1.5; echo >&9; exec 9>&-; exec sleep 1000"
    ];
    let mut outcomes = String::new();
    let daemon = with_environment(|envp| {
        options.spawn_with_progress(c"sh", argv, envp, &mut |_| outcomes += &try_to_start())
    })?;
    print!("{outcomes}");
    println!("the daemon runs as pid {}", daemon.pid());
    // Afterwards, all is as before.
    spawn(&DaemonizeOptions::new())
}

/// The action of a daemon starts daemons.
pub(crate) fn start_within_an_action(
    options: &DaemonizeOptions<'_>,
    began: Instant,
) -> Result<(), Error> {
    let (identity, _) = options.daemonize_with(|| {
        fs::write("outcomes", try_to_start()).unwrap();
        Ok::<_, Errno>(())
    })?;
    started(identity, began, sleep_on);
    Ok(())
}

/// Many threads start many commands and use memory. One more thread checks that its memory does not
/// change. The commands end at once, and are reaped here.
pub(crate) fn threads_that_spawn() {
    const THREADS: u8 = 32;
    // Copying the memory of so many threads takes time.
    const SPAWNS: usize = if cfg!(rawdaemon_plain_fork) {
        1000
    } else {
        10_000
    };
    let command = CString::new(env::args().nth(2).unwrap()).unwrap();
    // SAFETY: numbers only.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    let (left, ended) = (AtomicUsize::new(SPAWNS), AtomicBool::new(false));
    let spawn_and_work = |mark: u8| {
        let list = [Some(command.as_c_str().into()), Some(c"-V".into()), None];
        let argv = CStrings::new(&list).unwrap();
        let take = |left: usize| left.checked_sub(1);
        while left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
            .is_ok()
        {
            let on_stack = [mark; 1024];
            let on_heap = vec![mark; 8192];
            rawdaemon::spawn(&command, argv, argv![]).unwrap();
            assert!(on_stack.iter().chain(&on_heap).all(|byte| *byte == mark));
        }
    };
    let look_on = || {
        let (on_stack, on_heap) = ([0xa5_u8; 4096], vec![0x5a_u8; 65536]);
        while !ended.load(Ordering::SeqCst) {
            assert!(black_box(&on_stack).iter().all(|byte| *byte == 0xa5));
            assert!(black_box(&on_heap).iter().all(|byte| *byte == 0x5a));
            thread::sleep(Duration::from_millis(1));
        }
    };
    let reap = || {
        let mut reaped = 0;
        while reaped < SPAWNS {
            let mut status = 0;
            // SAFETY: the kernel writes an int.
            if unsafe { libc::waitpid(-1, &mut status, 0) } > 0 {
                assert_eq!(status, 0);
                reaped = usize::saturating_add(reaped, 1);
            } else {
                thread::sleep(Duration::from_millis(1));
            }
        }
        ended.store(true, Ordering::SeqCst);
    };
    thread::scope(|scope| {
        for mark in 0..THREADS {
            let spawn_and_work = &spawn_and_work;
            scope.spawn(move || spawn_and_work(mark));
        }
        scope.spawn(look_on);
        scope.spawn(reap);
    });
    println!("{SPAWNS} spawned");
}

/// Settings that the kernel keeps for all processes that share memory.
pub(crate) fn what_goes_by_memory() -> String {
    // SAFETY: numbers only.
    let dumpable = unsafe { libc::prctl(libc::PR_GET_DUMPABLE) };
    let adjustment = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    format!("dumpable {dumpable}, oom_score_adj {adjustment}")
}
