//! The tests of the command and of the library from outside.
//!
//! They are one program: it links once, and its tests share one process and run beside each other.
//! So no test changes the state of the process (its directory, umask, limits, signals, or environment), and
//! none waits for children that it does not know.

#![allow(missing_docs, missing_debug_implementations, unreachable_pub)]
#![allow(
    unsafe_code,
    reason = "tests call libc, most of them between fork and exec"
)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod support;

// The parser belongs to the command, which is no library.
#[path = "../../src/command/args/mod.rs"]
#[allow(dead_code, reason = "only the command uses all of it")]
mod args;

// The command line.
mod command_line;
mod fuzz_seeds;

// The layout of the source, and the documents.
mod documents;
mod examples;
mod layout;

// A start: what the daemon gets, and what goes wrong.
mod command;
mod credentials;
mod daemonize;
mod detachment;
mod directories;
mod executables;
mod failures;
mod foreground;
mod group;
mod inherited;
mod kernels;
mod launchers;
mod limits;
mod links;
mod privileges;
mod root;
mod sandboxes;
mod streams;
mod watch;

// Readiness.
mod clients;
mod interruptions;
mod main_pid;
mod notifiers;
mod notify;
mod notify_folder;
mod readiness;

// The pidfile, and the daemon that it names.
mod list;
mod locks;
mod owner;
mod pidfile;
mod ported;
mod races;
mod refusals;
mod removal;
mod start_or_ok;
mod stop;

// A supervised daemon.
mod logs;
mod respawn;
mod respawn_lost;
mod respawn_moments;
mod respawn_rest;
mod respawn_signals;
mod respawn_start;
mod respawn_stop;

// The library in programs of several kinds.
mod c_library;
mod fork_crate;
mod library;
mod memory;
mod nolibc;
mod origin;
mod ports;
mod spawn;

// Real daemons, init scripts and packages.
mod init_scripts;
mod packages;
mod packaging;
mod real;
mod real_daemons;
