//! The time to ask whether a daemon runs, to signal it, beside a shell and dpkg, and to stop it.

use std::io;
use std::path::{Path, PathBuf};

use crate::programs::rawdaemon;
use crate::reap;
use crate::report::{machine, now, report};
use crate::starts::{count_calls, quiet};

const ROUNDS: usize = 300;

/// Each round starts the daemons anew.
const STOPS: usize = 50;

/// How many pidfiles a script asks about.
const MANY: usize = 50;

struct Way {
    name: &'static str,
    /// The words before the pidfiles. `rawdaemon` is the command.
    words: &'static [&'static str],
    /// How many pidfiles it takes at once.
    files: usize,
    /// How often it is run, to ask about all pidfiles.
    runs: usize,
}

const fn way(name: &'static str, words: &'static [&'static str]) -> Way {
    Way {
        name,
        words,
        files: 1,
        runs: 1,
    }
}

const ASKING: [Way; 4] = [
    way(
        "kill -CONT $(cat FILE), in a shell",
        &["sh", "-c", "kill -CONT $(cat $0)"],
    ),
    way(
        "rawdaemon --signal CONT",
        &["rawdaemon", "-s", "CONT", "-p"],
    ),
    way("rawdaemon --status", &["rawdaemon", "--status", "-p"]),
    way(
        "start-stop-daemon --status (dpkg)",
        &["start-stop-daemon", "--status", "--pidfile"],
    ),
];

const ASKING_MANY: [Way; 3] = [
    Way {
        name: "rawdaemon --list, of 50",
        words: &["rawdaemon", "--list"],
        files: MANY,
        runs: 1,
    },
    Way {
        name: "rawdaemon --status, 50 times",
        words: &["rawdaemon", "--status", "-p"],
        files: 1,
        runs: MANY,
    },
    Way {
        name: "start-stop-daemon --status, 50 times",
        words: &["start-stop-daemon", "--status", "--pidfile"],
        files: 1,
        runs: MANY,
    },
];

/// Peers wait until the daemon has been reaped, which this benchmark does only later.
const STOPPING: [Way; 1] = [way("rawdaemon --stop", &["rawdaemon", "--stop", "-p"])];

impl Way {
    fn command(&self, files: &[PathBuf]) -> Vec<PathBuf> {
        let words = self.words.iter().map(|word| match *word {
            "rawdaemon" => rawdaemon(),
            word => PathBuf::from(word),
        });
        words
            .chain(files.iter().take(self.files).cloned())
            .collect()
    }

    /// Returns how long it takes, in nanoseconds.
    fn run(&self, files: &[PathBuf]) -> io::Result<i64> {
        let begin = now();
        for run in 0..self.runs {
            let status = quiet(&self.command(&files[run..])).status()?;
            if !status.success() {
                return Err(io::Error::other(format!("{}: {status}", self.name)));
            }
        }
        Ok(now() - begin)
    }
}

pub fn measure() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let files: Vec<PathBuf> = (0..MANY)
        .map(|number| folder.path().join(format!("{number}.pid")))
        .collect();
    for file in &files {
        start(file)?;
    }
    let title = "to ask about a daemon, or to signal it";
    print(title, &ASKING, ROUNDS, || Ok(files.clone()))?;
    println!("system calls of all processes, except rt_sigaction");
    println!("{}", machine());
    for way in &ASKING {
        match count_calls(&way.command(&files), None) {
            Ok(count) => println!("{:42} {count:7}", way.name),
            Err(error) => println!("skipped: {}: {error}", way.name),
        }
    }
    println!();
    let title = "to ask about 50 daemons";
    print(title, &ASKING_MANY, STOPS, || Ok(files.clone()))?;
    for file in &files {
        STOPPING[0].run(std::slice::from_ref(file))?;
    }
    reap();
    let title = "to stop a daemon, until it has ended";
    print(title, &STOPPING, STOPS, || {
        let file = folder.path().join("pid");
        start(&file)?;
        Ok(vec![file])
    })?;
    reap();
    Ok(())
}

/// Starts a daemon, which sleeps.
fn start(file: &Path) -> io::Result<()> {
    let words = [rawdaemon(), "-p".into(), file.into(), "sleep".into()];
    let mut command = quiet(&words);
    match command.arg("1000").status()?.success() {
        true => Ok(()),
        false => Err(io::Error::other("no daemon")),
    }
}

/// Runs all ways in turn, round after round, with the pidfiles that `prepare` returns.
fn print(
    title: &str,
    ways: &'static [Way],
    rounds: usize,
    prepare: impl Fn() -> io::Result<Vec<PathBuf>>,
) -> io::Result<()> {
    let mut spans: Vec<Vec<i64>> = ways.iter().map(|_| Vec::new()).collect();
    let mut works: Vec<bool> = ways.iter().map(|_| true).collect();
    for _ in 0..rounds {
        for ((way, spans), works) in ways.iter().zip(&mut spans).zip(&mut works) {
            if !*works {
                continue;
            }
            let files = prepare()?;
            match way.run(&files) {
                Ok(span) => spans.push(span),
                Err(error) => {
                    println!("skipped: {error}");
                    *works = false;
                }
            }
        }
    }
    report(title, ways.iter().map(|way| way.name).zip(spans));
    Ok(())
}
