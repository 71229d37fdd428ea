//! The process that a daemon has left running when it went into the background by itself.

use crate::pidfile::{each_process, pid_in};
use crate::protocol::Pid;
use crate::sys::{self, Open, Stat, ThinCStr};
use crate::text::{NUMBER_LINE, concat, number_line, split_once};

/// The process that is the daemon now: that which the daemon's own pidfile names, or else the only child. All
/// orphans below a child subreaper are its children; `spared` is none of them. `None` if there is none, or if several
/// could be it.
#[inline(never)]
pub(crate) fn find_forked(own_pidfile: Option<ThinCStr<'_>>, spared: Option<Pid>) -> Option<Pid> {
    if let Some(path) = own_pidfile {
        let file = sys::open(path, Open::Read).ok()?;
        let mut text = [0; 32];
        let length = sys::read(file.raw(), &mut text).ok()?;
        let pid = pid_in(text.get(..length as usize)?)?;
        // A stale file names no child that lives.
        return (sys::has_exited(pid) == Ok(false)).then_some(pid);
    }
    let mut found = None;
    let has_several = each_process(&mut |pid| {
        let is_child = Some(pid) != spared && sys::has_exited(pid) == Ok(false);
        is_child && found.replace(pid).is_some()
    });
    found.filter(|_| has_several == Some(false))
}

/// The program that a process executes, if `/proc` tells.
#[inline(never)]
pub(crate) fn program_of(pid: Pid) -> Option<Stat> {
    let (mut digits, mut path) = ([0; NUMBER_LINE], [0; 32]);
    let digits = split_once(number_line(pid.get().into(), &mut digits), b'\n').0;
    concat(&[b"/proc/", digits, b"/exe"], &mut path);
    let program = sys::open(ThinCStr::at_start(&path)?, Open::Read).ok()?;
    sys::fstat(program.raw()).ok()
}
