//! A start by a supervisor: a process that leads the daemon's session, as the intermediate does, and stays.

use core::mem::ManuallyDrop;

use super::context::{Shared, SupervisedStart, Watched};
use super::directories::MadeDirectories;
use super::exec::Command;
use super::intermediate::create_daemon;
use super::notify_folder::{NotifyFolder, VARIABLE, VARIABLE_SIZE};
use super::plan::{Memory, Plan};
use super::readiness::{Channel, belongs};
use crate::options::{Credentials, Settings};
use crate::pidfile::{rewrite, signal_pinned};
use crate::protocol::{Error, ErrorKind, Event, Note, Pid, Signal, cannot_watch, failed};
use crate::sys::{self, CStrings, Fd, Fork, NO_FD, Pipe, RawFd, Stack, ThinCStr};

/// A command that a supervisor starts, and starts again.
pub(crate) struct Supervised<'a> {
    pub(crate) settings: &'a Settings<'a>,
    pub(crate) credentials: Credentials<'a>,
    pub(crate) command: (ThinCStr<'a>, CStrings<'a>, CStrings<'a>),
    pub(crate) supervision: SupervisedStart,
    pub(crate) session: Pid,
    /// What [`may_setpgid`](crate::sys::may_setpgid) returned before the session was created.
    pub(crate) may_setpgid: bool,
}

/// A daemon that runs, and the channel over which it reports.
pub(crate) struct Running {
    pub(crate) daemon: Pid,
    /// The daemon, or the process that it has named by `MAINPID=`.
    pub(crate) main: Pid,
    /// The pidfd of that process.
    pub(crate) main_end: RawFd,
    /// The process group of that process.
    pub(crate) group: Option<Pid>,
    channel: Channel,
    variable: [u8; VARIABLE_SIZE],
}

impl Supervised<'_> {
    /// Starts the daemon, watches it until there is a verdict, and sends a success to the process that waits for it,
    /// if one does. All steps are taken anew. The process `logger` is another child.
    pub(crate) fn start(
        &self,
        verdict: Pipe,
        is_restart: bool,
        logger: Option<Pid>,
    ) -> Result<Running, Error> {
        let supervision = SupervisedStart {
            is_restart,
            logger,
            ..self.supervision
        };
        let (program, argv, envp) = self.command;
        let plan = Plan::for_command(self.settings).with_credentials(self.credentials);
        let command = Command {
            program,
            argv,
            envp,
            before_exec: None,
        };
        let stack = match plan.memory {
            Memory::Copied => Stack::none(),
            Memory::Shared | Memory::SharedStopping => Stack::new(),
        };
        let shared = Shared {
            plan: &plan,
            role: &command,
            may_setpgid: self.may_setpgid,
            is_new: false,
            folder: NotifyFolder::new(&plan, envp),
            verdict,
            supervision: Some(supervision),
            stack: &stack,
        };
        let mut made = MadeDirectories::NONE;
        let started = made.make(&plan).and_then(|()| {
            let mut variable = [0; VARIABLE_SIZE];
            let channel = Channel::open(plan.readiness, &shared.folder, &mut variable);
            let mut channel = channel.map_err(failed(ErrorKind::ChannelFailed))?;
            match create_daemon(&shared, self.session, &mut channel, &variable) {
                Ok(Fork::Parent(watched)) => Ok((watched, channel, variable)),
                Ok(Fork::Child(never)) => match never.into_inner() {},
                Err(error) => Err(match channel.close(plan.readiness, &mut variable) {
                    true => error,
                    false => error.with(Note::FileLeft),
                }),
            }
        });
        let (watched, channel, variable) = started.map_err(|error| made.remove(&plan, error))?;
        let Watched {
            daemon,
            main,
            main_end,
        } = watched;
        Ok(Running {
            daemon,
            main,
            main_end,
            group: group_of(main),
            channel,
            variable,
        })
    }
}

/// The process group of a daemon, unless that is the supervisor's. The pid of the process that was started may be that of
/// another process by now.
fn group_of(daemon: Pid) -> Option<Pid> {
    let own = sys::getpgid(sys::getpid());
    sys::getpgid(daemon).filter(|group| Some(*group) != own)
}

impl Running {
    /// A daemon whose supervisor was killed. It is no child of this one, so only a pidfd shows its end.
    pub(crate) fn adopt(daemon: Pid) -> Result<Self, Error> {
        let end = sys::pidfd_open(daemon).map_err(cannot_watch)?;
        Ok(Self {
            daemon,
            main: daemon,
            main_end: end.into_raw(),
            group: group_of(daemon),
            channel: Channel::None,
            variable: [0; VARIABLE_SIZE],
        })
    }

    /// The descriptor that is readable when the daemon has sent a message; [`NO_FD`] if there is no channel.
    pub(crate) fn fd(&self) -> RawFd {
        self.channel.fd()
    }

    /// The path of the folder of its notification socket; empty if there is none.
    pub(crate) fn folder(&self) -> &[u8] {
        let end = match self.channel {
            Channel::Socket { folder, .. } => folder,
            _ => 0,
        };
        self.variable.get(VARIABLE.len()..end).unwrap_or_default()
    }

    /// Reads the next message, and follows the process that it names by `MAINPID=`: the pidfile names that from now
    /// on. `None` if there is no message, `Some(None)` if it means nothing to a supervisor.
    pub(crate) fn receive(&mut self, supervised: &Supervised<'_>) -> Option<Option<Event>> {
        let mut main = self.main;
        let session = supervised.session;
        let event = self
            .channel
            .receive(self.daemon, session, NO_FD, &mut main)?;
        if main != self.main {
            self.follow(main, supervised);
        }
        if let Some(Event::Reported(_)) = event {
            // The channel can no longer be read.
            self.close_channel(supervised);
            return None;
        }
        Some(event)
    }

    /// Takes another process for the daemon, if a pidfd shows its end.
    pub(crate) fn follow(&mut self, main: Pid, supervised: &Supervised<'_>) {
        // The end of a child is seen without a pidfd, and its pid is not given to another process.
        let is_child = sys::has_exited(main) == Ok(false);
        let end = match sys::pidfd_open(main) {
            Ok(end) if is_child || belongs(main, self.daemon, supervised.session) => end.into_raw(),
            Err(_) if is_child => NO_FD,
            _ => return,
        };
        sys::close(self.main_end);
        (self.main, self.main_end, self.group) = (main, end, group_of(main));
        let [pidfile, _] = supervised.supervision.locks;
        if pidfile != NO_FD {
            let _ = rewrite(pidfile, main);
        }
    }

    /// Sends a signal to the daemon, which has not been reaped.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = match self.main_end {
            NO_FD => sys::kill(self.main, signal.number()),
            // Its parent may have reaped it.
            end => {
                let end = ManuallyDrop::new(Fd::from_raw(end));
                signal_pinned(&end, self.main, signal)
            }
        };
    }

    /// Whether the daemon has ended, and its parent has not reaped it yet: its pid is still its own. Only another
    /// process than the supervisor leaves it so.
    pub(crate) fn is_pinned(&self) -> bool {
        let end = ManuallyDrop::new(Fd::from_raw(self.main_end));
        end.raw() != NO_FD && sys::pidfd_send_signal(&end, 0).is_ok()
    }

    /// Closes the pidfd of a daemon that has ended.
    pub(crate) fn close_end(&mut self) {
        sys::close(self.main_end);
        self.main_end = NO_FD;
    }

    pub(crate) fn close_channel(&mut self, supervised: &Supervised<'_>) {
        let readiness = supervised.settings.readiness;
        self.channel.close(readiness, &mut self.variable);
        self.channel = Channel::None;
    }
}
