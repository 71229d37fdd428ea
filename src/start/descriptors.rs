//! Closing the descriptors that the daemon inherited.

use super::kept_fds::KeptFds;
use crate::protocol::Errno;
use crate::sys::{self, EntryNames, Open, RawFd, ThinCStr};
use crate::text::parse_number;

/// The limit for closing descriptors one by one.
const MAX_FDS: RawFd = 1 << 20;

/// Closes every descriptor except those that are kept.
///
/// It uses close_range(2), which is new in Linux 5.9; if that fails, `/proc/self/fd`; and without `/proc`
/// it closes every number below the soft limit RLIMIT_NOFILE, or below 2^20 if that is less.
pub(crate) fn close_all_but(kept: KeptFds<'_>) -> Result<(), Errno> {
    match kept.each_range(sys::close_range) {
        Ok(()) => Ok(()),
        Err(_) => close_from_proc(kept).or_else(|_| close_below_limit(kept)),
    }
}

/// Closes the descriptors in `/proc/self/fd`.
fn close_from_proc(kept: KeptFds<'_>) -> Result<(), Errno> {
    // The descriptor table may be full: make room for the directory.
    close_below(kept.first.saturating_add(8), kept);
    let directory = sys::open(ThinCStr::new(c"/proc/self/fd"), Open::Directory)?;
    let mut buffer = [0; 1024];
    loop {
        // The kernel's position in this directory is a descriptor number, so closing those that have been
        // read skips none.
        let length = sys::getdents(directory.raw(), &mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        for name in EntryNames(buffer.get(..length as usize).unwrap_or_default()) {
            let fd = parse_number(name, 10).map_or(0, |fd| fd as RawFd);
            if fd >= kept.first && fd != directory.raw() {
                close_unless_kept(kept, fd);
            }
        }
    }
}

fn close_below_limit(kept: KeptFds<'_>) -> Result<(), Errno> {
    let limit = RawFd::try_from(sys::getrlimit_nofile()?)
        .unwrap_or(MAX_FDS)
        .min(MAX_FDS);
    close_below(limit, kept);
    Ok(())
}

fn close_below(end: RawFd, kept: KeptFds<'_>) {
    for fd in kept.first..end {
        close_unless_kept(kept, fd);
    }
}

fn close_unless_kept(kept: KeptFds<'_>, fd: RawFd) {
    if kept.next_from(fd) != fd {
        sys::close(fd);
    }
}
