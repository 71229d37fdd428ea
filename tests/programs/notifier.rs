//! A daemon that sends messages of sd_notify(3). Each argument is a word to obey; then it sleeps.

#![allow(missing_docs, unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::env;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::thread::sleep;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

fn main() {
    for argument in env::args().skip(1) {
        let (word, text) = argument.split_once(' ').unwrap_or((&argument, ""));
        let text = text.replace("\\n", "\n").replace("\\0", "\0");
        match word {
            "say" => say(&text),
            // A datagram of that length, with the text at its end.
            "long" => {
                let (length, text) = text.split_once(' ').unwrap();
                let length: usize = length.parse().unwrap();
                let noise = "x".repeat(length - text.len() - 3);
                say(&["X=", &noise, "\n", text].concat());
            }
            // Records of 64 bytes fill a pipe to the last byte.
            "flood" => (0..1200).for_each(|number| say(&format!("STATUS={number:056}"))),
            // A child does this for a while.
            "extend" => in_background(|| {
                for _ in 0..100_000 {
                    let _ = socket().send(b"EXTEND_TIMEOUT_USEC=1");
                }
            }),
            "forever" => loop {
                // The queue may be full, or the receiver gone.
                let _ = socket().send(text.as_bytes());
            },
            "burst" => (0..8).for_each(|number| say(&format!("STATUS=burst {number}"))),
            "too-long" => say_too_much(),
            "barrier" => barrier(),
            "child" => in_child(|| say_and_stay(&text)),
            "grandchild" => in_child(|| in_child(|| say_and_stay(&text))),
            "other-session" => in_child(|| {
                in_child(|| {
                    lead_session();
                    say_and_stay(&text);
                });
            }),
            // Its parent has ended, and nothing shows whose child it was.
            "detached" => in_child(|| {
                let parent = std::process::id();
                in_background(|| {
                    lead_session();
                    while std::os::unix::process::parent_id() == parent {
                        sleep(Duration::from_millis(1));
                    }
                    say_and_stay(&text);
                });
            }),
            "become" => become_user(text.parse().unwrap()),
            "wait" => sleep(Duration::from_millis(text.parse().unwrap())),
            "until" => {
                while !std::path::Path::new(&text).exists() {
                    sleep(Duration::from_millis(1));
                }
            }
            "exit" => std::process::exit(text.parse().unwrap()),
            "print" => println!("{text}"),
            _ => panic!("no such word: {word}"),
        }
    }
    loop {
        sleep(Duration::from_secs(1000));
    }
}

fn socket() -> UnixDatagram {
    let name = env::var("NOTIFY_SOCKET").unwrap();
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).unwrap(),
        None => SocketAddr::from_pathname(name).unwrap(),
    };
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect_addr(&address).unwrap();
    socket
}

fn say(text: &str) {
    assert_eq!(socket().send(text.as_bytes()).unwrap(), text.len());
}

/// A message whose last line would be `READY=1` if it were cut at the size that the launcher reads.
fn say_too_much() {
    let head = ["X=", &"x".repeat(262_144 - 10), "\nREADY=1"].concat();
    assert_eq!(head.len(), 262_144);
    let socket = socket();
    let size: libc::c_int = 1 << 20;
    // SAFETY: the kernel reads an int.
    let forced = unsafe {
        let size = (&raw const size).cast();
        let option = libc::SO_SNDBUFFORCE;
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, size, 4)
    };
    assert_eq!(forced, 0, "only root may");
    socket.send([&head, "0"].concat().as_bytes()).unwrap();
}

/// Sends the writing end of a pipe along, and waits until all copies are closed.
fn barrier() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let descriptors = [writer.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let text = [IoSlice::new(b"BARRIER=1")];
    rustix::net::sendmsg(socket(), &text, &mut control, SendFlags::empty()).unwrap();
    drop(writer);
    assert_eq!(rustix::io::read(reader, &mut [0; 1]).unwrap(), 0);
}

/// Waits until the message is read: a sender that has exited cannot be identified.
fn say_and_stay(text: &str) {
    say(text);
    barrier();
}

fn in_child(part: impl FnOnce()) {
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        0 => {
            part();
            std::process::exit(0);
        }
        child => {
            let mut status = 0;
            // SAFETY: the status is written to an int.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0);
        }
    }
}

fn in_background(part: impl FnOnce()) {
    // SAFETY: this process has one thread.
    if unsafe { libc::fork() } == 0 {
        part();
        std::process::exit(0);
    }
}

fn become_user(user: libc::uid_t) {
    // SAFETY: numbers only.
    assert_eq!(unsafe { libc::setuid(user) }, 0);
}

fn lead_session() {
    // SAFETY: no arguments.
    assert!(unsafe { libc::setsid() } > 0);
}
