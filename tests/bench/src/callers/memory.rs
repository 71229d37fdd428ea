//! The memory of a caller.

use std::{fs, io, ptr};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};
use rustix::param::page_size;

const MIB: usize = 1 << 20;

/// Left to others, in MiB.
const SPARE: usize = 512;

/// Gives the process so much memory, in small pages, all of which are there.
pub fn occupy(mib: usize) -> io::Result<()> {
    let size = mib * MIB;
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the kernel chooses the place, so nothing else is there.
    let memory = unsafe { mmap_anonymous(ptr::null_mut(), size, access, MapFlags::PRIVATE) }?;
    // SAFETY: this changes the size of the pages, not their contents.
    match unsafe { madvise(memory, size, Advice::LinuxNoHugepage) } {
        // A kernel without huge pages does not know that.
        Ok(()) | Err(rustix::io::Errno::INVAL) => {}
        Err(errno) => return Err(errno.into()),
    }
    // Since Linux 5.14 the kernel gets all at once, in half the time.
    // SAFETY: nothing was in the pages.
    let _ = unsafe { madvise(memory, size, Advice::LinuxPopulateWrite) };
    for page in (0..size).step_by(page_size()) {
        // SAFETY: it is within the memory, which stays as long as the process.
        unsafe { memory.cast::<u8>().add(page).write_volatile(1) };
    }
    Ok(())
}

/// Whether so much is available, and a sixteenth more for copies of the page tables: each is a 512th.
pub fn has_room_for(mib: usize) -> io::Result<bool> {
    let information = fs::read_to_string("/proc/meminfo")?;
    let available = information
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.parse::<usize>().ok());
    Ok(available.is_some_and(|kib| kib / 1024 > mib + mib / 16 + SPARE))
}
