//! Mounts that only a program under test sees, and kernels that lack something.

use std::io;
use std::process::Command;

use super::{before_exec, skip};

/// Hides later mounts from all processes but this one and its descendants.
pub fn own_mounts() {
    // SAFETY: a number only.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
    mount(
        c"none".as_ptr(),
        c"/".as_ptr(),
        libc::MS_REC | libc::MS_PRIVATE,
    );
}

/// `mount(from, to, NULL, flags, NULL)`
pub fn mount(from: *const libc::c_char, to: *const libc::c_char, flags: libc::c_ulong) {
    let nothing = std::ptr::null();
    // SAFETY: the paths are strings, which the callers hold.
    let result = unsafe { libc::mount(from, to, nothing, flags, nothing.cast()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Mounts an empty file system.
pub fn mount_empty(to: &std::ffi::CStr) {
    let kind = c"tmpfs".as_ptr();
    // SAFETY: strings that outlive the call.
    let result = unsafe { libc::mount(kind, to.as_ptr(), kind, 0, std::ptr::null()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Runs the command without `pidfd_open`, as before Linux 5.3.
pub fn without_pidfds(command: &mut Command) {
    let missing = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    before_exec(command, filter(libc::SYS_pidfd_open, missing));
}

/// Runs the command in a sandbox that answers this call by SIGSYS, as Android's answers those that it does not know.
pub fn trapping(command: &mut Command, call: libc::c_long) {
    before_exec(command, filter(call, libc::SECCOMP_RET_TRAP));
}

/// Whether a filter can be set. If not, the test is skipped.
pub fn has_filters() -> bool {
    let mut program = Command::new("true");
    trapping(&mut program, libc::SYS_reboot);
    let outcome = program.status();
    if let Err(error) = &outcome {
        skip(format!("no seccomp filter can be set: {error}"));
    }
    outcome.is_ok()
}

/// An action that makes the kernel answer this call of the process so, for ever.
pub fn filter(call: libc::c_long, answer: u32) -> impl FnMut() -> io::Result<()> {
    filter_if(libc::BPF_JEQ, call as u32, answer)
}

/// As [`filter`], for all calls from this number on.
pub fn filter_from(call: u32, answer: u32) -> impl FnMut() -> io::Result<()> {
    filter_if(libc::BPF_JGE, call, answer)
}

fn filter_if(comparison: u32, call: u32, answer: u32) -> impl FnMut() -> io::Result<()> {
    let filter = |code, jump, value| libc::sock_filter {
        code,
        jt: jump,
        jf: 0,
        k: value,
    };
    // The filter's input starts with the number of the call (seccomp(2)).
    let load = filter((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0, 0);
    let is_it = filter((libc::BPF_JMP | comparison | libc::BPF_K) as u16, 1, call);
    let to_answer = |value| filter((libc::BPF_RET | libc::BPF_K) as u16, 0, value);
    let mut program = [
        load,
        is_it,
        to_answer(libc::SECCOMP_RET_ALLOW),
        to_answer(answer),
    ];
    move || {
        let program = libc::sock_fprog {
            len: program.len() as u16,
            filter: program.as_mut_ptr(),
        };
        // SAFETY: numbers, and a filter that outlives the calls.
        unsafe {
            assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
            let mode = libc::SECCOMP_MODE_FILTER;
            assert_eq!(
                libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program),
                0
            );
        }
        Ok(())
    }
}

/// Runs the command with an empty `/proc`. This needs root.
pub fn without_proc(command: &mut Command) {
    before_exec(command, || {
        own_mounts();
        mount_empty(c"/proc");
        Ok(())
    });
}
