//! A process that keeps listening on the notification socket after success, for `BARRIER=1`.
//!
//! `systemd-notify` sends `BARRIER=1` after `READY=1` and fails if no process receives it
//! (sd_notify_barrier(3)); a script that calls it may then exit. The intermediate cannot wait for the
//! barrier itself: most daemons send none, and the original should return at once.

use super::descriptors::close_all_but;
use super::kept_fds::KeptFds;
use super::readiness::Channel;
use super::watch::Watch;
use crate::protocol::{Nanoseconds, Notice};
use crate::sys::{self, End, ExitSignal, Fork, NO_FD, SignalSet, TidAddress};

/// How long the listener waits for a barrier. systemd-notify waits as long for its receipt.
const BARRIER_TIMEOUT: Nanoseconds = 5_000_000_000;

/// Creates the listener if the daemon has a notification socket. init adopts it when the intermediate
/// exits.
pub(super) fn leave_listener(watch: &Watch<'_, '_>) {
    if !matches!(watch.channel(), Channel::Socket { .. }) {
        return;
    }
    let listener = sys::clone(ExitSignal::Child, TidAddress::NONE, watch, wait_for_barrier);
    if !matches!(listener, Ok(Fork::Parent(_))) {
        watch.channel().remove_socket();
    }
}

/// The listener. Exits after a barrier from the daemon, when the daemon ends, or when the timeout
/// expires. It closes every inherited descriptor but the two that it waits on.
fn wait_for_barrier(watch: &Watch<'_, '_>) -> End<()> {
    let (socket, death) = (watch.channel().fd(), watch.death());
    let _ = sys::reset_dispositions();
    let _ = sys::set_signal_mask(SignalSet::NONE);
    let _ = close_all_but(KeptFds {
        requested: &[],
        internal: &[socket, death],
        streams: &[],
    });
    (0..3).for_each(sys::close);

    let deadline = sys::monotonic_time().saturating_add(BARRIER_TIMEOUT);
    loop {
        let left = deadline.saturating_sub(sys::monotonic_time());
        let mut ready = [socket, death, NO_FD, NO_FD];
        let polled = sys::ppoll(&mut ready, left);
        // The sender waits until the descriptor that it passes is closed. recvmsg(2) has no room for that
        // descriptor, so the kernel closes it.
        let mut text = [0; 64];
        let received = sys::recvmsg(socket, &mut text);
        let is_barrier = received.is_ok_and(|datagram| {
            let text = text.get(..datagram.length as usize).unwrap_or_default();
            watch.is_from_daemon(&datagram) && Notice::parse(text, datagram.is_whole).is_barrier
        });
        let [_, daemon, ..] = ready;
        let has_ended = polled.is_ok() && daemon != NO_FD;
        if is_barrier || has_ended || left == 0 {
            watch.channel().remove_socket();
            return End::Exit(0);
        }
    }
}
