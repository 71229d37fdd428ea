//! A start written by hand: the steps and the answer of `daemonize`, and nothing else.
//!
//! The intermediate shares the memory of the original, which stops until it ends, as with vfork(2): it cannot be
//! interrupted. It panics if a call fails. A SIGKILL of the original or the intermediate leaves the daemon half
//! started.

use std::ffi::{c_int, c_long, c_void};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::{io, ptr};

use super::notes::Notes;

const STACK_SIZE: usize = 64 << 10;

/// How long the intermediate waits for the daemon's word, in milliseconds.
const TIMEOUT: c_int = 1000;

/// What the processes share.
struct Start<'n> {
    notes: &'n Notes,
    report: [c_int; 2],
    mask: libc::sigset_t,
    /// The pid of a daemon that is ready, or its negative wait status.
    answer: AtomicI32,
}

/// Returns in the original when the daemon is ready. In the daemon, this records the return and does not return.
pub fn start(notes: &Notes) -> io::Result<()> {
    let mut stack = vec![0_u8; STACK_SIZE];
    // SAFETY: any bytes are valid sets and descriptors, and the calls write to them. The stack is that of the child
    // alone, which ends before `clone` returns here.
    let start = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut start = Start {
            notes,
            report: [0; 2],
            mask: all,
            answer: AtomicI32::new(0),
        };
        libc::sigfillset(&raw mut all);
        check(libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut start.mask).into());
        check(libc::pipe2(start.report.as_mut_ptr(), libc::O_CLOEXEC).into());
        let child = libc::clone(
            intermediate,
            stack.as_mut_ptr_range().end.cast::<c_void>(),
            libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
            (&raw mut start).cast(),
        );
        check(child.into());
        libc::close(start.report[0]);
        libc::close(start.report[1]);
        check(libc::waitpid(child, ptr::null_mut(), 0).into());
        libc::sigprocmask(libc::SIG_SETMASK, &raw const start.mask, ptr::null_mut());
        start
    };
    notes.returned();
    match start.answer.load(Relaxed) {
        1.. => Ok(()),
        status => Err(io::Error::other(format!("it has ended: {}", -status))),
    }
}

extern "C" fn intermediate(start: *mut c_void) -> c_int {
    // SAFETY: `start` points to a `Start` of the original, which is stopped. The child of the fork has a copy.
    unsafe {
        let start = &*start.cast::<Start<'_>>();
        check(libc::setsid().into());
        let daemon = check(libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0)) as i32;
        if daemon == 0 {
            run_daemon(start);
        }
        libc::close(start.report[1]);
        let mut ready = libc::pollfd {
            fd: start.report[0],
            events: libc::POLLIN,
            revents: 0,
        };
        if libc::poll(&raw mut ready, 1, TIMEOUT) == 0 {
            libc::kill(daemon, libc::SIGTERM);
        }
        let (mut word, mut status) = (0_u8, 0);
        let answer = match libc::read(start.report[0], (&raw mut word).cast(), 1) {
            1 => daemon,
            _ => {
                libc::waitpid(daemon, &raw mut status, 0);
                -status
            }
        };
        start.answer.store(answer, Relaxed);
        libc::syscall(libc::SYS_exit_group, 0);
    }
    0
}

/// # Safety
///
/// Only in a process that has a copy of the memory.
unsafe fn run_daemon(start: &Start<'_>) -> ! {
    // SAFETY: numbers and constant strings.
    unsafe {
        check(libc::setpgid(0, 0).into());
        libc::close(start.report[0]);
        let null = check(libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC).into());
        for stream in 0..3 {
            check(libc::dup3(null as c_int, stream, 0).into());
        }
        libc::close(null as c_int);
        libc::umask(0);
        check(libc::chdir(c"/".as_ptr()).into());
        libc::sigprocmask(libc::SIG_SETMASK, &raw const start.mask, ptr::null_mut());
        start.notes.returned();
        check(libc::write(start.report[1], (&raw const *b"\n").cast(), 1) as c_long);
        libc::close(start.report[1]);
        std::thread::sleep(super::detaching::LIFE);
        libc::_exit(0)
    }
}

#[track_caller]
fn check(result: c_long) -> c_long {
    assert!(result >= 0, "{}", io::Error::last_os_error());
    result
}
