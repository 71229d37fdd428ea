//! Parsers for the values of options. Each returns `None` if the value is invalid.

use core::time::Duration;

use rawdaemon::internal::{
    Lines, LogTarget, LogTime, MAX_KEPT_LOGS, MIN_LOG_SIZE, Respawn, join, parse_number, split_once,
};
use rawdaemon::{Limit, Readiness, Resource, Stdio, Subject, ThinCStr};

/// A path or a name, which must not be empty: an empty one usually comes from an unset shell variable.
pub(super) fn word(value: ThinCStr<'_>) -> Option<ThinCStr<'_>> {
    (value.first_byte() != 0).then_some(value)
}

/// `inherit`, or a file.
pub(super) fn stream(value: ThinCStr<'_>) -> Option<Stdio<'_>> {
    match value.to_bytes() {
        b"inherit" => Some(Stdio::inherit()),
        _ => Some(Stdio::file(word(value)?)),
    }
}

/// A descriptor number above those of the standard streams.
pub(super) fn descriptor(text: &[u8]) -> Option<i32> {
    let fd = i32::try_from(parse_number(text, 10)?).ok()?;
    (fd > 2).then_some(fd)
}

/// The ways for the daemon to report readiness.
static READY_WAYS: Lines = Lines::new("exec\nfd\nnotify\n");

/// `exec`, `fd:N`, `notify`, `notify:@` or `notify:/PATH`.
pub(super) fn readiness(value: ThinCStr<'_>) -> Option<Readiness<'_>> {
    const PREFIX: usize = b"notify:".len();
    let (way, rest) = split_once(value.to_bytes(), b':');
    match (READY_WAYS.position(way)?, rest) {
        (0, None) => Some(Readiness::Executed),
        (1, Some(digits)) => Some(Readiness::Descriptor(descriptor(digits)?)),
        (2, None) => Some(Readiness::Notify),
        (2, Some(b"@")) => Some(Readiness::NotifyAbstract),
        (2, Some([b'/', ..])) => Some(Readiness::NotifyAt(value.skip(PREFIX))),
        _ => None,
    }
}

/// The path in `fork:/PATH`.
pub(super) fn own_pidfile(value: ThinCStr<'_>) -> Option<ThinCStr<'_>> {
    const PREFIX: usize = b"fork:".len();
    value
        .to_bytes()
        .starts_with(b"fork:/")
        .then(|| value.skip(PREFIX))
}

/// `NAME=SOFT` or `NAME=SOFT:HARD`, as an index in [`Resource::ALL`] and the limit. A single value sets both
/// limits.
pub(super) fn resource_limit(text: &[u8]) -> Option<(usize, Limit)> {
    let (name, limits) = split_once(text, b'=');
    let (soft, hard) = split_once(limits?, b':');
    let soft = limit(soft)?;
    let hard = hard.map_or(Some(soft), limit)?;
    let subject = Subject::from_name(name)?;
    let mut resources = Resource::ALL.iter();
    let index = resources.position(|resource| resource.subject() == subject)?;
    (soft <= hard).then_some((index, Limit { soft, hard }))
}

/// A size, or `unlimited`.
fn limit(text: &[u8]) -> Option<u64> {
    match text {
        b"unlimited" => Some(Limit::UNLIMITED),
        text => size(text),
    }
}

/// A number, which may end in a binary unit.
fn size(text: &[u8]) -> Option<u64> {
    let (digits, power) = match text {
        [digits @ .., b'K'] => (digits, 10),
        [digits @ .., b'M'] => (digits, 20),
        [digits @ .., b'G'] => (digits, 30),
        digits => (digits, 0),
    };
    parse_number(digits, 10)?.checked_mul(1 << power)
}

/// The size of a log.
pub(super) fn log_size(text: &[u8]) -> Option<u64> {
    size(text).filter(|size| *size >= MIN_LOG_SIZE)
}

/// The number of old logs.
pub(super) fn log_keep(text: &[u8]) -> Option<u32> {
    let number = u32::try_from(parse_number(text, 10)?).ok()?;
    (number <= MAX_KEPT_LOGS).then_some(number)
}

/// `utc` or `boot`.
pub(super) fn log_time(text: &[u8]) -> Option<LogTime> {
    match text {
        b"utc" => Some(LogTime::Utc),
        b"boot" => Some(LogTime::Boot),
        _ => None,
    }
}

/// The facilities of syslog(3), by their numbers.
static FACILITIES: Lines = Lines::new(
    "kern\nuser\nmail\ndaemon\nauth\nsyslog\nlpr\nnews\nuucp\ncron\nauthpriv\nftp\n\
     -\n-\n-\n-\nlocal0\nlocal1\nlocal2\nlocal3\nlocal4\nlocal5\nlocal6\nlocal7\n",
);

/// `kmsg`, `syslog` or `syslog:FACILITY`.
pub(super) fn log_target(text: &[u8]) -> Option<LogTarget<'static>> {
    match split_once(text, b':') {
        (b"kmsg", None) => Some(LogTarget::Kmsg),
        (b"syslog", facility) => {
            let name = facility.unwrap_or(b"daemon");
            let number = FACILITIES.position(name).filter(|_| name != b"-")?;
            Some(LogTarget::Syslog(number as u8))
        }
        _ => None,
    }
}

/// An octal number from 0 to 777.
pub(super) fn octal_mask(text: &[u8]) -> Option<u32> {
    parse_number(text, 8)
        .filter(|mask| *mask <= 0o777)
        .map(|mask| mask as u32)
}

const NANOSECONDS_PER_SECOND: u32 = 1_000_000_000;

/// Seconds in decimal, with an optional fraction. Digits after the ninth decimal place are ignored.
pub(super) fn seconds(text: &[u8]) -> Option<Duration> {
    let (whole, fraction) = split_once(text, b'.');
    let fraction = fraction.unwrap_or_default();
    let seconds = match (whole, fraction) {
        ([], [_, ..]) => 0,
        _ => parse_number(whole, 10)?,
    };
    let mut digits = [0; 9];
    let nanoseconds = parse_number(join(fraction, b"000000000", &mut digits), 10)?;
    let is_number = fraction.iter().all(u8::is_ascii_digit);
    // Nine digits are always less than a second. The `%` proves it to the compiler, which drops a panic.
    is_number.then_some(Duration::new(
        seconds,
        nanoseconds as u32 % NANOSECONDS_PER_SECOND,
    ))
}

/// The shortest and the longest delay of a restart.
pub(super) fn delays(text: &[u8]) -> Option<(Duration, Duration)> {
    let (shortest, longest) = split_once(text, b':');
    let shortest = seconds(shortest)?;
    let longest = match longest {
        Some(text) => seconds(text)?,
        None => shortest.max(Respawn::DEFAULT.longest_delay),
    };
    (!shortest.is_zero() && shortest <= longest).then_some((shortest, longest))
}
