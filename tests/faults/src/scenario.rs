//! What is run, and what must come of it.

mod respawn;

use std::time::Duration;

/// What a scenario does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Starts a daemon: the exit code is 0 exactly if it runs as asked.
    Start,
    /// The same by a program that uses the library and marks what is to be tested.
    Library,
    /// The launcher becomes the daemon.
    Foreground,
    /// A start that fails with this code also if nothing is injected.
    Fails(i32),
    /// A start while another daemon runs, which goes on.
    Second,
    /// These concern a daemon that runs already.
    Status,
    /// Beside one that is dead.
    List,
    Stop,
    Signal,
    Restart,
    /// A supervised daemon is killed, and started again.
    Respawn,
    /// It is stopped by `--stop`.
    StopAll,
    /// Its supervisor gets a SIGTERM.
    EndAll,
    /// `--status` while a supervised daemon waits for its restart.
    Waiting,
    /// A start by a new supervisor when that of the daemon was killed.
    Adopt,
}

impl What {
    /// Whether a daemon runs already.
    pub fn needs_daemon(self) -> bool {
        use What::{Adopt, List, Restart, Second, Signal, Status, Stop, Waiting};
        matches!(
            self,
            Second | Status | List | Stop | Signal | Restart | Waiting | Adopt
        )
    }

    /// The exit code if nothing is injected.
    pub fn code(self) -> i32 {
        match self {
            Self::Fails(code) => code,
            Self::Second => 12,
            Self::List => 1,
            Self::Waiting => 2,
            _ => 0,
        }
    }
}

pub struct Scenario {
    pub name: &'static str,
    pub what: What,
    /// The arguments, where `HERE` is the folder of the case and `PROGRAM` the program of this package. Of a
    /// library scenario, those of that program.
    pub arguments: &'static [&'static str],
    /// Whether the launcher creates the daemon itself.
    pub is_direct: bool,
    /// Whether the launcher leads a process group.
    pub is_leader: bool,
    pub needs_root: bool,
    /// Whether the daemon that runs already has a supervisor.
    pub is_supervised: bool,
}

const fn start(name: &'static str, arguments: &'static [&'static str]) -> Scenario {
    Scenario {
        name,
        what: What::Start,
        arguments,
        is_direct: false,
        is_leader: false,
        needs_root: false,
        is_supervised: false,
    }
}

impl Scenario {
    const fn direct(mut self) -> Self {
        self.is_direct = true;
        self
    }

    const fn by_leader(mut self) -> Self {
        self.is_leader = true;
        self
    }

    const fn for_root(mut self) -> Self {
        self.needs_root = true;
        self
    }

    const fn supervised(mut self) -> Self {
        self.is_supervised = true;
        self
    }

    const fn which(mut self, what: What) -> Self {
        self.what = what;
        self
    }

    /// Whether the launcher starts a supervisor.
    pub fn is_respawn(&self) -> bool {
        self.has("--respawn")
    }

    pub fn has(&self, argument: &str) -> bool {
        self.arguments.contains(&argument)
    }

    /// Whether the daemon is not started again while the case lasts.
    pub fn is_waiting(&self) -> bool {
        self.has("100:100") || self.what == What::Waiting
    }

    /// The value of an option.
    pub fn value(&self, option: &str) -> Option<&'static str> {
        let mut arguments = self.arguments.iter();
        arguments.find(|argument| **argument == option)?;
        arguments.next().copied()
    }

    /// The pidfile, in the folder of the case.
    pub fn pidfile(&self) -> &'static str {
        self.value("-p").unwrap_or("pid")
    }

    /// The file, in the folder of the case, of a daemon that says itself that it is ready.
    pub fn ready(&self) -> Option<&'static str> {
        let last = self.arguments.last()?;
        last.strip_prefix("HERE/")
            .filter(|file| file.ends_with("ready"))
    }

    /// How long a process stays stopped: longer than the timeout, if there is one.
    pub fn stopped_for(&self) -> Duration {
        let has_timeout = self.has("-t") || self.what == What::Library;
        Duration::from_millis(if has_timeout { 300 } else { 100 })
    }

    pub fn find(name: &str) -> Option<&'static Self> {
        Self::all().find(|scenario| scenario.name == name)
    }

    pub fn all() -> impl Iterator<Item = &'static Self> {
        SCENARIOS.iter().chain(respawn::SCENARIOS)
    }
}

static SCENARIOS: &[Scenario] = &[
    // The command is searched for, and the launcher is suspended until the exec.
    start("direct", &["faults-program", "sleep"]).direct(),
    start("pidfile", &["-p", "pid", "PROGRAM", "sleep"]).direct(),
    start(
        "log",
        &[
            "-i", "in", "-o", "log", "-e", "log", "-l", "lock", "-p", "pid", "PROGRAM", "sleep",
        ],
    )
    .direct(),
    start("leader", &["-p", "pid", "PROGRAM", "sleep"]).by_leader(),
    // The launcher waits for the end of the intermediate alone.
    start("job", &["PROGRAM", "sleep"]).by_leader(),
    start(
        "timeout",
        &["-t", "0.2", "-p", "pid", "-o", "log", "PROGRAM", "sleep"],
    ),
    start(
        "fd",
        &[
            "-R",
            "fd:3",
            "-p",
            "pid",
            "PROGRAM",
            "fd",
            "3",
            "HERE/ready",
        ],
    ),
    start(
        "notify",
        &[
            "-R",
            "notify",
            "-p",
            "pid",
            "PROGRAM",
            "notify",
            "0",
            "HERE/ready",
        ],
    ),
    start(
        "notify-path",
        &[
            "-R",
            "notify:HERE/socket",
            "-p",
            "pid",
            "PROGRAM",
            "notify",
            "0",
            "HERE/ready",
        ],
    ),
    start("notify-user", NOTIFY_USER).for_root(),
    // The daemon names its child.
    start("main-pid", MAIN_PID),
    start("main-pid-ends", MAIN_PID_ENDS),
    start("main-pid-dies", MAIN_PID_DIES).which(What::Fails(5)),
    start("user", USER).direct().for_root(),
    start("user-timeout", USER_TIMEOUT).for_root(),
    start("privileges", PRIVILEGES).direct().for_root(),
    start(
        "foreground",
        &["-f", "-p", "pid", "-o", "log", "PROGRAM", "sleep"],
    )
    .which(What::Foreground),
    start("missing", &["-p", "pid", "PROGRAM-missing"])
        .direct()
        .which(What::Fails(127)),
    start(
        "directory",
        &["-p", "pid", "-c", "/no/such", "PROGRAM", "sleep"],
    )
    .direct()
    .which(What::Fails(3)),
    start("died", &["-t", "0.2", "-p", "pid", "PROGRAM", "exit"]).which(What::Fails(5)),
    start(
        "refused",
        &["-R", "fd:3", "-p", "pid", "PROGRAM", "close", "3"],
    )
    .which(What::Fails(18)),
    start(
        "late",
        &["-R", "fd:3", "-t", "0.2", "-p", "pid", "PROGRAM", "sleep"],
    )
    .which(What::Fails(6)),
    start("second", &["-p", "pid", "PROGRAM", "sleep"])
        .direct()
        .which(What::Second),
    start("status", &["--status", "-p", "pid"]).which(What::Status),
    start("list", &["--list", "pid", "dead"]).which(What::List),
    start("stop", &["--stop", "-p", "pid"]).which(What::Stop),
    start("signal", &["--signal", "USR1", "-p", "pid"]).which(What::Signal),
    start("restart", &["--restart", "-p", "pid", "PROGRAM", "sleep"])
        .direct()
        .which(What::Restart),
    // The kernel does not know the script, so the shell runs it.
    start("script", &["-p", "pid", "HERE/script"]).direct(),
    // The directories are made, or removed again.
    start("mkdir", MKDIR).direct(),
    start("mkdir-user", MKDIR_USER).direct().for_root(),
    start("mkdir-missing", MKDIR_MISSING)
        .direct()
        .which(What::Fails(127)),
    start("mkdir-died", MKDIR_DIED).which(What::Fails(5)),
    start("daemonize", &["daemonize"]).which(What::Library),
    start("daemonize-ready", &["daemonize-ready", "HERE/ready"]).which(What::Library),
    start("spawn", &["spawn"]).which(What::Library),
];

const USER: &[&str] = &[
    "-u",
    "65534:65534",
    "-n",
    "5",
    "--rlimit",
    "nofile=100",
    "--no-new-privs",
    "--oom-score-adj",
    "100",
    "-r",
    "/",
    "-c",
    "/tmp",
    "-p",
    "pid",
    "PROGRAM",
    "sleep",
];
const PRIVILEGES: &[&str] = &[
    "-u",
    "65534:65534",
    "--capabilities",
    "kill,setgid",
    "--securebits",
    "noroot",
    "--sched",
    "batch",
    "--ionice",
    "idle",
    "--cpus",
    "0",
    "-p",
    "pid",
    "PROGRAM",
    "sleep",
];
const USER_TIMEOUT: &[&str] = &[
    "-t",
    "0.2",
    "-u",
    "65534:65534",
    "-n",
    "5",
    "--rlimit",
    "nofile=100",
    "-p",
    "pid",
    "-o",
    "log",
    "PROGRAM",
    "sleep",
];
const NOTIFY_USER: &[&str] = &[
    "-u",
    "65534:65534",
    "-R",
    "notify",
    "-p",
    "pid",
    "PROGRAM",
    "notify",
    "0",
    "HERE/open/ready",
];
const MAIN_PID: &[&str] = &[
    "-R",
    "notify",
    "-p",
    "pid",
    "PROGRAM",
    "main-pid",
    "lives",
    "HERE/main",
    "HERE/ready",
];
const MAIN_PID_ENDS: &[&str] = &[
    "-R",
    "notify",
    "-p",
    "pid",
    "PROGRAM",
    "main-pid",
    "ends",
    "HERE/main",
    "HERE/ready",
];
const MAIN_PID_DIES: &[&str] = &[
    "-R",
    "notify",
    "-t",
    "1",
    "-p",
    "pid",
    "PROGRAM",
    "main-pid",
    "dies",
    "HERE/main",
    "HERE/ready",
];
const MKDIR: &[&str] = &[
    "--mkdir",
    "run/web",
    "-p",
    "run/web/pid",
    "PROGRAM",
    "sleep",
];
const MKDIR_USER: &[&str] = &[
    "-u",
    "65534:65534",
    "--mkdir",
    "run/web",
    "-p",
    "run/web/pid",
    "PROGRAM",
    "sleep",
];
const MKDIR_MISSING: &[&str] = &["--mkdir", "run/web", "-p", "run/web/pid", "PROGRAM-missing"];
const MKDIR_DIED: &[&str] = &[
    "-t",
    "0.2",
    "--mkdir",
    "run/web",
    "-p",
    "run/web/pid",
    "PROGRAM",
    "exit",
];
