//! The values of the options.

use core::time::Duration;

use super::c_str_arg::CStrArg;
use super::capabilities::{Capabilities, Securebits};
use super::credentials::Credentials;
use super::limit::{Limit, RESOURCES};
use super::readiness::Readiness;
use super::scheduling::{CpuSet, IoPriority, SchedPolicy};
use super::stdio::{Stdio, Stream};
use crate::protocol::Subject;
use crate::sys::ThinCStr;

/// The number of paths and names, without those of the standard streams.
const STRINGS: usize = 6;

/// The largest number of directories to make.
pub(crate) const MAX_DIRECTORIES: usize = 8;

/// The index of this subject in [`Settings::strings`].
fn index(subject: Subject) -> Option<usize> {
    (subject as usize).checked_sub(Subject::Pidfile as usize)
}

/// The values of the options, which [`DaemonizeOptions`](crate::DaemonizeOptions) builds. The command fills them
/// in directly: passing the builder by value for each option would make it larger.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// As [`DaemonizeOptions::timeout`](crate::DaemonizeOptions::timeout).
    pub timeout: Option<Duration>,
    /// Standard input, output and error.
    pub streams: [Option<Stdio<'a>>; 3],
    /// The paths and names, by their subjects, from [`Subject::Pidfile`] on. Names take precedence over ids.
    pub strings: [Option<CStrArg<'a>>; STRINGS],
    /// The directories to make.
    pub directories: [Option<CStrArg<'a>>; MAX_DIRECTORIES],
    /// Whether the daemon's user becomes the owner of the pidfile.
    pub chown_pidfile: bool,
    /// As [`DaemonizeOptions::lock_timeout`](crate::DaemonizeOptions::lock_timeout).
    pub lock_timeout: Duration,
    /// As [`DaemonizeOptions::umask`](crate::DaemonizeOptions::umask).
    pub umask: Option<u32>,
    /// As [`DaemonizeOptions::inherit_umask`](crate::DaemonizeOptions::inherit_umask).
    pub inherit_umask: bool,
    /// As [`DaemonizeOptions::nice`](crate::DaemonizeOptions::nice).
    pub nice: Option<i32>,
    /// As [`DaemonizeOptions::oom_score_adj`](crate::DaemonizeOptions::oom_score_adj).
    pub oom_score_adj: Option<i32>,
    /// In the order of [`Resource::ALL`](crate::Resource::ALL).
    pub limits: [Option<Limit>; RESOURCES],
    /// As [`DaemonizeOptions::sched`](crate::DaemonizeOptions::sched).
    pub sched: Option<SchedPolicy>,
    /// As [`DaemonizeOptions::ionice`](crate::DaemonizeOptions::ionice).
    pub ionice: Option<IoPriority>,
    /// As [`DaemonizeOptions::cpus`](crate::DaemonizeOptions::cpus).
    pub cpus: Option<CpuSet>,
    /// The ids of the user and the groups.
    pub credentials: Credentials<'a>,
    /// As [`DaemonizeOptions::capabilities`](crate::DaemonizeOptions::capabilities).
    pub capabilities: Option<Capabilities>,
    /// As [`DaemonizeOptions::securebits`](crate::DaemonizeOptions::securebits).
    pub securebits: Option<Securebits>,
    /// As [`DaemonizeOptions::no_new_privs`](crate::DaemonizeOptions::no_new_privs).
    pub no_new_privs: bool,
    /// As [`DaemonizeOptions::reset_signals`](crate::DaemonizeOptions::reset_signals).
    pub reset_signals: bool,
    /// As [`DaemonizeOptions::close_fds`](crate::DaemonizeOptions::close_fds).
    pub keep: Option<&'a [i32]>,
    /// As [`DaemonizeOptions::ready`](crate::DaemonizeOptions::ready).
    pub readiness: Readiness<'a>,
    /// Whether the daemon is ready when it goes into the background by itself. Only a supervisor follows it.
    pub forks: bool,
    /// The pidfile that it then writes.
    pub own_pidfile: Option<ThinCStr<'a>>,
    /// As [`DaemonizeOptions::require_ready`](crate::DaemonizeOptions::require_ready).
    pub require_ready: bool,
    /// As [`DaemonizeOptions::foreground`](crate::DaemonizeOptions::foreground).
    pub foreground: bool,
    /// Whether the calling process exits after the start, so that it may lead the new session itself.
    pub ends_after: bool,
}

impl<'a> Settings<'a> {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            timeout: None,
            streams: [None, None, None],
            strings: [const { None }; STRINGS],
            directories: [const { None }; MAX_DIRECTORIES],
            chown_pidfile: false,
            lock_timeout: Duration::ZERO,
            umask: None,
            inherit_umask: false,
            nice: None,
            oom_score_adj: None,
            limits: [None; RESOURCES],
            sched: None,
            ionice: None,
            cpus: None,
            credentials: Credentials::INHERITED,
            capabilities: None,
            securebits: None,
            no_new_privs: false,
            reset_signals: false,
            keep: None,
            readiness: Readiness::Executed,
            forks: false,
            own_pidfile: None,
            require_ready: false,
            foreground: false,
            ends_after: false,
        }
    }

    /// Sets the path or the name for this subject.
    pub fn set(&mut self, subject: Subject, string: Option<CStrArg<'a>>) {
        let slot = index(subject).and_then(|index| self.strings.get_mut(index));
        if let Some(slot) = slot {
            *slot = string;
        }
    }

    /// The path or the name for this subject, if it is one and is set.
    #[must_use]
    pub fn string(&self, subject: Subject) -> Option<ThinCStr<'_>> {
        match index(subject) {
            Some(index) => self.strings.get(index)?.as_ref().map(CStrArg::get),
            None => self
                .streams
                .get(subject as usize)?
                .as_ref()?
                .stream()
                .path(),
        }
    }

    /// The path of the directory to make that has this number.
    #[must_use]
    pub fn directory(&self, number: usize) -> Option<ThinCStr<'_>> {
        self.directories.get(number)?.as_ref().map(CStrArg::get)
    }

    /// A standard stream, with the default for the daemon, or that for the foreground.
    #[inline(never)]
    pub(crate) fn stream(&self, index: usize) -> &Stream<'a> {
        match self.streams.get(index) {
            // A file in its place would be filled.
            Some(Some(stream)) => match stream.stream() {
                Stream::File(path) | Stream::Append(path)
                    if path.get().to_bytes() == b"/dev/null" =>
                {
                    &Stream::Null
                }
                other => other,
            },
            _ if self.foreground => &Stream::Inherit,
            _ => &Stream::Null,
        }
    }

    /// Whether the daemon opens or enters a path that the options name.
    pub(crate) fn has_path(&self) -> bool {
        let mut streams = self.streams.iter().flatten();
        let [paths @ .., _, _] = &self.strings;
        paths.iter().any(Option::is_some) || streams.any(|stream| stream.stream().path().is_some())
    }

    /// Whether one of the paths is relative.
    pub(crate) fn has_relative_path(&self) -> bool {
        let [paths @ .., _, _] = &self.strings;
        let strings = paths.iter().chain(&self.directories).flatten();
        let streams = self.streams.iter().flatten();
        let mut files = streams.filter_map(|stream| stream.stream().path());
        let is_relative = |path: ThinCStr<'_>| path.first_byte() != b'/';
        strings.map(CStrArg::get).any(is_relative) || files.any(is_relative)
    }

    /// Whether the daemon changes its user.
    pub(crate) fn sets_user(&self) -> bool {
        self.credentials.user.is_some() || self.string(Subject::User).is_some()
    }

    /// Whether the daemon sets its capabilities or its securebits.
    pub(crate) const fn sets_capabilities(&self) -> bool {
        self.capabilities.is_some() || self.securebits.is_some()
    }

    /// Whether the daemon changes its groups.
    pub(crate) fn sets_groups(&self) -> bool {
        self.sets_user()
            || self.credentials.group.is_some()
            || self.string(Subject::Group).is_some()
    }
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self::new()
    }
}
