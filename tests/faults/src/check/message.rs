//! Whether the message is right.

use super::Judge;
use crate::faults::{Kind, Role, codes};
use crate::scenario::What;

impl Judge<'_> {
    /// One line that tells the injected error, and a code that tells the step.
    pub(super) fn message(&mut self, code: i32) {
        let lines = self
            .world
            .said
            .lines()
            .filter(|line| !line.starts_with("LEFT:"))
            .count();
        if code == 0
            || matches!(
                self.scenario.what,
                What::Status | What::List | What::Waiting
            )
        {
            return;
        }
        if lines != 1 && !self.is_fault_of("write.file") {
            self.add("message", format!("{lines} lines"));
            return;
        }
        let (Some(case), Some(hit)) = (self.case, &self.run.hit) else {
            return;
        };
        let Kind::Errno(errno) = case.kind else {
            let is_daemon = self.was_hit(Role::Daemon, Kind::Kill);
            if is_daemon && matches!(self.scenario.what, What::Start) && code != 5 {
                self.add("step", "the daemon was killed");
            }
            return;
        };
        // These fail by themselves, with their own reasons.
        if matches!(self.scenario.what, What::Fails(own) if own == code)
            || (matches!(self.scenario.what, What::Second | What::Adopt) && code == 12)
        {
            return;
        }
        if self.is_fault_of("write.file") && hit.role == Role::Launcher
            // Then MAINPID= is ignored.
            || self.is_fault_of("pidfd_open") && self.world.main.is_some() && code != 22
        {
            return;
        }
        // Where wait4(2) is refused, waitid(2) has reaped the process, and its status is not known.
        let is_lost = hit.name == "wait4" && self.world.said.contains("(ECHILD)");
        // What cannot be read of `/proc` counts as missing.
        let is_missing = self.lacks_proc() && self.world.said.contains("(ENOENT)");
        let is_named = is_lost || is_missing || self.world.said.contains(&format!("({errno:?})"));
        if !is_named {
            self.add("message", format!("it does not name {errno:?}"));
        }
        let is_daemon = hit.role == Role::Daemon || self.scenario.what == What::Foreground;
        let expected = codes(&hit.name, &hit.path);
        if is_named && is_daemon && !expected.is_empty() && !expected.contains(&code) {
            self.add("step", format!("{} {} gives {code}", hit.name, hit.path));
        }
    }
}
