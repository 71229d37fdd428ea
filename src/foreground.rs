//! The steps without the forks and the session, in the calling process: for a supervisor, which has
//! done those, or a container.

use crate::channel::Channel;
use crate::daemonize::{Birth, Kind, Start, failed};
use crate::intermediate::tidy_up;
use crate::options::{DaemonizeOptions, Readiness};
use crate::protocol::{Errno, Error, ExitCode};
use crate::steps::{self, Opened};
use crate::sys::{self, NOTHING, Open, Pipe, RawFd, SignalSet, ThinCStr};

/// Takes the steps. A command is executed, and then this does not return.
#[inline(never)]
pub(crate) fn take_steps<K: Kind>(
    options: &DaemonizeOptions<'_>,
    kind: &K,
) -> Result<K::Left, Error> {
    let line = keep_line::<K>(options).map_err(failed(ExitCode::ChannelFailed))?;
    let before = Before::save().map_err(failed(ExitCode::StdioFailed))?;
    let [input, output, error] = before.streams;
    let channel = Channel::None;
    let birth = Birth {
        start: &Start {
            options,
            kind,
            verdict: Pipe::NONE,
        },
        report: Pipe::NONE,
        channel: &channel,
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
            opened.close();
            before.restore();
            tidy_up(options, sys::process_id(), error);
        }
    }
    before.forget();
    taken
}

/// The pipe of the s6 protocol comes from the supervisor. One that has no such protocol gives none,
/// and what a command writes to it is of no use to anybody.
fn keep_line<K: Kind>(options: &DaemonizeOptions<'_>) -> Result<RawFd, Errno> {
    let Readiness::Descriptor(place) = options.readiness else {
        return Ok(NOTHING);
    };
    let place = place as RawFd;
    if !K::EXECUTES {
        return Ok(NOTHING);
    }
    if sys::keep_across_exec(place).is_err() {
        let null = sys::open(ThinCStr::new(c"/dev/null"), Open::ReadWrite)?;
        if null.raw() == place {
            sys::keep_across_exec(null.into_raw())?;
        } else {
            sys::move_to(null.raw(), place)?;
        }
    }
    Ok(place)
}

/// What the caller gets back after a failure, so that it can say so where its messages go.
struct Before {
    /// Copies of the standard streams, [`NOTHING`] for those that were closed.
    streams: [RawFd; 3],
    directory: RawFd,
    umask: u32,
}

impl Before {
    fn save() -> Result<Self, Errno> {
        let mut streams = [NOTHING; 3];
        for (stream, copy) in (0..).zip(&mut streams) {
            match sys::copy(stream, 3) {
                Ok(fd) => *copy = fd,
                Err(Errno::EBADF) => {}
                Err(errno) => return Err(errno),
            }
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

    #[inline(never)]
    fn restore(&self) {
        for (stream, copy) in (0..).zip(&self.streams) {
            if *copy == NOTHING {
                sys::close(stream);
            } else {
                let _ = sys::move_to(*copy, stream);
            }
        }
        let _ = sys::return_to_directory(self.directory);
        sys::set_umask(self.umask);
    }

    fn forget(&self) {
        for copy in &self.streams {
            sys::close(*copy);
        }
        sys::close(self.directory);
    }
}
