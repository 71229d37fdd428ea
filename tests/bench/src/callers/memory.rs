//! The memory of a caller.

use std::{fs, io, ptr};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};
use rustix::param::page_size;

const MIB: usize = 1 << 20;

/// The memory left to other processes, in MiB.
const SPARE: usize = 512;

/// Allocates this much memory in small pages, and touches each page.
pub fn occupy(mib: usize) -> io::Result<()> {
    let size = mib * MIB;
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the kernel chooses an unused address.
    let memory = unsafe { mmap_anonymous(ptr::null_mut(), size, access, MapFlags::PRIVATE) }?;
    // SAFETY: this changes the size of the pages, not their contents.
    match unsafe { madvise(memory, size, Advice::LinuxNoHugepage) } {
        // Kernels without huge pages do not support this advice.
        Ok(()) | Err(rustix::io::Errno::INVAL) => {}
        Err(errno) => return Err(errno.into()),
    }
    // Since Linux 5.14: populates all pages in half the time.
    // SAFETY: the pages are new.
    let _ = unsafe { madvise(memory, size, Advice::LinuxPopulateWrite) };
    for page in (0..size).step_by(page_size()) {
        // SAFETY: the page is within the mapping, which is never unmapped.
        unsafe { memory.cast::<u8>().add(page).write_volatile(1) };
    }
    Ok(())
}

/// Whether this much memory is available. A sixteenth is added for copies of the page tables, each of which
/// takes 1/512.
pub fn has_room_for(mib: usize) -> io::Result<bool> {
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    let available = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.parse::<usize>().ok());
    Ok(available.is_some_and(|kib| kib / 1024 > mib + mib / 16 + SPARE))
}
