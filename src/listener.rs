//! Who listens on for a moment after success: what has said that the daemon is ready may have one thing
//! more to say.
//!
//! `systemd-notify` sends `BARRIER=1` after `READY=1`, and fails if nobody hears it
//! (sd_notify_barrier(3)); the script that has called it may end then. The intermediate cannot wait for
//! it: most daemons send none, and their launchers should return.

use crate::descriptors::{Kept, close_all_but};
use crate::monitor::{Watch, is_ours};
use crate::protocol::{Nanoseconds, Notice};
use crate::sys::{self, Child, ExitSignal, Forked, NOTHING, SignalSet, ThreadIdPlace};

/// As long as systemd-notify waits for its barrier.
const LONGEST: Nanoseconds = 5_000_000_000;

/// Leaves a listener behind, which belongs to init then.
pub(crate) fn leave(watch: &Watch<'_, '_>) {
    let listener = sys::clone(ExitSignal::Child, ThreadIdPlace::NONE, watch, listen);
    if !matches!(listener, Ok(Forked::Parent(_))) {
        watch.channel.end();
    }
}

/// The listener: holds on to nothing of the caller's, and ends with the barrier, with the daemon, or
/// when its time is over.
fn listen(watch: &Watch<'_, '_>) -> Child<()> {
    let ear = watch.channel.ear();
    let _ = sys::reset_dispositions();
    let _ = sys::set_mask(SignalSet::NONE);
    let _ = close_all_but(Kept {
        listed: &[],
        own: &[ear, watch.alarm],
    });
    (0..3).for_each(sys::close);

    let deadline = sys::monotonic_time().saturating_add(LONGEST);
    loop {
        let left = deadline.saturating_sub(sys::monotonic_time());
        let mut ready = [ear, watch.alarm, NOTHING, NOTHING];
        let polled = sys::poll(&mut ready, left);
        // Its descriptor is closed as soon as it is received, which is what its sender waits for.
        let mut text = [0; 64];
        let heard = sys::receive(ear, &mut text);
        let is_barrier = heard.is_ok_and(|datagram| {
            let text = text.get(..datagram.length as usize).unwrap_or_default();
            is_ours(&datagram, watch.daemon, watch.session)
                && Notice::read(text, datagram.is_whole).is_barrier
        });
        let [_, daemon, ..] = ready;
        let has_ended = polled.is_ok() && daemon != NOTHING;
        if is_barrier || has_ended || left == 0 {
            watch.channel.end();
            return Child::Exits(0);
        }
    }
}
