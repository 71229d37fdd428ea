//! Refuses values that no start can mean. The command refuses the same ones when it parses its options.

use super::limit::{Limit, Resource};
use super::readiness::Readiness;
use super::scheduling::CpuSet;
use super::settings::{MAX_DIRECTORIES, Settings};
use crate::protocol::{Errno, Error, ErrorKind, Subject, failed};

/// The subjects that are paths or names.
const STRINGS: &[Subject] = &[
    Subject::Stdin,
    Subject::Stdout,
    Subject::Stderr,
    Subject::Pidfile,
    Subject::LockFile,
    Subject::Chroot,
    Subject::Chdir,
    Subject::User,
    Subject::Group,
];

impl Settings<'_> {
    /// Checks the values, and for a command also those that a program ignores.
    ///
    /// # Errors
    ///
    /// `Usage` with `EINVAL`, about the option that is invalid.
    pub(crate) fn check(&self, for_command: bool) -> Result<(), Error> {
        match self.invalid(for_command) {
            Some(subject) => Err(failed(ErrorKind::Usage)(Errno::EINVAL).about(subject)),
            None => match self.keep.unwrap_or_default().iter().find(|fd| **fd < 3) {
                Some(fd) => Err(Error::of_descriptor(ErrorKind::Usage, Errno::EINVAL, *fd)),
                None => Ok(()),
            },
        }
    }

    /// The option that is invalid, unless it is a descriptor to keep.
    fn invalid(&self, for_command: bool) -> Option<Subject> {
        let is_empty = |subject: &&Subject| {
            let string = self.string(**subject);
            string.is_some_and(|string| string.first_byte() == 0)
        };
        if let Some(subject) = STRINGS.iter().find(is_empty) {
            return Some(*subject);
        }
        let mut directories = (0..MAX_DIRECTORIES).filter_map(|number| self.directory(number));
        if directories.any(|path| path.first_byte() == 0) {
            return Some(Subject::Mkdir);
        }
        let is_unready = match self.readiness {
            Readiness::Descriptor(fd) => fd < 3,
            Readiness::NotifyAt(path) => path.first_byte() != b'/',
            _ => false,
        };
        // setresuid(2) takes this number for 'unchanged'.
        let is_outside = |value: Option<i32>, least: i32, most: i32| {
            value.is_some_and(|value| value < least || value > most)
        };
        for (is_invalid, subject) in [
            (for_command && is_unready, Subject::Readiness),
            (self.credentials.user == Some(u32::MAX), Subject::User),
            (self.credentials.group == Some(u32::MAX), Subject::Group),
            (self.umask.is_some_and(|mask| mask > 0o777), Subject::Umask),
            (is_outside(self.nice, -20, 19), Subject::Nice),
            (
                self.sched.is_some_and(|policy| !policy.is_valid()),
                Subject::Sched,
            ),
            (
                self.ionice.is_some_and(|priority| !priority.is_valid()),
                Subject::Ionice,
            ),
            (self.cpus == Some(CpuSet::new()), Subject::Cpus),
            (
                is_outside(self.oom_score_adj, -1000, 1000),
                Subject::OomScoreAdj,
            ),
        ] {
            if is_invalid {
                return Some(subject);
            }
        }
        let mut limits = Resource::ALL.iter().zip(&self.limits);
        let (resource, _) = limits.find(|(_, limit)| {
            let Limit { soft, hard } = limit.unwrap_or(Limit { soft: 0, hard: 0 });
            soft > hard
        })?;
        Some(resource.subject())
    }
}

#[cfg(test)]
mod tests {
    use crate::options::{
        CpuSet, DaemonizeOptions, IoPriority, Limit, Readiness, Resource, SchedPolicy, Stdio,
    };
    use crate::protocol::{Cause, Error};
    use crate::protocol::{Errno, ErrorKind, Subject};

    #[test]
    fn invalid_values_are_refused_and_named() {
        let new = DaemonizeOptions::new;
        let limit = |soft, hard| new().limit(Resource::As, Limit { soft, hard });
        for (options, subject) in [
            (new().stdin(Stdio::file(c"")), Subject::Stdin),
            (new().stdout(Stdio::append(c"")), Subject::Stdout),
            (new().stderr(Stdio::file(c"")), Subject::Stderr),
            (new().pidfile(c""), Subject::Pidfile),
            (new().lock_file(c""), Subject::LockFile),
            (new().chroot(c""), Subject::Chroot),
            (new().chdir(c""), Subject::Chdir),
            (new().mkdir(c"a").mkdir(c""), Subject::Mkdir),
            (new().user(c""), Subject::User),
            (new().group(c""), Subject::Group),
            (new().user_ids(u32::MAX, 1, &[]), Subject::User),
            (new().group_id(u32::MAX), Subject::Group),
            (new().umask(0o1000), Subject::Umask),
            (new().nice(-21), Subject::Nice),
            (new().nice(20), Subject::Nice),
            (new().sched(SchedPolicy::Fifo(0)), Subject::Sched),
            (new().sched(SchedPolicy::RoundRobin(100)), Subject::Sched),
            (new().ionice(IoPriority::BestEffort(8)), Subject::Ionice),
            (new().cpus(CpuSet::new()), Subject::Cpus),
            (new().oom_score_adj(-1001), Subject::OomScoreAdj),
            (new().oom_score_adj(1001), Subject::OomScoreAdj),
            (new().ready(Readiness::Descriptor(2)), Subject::Readiness),
            (
                new().ready(Readiness::NotifyAt(c"socket".into())),
                Subject::Readiness,
            ),
            (limit(2, 1), Subject::As),
            (new().close_fds(&[3, 2]), Subject::Descriptor),
        ] {
            let error = options.settings.check(true).unwrap_err();
            assert_eq!(
                (error.kind(), error.cause(), error.subject()),
                (ErrorKind::Usage, Cause::Errno(Errno::EINVAL), Some(subject)),
                "{options:?}"
            );
        }
        let kept: Error = new().close_fds(&[-1]).settings.check(false).unwrap_err();
        assert_eq!(kept.subject(), Some(Subject::Descriptor));
        for options in [
            new(),
            new().umask(0o777).nice(-20).oom_score_adj(-1000),
            new().nice(19).oom_score_adj(1000).close_fds(&[3]),
            new().ready(Readiness::Descriptor(3)),
            new().ready(Readiness::NotifyAt(c"/socket".into())),
            limit(1, 1),
            new()
                .sched(SchedPolicy::Fifo(99))
                .ionice(IoPriority::Realtime(7)),
            new().user_ids(0, 0, &[]).stdin(Stdio::fd(0)),
        ] {
            assert_eq!(options.settings.check(true), Ok(()), "{options:?}");
        }
    }
}
