//! Properties of every list of kept descriptors, and of every buffer of getdents64(2).

use std::collections::BTreeSet;

use rawdaemon::internal::{EntryNames, KeptFds, RawFd};

/// What stands for an unused slot.
const NO_FD: RawFd = RawFd::MAX;

/// Checks one list: the data is a byte for each descriptor, or five, if the byte is one of the last three: then
/// the descriptor follows. At most 64 count. Checks the data as directory entries, too.
pub fn check(data: &[u8]) {
    check_entries(data);
    let mut rest = data;
    let mut lists: [Vec<RawFd>; 3] = Default::default();
    let mut count = 0;
    while let ([first, after @ ..], ..64) = (rest, count) {
        rest = after;
        let mut fd = RawFd::from(*first);
        if let (253.., Some((number, after))) = (*first, rest.split_first_chunk()) {
            fd = RawFd::from_le_bytes(*number);
            rest = after;
        }
        // The caller cannot ask for a negative one.
        let list = if fd > i32::MAX as RawFd { 1 } else { count % 3 };
        lists[list].push(fd);
        count += 1;
    }
    let [requested, internal, streams] = &lists;
    let requested: Vec<i32> = requested.iter().map(|fd| *fd as i32).collect();
    let kept = KeptFds {
        first: 3,
        requested: &requested,
        internal,
        streams,
    };
    check_kept(kept);
    let first = data.first().map_or(3, |byte| 3 + RawFd::from(*byte));
    let mut closed = Vec::new();
    let kept = KeptFds { first, ..kept };
    let _ = kept.each_range(|from, to| {
        closed.extend([from, to]);
        Ok::<(), ()>(())
    });
    assert!(closed.iter().all(|fd| *fd >= first), "{kept:?}");
}

/// Every descriptor above 2 is either kept or in one range, and in no more than one.
fn check_kept(kept: KeptFds<'_>) {
    let requested = kept.requested.iter().map(|fd| *fd as RawFd);
    let others = kept.internal.iter().chain(kept.streams).copied();
    let set: BTreeSet<RawFd> = requested.chain(others).filter(|fd| *fd != NO_FD).collect();

    let mut ranges = Vec::new();
    let closed = kept.each_range(|first, last| {
        ranges.push((first, last));
        Ok::<(), ()>(())
    });
    assert_eq!(closed, Ok(()));
    // Together with the kept ones, the ranges cover all numbers from 3 in order, without an overlap.
    let singles = set.iter().filter(|fd| **fd > 2).map(|fd| (*fd, *fd));
    let mut parts: Vec<_> = singles.chain(ranges.iter().copied()).collect();
    parts.sort_unstable();
    let mut next = Some(3);
    for (first, last) in parts {
        assert_eq!(next, Some(first), "{kept:?} {ranges:?}");
        assert!(first <= last, "{kept:?} {ranges:?}");
        next = last.checked_add(1);
    }
    // Not even the highest number is left out, although no descriptor has it.
    assert!(matches!(next, None | Some(NO_FD)), "{kept:?} {ranges:?}");
    assert!(ranges.is_sorted());
    assert!(ranges.windows(2).all(|two| two[0].1 + 1 < two[1].0));

    for fd in ranges
        .iter()
        .flat_map(|(first, last)| [*first, last.saturating_add(1)])
        .chain(set.iter().flat_map(|fd| [*fd, *fd + 1]))
        .chain([0, 3, NO_FD])
    {
        let next = set.range(fd..).next();
        assert_eq!(kept.next_from(fd), next.copied().unwrap_or(NO_FD));
    }

    // The first error ends the calls.
    for stop in [0, ranges.len() / 2, ranges.len().saturating_sub(1)] {
        let mut calls = 0;
        let closed = kept.each_range(|_, _| {
            calls += 1;
            if calls > stop { Err(calls) } else { Ok(()) }
        });
        let expected = if ranges.is_empty() {
            (Ok(()), 0)
        } else {
            (Err(stop + 1), stop + 1)
        };
        assert_eq!((closed, calls), expected);
    }
}

/// Compares the parser of directory entries with a second one.
fn check_entries(data: &[u8]) {
    let mut at = 0;
    let mut names: Vec<&[u8]> = Vec::new();
    while data.len() - at >= 19 {
        let length = usize::from(u16::from_ne_bytes([data[at + 16], data[at + 17]]));
        if length < 19 || length > data.len() - at {
            break;
        }
        names.extend(data[at + 19..at + length].split(|byte| *byte == 0).next());
        at += length;
    }
    assert_eq!(EntryNames(data).collect::<Vec<_>>(), names);
}
