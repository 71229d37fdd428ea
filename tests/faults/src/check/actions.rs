//! What is done with a daemon that runs already.

use super::Judge;
use crate::faults::Kind;
use crate::look::{is_alive, owner};

impl Judge<'_> {
    fn old_lives(&self) -> bool {
        self.world.old.is_some_and(is_alive)
    }

    pub(super) fn second(&mut self, code: i32) {
        if code == 0 {
            self.add("untrue", "a second start succeeded");
        }
        self.old_is_untouched();
    }

    pub(super) fn old_is_untouched(&mut self) {
        if !self.old_lives() {
            self.add("untrue", "the old daemon is dead");
        } else if self.written() != self.world.old
            || !self.scenario.is_supervised && owner(&self.pidfile_path()) != self.world.old
        {
            self.add("debris", "the pidfile of the old daemon is gone");
        }
        if self.is_new_alive() {
            self.add("debris", "another daemon runs");
        }
    }

    pub(super) fn status(&mut self, code: i32) {
        if !matches!(code, 0 | 4) {
            self.add("untrue", "a running daemon is said not to run");
        }
        let pid = self.world.old.map(|pid| format!("{pid}\n"));
        if code == 0 && Some(&self.world.printed) != pid.as_ref() && !self.is_fault_of("write.file")
        {
            self.add("untrue", format!("printed {:?}", self.world.printed));
        }
        self.old_is_untouched();
    }

    /// A line for each file: the daemon of the first runs, that of the second is dead.
    pub(super) fn list(&mut self, code: i32) {
        let pid = self.world.old.map_or(0, |pid| pid.as_raw());
        let right = [
            ("pid: ", "running, ", format!("; pid {pid}")),
            ("dead: ", "dead, but its pidfile exists", String::new()),
        ];
        let lines: Vec<_> = self.world.printed.lines().map(str::to_owned).collect();
        let mut is_known = true;
        for line in &lines {
            let of = right.iter().find(|(file, ..)| line.starts_with(file));
            let says = |what: &str| of.is_some_and(|it| line[it.0.len()..].starts_with(what));
            if says("unknown") || says("cannot") {
                is_known = false;
                if says("cannot") && !self.names_error(line) {
                    self.add("message", format!("{line:?} does not name the error"));
                }
            } else if of.is_none_or(|it| !says(it.1) || !line.contains(it.2.as_str())) {
                self.add("untrue", format!("printed {line:?}"));
            }
        }
        let is_lost = self.is_fault_of("write.file") && self.world.said.contains("cannot write");
        if lines.len() != right.len() && !is_lost {
            self.add("untrue", format!("printed {} lines", lines.len()));
        }
        if code != if is_known && !is_lost { 1 } else { 4 } {
            self.add("untrue", "the code is not that of the lines");
        }
        self.old_is_untouched();
    }

    fn names_error(&self, line: &str) -> bool {
        match self.case.map(|case| case.kind) {
            Some(Kind::Errno(errno)) => line.contains(&format!("({errno:?})")),
            _ => false,
        }
    }

    pub(super) fn stop(&mut self, code: i32) {
        match (code, self.old_lives()) {
            _ if self.is_unknown() => {}
            (0, true) => self.add("untrue", "success, but the daemon runs"),
            (0, false) => {
                if self.pidfile().is_some() && !self.is_told() {
                    self.add("debris", "the pidfile is left");
                }
            }
            (_, true) => self.old_is_untouched(),
            (_, false) => self.add("untrue", "a failure, but the daemon was stopped"),
        }
    }

    pub(super) fn signal(&mut self, code: i32) {
        match (code, self.old_lives()) {
            (0, true) => self.add("untrue", "success, but the daemon was not signalled"),
            (0, false) => {}
            (_, true) => self.old_is_untouched(),
            (_, false) => self.add("untrue", "a failure, but the daemon was signalled"),
        }
    }

    pub(super) fn restart(&mut self, code: i32) {
        match (code, self.old_lives()) {
            _ if self.is_unknown() => {}
            (0, true) => self.add("untrue", "success, but the old daemon runs"),
            (0, false) => self.runs(),
            (_, true) => self.old_is_untouched(),
            (23..=25, false) => self.add("untrue", "the old daemon is said not to be stopped"),
            (_, false) => self.failed(code),
        }
    }
}
