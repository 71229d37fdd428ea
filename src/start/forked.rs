//! The process that a daemon has left running when it went into the background by itself.

use crate::pidfile::{each_process, is_zombie, parent_of, pid_in};
use crate::protocol::{Errno, Pid};
use crate::sys::{self, Open, ThinCStr};

/// The process that is the daemon now: that which the daemon's own pidfile names, or else the only child. All
/// orphans below a child subreaper are its children; `spared` is none of them. `None` if there is none, or if several
/// could be it.
///
/// # Errors
///
/// Without a pidfile, `/proc` is needed.
#[inline(never)]
pub(crate) fn find_forked(
    own_pidfile: Option<ThinCStr<'_>>,
    spared: Option<Pid>,
) -> Result<Option<Pid>, Errno> {
    let own = sys::getpid();
    if let Some(path) = own_pidfile {
        // A stale file names no child that lives.
        return Ok(read_pidfile(path).filter(|pid| is_child(*pid, own)));
    }
    let mut found = None;
    let has_several = each_process(&mut |pid| {
        let is_child = Some(pid) != spared && is_child(pid, own);
        is_child && found.replace(pid).is_some()
    })?;
    Ok(found.filter(|_| !has_several))
}

fn read_pidfile(path: ThinCStr<'_>) -> Option<Pid> {
    let file = sys::open(path, Open::Read).ok()?;
    let mut text = [0; 32];
    let length = sys::read(file.raw(), &mut text).ok()?;
    pid_in(text.get(..length as usize)?)
}

/// Whether a process is a child of this one and has not ended.
fn is_child(pid: Pid, own: Pid) -> bool {
    match sys::has_exited(pid) {
        Ok(has_exited) => !has_exited,
        Err(errno) => errno.is_refusal() && parent_of(pid) == Some(own) && !is_zombie(pid),
    }
}
