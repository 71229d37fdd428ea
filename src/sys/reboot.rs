//! The end of the machine.

use linux_raw_sys::general::{
    LINUX_REBOOT_CMD_CAD_OFF, LINUX_REBOOT_CMD_HALT, LINUX_REBOOT_CMD_POWER_OFF,
    LINUX_REBOOT_CMD_RESTART, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
};
use syscalls::Sysno;

use crate::protocol::Errno;

/// What becomes of the machine: the commands of reboot(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Power {
    /// It is restarted.
    Restart = LINUX_REBOOT_CMD_RESTART,
    /// It is halted.
    Halt = LINUX_REBOOT_CMD_HALT,
    /// It is switched off.
    Off = LINUX_REBOOT_CMD_POWER_OFF,
    /// Nothing yet: Ctrl-Alt-Del sends SIGINT to the init process.
    CadOff = LINUX_REBOOT_CMD_CAD_OFF,
}

/// `reboot(LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, command, NULL)`—Restarts, halts or switches off the machine. Does
/// not return then. In a pid namespace, it ends the init process of that by a signal.
///
/// `EPERM` without CAP_SYS_BOOT.
pub(crate) fn reboot(command: Power) -> Result<(), Errno> {
    // SAFETY: these commands take no pointer.
    unsafe {
        attempt!(
            Sysno::reboot,
            LINUX_REBOOT_MAGIC1,
            LINUX_REBOOT_MAGIC2,
            command as u32
        )
    }
}

/// `sync()`—Writes what the file systems have in memory.
pub(crate) fn sync() {
    // SAFETY: the call takes no arguments.
    let _ = unsafe { call!(Sysno::sync) };
}
