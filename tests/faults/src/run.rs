//! What a run of the processes was seen to do.

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::faults::Role;
use crate::look::State;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub role: Role,
    pub name: String,
    pub number: u32,
    /// The path of calls that have one.
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Code(i32),
    Signal(Signal),
    /// It has become the daemon.
    Executed,
}

/// What a run was seen to do.
#[derive(Debug, Default)]
pub struct Run {
    pub launcher: Option<Pid>,
    pub calls: Vec<Call>,
    pub ended: Option<Ended>,
    /// The daemon, when it executed its command. Of several, the last one.
    pub daemon: Option<(Pid, State)>,
    pub supervisor: Option<Pid>,
    /// The call that the fault has hit first.
    pub hit: Option<Call>,
    pub is_hang: bool,
    /// Processes that have not executed and have not ended.
    pub left: Vec<(Pid, Role)>,
    /// How often a process was stopped at a call: very often in one that spins.
    pub stops: u32,
}
