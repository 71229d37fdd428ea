//! The steps without the forks and the session, in the calling process: for a supervisor, which has
//! done those, or a container.

use crate::channel::DaemonEnd;
use crate::context::{Birth, Kind, Start};
use crate::options::{DaemonizeOptions, Readiness, place};
use crate::pidfile::tidy_up;
use crate::protocol::{Errno, Error, ExitCode, failed};
use crate::steps::{self, Opened};
use crate::sys::{self, NOTHING, Open, Pipe, RawFd, SignalSet, Stack, ThinCStr};

/// Takes the steps. A command is executed, and then this does not return.
#[inline(never)]
pub(crate) fn take_steps<K: Kind>(
    options: &DaemonizeOptions<'_>,
    kind: &K,
) -> Result<K::Left, Error> {
    let (line, is_made) = keep_line::<K>(options).map_err(failed(ExitCode::ChannelFailed))?;
    let before = Before::save(options).map_err(failed(ExitCode::StdioFailed))?;
    let [input, output, error] = before.streams.map(|copy| copy.unwrap_or(NOTHING));
    let birth = Birth {
        start: &Start {
            options,
            kind,
            verdict: Pipe::NONE,
            stack: &Stack::none(),
        },
        report: Pipe::NONE,
        line: DaemonEnd::NONE,
        environment: kind.environment(),
        own: [line, input, output, error, before.directory],
    };
    let mut opened = Opened::new();
    let taken = steps::take(&birth, &mut opened);
    match taken {
        Ok(_) if options.reset_signals => {
            sys::set_mask(SignalSet::NONE).map_err(failed(ExitCode::SignalsFailed))?;
        }
        Ok(_) => {}
        Err(error) => {
            opened.empty_pidfile();
            before.restore();
            // With another root the path may name another file.
            if options.paths[place::CHROOT].is_none() {
                tidy_up(options, sys::process_id(), error);
            }
            opened.close();
            if is_made {
                sys::close(line);
            }
        }
    }
    before.forget();
    taken
}

/// The pipe of the s6 protocol comes from the supervisor. One that has no such protocol gives none,
/// and what a command writes to it is of no use to anybody: `/dev/null`. Says whether that was made.
fn keep_line<K: Kind>(options: &DaemonizeOptions<'_>) -> Result<(RawFd, bool), Errno> {
    let place = match options.readiness {
        Readiness::Descriptor(place) if K::EXECUTES => place as RawFd,
        _ => return Ok((NOTHING, false)),
    };
    let is_missing = sys::keep_across_exec(place).is_err();
    if is_missing {
        let null = sys::open(ThinCStr::new(c"/dev/null"), Open::ReadWrite)?;
        if null.raw() == place {
            sys::keep_across_exec(null.into_raw())?;
        } else {
            sys::move_to(null.raw(), place)?;
        }
    }
    Ok((place, is_missing))
}

/// What the caller gets back after a failure, so that it can say so where its messages go.
struct Before {
    /// Copies of the standard streams that are replaced, [`NOTHING`] for those that were closed.
    streams: [Option<RawFd>; 3],
    directory: RawFd,
    umask: u32,
}

impl Before {
    fn save(options: &DaemonizeOptions<'_>) -> Result<Self, Errno> {
        let mut streams = [None; 3];
        for ((stream, copy), path) in (0..).zip(&mut streams).zip(options.paths) {
            *copy = match (sys::check_open(stream), path) {
                (Err(_), _) => Some(NOTHING),
                (Ok(()), Some(_)) => Some(sys::copy(stream, 3)?),
                (Ok(()), None) => None,
            };
        }
        let directory = sys::open(ThinCStr::new(c"."), Open::Place);
        let umask = sys::set_umask(0o077);
        sys::set_umask(umask);
        Ok(Self {
            streams,
            // Without one, it is where it is.
            directory: directory.map_or(NOTHING, sys::Fd::into_raw),
            umask,
        })
    }

    fn restore(&self) {
        for (stream, copy) in (0..).zip(&self.streams) {
            match copy {
                Some(NOTHING) => sys::close(stream),
                Some(copy) => drop(sys::move_to(*copy, stream)),
                None => {}
            }
        }
        let _ = sys::return_to_directory(self.directory);
        sys::set_umask(self.umask);
    }

    fn forget(&self) {
        for copy in self.streams.iter().flatten() {
            sys::close(*copy);
        }
        sys::close(self.directory);
    }
}
