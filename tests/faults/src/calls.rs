//! What a process that is stopped at a call asks for.

use std::fs;
use std::os::unix::fs::FileExt;

use nix::unistd::Pid;

use crate::arch;

/// What the kernel says of a stop at a call. The function of nix passes no size, so the kernel fills in nothing.
pub fn call_info(pid: Pid) -> Option<libc::ptrace_syscall_info> {
    let size = size_of::<libc::ptrace_syscall_info>();
    // SAFETY: the structure is plain numbers, and the kernel fills in no more than its size.
    unsafe {
        let mut info: libc::ptrace_syscall_info = std::mem::zeroed();
        let request = libc::PTRACE_GET_SYSCALL_INFO;
        (libc::ptrace(request, pid.as_raw(), size, &raw mut info) > 0).then_some(info)
    }
}

/// The name of a call, with the command of fcntl(2) or the kind of file, and the file that is read or written.
pub fn name(pid: Pid, name: &str, arguments: &[u64; 6]) -> (String, String) {
    match name {
        "fcntl" => {
            let command = match arguments[1] as i32 {
                libc::F_DUPFD => "DUPFD",
                libc::F_DUPFD_CLOEXEC => "DUPFD_CLOEXEC",
                libc::F_GETFD => "GETFD",
                libc::F_SETFD => "SETFD",
                libc::F_GETFL => "GETFL",
                libc::F_SETFL => "SETFL",
                arch::GETLK => "GETLK",
                arch::SETLK => "SETLK",
                libc::F_OFD_GETLK => "OFD_GETLK",
                _ => "other",
            };
            (format!("{name}.{command}"), String::new())
        }
        "read" | "write" => {
            let file = fs::read_link(format!("/proc/{pid}/fd/{}", arguments[0] as i32));
            let file = file.unwrap_or_default().to_string_lossy().into_owned();
            let kind = if file.starts_with("pipe:") {
                "pipe"
            } else {
                "file"
            };
            (format!("{name}.{kind}"), file)
        }
        _ => (name.into(), String::new()),
    }
}

/// The string at an address of a process.
pub fn string(pid: Pid, at: u64) -> String {
    let mut buffer = [0; 256];
    let memory = fs::File::open(format!("/proc/{pid}/mem"));
    let length = memory
        .and_then(|memory| memory.read_at(&mut buffer, at))
        .unwrap_or(0);
    let text = buffer[..length]
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}
