//! Properties of every wait status, record, notification datagram, and sequence of events of a daemon.

mod data;

use std::time::Duration;

use rawdaemon::internal::{
    EXIT_GRACE, Event, Goal, Notice, RECORD_SIZE, Record, STATUS_SIZE, Verdict, decode, describe,
    encode, outcome,
};
use rawdaemon::{Cause, Errno, Error, ErrorKind, Signal, WaitStatus};

use data::{Data, errno, pid};

/// Checks the data as an sd_notify(3) datagram. Then decodes it to a wait status, a record, an error, the exit of
/// the intermediate, a goal, and events.
pub fn check(data: &[u8]) {
    check_notice(data);
    let mut data = Data(data);
    let status = WaitStatus::from_raw(data.number());
    check_status(status);

    let bytes: [u8; RECORD_SIZE] = data.take();
    let record = decode(&bytes);
    check_record(record, bytes);

    let error = check_error(&mut data);
    let pid = pid(data.number());
    for made in [
        Record::Created,
        Record::SetUp,
        Record::Runs(pid),
        Record::Status(bytes[0]),
        Record::Errno(errno(data.number())),
        Record::Ignored(data.number() as u32),
    ] {
        assert_eq!(decode(&encode(&made)), Some(made));
    }

    let ended = match data.byte() % 2 {
        0 => Ok(status),
        _ => Err(errno(data.number())),
    };
    for record in [
        None,
        record,
        Some(Record::Created),
        Some(Record::SetUp),
        Some(Record::Runs(pid)),
        Some(Record::Failed(error)),
    ] {
        check_outcome(record, ended);
    }

    let goal = match data.byte() % 3 {
        0 => Goal::Begun,
        1 => Goal::Alive,
        _ => Goal::Ready,
    };
    let events: Vec<Event> = std::iter::from_fn(|| data.event()).collect();
    check_verdict(goal, &events);
}

fn check_line(text: &str) {
    assert!(!text.is_empty());
    assert!(!text.contains(['\n', '\r', '\0']), "{text:?}");
}

/// A wait status has 16 bits, and is decoded as by libc.
fn check_status(status: WaitStatus) {
    let word = status.as_raw() & 0xffff;
    let status = WaitStatus::from_raw(word);
    let exited = libc::WIFEXITED(word).then(|| libc::WEXITSTATUS(word) as u8);
    assert_eq!(status.exit_status(), exited, "word {word:#06x}");
    let signal = libc::WIFSIGNALED(word).then(|| libc::WTERMSIG(word) as u8);
    let signal = signal.and_then(Signal::new);
    assert_eq!(status.terminating_signal(), signal, "word {word:#06x}");
    let dumped = signal.is_some() && libc::WCOREDUMP(word);
    assert_eq!(status.core_dumped(), dumped, "word {word:#06x}");
    check_line(&status.to_string());
}

/// Each record has one encoding, no failure has code 0, and a failure keeps its parts.
fn check_record(record: Option<Record>, bytes: [u8; RECORD_SIZE]) {
    let Some(record) = record else { return };
    assert_eq!(encode(&record), bytes);
    match record {
        Record::Executes
        | Record::Created
        | Record::SetUp
        | Record::Status(_)
        | Record::Errno(_)
        | Record::Ignored(_) => {}
        Record::Runs(pid) => assert!(pid.get() > 0),
        Record::Failed(error) => {
            assert_ne!(error.exit_code(), 0);
            let again = Error::new(error.kind(), error.cause());
            assert_eq!(again.kind(), error.kind());
            assert_eq!(again.cause(), error.cause());
            if let Some(subject) = error.subject() {
                assert_eq!(again.about(subject).subject(), Some(subject));
            }
            check_line(&error.to_string());
        }
    }
}

/// An error keeps its parts, even when encoded as a record and decoded.
fn check_error(data: &mut Data<'_>) -> Error {
    let (kind, cause, subject) = (data.kind(), data.cause(), data.subject());
    let mut error = Error::new(kind, cause);
    assert_eq!(error.subject(), None);
    if let Some(subject) = subject {
        error = error.about(subject);
    }
    assert_eq!((error.kind(), error.cause()), (kind, kept(cause)));
    assert_eq!(error.exit_code(), kind.exit_code());
    let has_subject = !matches!(
        cause,
        Cause::Died { .. } | Cause::Reason(_) | Cause::Late(_)
    );
    assert_eq!(error.subject(), subject.filter(|_| has_subject));

    let record = Record::Failed(error);
    assert_eq!(decode(&encode(&record)), Some(record), "{error:?}");

    let text = error.to_string();
    check_line(&text);
    let mut described = Vec::new();
    describe(&error, None, &mut |piece| {
        described.extend_from_slice(piece)
    });
    assert_eq!(described, text.as_bytes());
    check_line(&error.with_path(c"/\xff").to_string());
    error
}

/// The part of a cause that an error keeps: 16 bits of a wait status, and whole milliseconds below seven weeks.
fn kept(cause: Cause) -> Cause {
    let longest = Duration::from_millis(u64::from(u32::MAX) - 1);
    match cause {
        Cause::Died { status, after } => Cause::Died {
            status: WaitStatus::from_raw(status.as_raw() & 0xffff),
            after: after.map(|after| Duration::from_millis(after.as_millis() as u64).min(longest)),
        },
        Cause::Late(after) => {
            Cause::Late(Duration::from_millis(after.as_millis() as u64).min(longest))
        }
        other => other,
    }
}

/// Only the record of a running daemon is a success. It and the record of a failure take precedence over the
/// exit of the intermediate.
fn check_outcome(record: Option<Record>, ended: Result<WaitStatus, Errno>) {
    let outcome = outcome(record, ended);
    let kind = outcome.map_err(|error| error.kind());
    let exited = ended.ok().and_then(WaitStatus::exit_status);
    match (record, exited) {
        (Some(Record::Runs(pid)), _) => assert_eq!(outcome, Ok(pid)),
        (Some(Record::Failed(error)), _) => assert_eq!(outcome, Err(error)),
        (_, Some(code)) => {
            let known = ErrorKind::from_exit_code(code);
            assert_eq!(kind, Err(known.unwrap_or(ErrorKind::WaitFailed)));
        }
        _ => assert_eq!(kind, Err(ErrorKind::WaitFailed)),
    }
}

/// A daemon that died or failed is never a success, and the first decisive event is reported.
fn check_verdict(goal: Goal, events: &[Event]) {
    let time = 1 << 40;
    let mut verdict = Verdict::new(goal, 0, time);
    // The watch ends with the first verdict. Later events must not cause a panic.
    let mut now = 0;
    let mut deadline = time;
    let mut begun = false;
    let mut silent = false;
    let mut judgements = Vec::new();
    for event in events {
        now += 1_000_000;
        judgements.push(verdict.judge(*event, now));
        // The deadline is extended when the daemon begins or asks for time. It is shortened when the daemon
        // closes its notification pipe.
        let begins = matches!(
            event,
            Event::Reported(Record::SetUp) | Event::Closed { executed: true }
        );
        if begins && !begun && goal == Goal::Alive {
            deadline = now + time;
        }
        begun |= begins;
        if let (Event::Extended(microseconds), false) = (event, silent) {
            deadline = deadline.max(now.saturating_add(microseconds.saturating_mul(1000)));
        }
        if verdict.deadline() != deadline {
            assert_eq!(goal, Goal::Ready);
            assert!(!silent && matches!(event, Event::Silent | Event::Closed { .. }));
            assert_eq!(verdict.deadline(), now + EXIT_GRACE);
            deadline = verdict.deadline();
        }
        silent |= verdict.deadline() == now + EXIT_GRACE;
    }
    let first = judgements.iter().position(Option::is_some);
    let seen = first.map_or(events, |first| &events[..=first]);
    let judgement = first.and_then(|first| judgements[first]);

    let any = |wanted: fn(&Event) -> bool| seen.iter().any(wanted);
    let executed = any(|event| matches!(event, Event::Closed { executed: true }));
    let begun = executed || any(|event| matches!(event, Event::Reported(Record::SetUp)));
    let ready = any(|event| matches!(event, Event::Reported(Record::Runs(_)) | Event::Ready));
    let late = any(|event| matches!(event, Event::Deadline));
    let failed =
        any(|event| matches!(event, Event::Reported(Record::Failed(_)) | Event::Abandoned));
    let died = any(|event| matches!(event, Event::Died { .. }));
    match judgement {
        Some(Ok(())) => {
            assert!(begun || ready, "{goal:?} {seen:?}");
            assert!(!died && !failed, "{goal:?} {seen:?}");
            let reached = match goal {
                Goal::Begun => true,
                Goal::Alive => ready || late,
                Goal::Ready => ready,
            };
            assert!(reached, "{goal:?} {seen:?}");
        }
        Some(Err(error)) => match seen.last() {
            Some(Event::Reported(Record::Failed(failure))) => assert_eq!(error, *failure),
            Some(Event::Abandoned) => assert_eq!(error.kind(), ErrorKind::WaitFailed),
            Some(Event::Died {
                status,
                milliseconds,
            }) => {
                let (status, after) = (*status, Some(Duration::from_millis(*milliseconds)));
                assert_eq!(error.kind(), ErrorKind::DaemonDied);
                assert_eq!(error.cause(), kept(Cause::Died { status, after }));
            }
            Some(Event::Deadline) if error.kind() == ErrorKind::Refused => {
                assert_eq!((goal, error.cause()), (Goal::Ready, Cause::Silent));
                assert!(!ready, "{seen:?}");
                let closed = any(|event| matches!(event, Event::Silent | Event::Closed { .. }));
                assert!(closed, "{seen:?}");
            }
            Some(Event::Deadline) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                assert!(matches!(error.cause(), Cause::Late(_)), "{error:?}");
                assert!(
                    !ready && (!begun || goal == Goal::Ready),
                    "{goal:?} {seen:?}"
                );
            }
            _ => panic!("{error:?} after {goal:?} {seen:?}"),
        },
        None => {
            assert!(!ready && !late && !failed && !died, "{goal:?} {seen:?}");
            assert!(!begun || goal != Goal::Begun, "{goal:?} {seen:?}");
        }
    }
}

/// Compares the parser of datagrams with a second one.
fn check_notice(datagram: &[u8]) {
    let notice = Notice::parse(datagram, true);
    let text = datagram.strip_suffix(&[0]).unwrap_or(datagram);
    let is_text = !text.contains(&0);
    let lines = || text.split(|byte| *byte == b'\n').filter(|_| is_text);
    assert_eq!(notice.is_ready, lines().any(|line| line == b"READY=1"));
    let values = |key: &'static [u8]| lines().filter_map(move |line| line.strip_prefix(key));
    let number = |value: &[u8]| {
        let digits = value.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(value).ok().filter(|_| digits)?;
        text.parse::<u64>().ok()
    };
    let extension = values(b"EXTEND_TIMEOUT_USEC=")
        .filter_map(number)
        .next_back();
    assert_eq!(notice.extension, extension);
    let errnos = values(b"ERRNO=").filter_map(number);
    let errno = errnos
        .filter_map(|number| Errno::new(i32::try_from(number).ok()?))
        .next_back();
    assert_eq!(notice.errno, errno);
    match (notice.status, values(b"STATUS=").next_back()) {
        (Some(found), Some(sent)) => {
            assert!(sent.starts_with(found) && found.len() <= STATUS_SIZE);
            assert!(
                found.len() == sent.len()
                    || std::str::from_utf8(sent).is_err()
                    || found.len() + 4 > STATUS_SIZE
            );
        }
        (found, sent) => assert_eq!(found, sent),
    }
    assert_eq!(notice.errno, errno);
    let mut words = values(b"WATCHDOG=").filter(|word| matches!(*word, b"1" | b"trigger"));
    let is_alive = words.next_back().map(|word| word == b"1");
    assert_eq!(notice.watchdog, is_alive);
    let expected = match (notice.is_ready, extension) {
        (true, _) => Some(Event::Ready),
        (false, Some(microseconds)) => Some(Event::Extended(microseconds)),
        (false, None) => is_alive.map(|is_alive| Event::Watchdog { is_alive }),
    };
    assert_eq!(notice.event(), expected);

    // The last line of a truncated datagram is ignored, unless it ends in a newline.
    let truncated = Notice::parse(datagram, false);
    let whole_lines = text
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    if is_text && text.len() == datagram.len() {
        assert_eq!(truncated, Notice::parse(&text[..whole_lines], true));
    }
}
