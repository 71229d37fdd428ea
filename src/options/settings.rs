//! The values of the options.

use core::time::Duration;

use super::c_str_arg::CStrArg;
use super::credentials::Credentials;
use super::limit::{Limit, RESOURCES};
use super::readiness::Readiness;
use super::stdio::{Stdio, Stream};
use crate::protocol::Subject;
use crate::sys::ThinCStr;

/// The values of the options, which [`DaemonizeOptions`](crate::DaemonizeOptions) builds. The command fills them
/// in directly: passing the builder by value for each option would make it larger.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// As [`DaemonizeOptions::timeout`](crate::DaemonizeOptions::timeout).
    pub timeout: Option<Duration>,
    /// Standard input, output and error.
    pub streams: [Option<Stdio<'a>>; 3],
    /// As [`DaemonizeOptions::pidfile`](crate::DaemonizeOptions::pidfile).
    pub pidfile: Option<CStrArg<'a>>,
    /// As [`DaemonizeOptions::lock_file`](crate::DaemonizeOptions::lock_file).
    pub lock_file: Option<CStrArg<'a>>,
    /// As [`DaemonizeOptions::chroot`](crate::DaemonizeOptions::chroot).
    pub chroot: Option<CStrArg<'a>>,
    /// As [`DaemonizeOptions::chdir`](crate::DaemonizeOptions::chdir).
    pub chdir: Option<CStrArg<'a>>,
    /// The name of the user. It takes precedence over the id.
    pub user: Option<CStrArg<'a>>,
    /// The name of the group. It takes precedence over the id.
    pub group: Option<CStrArg<'a>>,
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
    /// The ids of the user and the groups.
    pub credentials: Credentials<'a>,
    /// As [`DaemonizeOptions::no_new_privs`](crate::DaemonizeOptions::no_new_privs).
    pub no_new_privs: bool,
    /// As [`DaemonizeOptions::reset_signals`](crate::DaemonizeOptions::reset_signals).
    pub reset_signals: bool,
    /// As [`DaemonizeOptions::close_fds`](crate::DaemonizeOptions::close_fds).
    pub keep: Option<&'a [i32]>,
    /// As [`DaemonizeOptions::ready`](crate::DaemonizeOptions::ready).
    pub readiness: Readiness<'a>,
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
            pidfile: None,
            lock_file: None,
            chroot: None,
            chdir: None,
            user: None,
            group: None,
            chown_pidfile: false,
            lock_timeout: Duration::ZERO,
            umask: None,
            inherit_umask: false,
            nice: None,
            oom_score_adj: None,
            limits: [None; RESOURCES],
            credentials: Credentials::INHERITED,
            no_new_privs: false,
            reset_signals: false,
            keep: None,
            readiness: Readiness::Executed,
            require_ready: false,
            foreground: false,
            ends_after: false,
        }
    }

    /// The path or the name for this subject, if it is one and is set.
    #[must_use]
    pub fn string(&self, subject: Subject) -> Option<ThinCStr<'_>> {
        match self.streams.get(subject as usize) {
            Some(stream) => stream.as_ref()?.stream().path(),
            None => {
                let string = match subject {
                    Subject::Pidfile => &self.pidfile,
                    Subject::LockFile => &self.lock_file,
                    Subject::Chroot => &self.chroot,
                    Subject::Chdir => &self.chdir,
                    Subject::User => &self.user,
                    Subject::Group => &self.group,
                    _ => return None,
                };
                string.as_ref().map(CStrArg::get)
            }
        }
    }

    /// A standard stream, with the default for the daemon, or that for the foreground.
    pub(crate) fn stream(&self, index: usize) -> &Stream<'a> {
        match self.streams.get(index) {
            Some(Some(stream)) => stream.stream(),
            _ if self.foreground => &Stream::Inherit,
            _ => &Stream::Null,
        }
    }

    /// Whether the daemon opens or enters a path that the options name.
    pub(crate) fn has_path(&self) -> bool {
        let mut streams = self.streams.iter().flatten();
        self.pidfile.is_some()
            || self.lock_file.is_some()
            || self.chroot.is_some()
            || self.chdir.is_some()
            || streams.any(|stream| stream.stream().path().is_some())
    }

    /// Whether the daemon changes its user.
    pub(crate) fn sets_user(&self) -> bool {
        self.credentials.user.is_some() || self.user.is_some()
    }

    /// Whether the daemon changes its groups.
    pub(crate) fn sets_groups(&self) -> bool {
        self.sets_user() || self.credentials.group.is_some() || self.group.is_some()
    }
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self::new()
    }
}
