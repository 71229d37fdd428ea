//! The effect of each option: parsing a command line gives the sum of the effects of its options.

use std::ffi::{CStr, CString};
use std::time::Duration;

use crate::args::{Invocation, Name, Schedule, Verbosity};
use rawdaemon::internal::{After, ExitCodes, Init, LogTarget, LogTime, settings};
use rawdaemon::{
    Capabilities, CpuSet, DaemonizeOptions, IoPriority, Limit, Readiness, Resource, SchedPolicy,
    Securebits, Signal, Stage, Stdio,
};

use super::list;
use super::spelling::{Given, STYLES, spell};

/// The values of one command line.
struct Values<'v> {
    number: u64,
    path: &'v CStr,
    notify: &'v CStr,
}

impl Values<'_> {
    fn time(&self) -> Duration {
        Duration::new(self.number, (self.number % 1_000_000_000) as u32)
    }

    fn seconds(&self) -> String {
        seconds(self.time())
    }

    fn descriptor(&self) -> i32 {
        self.number as i32 & i32::MAX | 4
    }

    fn signal(&self) -> Signal {
        Signal::new((self.number % 64) as u8 + 1).unwrap()
    }

    fn limit(&self) -> Limit {
        let hard = match self.number % 2 {
            0 => Limit::UNLIMITED,
            _ => self.number,
        };
        let soft = self.number / 3;
        Limit { soft, hard }
    }

    fn resource(&self) -> usize {
        self.number as usize % Resource::ALL.len()
    }

    fn stages(&self) -> usize {
        self.number as usize % 8 + 1
    }
}

/// Checks a command line of all options that the given one lacks, with values taken from its words. Each has the
/// effect listed in this module and no other, so the parser cannot skip an option or mistake it for another.
pub fn check_effects(given: &[Given], words: &[CString]) {
    let path = words
        .iter()
        .map(CString::as_c_str)
        .find(|word| !word.is_empty())
        .unwrap_or(c"/");
    let bytes = path.to_bytes();
    let number = bytes.iter().fold(bytes.len() as u64, |sum, byte| {
        sum.wrapping_mul(257).wrapping_add(u64::from(*byte))
    });
    let notify = CString::new([b"notify:/", bytes].concat()).unwrap();
    let values = Values {
        number,
        path,
        notify: &notify,
    };
    let is_given = |name: Name| given.iter().any(|other| other.name == name);
    let mut options = Vec::new();
    let mut expected = Invocation::default();
    let mut start = DaemonizeOptions::new();
    let prints = !is_given(Name::Help) || !is_given(Name::Version);
    // Actions exclude each other, and some options of a supervisor need or exclude others, but the help and the
    // version need none.
    let is_alone = |name: Name| {
        let actions = matches!(name, Name::Restart | Name::Stop | Name::List | Name::Signal);
        let log = matches!(
            name,
            Name::LogSize | Name::LogKeep | Name::LogTime | Name::Log
        );
        let supervisor = matches!(
            name,
            Name::Respawn
                | Name::Init
                | Name::RespawnDelay
                | Name::RespawnMax
                | Name::RespawnGood
                | Name::RespawnFinal
                | Name::RespawnOrphan
                | Name::Watchdog
        );
        actions || log || supervisor
    };
    let is_possible = |name: Name| prints || !is_alone(name);
    let lacking = Name::ALL.iter().copied().filter(|name| !is_given(*name));
    for name in lacking.filter(|name| is_possible(*name)) {
        let value = add_effect(&mut expected, &mut start, name, &values);
        options.push(Given { name, value });
        if name == Name::Help {
            break;
        }
    }
    if !prints && is_given(Name::Pidfile) {
        start = start.pidfile(c"pid");
        options.push(Given {
            name: Name::Pidfile,
            value: b"pid".to_vec(),
        });
    }
    let style = STYLES[number as usize % STYLES.len()];
    let mut words = spell(&options, style);
    words.extend([c"--".into(), c"x".into()]);
    let arguments = list(&words);
    let found = match Invocation::parse(&arguments) {
        Ok(found) => found,
        Err(error) => panic!("{style:?} {words:?}: {error:?}"),
    };
    expected.command = found.command;
    expected.start = settings(start);
    let (found, expected) = (format!("{found:?}"), format!("{expected:?}"));
    assert_eq!(found, expected, "{style:?} {words:?}");
}

/// Adds the effect of the option to the expected result. Returns the value of the option.
fn add_effect<'v>(
    expected: &mut Invocation<'v>,
    options: &mut DaemonizeOptions<'v>,
    name: Name,
    values: &Values<'v>,
) -> Vec<u8> {
    let path = values.path;
    let set = options.clone();
    let (number, time) = (values.number, values.time());
    let flag = Vec::new();
    match name {
        Name::Stdin => {
            *options = set.stdin(Stdio::file(path));
            expected.paths[0] = Some(path.into());
        }
        Name::Stdout => {
            *options = set.stdout(Stdio::file(path));
            expected.paths[1] = Some(path.into());
            expected.log.target = match path.to_bytes() {
                b"/dev/null" => LogTarget::Off,
                _ => LogTarget::File(path.into()),
            };
        }
        Name::Stderr => {
            *options = set.stderr(Stdio::file(path));
            expected.paths[2] = Some(path.into());
        }
        Name::Pidfile => *options = set.pidfile(path),
        Name::LockFile => *options = set.lock_file(path),
        Name::Chroot => *options = set.chroot(path),
        Name::Chdir => *options = set.chdir(path),
        Name::User => *options = set.user(path),
        Name::Group => *options = set.group(path),
        Name::Mkdir => *options = set.mkdir(path),
        Name::Argv0 => expected.argv0 = Some(path.into()),
        Name::Umask => {
            let mask = number as u32 % 0o1000;
            *options = set.umask(mask);
            return format!("{mask:o}").into_bytes();
        }
        Name::Timeout => {
            *options = set.timeout(time);
            return values.seconds().into_bytes();
        }
        Name::Ready => {
            let (readiness, text) = match number % 3 {
                0 => (Readiness::Notify, "notify".to_owned()),
                1 => {
                    let fd = values.descriptor();
                    (Readiness::Descriptor(fd), format!("fd:{fd}"))
                }
                _ => {
                    let bytes = &values.notify.to_bytes_with_nul()[b"notify:".len()..];
                    let path = CStr::from_bytes_with_nul(bytes).unwrap();
                    *options = set.ready(Readiness::NotifyAt(path.into()));
                    return values.notify.to_bytes().to_vec();
                }
            };
            *options = set.ready(readiness);
            return text.into_bytes();
        }
        Name::Nice => {
            let nice = (number % 40) as i32 - 20;
            *options = set.nice(nice);
            return nice.to_string().into_bytes();
        }
        Name::OomScoreAdj => {
            let adjustment = (number % 2001) as i32 - 1000;
            *options = set.oom_score_adj(adjustment);
            return adjustment.to_string().into_bytes();
        }
        Name::Rlimit => {
            let names = [
                "nofile",
                "core",
                "as",
                "data",
                "stack",
                "memlock",
                "nproc",
                "fsize",
                "cpu",
                "rss",
                "locks",
                "sigpending",
                "msgqueue",
                "nice",
                "rtprio",
                "rttime",
            ];
            let (index, limit) = (values.resource(), values.limit());
            *options = set.limit(Resource::ALL[index], limit);
            return format!("{}={}", names[index], amounts(limit)).into_bytes();
        }
        Name::Sched => {
            let priority = (number % 99) as u8 + 1;
            let policy = match number % 3 {
                0 => SchedPolicy::Fifo(priority),
                1 => SchedPolicy::RoundRobin(priority),
                _ => SchedPolicy::Batch,
            };
            *options = set.sched(policy);
            return match policy {
                SchedPolicy::Fifo(_) => format!("fifo:{priority}"),
                SchedPolicy::RoundRobin(_) => format!("rr:{priority}"),
                _ => "batch".to_owned(),
            }
            .into_bytes();
        }
        Name::Ionice => {
            let level = (number % 8) as u8;
            *options = set.ionice(IoPriority::Realtime(level));
            return format!("realtime:{level}").into_bytes();
        }
        Name::Cpus => {
            let (first, more) = (number as usize % 1000, number as usize % 24);
            let mut cpus = CpuSet::new();
            assert!((first..=first + more).all(|cpu| cpus.insert(cpu)));
            *options = set.cpus(cpus);
            return format!("{first}-{}", first + more).into_bytes();
        }
        Name::Capabilities => {
            let other = number % 64;
            let bits = Capabilities::from_bits(1 << other);
            *options = set.capabilities(bits | Capabilities::SYS_NICE);
            return format!("cap_sys_nice,{other}").into_bytes();
        }
        Name::Securebits => {
            *options = set.securebits(Securebits::KEEP_CAPS_LOCKED | Securebits::NOROOT);
            return b"noroot,keep-caps-locked".to_vec();
        }
        Name::KeepFd => {
            expected.keep[0] = values.descriptor();
            expected.kept = 1;
            return values.descriptor().to_string().into_bytes();
        }
        // `check_environment` checks the effect.
        Name::Env => return [b"NAME=", path.to_bytes()].concat(),
        Name::Signal => {
            expected.signal = Some(values.signal());
            expected.add_flag(name);
            return values.signal().number().to_string().into_bytes();
        }
        Name::KillAfter => {
            expected.kill_after = Some(time);
            return values.seconds().into_bytes();
        }
        Name::Retry => {
            let stage = format!("{}/{}", values.signal().number(), values.seconds());
            let text = vec![stage; values.stages()].join("/");
            expected.retry = Schedule::parse(text.as_bytes());
            let stages = expected.retry.as_ref().unwrap().stages();
            assert_eq!(
                stages,
                vec![Stage::new(values.signal(), time); values.stages()]
            );
            return text.into_bytes();
        }
        Name::LogSize => {
            expected.add_flag(name);
            let kilobytes = number % (1 << 40) + 4;
            expected.log.size = kilobytes << 10;
            return format!("{kilobytes}K").into_bytes();
        }
        Name::LogKeep => {
            expected.add_flag(name);
            expected.log.keep = number as u32 % 1000;
            return expected.log.keep.to_string().into_bytes();
        }
        Name::LogTime => {
            expected.add_flag(name);
            expected.log.time = [LogTime::Utc, LogTime::Boot][number as usize % 2];
            return ["utc", "boot"][number as usize % 2].into();
        }
        Name::Log => {
            expected.add_flag(name);
            let facility = number as u8 % 8;
            let (target, text) = match number % 3 {
                0 => (LogTarget::Kmsg, "kmsg".to_owned()),
                1 => (LogTarget::Syslog(3), "syslog".to_owned()),
                _ => {
                    let text = format!("syslog:local{facility}");
                    (LogTarget::Syslog(16 + facility), text)
                }
            };
            expected.log.target = target;
            return text.into_bytes();
        }
        Name::Respawn => {
            expected.respawn.after = [After::Everything, After::Failure][number as usize % 2];
            expected.add_flag(name);
            return match number % 2 {
                0 => b"always".to_vec(),
                _ => b"failure".to_vec(),
            };
        }
        Name::RespawnDelay => {
            expected.add_flag(name);
            let delay = time + Duration::from_nanos(1);
            expected.respawn.delay = delay;
            expected.respawn.longest_delay = match number % 2 {
                0 => delay,
                _ => delay.max(Duration::from_secs(60)),
            };
            let text = seconds(delay);
            return match number % 2 {
                0 => format!("{text}:{text}"),
                _ => text,
            }
            .into_bytes();
        }
        Name::RespawnMax => {
            expected.add_flag(name);
            expected.respawn.max = number as u32;
            return (number as u32).to_string().into_bytes();
        }
        Name::RespawnGood => {
            expected.add_flag(name);
            expected.respawn.good_run = time;
            return values.seconds().into_bytes();
        }
        Name::RespawnFinal => {
            expected.add_flag(name);
            let text = format!("{},127", number as u8);
            expected.respawn.final_codes = ExitCodes::parse(text.as_bytes()).unwrap();
            return text.into_bytes();
        }
        Name::RespawnOrphan => {
            expected.add_flag(name);
            expected.respawn.kills_orphan = number % 2 == 0;
            return match number % 2 {
                0 => b"kill".to_vec(),
                _ => b"run".to_vec(),
            };
        }
        Name::Watchdog => {
            expected.add_flag(name);
            expected.respawn.watchdog = time;
            return values.seconds().into_bytes();
        }
        Name::Init => {
            expected.init = [Init::Container, Init::Image][number as usize % 2];
            expected.add_flag(name);
            return ["container", "image"][number as usize % 2].into();
        }
        Name::NoNewPrivs => expected.add_flag(name),
        Name::ClearEnv => expected.add_flag(name),
        Name::StartOrOk => expected.add_flag(name),
        Name::ProcessGroup => expected.add_flag(name),
        Name::TrustPidfile => expected.add_flag(name),
        Name::Strict => expected.add_flag(name),
        Name::Restart => expected.add_flag(name),
        Name::Stop => expected.add_flag(name),
        Name::Status => expected.add_flag(name),
        Name::List => expected.add_flag(name),
        Name::Foreground => expected.add_flag(name),
        Name::Append => expected.add_flag(name),
        Name::Quiet => expected.verbosity = Verbosity::Quiet,
        Name::Verbose => expected.verbosity = Verbosity::Verbose,
        Name::Help => expected.add_flag(name),
        Name::Version => expected.add_flag(name),
    }
    match name.takes_value() {
        true => path.to_bytes().to_vec(),
        false => flag,
    }
}

/// A time as an option value.
fn seconds(time: Duration) -> String {
    format!("{}.{:09}", time.as_secs(), time.subsec_nanos())
}

/// A limit as an option value.
fn amounts(limit: Limit) -> String {
    let amount = |amount: u64| match amount {
        Limit::UNLIMITED => "unlimited".to_owned(),
        number => number.to_string(),
    };
    if limit.soft == limit.hard {
        amount(limit.soft)
    } else {
        [amount(limit.soft), amount(limit.hard)].join(":")
    }
}
