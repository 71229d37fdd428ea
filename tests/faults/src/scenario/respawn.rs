//! The scenarios with a supervisor.

use super::{Scenario, What, start};

/// A scenario with the arguments that all have.
macro_rules! respawn {
    ($name:literal, $($argument:literal),+) => {
        start(
            $name,
            &[
                "--respawn",
                "--respawn-delay",
                "0.01:0.02",
                "--respawn-max",
                "3",
                "-p",
                "pid",
                $($argument),+
            ],
        )
    };
}

pub static SCENARIOS: &[Scenario] = &[
    respawn!("respawn", "PROGRAM", "sleep"),
    respawn!(
        "respawn-lock",
        "-l",
        "lock",
        "-o",
        "log",
        "PROGRAM",
        "sleep"
    ),
    respawn!(
        "respawn-log",
        "-o",
        "log",
        "--log-size",
        "64K",
        "PROGRAM",
        "sleep"
    ),
    respawn!(
        "respawn-notify",
        "-R",
        "notify",
        "PROGRAM",
        "notify",
        "0",
        "HERE/ready"
    ),
    respawn!(
        "respawn-fd",
        "-R",
        "fd:3",
        "PROGRAM",
        "fd",
        "3",
        "HERE/ready"
    ),
    respawn!("respawn-fork", "-R", "fork", "PROGRAM", "fork", "HERE/main"),
    respawn!(
        "respawn-orphan",
        "--respawn-orphan",
        "kill",
        "PROGRAM",
        "sleep"
    ),
    respawn!("respawn-user", "-u", "65534:65534", "PROGRAM", "sleep").for_root(),
    respawn!("respawn-missing", "PROGRAM-missing").which(What::Fails(127)),
    respawn!(
        "respawn-late",
        "-R",
        "fd:3",
        "-t",
        "0.2",
        "PROGRAM",
        "sleep"
    )
    .which(What::Fails(6)),
    respawn!("respawn-died", "-t", "0.2", "PROGRAM", "exit").which(What::Fails(5)),
    respawn!("respawn-again", "PROGRAM", "sleep").which(What::Respawn),
    respawn!(
        "respawn-again-log",
        "-o",
        "log",
        "--log-size",
        "64K",
        "PROGRAM",
        "sleep"
    )
    .which(What::Respawn),
    respawn!(
        "respawn-again-notify",
        "-R",
        "notify",
        "PROGRAM",
        "notify",
        "0",
        "HERE/ready"
    )
    .which(What::Respawn),
    respawn!("respawn-stop", "PROGRAM", "sleep").which(What::StopAll),
    // It is stopped while it waits for its restart.
    respawn!(
        "respawn-stop-waiting",
        "--respawn-delay",
        "100:100",
        "PROGRAM",
        "sleep"
    )
    .which(What::StopAll),
    respawn!(
        "respawn-stop-log",
        "-o",
        "log",
        "--log-size",
        "64K",
        "PROGRAM",
        "sleep"
    )
    .which(What::StopAll),
    respawn!(
        "respawn-end",
        "--retry",
        "TERM/1/KILL/5",
        "-o",
        "log",
        "--log-size",
        "64K",
        "PROGRAM",
        "sleep"
    )
    .which(What::EndAll),
    respawn!("respawn-adopt", "PROGRAM", "sleep")
        .which(What::Adopt)
        .supervised(),
    start("respawn-status", &["--status", "-p", "pid"])
        .which(What::Waiting)
        .supervised(),
    start("respawn-second", &["-p", "pid", "PROGRAM", "sleep"])
        .direct()
        .which(What::Second)
        .supervised(),
];
