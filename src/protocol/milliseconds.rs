//! Times in an error: whole milliseconds, in four bytes.

use core::time::Duration;

/// Stands for the milliseconds of a process whose lifetime is not known.
pub(super) const UNTIMED: u32 = u32::MAX;

/// A duration in whole milliseconds, at most seven weeks.
pub(super) const fn millis(span: Option<Duration>) -> u32 {
    let Some(span) = span else { return UNTIMED };
    let millis = span.as_secs().saturating_mul(1000);
    clamp_millis(millis.saturating_add(span.subsec_millis() as u64))
}

/// The same for a number of milliseconds.
pub(super) const fn clamp_millis(millis: u64) -> u32 {
    if millis < UNTIMED as u64 {
        millis as u32
    } else {
        UNTIMED - 1
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::protocol::{Cause, Error, ErrorKind, WaitStatus};

    #[test]
    fn the_longest_lifetime_is_not_the_unknown_one() {
        let status = WaitStatus::from_raw(9);
        let kept = |after| Error::new(ErrorKind::DaemonDied, Cause::Died { status, after }).cause();
        let longest = Duration::from_millis(u64::from(u32::MAX) - 1);
        for (after, expected) in [
            (None, None),
            (Some(Duration::ZERO), Some(Duration::ZERO)),
            (Some(longest), Some(longest)),
            (Some(Duration::from_millis(u32::MAX.into())), Some(longest)),
            (Some(Duration::MAX), Some(longest)),
        ] {
            let after_kept = Cause::Died {
                status,
                after: expected,
            };
            assert_eq!(kept(after), after_kept, "{after:?}");
        }
    }
}
