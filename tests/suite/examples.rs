//! The examples of the README and of the library's documentation tell the truth: each runs 200 times, or as often as
//! the variable `RAWDAEMON_RUNS` says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use crate::support::{
    DocExample, Place, doc_programs, example, has_test_programs, is_root_for, skip, skip_part,
};

/// How often each example runs, in how many parts.
const RUNS: usize = 200;
const PARTS: usize = 4;

/// How many parts run beside each other.
const BESIDE: usize = 4;

/// Longer than the program `repeat` lets a part take.
const DEADLINE: Duration = Duration::from_secs(90);

/// The examples that run, by their documents and their numbers in them. The original exits with status 0 and leaves
/// this: no daemon (`none`), or one that `serves`, `ends`, or `sleeps` for a moment and ends; and these files. One of
/// two kinds runs 200 times as each.
const RUN: [(&str, usize, &str, &str); 37] = [
    ("README.md", 1, "serves or ends", "web.pid"),
    ("src/lib.rs", 1, "serves or ends", "web.log web.pid"),
    ("src/lib.rs", 2, "sleeps", ""),
    ("src/lib.rs", 3, "none", ""),
    ("src/lib.rs", 4, "none", ""),
    ("src/guide/no_libc.md", 4, "serves", "web.pid"),
    ("src/guide/no_libc.md", 5, "serves or ends", "web.pid"),
    ("src/guide/service.md", 1, "ends", "web.log"),
    ("src/accounts/look_up.rs", 1, "none", ""),
    ("src/accounts/parse.rs", 1, "none", ""),
    ("src/entry/output.rs", 1, "none", ""),
    ("src/hosted/command.rs", 1, "sleeps", ""),
    ("src/hosted/daemonize_or_exit.rs", 1, "ends", "web.pid"),
    ("src/hosted/strings.rs", 1, "sleeps", ""),
    (
        "src/options/builder.rs",
        1,
        "serves or ends",
        "web.log web.pid",
    ),
    ("src/options/builder.rs", 2, "ends", ""),
    ("src/options/builder.rs", 3, "none", ""),
    ("src/options/capabilities.rs", 1, "none", ""),
    ("src/options/capabilities.rs", 2, "none", ""),
    ("src/options/scheduling.rs", 1, "none", ""),
    ("src/options/stdio.rs", 1, "none", ""),
    ("src/pidfile/owner.rs", 1, "none", ""),
    ("src/pidfile/stop.rs", 1, "none", ""),
    ("src/pidfile/wait.rs", 1, "none", ""),
    ("src/protocol/errno.rs", 1, "none", ""),
    ("src/protocol/error.rs", 1, "none", ""),
    ("src/protocol/signal.rs", 1, "none", ""),
    ("src/start/daemonize.rs", 1, "ends", ""),
    ("src/start/daemonize.rs", 2, "serves", ""),
    ("src/start/ready.rs", 1, "ends", ""),
    ("src/start/spawn.rs", 1, "sleeps", ""),
    ("src/start/spawn.rs", 2, "sleeps", ""),
    ("src/start/spawn.rs", 3, "sleeps", ""),
    ("src/sys/c_str.rs", 1, "none", ""),
    ("src/sys/c_strings.rs", 1, "none", ""),
    ("src/sys/c_strings.rs", 2, "none", ""),
    ("src/sys/c_strings.rs", 3, "sleeps", ""),
];

/// The others, and why they do not run here. The tests of the packages below `tests` run the programs there.
const NOT_RUN: [(&str, usize, &str); 7] = [
    ("src/entry/mod.rs", 1, "without std: see `tests/nolibc`"),
    ("src/guide/no_libc.md", 1, "a build script"),
    ("src/guide/no_libc.md", 2, "from `tests/nolibc`"),
    ("src/guide/no_libc.md", 3, "from `tests/origin`"),
    ("src/guide/migration.md", 1, "from `tests/ports`"),
    ("src/guide/migration.md", 2, "from `tests/ports`"),
    ("src/guide/migration.md", 3, "from `tests/ports`"),
];

#[test]
fn every_example_runs_or_is_listed_with_a_reason() {
    let run = RUN.iter().map(|(page, number, ..)| (*page, *number));
    let not_run = NOT_RUN.iter().map(|(page, number, _)| (*page, *number));
    let listed: BTreeSet<_> = run.chain(not_run).collect();
    assert_eq!(
        listed.len(),
        RUN.len() + NOT_RUN.len(),
        "one is listed twice"
    );
    let all = DocExample::all();
    let found: BTreeSet<_> = all.iter().map(|one| (&*one.page, one.number)).collect();
    let differ: Vec<_> = found.symmetric_difference(&listed).collect();
    assert!(
        differ.is_empty(),
        "in a document or listed, not both: {differ:?}"
    );
}

#[test]
fn each_example_runs_200_times_and_tells_the_truth() {
    if !has_test_programs() {
        return;
    }
    // The program `repeat` needs it.
    if !Path::new("/proc/thread-self/children").exists() {
        return skip("the kernel lacks CONFIG_PROC_CHILDREN");
    }
    let mut examples = Vec::new();
    let mut expected = Vec::new();
    for example in DocExample::all() {
        let mut listed = RUN.iter();
        let is_it = |entry: &&(_, _, _, _)| (entry.0, entry.1) == (&*example.page, example.number);
        if let Some((_, _, daemon, files)) = listed.find(is_it) {
            expected.push((*daemon, *files, may_run(&example)));
            examples.push(example);
        }
    }
    let Some(programs) = doc_programs(&examples) else {
        return;
    };
    let cases: Vec<_> = programs
        .iter()
        .zip(expected)
        .filter(|(_, (.., may_run))| *may_run)
        .flat_map(|(program, (daemons, files, _))| {
            let daemons = daemons.split(" or ");
            daemons.map(move |daemon| (program, daemon, files))
        })
        .collect();
    // One that mostly sleeps runs beside those that do not.
    let parts = Mutex::new((0..PARTS).flat_map(|_| &cases));
    let failures = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for _ in 0..BESIDE {
            scope.spawn(|| {
                loop {
                    let Some((program, daemon, files)) = parts.lock().unwrap().next() else {
                        break;
                    };
                    if let Err(why) = run_a_part(program, daemon, files) {
                        failures.lock().unwrap().insert(why);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Whether an example may run here. One becomes a user that only root can become.
fn may_run(example: &DocExample) -> bool {
    let user = "www-data";
    if !example.text.contains(&format!("user(c\"{user}\")")) {
        return true;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let exists = users
        .lines()
        .any(|line| line.split(':').next() == Some(user));
    if !exists {
        skip_part(format!("{}: there is no user {user}", example.page));
    }
    exists && is_root_for(&example.page)
}

/// Runs an example many times, one run after the other.
fn run_a_part(program: &Path, daemon: &str, files: &str) -> Result<(), String> {
    let place = Place::new();
    let folder = place.path("runs");
    fs::create_dir(&folder).unwrap();
    let runs = std::env::var("RAWDAEMON_RUNS").map_or(RUNS, |runs| runs.parse().unwrap());
    let runs = (runs / PARTS).to_string();
    let mut command = place.program(&example("repeat"), [&*runs, daemon, files]);
    // The chapter `guide::service` has a program that takes an argument. The others ignore it.
    command.arg(program).arg("start");
    command.env("TMPDIR", &folder);
    command.env("PIDFILE", folder.join("web.pid"));
    if daemon == "ends" {
        command.env("ENDS", "");
    }
    let output = place.run_within(command.current_dir(&folder), DEADLINE);
    place.assert_no_process();
    match output.code() {
        0 => Ok(()),
        _ => Err(format!("{}: {output:?}", program.display())),
    }
}
