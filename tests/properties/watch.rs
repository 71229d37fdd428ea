//! Properties of every watch: of the datagrams and the other events that lead to a verdict, in any order and at
//! any time.

// The replay of the seeds includes it for the target `status`, too.
#[allow(clippy::duplicate_mod, dead_code)]
#[path = "status/data.rs"]
mod data;

use std::time::Duration;

use rawdaemon::internal::{EXIT_GRACE, Event, Goal, Nanoseconds, Notice, Record, Step, Verdict};
use rawdaemon::{Cause, Error, ErrorKind};

use data::Data;

/// A byte of time: about a millisecond.
const UNIT: Nanoseconds = 1 << 20;

/// Checks one watch. The data is the goal, the time that it may take, and then, for each event, the time that has
/// passed since the last one, what comes (a datagram, whole or truncated, or any other event), and the event. A
/// datagram has its length before it.
pub fn check(data: &[u8]) {
    let mut data = Data(data);
    let goal = match data.byte() % 3 {
        0 => Goal::Begun,
        1 => Goal::Alive,
        _ => Goal::Ready,
    };
    let time = match data.byte() {
        0xff => Nanoseconds::MAX,
        units => Nanoseconds::from(units) * 16 * UNIT,
    };
    let born = 1000 * UNIT;
    let mut verdict = Verdict::new(goal, born, time);
    let mut watch = Watch {
        goal,
        born,
        time,
        seen: Vec::new(),
    };
    let mut now = born;
    loop {
        let deadline = verdict.deadline();
        assert_eq!(deadline, watch.deadline(), "{watch:?}");
        let is_over = data.0.is_empty();
        now += Nanoseconds::from(data.byte()) * UNIT;
        // An event that comes too late is not seen. Without a deadline, the watch never ends by itself.
        let (event, second) = match data.next() {
            None | Some((Some(Event::Deadline), _)) => (Event::Deadline, Event::Deadline),
            _ if now >= deadline => (Event::Deadline, Event::Deadline),
            Some((first, second)) => {
                assert_eq!(first, second);
                match first.zip(second) {
                    Some(both) => both,
                    // A datagram without a meaning.
                    None => continue,
                }
            }
        };
        if event == Event::Deadline {
            now = deadline;
        }
        watch.seen.push((now, second));
        let judged = verdict.judge(event, now);
        assert_eq!(judged, watch.result(), "{watch:?}");
        if let Some(Err(error)) = judged {
            let is_report = matches!(event, Event::Reported(_));
            let took_all_steps = Step::taken_before(&error).len() == Step::ALL.len();
            assert!(
                is_report || took_all_steps == watch.begun().is_some(),
                "{watch:?}"
            );
        }
        if judged.is_some() || is_over {
            return;
        }
    }
}

impl Data<'_> {
    /// The next event, read by the crate and by this module.
    fn next(&mut self) -> Option<(Option<Event>, Option<Event>)> {
        if self.0.is_empty() {
            return None;
        }
        let what = self.byte();
        if what % 2 == 0 {
            let event = self.event();
            return Some((event, event));
        }
        let length = usize::from(self.byte()).min(self.0.len());
        let (datagram, rest) = self.0.split_at(length);
        self.0 = rest;
        let is_whole = what < 0x80;
        Some((
            Notice::parse(datagram, is_whole).event(),
            meaning(datagram, is_whole),
        ))
    }
}

/// The meaning of a datagram: that the command is ready, else that it needs more time, else a word for the watchdog.
fn meaning(datagram: &[u8], is_whole: bool) -> Option<Event> {
    let mut text = datagram.to_vec();
    if text.last() == Some(&0) {
        text.pop();
    }
    if text.contains(&0) {
        return None;
    }
    let mut lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
    if !is_whole {
        lines.pop();
    }
    let numbers = |key: &[u8]| -> Vec<u64> {
        let values = lines.iter().filter_map(|line| line.strip_prefix(key));
        let digits = values.filter(|value| value.iter().all(u8::is_ascii_digit));
        digits
            .filter_map(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
            .collect()
    };
    let is_ready = lines.contains(&&b"READY=1"[..]).then_some(Event::Ready);
    let more = numbers(b"EXTEND_TIMEOUT_USEC=").last().copied();
    let words = lines
        .iter()
        .filter_map(|line| line.strip_prefix(b"WATCHDOG="));
    let mut alive = words.filter_map(|word| match word {
        b"1" => Some(true),
        b"trigger" => Some(false),
        _ => None,
    });
    let watchdog = alive
        .next_back()
        .map(|is_alive| Event::Watchdog { is_alive });
    is_ready.or(more.map(Event::Extended)).or(watchdog)
}

/// What was asked for, and all that was seen, with its times. The second reading looks at all of it each time, and
/// keeps no state.
#[derive(Debug)]
struct Watch {
    goal: Goal,
    born: Nanoseconds,
    time: Nanoseconds,
    seen: Vec<(Nanoseconds, Event)>,
}

impl Watch {
    fn first(&self, is_it: impl Fn(&Event) -> bool) -> Option<usize> {
        self.seen.iter().position(|(_, event)| is_it(event))
    }

    fn set_up(&self) -> Option<usize> {
        self.first(|event| *event == Event::Reported(Record::SetUp))
    }

    /// The daemon has begun with its exec, or when it is set up.
    fn begun(&self) -> Option<usize> {
        let executed = self.first(|event| *event == Event::Closed { executed: true });
        [executed, self.set_up()].into_iter().flatten().min()
    }

    /// A daemon that is to become ready has closed its pipe. The report pipe of one that executes a command is
    /// another one.
    fn silent(&self) -> Option<usize> {
        let silent = self.first(|event| *event == Event::Silent);
        let closed = self.set_up().and_then(|set_up| {
            let mut after = set_up..self.seen.len();
            after.find(|index| matches!(self.seen[*index].1, Event::Closed { .. }))
        });
        let first = [silent, closed].into_iter().flatten().min();
        first.filter(|_| self.goal == Goal::Ready)
    }

    fn deadline(&self) -> Nanoseconds {
        let at = |index: usize| self.seen[index].0;
        // What must stay alive has the whole time from its beginning.
        let begun = self.begun().filter(|_| self.goal == Goal::Alive);
        let from = begun.map_or(self.born, at);
        let silent = self.silent();
        let counting = begun.unwrap_or(0)..silent.unwrap_or(self.seen.len());
        let extended = counting.filter_map(|index| match self.seen[index] {
            (now, Event::Extended(microseconds)) => {
                let end = u128::from(now) + u128::from(microseconds) * 1000;
                Some(end.try_into().unwrap_or(Nanoseconds::MAX))
            }
            _ => None,
        });
        let end = extended.chain([from.saturating_add(self.time)]).max();
        let longest = silent.map_or(Nanoseconds::MAX, |silent| at(silent) + EXIT_GRACE);
        end.unwrap_or(Nanoseconds::MAX).min(longest)
    }

    /// The verdict after the last event, if there was none before.
    fn result(&self) -> Option<Result<(), Error>> {
        let last = self.seen.last()?.1;
        let has_begun = self.begun().is_some();
        let failed = |kind, cause| Some(Err(Error::new(kind, cause)));
        match (last, self.goal) {
            (Event::Reported(Record::Runs(_)) | Event::Ready, _) => Some(Ok(())),
            (Event::Reported(Record::Failed(error)), _) => Some(Err(error)),
            (
                Event::Died {
                    status,
                    milliseconds,
                },
                _,
            ) => {
                let after = Some(Duration::from_millis(milliseconds));
                failed(ErrorKind::DaemonDied, Cause::Died { status, after })
            }
            (Event::Abandoned, _) => failed(ErrorKind::WaitFailed, Cause::Unknown),
            (Event::Deadline, _) if self.silent().is_some() => {
                failed(ErrorKind::Refused, Cause::Silent)
            }
            (Event::Deadline, Goal::Begun | Goal::Alive) if has_begun => Some(Ok(())),
            (Event::Deadline, _) => {
                let late = (self.deadline() - self.born) / 1_000_000;
                let late = Duration::from_millis(late.min(u64::from(u32::MAX) - 1));
                failed(ErrorKind::TimedOut, Cause::Late(late))
            }
            (_, Goal::Begun) if has_begun => Some(Ok(())),
            _ => None,
        }
    }
}
