//! A program that becomes a daemon and checks what glibc remembers. Its argument is the name of a case.

#![allow(missing_docs, unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;
use std::{env, mem, process, slice, thread};

use libc::{c_int, pthread_mutex_t};
use rawdaemon::{DaemonizeOptions, Error, Identity, Stdio};

fn main() -> Result<(), Error> {
    let options = DaemonizeOptions::new().stdout(Stdio::file(c"out"));
    let options = options.timeout(Duration::ZERO);
    match env::args().nth(1).unwrap_or_default().as_str() {
        "nothing" => daemonize(&options, || ()),
        "thread id" => daemonize(&options, || println!("{}", clock_of_thread())),
        "another place" => {
            static PLACE: AtomicI32 = AtomicI32::new(0);
            // SAFETY: a number, and a static variable.
            let id = unsafe {
                let id = libc::gettid();
                PLACE.store(id, Ordering::Relaxed);
                libc::syscall(libc::SYS_set_tid_address, PLACE.as_ptr());
                id
            };
            daemonize(&options, || {
                let is_untouched = PLACE.load(Ordering::Relaxed) == id;
                let it_is = if is_untouched { "untouched" } else { "touched" };
                println!("{}, {it_is}", clock_of_thread());
            })
        }
        "process id" => {
            // The field is unused since 2.25, and does not exist on 32 bits since 2.43.
            let place = list_of_mutexes()
                .wrapping_sub(size_of::<[usize; 2]>())
                .wrapping_add(4);
            let place = place.cast::<c_int>();
            // SAFETY: it is within glibc's thread descriptor.
            unsafe { place.write(process::id() as c_int) };
            daemonize(&options, || {
                // SAFETY: as before.
                let remembered = unsafe { place.read() };
                let is_own = remembered as u32 == process::id();
                println!("{}", if is_own { "its own" } else { "another's" });
            })
        }
        "foreground" => {
            let mut mutex = robust_mutex();
            // SAFETY: it is initialized, and outlives its use.
            assert_eq!(unsafe { libc::pthread_mutex_lock(&mut mutex) }, 0);
            let list = list_of_mutexes().cast::<*mut u8>();
            daemonize(&options.foreground(true), || {
                // SAFETY: the kernel's list, which is empty if it leads to itself.
                let is_empty = unsafe { list.read() } == list.cast();
                println!("{}", if is_empty { "empty" } else { "held" });
            })
        }
        "robust mutexes" => robust_mutexes(&options.timeout(Duration::from_secs(10))),
        "own sequences" => {
            println!("registered: {}", register_sequences());
            daemonize(&options, || println!("{}", register_sequences()))
        }
        "mutex" => daemonize(&options, || {
            println!("{:?} {}", lock_and_unlock(), libc::EDEADLK);
            // SAFETY: it ends only this process.
            unsafe { libc::raise(libc::SIGUSR1) };
        }),
        case => panic!("no such case: {case}"),
    }
}

/// Becomes a daemon that calls this and sleeps.
fn daemonize(options: &DaemonizeOptions<'_>, daemon: impl FnOnce()) -> Result<(), Error> {
    match options.daemonize()? {
        Identity::Original(daemon) => println!("the daemon runs as pid {}", daemon.pid()),
        Identity::Daemon(_) => {
            daemon();
            thread::sleep(Duration::from_secs(1000));
        }
    }
    Ok(())
}

/// Registers an area for restartable sequences that glibc does not know of, and returns the errno.
fn register_sequences() -> i32 {
    #[repr(align(32))]
    struct Area([AtomicI32; 8]);
    static AREA: Area = Area([const { AtomicI32::new(0) }; 8]);
    // SAFETY: the area is static, and only the kernel uses it.
    let registered = unsafe { libc::syscall(libc::SYS_rseq, &AREA.0, 32, 0, 0x1234) };
    match registered {
        0 => 0,
        _ => std::io::Error::last_os_error().raw_os_error().unwrap(),
    }
}

/// The results of reading this thread's clock, for which glibc uses the id that it remembers.
fn clock_of_thread() -> String {
    let mut clock = 0;
    // SAFETY: the kernel and glibc write to valid variables.
    let (own, time) = unsafe {
        let own = libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock);
        let mut time = mem::zeroed();
        (own, libc::clock_gettime(clock, &mut time))
    };
    format!("{own} {time}")
}

fn list_of_mutexes() -> *mut u8 {
    let (mut head, mut size) = (ptr::null_mut::<u8>(), 0_usize);
    // SAFETY: the kernel writes an address and a size.
    unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &mut head, &mut size) };
    assert!(!head.is_null());
    head
}

fn robust_mutex() -> pthread_mutex_t {
    // SAFETY: all is initialized before it is used.
    unsafe {
        let mut kind = mem::zeroed();
        libc::pthread_mutexattr_init(&mut kind);
        libc::pthread_mutexattr_setpshared(&mut kind, libc::PTHREAD_PROCESS_SHARED);
        libc::pthread_mutexattr_setrobust(&mut kind, libc::PTHREAD_MUTEX_ROBUST);
        let mut mutex = mem::zeroed();
        libc::pthread_mutex_init(&mut mutex, &kind);
        mutex
    }
}

/// The original holds a mutex in shared memory. The daemon must not touch it.
fn robust_mutexes(options: &DaemonizeOptions<'_>) -> Result<(), Error> {
    let size = size_of::<pthread_mutex_t>();
    // SAFETY: new memory, large enough for two mutexes, which are initialized before they are used. Only
    // this process changes the first one.
    let (of_original, of_daemon, bytes) = unsafe {
        let memory = libc::mmap(
            ptr::null_mut(),
            size_of::<[pthread_mutex_t; 2]>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        assert_ne!(memory, libc::MAP_FAILED);
        let of_original = memory.cast::<pthread_mutex_t>();
        let of_daemon = of_original.add(1);
        of_original.write(robust_mutex());
        of_daemon.write(robust_mutex());
        assert_eq!(libc::pthread_mutex_lock(of_original), 0);
        let bytes = slice::from_raw_parts(of_original.cast::<u8>(), size);
        (of_original, of_daemon, bytes.to_vec())
    };
    match options.daemonize()? {
        Identity::Original(daemon) => {
            println!("the daemon runs as pid {}", daemon.pid());
            // SAFETY: as before.
            let after = unsafe { slice::from_raw_parts(of_original.cast::<u8>(), size) };
            println!(
                "{}",
                if after == bytes {
                    "untouched"
                } else {
                    "touched"
                }
            );
        }
        Identity::Daemon(ready) => {
            // SAFETY: it is initialized, and only the daemon uses it.
            assert_eq!(unsafe { libc::pthread_mutex_lock(of_daemon) }, 0);
            ready.notify().unwrap();
            thread::sleep(Duration::from_secs(1000));
        }
    }
    Ok(())
}

/// The results of locking mutexes that record their owner.
fn lock_and_unlock() -> [c_int; 7] {
    // SAFETY: the mutexes are initialized before they are used.
    unsafe {
        let mut kind = mem::zeroed();
        libc::pthread_mutexattr_init(&mut kind);
        libc::pthread_mutexattr_settype(&mut kind, libc::PTHREAD_MUTEX_ERRORCHECK);
        let mut checked = mem::zeroed();
        libc::pthread_mutex_init(&mut checked, &kind);
        libc::pthread_mutexattr_settype(&mut kind, libc::PTHREAD_MUTEX_RECURSIVE);
        let mut recursive = mem::zeroed();
        libc::pthread_mutex_init(&mut recursive, &kind);
        [
            libc::pthread_mutex_lock(&mut checked),
            libc::pthread_mutex_lock(&mut checked),
            libc::pthread_mutex_unlock(&mut checked),
            libc::pthread_mutex_lock(&mut recursive),
            libc::pthread_mutex_lock(&mut recursive),
            libc::pthread_mutex_unlock(&mut recursive),
            libc::pthread_mutex_unlock(&mut recursive),
        ]
    }
}
