//! A listener that stays for a moment after success, for a sender's `BARRIER=1`.
//!
//! `systemd-notify` sends `BARRIER=1` after `READY=1`, and fails if no process receives it
//! (sd_notify_barrier(3)); the script that has called it may end then. The intermediate cannot wait for
//! it: most daemons send none, and their launchers should return.

use super::descriptors::{Kept, close_all_but};
use super::readiness::Channel;
use super::watch::Watch;
use crate::protocol::{Nanoseconds, Notice};
use crate::sys::{self, End, ExitSignal, Fork, NO_FD, SignalSet, TidAddress};

/// As long as systemd-notify waits for its barrier.
const LONGEST: Nanoseconds = 5_000_000_000;

/// If the daemon has a notification socket, leaves a process that listens at it, and that init adopts.
pub(super) fn leave_listener(watch: &Watch<'_, '_>) {
    if !matches!(watch.channel(), Channel::Socket { .. }) {
        return;
    }
    let listener = sys::clone(ExitSignal::Child, TidAddress::NONE, watch, listen);
    if !matches!(listener, Ok(Fork::Parent(_))) {
        watch.channel().remove_socket();
    }
}

/// The listener: keeps no descriptor of the caller's, and ends with the barrier, with the daemon, or when
/// its time is over.
fn listen(watch: &Watch<'_, '_>) -> End<()> {
    let (socket, death) = (watch.channel().fd(), watch.death());
    let _ = sys::reset_dispositions();
    let _ = sys::set_signal_mask(SignalSet::NONE);
    let _ = close_all_but(Kept {
        listed: &[],
        own: &[socket, death],
    });
    (0..3).for_each(sys::close);

    let deadline = sys::monotonic_time().saturating_add(LONGEST);
    loop {
        let left = deadline.saturating_sub(sys::monotonic_time());
        let mut ready = [socket, death, NO_FD, NO_FD];
        let polled = sys::ppoll(&mut ready, left);
        // The kernel closes the descriptor that comes along, which is what the sender waits for.
        let mut text = [0; 64];
        let received = sys::recvmsg(socket, &mut text);
        let is_barrier = received.is_ok_and(|datagram| {
            let text = text.get(..datagram.length as usize).unwrap_or_default();
            watch.is_from_daemon(&datagram) && Notice::read(text, datagram.is_whole).is_barrier
        });
        let [_, daemon, ..] = ready;
        let has_ended = polled.is_ok() && daemon != NO_FD;
        if is_barrier || has_ended || left == 0 {
            watch.channel().remove_socket();
            return End::Exit(0);
        }
    }
}
