//! What the parts of a supervisor share.

use super::logger::Logger;
use super::respawn::{Respawn, Tally};
use super::state::open_state;
use crate::protocol::{Error, ErrorKind, Signal, Subject, failed};
use crate::start::Supervised;
use crate::sys::{self, NO_FD, Power, RawFd, SIGCHLD, SignalSet};

/// A supervisor.
pub(super) struct Supervisor<'a> {
    pub(super) supervised: &'a Supervised<'a>,
    pub(super) init: Init,
    /// What becomes of the machine at the end.
    pub(super) power: Option<Power>,
    pub(super) respawn: &'a Respawn<'a>,
    /// A signalfd.
    pub(super) signals: RawFd,
    pub(super) logger: Logger<'a>,
    pub(super) request: Request,
    /// Whether signals were read outside a wait: children may have ended.
    pub(super) is_told: bool,
    pub(super) tally: Tally,
    /// The file that tells the state.
    pub(super) state: RawFd,
}

/// Whether a supervisor is an init process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Init {
    /// It is none.
    #[default]
    No,
    /// That of a container: it passes signals on, and ends with the command.
    Container,
    /// That of an image: it stays when the command has ended, and ends by reboot(2).
    Image,
}

/// A request to a supervisor. The larger one takes precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Request {
    None,
    /// The daemon is not started again.
    Finish,
    /// The daemon is stopped.
    Stop,
}

/// The end of a supervision, with the last end of the daemon.
pub(super) enum Outcome {
    /// The daemon has ended, and is not to be started again.
    Ended(Error),
    /// It has failed too often.
    GaveUp(Error),
    /// It may run, and cannot be watched.
    Lost(Error),
}

/// The signals that ask any supervisor to stop the daemon, or to start it no more.
const STOPS: SignalSet = set(Signal::TERM)
    .and(set(Signal::INT))
    .and(set(Signal::WIND_DOWN));

impl Init {
    /// The signals that abandon a start.
    pub(super) const fn stops(self) -> SignalSet {
        match self {
            Self::No => STOPS.and(set(Signal::QUIT)).and(set(Signal::USR2)),
            Self::Container => STOPS.and(set(Signal::QUIT)),
            Self::Image => STOPS.and(set(Signal::USR1)).and(set(Signal::USR2)),
        }
    }
}

/// All signals that it handles.
const HANDLED: SignalSet = Init::No
    .stops()
    .and(SignalSet::of(SIGCHLD))
    .and(set(Signal::HUP))
    .and(set(Signal::USR1));

const fn set(signal: Signal) -> SignalSet {
    SignalSet::of(signal.number() as u32)
}

impl<'a> Supervisor<'a> {
    pub(super) fn new(
        supervised: &'a Supervised<'a>,
        init: Init,
        respawn: &'a Respawn<'a>,
        logger: Logger<'a>,
    ) -> Result<Self, Error> {
        let handled = match init {
            Init::No => HANDLED,
            _ => SignalSet::ALL,
        };
        let signals = sys::signalfd(handled).map_err(failed(ErrorKind::SignalsFailed))?;
        let pidfile = supervised.settings.string(Subject::Pidfile);
        Ok(Self {
            supervised,
            init,
            power: None,
            respawn,
            signals: signals.into_raw(),
            logger,
            request: Request::None,
            is_told: false,
            tally: Tally::default(),
            state: pidfile.map_or(NO_FD, open_state),
        })
    }
}
