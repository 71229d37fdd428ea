//! Fails, kills and stops rawdaemon at each of its system calls, and checks what it says. See README.md.
//!
//! `cargo run --release --manifest-path tests/faults/Cargo.toml` runs all cases. For x86_64 and i686 only.

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "x86"))))]
compile_error!("the driver replaces results in the registers of x86_64 and i686");

mod arch;
mod calls;
mod check;
mod faults;
mod known;
mod look;
mod pool;
mod report;
mod run;
mod scenario;
mod supervised;
mod trace;
mod worker;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{env, io};

use faults::{Case, Kind, Role, SIGNALS, errnos, is_answer, policy};
use known::Known;
use nix::errno::Errno;
use report::Report;
use scenario::Scenario;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

const HELP: &str = "\
Usage: faults [options]
  --only SCENARIO   only the cases of this scenario
  --case NAME       only this case, for instance leader/daemon/chdir#1/EACCES
  --list            print the names of the cases, and run none
  --seed TEXT       run the cases in an order that the text decides
  --seconds N       start no case after this time
  --workers N       so many cases at a time; by default three for each processor
  --command PATH    the command under test; built by default
  --all             print the known wrong answers too";

struct Options {
    only: Option<String>,
    case: Option<String>,
    is_list: bool,
    seed: Option<String>,
    seconds: Option<u64>,
    workers: usize,
    command: Option<PathBuf>,
    shows_known: bool,
}

fn options(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options {
        only: None,
        case: None,
        is_list: false,
        seed: None,
        seconds: None,
        workers: 3 * std::thread::available_parallelism().map_or(1, usize::from),
        command: None,
        shows_known: false,
    };
    while let Some(name) = arguments.next() {
        match name.as_str() {
            "--list" => options.is_list = true,
            "--all" => options.shows_known = true,
            "--only" => options.only = Some(arguments.next()?),
            "--case" => options.case = Some(arguments.next()?),
            "--seed" => options.seed = Some(arguments.next()?),
            "--seconds" => options.seconds = Some(arguments.next()?.parse().ok()?),
            "--workers" => options.workers = arguments.next()?.parse().ok()?,
            "--command" => options.command = Some(arguments.next()?.into()),
            _ => return None,
        }
    }
    Some(options)
}

fn main() -> io::Result<ExitCode> {
    let mut arguments = env::args().skip(1).peekable();
    if arguments.next_if(|word| word == "--worker").is_some() {
        let command = arguments.next().unwrap_or_default();
        worker::serve(Path::new(&command))?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(options) = options(arguments) else {
        eprintln!("{HELP}");
        return Ok(ExitCode::from(64));
    };
    build(
        Path::new(env!("CARGO_MANIFEST_DIR")),
        &["--bin".as_ref(), "faults-program".as_ref()],
    )?;
    let command = match &options.command {
        Some(path) => path.canonicalize()?,
        None => build_command()?,
    };
    let mut cases = cases(&command, &options)?;
    if options.is_list {
        cases.iter().for_each(|case| println!("{case}"));
        return Ok(ExitCode::SUCCESS);
    }
    // In order, those that hang would come together and slow down the others.
    shuffle(&mut cases, options.seed.as_deref().unwrap_or_default());
    let known = Known::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("known.txt"))?;
    let limit = options.seconds.map(Duration::from_secs);
    let report = pool::run(&command, cases, options.workers, limit, Report::new(known))?;
    report.print(options.shows_known);
    Ok(if report.is_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Builds the command as it is released, for the architecture of this driver.
fn build_command() -> io::Result<PathBuf> {
    let mut folder = Path::new(ROOT).join("target");
    let target = folder.clone();
    build(
        Path::new(ROOT),
        &["--target-dir".as_ref(), target.as_os_str()],
    )?;
    folder.extend(arch::TARGET);
    folder.join("release/rawdaemon").canonicalize()
}

/// Builds a package for the architecture of this driver. `cargo run` builds only the driver of this one.
fn build(package: &Path, options: &[&OsStr]) -> io::Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--manifest-path"]);
    command.arg(package.join("Cargo.toml")).args(options);
    if let Some(name) = arch::TARGET {
        command.args(["--target", name]);
    }
    match command.status()?.success() {
        true => Ok(()),
        false => Err(io::Error::other("cannot build what is tested")),
    }
}

/// All cases of the scenarios that can run here, or those that were asked for.
fn cases(command: &Path, options: &Options) -> io::Result<Vec<Case>> {
    if let Some(name) = &options.case {
        let case = Case::parse(name).filter(|case| Scenario::find(&case.scenario).is_some());
        return Ok(vec![case.ok_or_else(|| io::Error::other("no such case"))?]);
    }
    // SAFETY: no arguments.
    let is_root = unsafe { libc::geteuid() } == 0;
    let mut worker = pool::Member::start(command)?;
    let mut cases = Vec::new();
    for scenario in Scenario::all() {
        if options
            .only
            .as_ref()
            .is_some_and(|name| name != scenario.name)
        {
            continue;
        }
        if scenario.needs_root && !is_root {
            println!("skipped: {}: needs root", scenario.name);
            continue;
        }
        // What the processes do depends on who is faster: two runs show more calls than one.
        let mut calls: Vec<(Role, String, u32)> = Vec::new();
        for _ in 0..2 {
            let answer = worker.ask(&format!("learn {}", scenario.name))?;
            if let Some(why) = answer.strip_prefix("ERROR ") {
                return Err(io::Error::other(why.to_owned()));
            }
            for word in answer.split('\t') {
                let case = Case::parse(&format!("{}/{word}/kill", scenario.name));
                let case = case.ok_or_else(|| io::Error::other(answer.clone()))?;
                let call = (case.role, case.call, case.number.unwrap_or(1));
                if !calls.contains(&call) {
                    calls.push(call);
                }
            }
        }
        cases.extend(of_calls(scenario, &calls));
    }
    Ok(cases)
}

/// How many calls of a name are disturbed in a process. Only a loop that waits makes more, on a busy machine.
const MOST: u32 = 20;

/// The cases of a scenario that makes these calls.
fn of_calls(scenario: &Scenario, calls: &[(Role, String, u32)]) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut names = Vec::new();
    let mut add = |role, call: &str, number, kind| {
        cases.push(Case {
            scenario: scenario.name.into(),
            role,
            call: call.into(),
            number,
            kind,
        });
    };
    for (role, call, number) in calls {
        if !names.contains(&call) {
            names.push(call);
        }
        // Of the 62 signals, the first two and the last stand for all.
        let is_last = !calls.contains(&(*role, call.clone(), number + 1));
        let is_left_out = match call.as_str() {
            "rt_sigaction" => *number > 2 && !is_last,
            _ => *number > MOST,
        };
        if is_left_out {
            continue;
        }
        let is_fault = |errno: &&Errno| !is_answer(call, **errno, *role);
        let kinds = errnos(call)
            .iter()
            .filter(is_fault)
            .map(|errno| Kind::Errno(*errno));
        let signals = SIGNALS.map(Kind::Signal);
        let signals = if scenario.is_respawn() {
            &signals[..]
        } else {
            &[]
        };
        for kind in kinds
            .chain([Kind::Kill, Kind::Stop])
            .chain(signals.iter().copied())
        {
            add(*role, call, Some(*number), kind);
        }
    }
    for call in names {
        for errno in policy(call) {
            add(Role::Any, call, None, Kind::Errno(*errno));
            if let Some(newer) = arch::newer(call) {
                add(Role::Any, newer, None, Kind::Errno(*errno));
            }
        }
    }
    cases
}

/// Fisher and Yates' shuffle by splitmix64, whose state is the FNV hash of the text.
fn shuffle(cases: &mut [Case], text: &str) {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let mut state = text.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
    for last in (1..cases.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = state;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^= number >> 31;
        cases.swap(last, (number % (last as u64 + 1)) as usize);
    }
}
