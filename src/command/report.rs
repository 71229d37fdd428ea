//! The report of a start: the steps that were taken, and the failure.

use rawdaemon::internal::{
    LogTarget, Note, Plan, Settings, Step, describe, describe_file, packed, split_once,
};
use rawdaemon::{CStrings, Cause, Errno, Error, ErrorKind, Readiness, Subject, ThinCStr};

use crate::line::Line;
use crate::progress::ProgressLine;

/// The settings of the start that is reported on, and its command.
pub(crate) struct Report<'r> {
    pub(crate) settings: &'r Settings<'r>,
    pub(crate) log: LogTarget<'r>,
    pub(crate) program: ThinCStr<'static>,
    pub(crate) environment: CStrings<'static>,
}

impl Report<'_> {
    /// Writes a line for each of these steps that the plan includes.
    pub(crate) fn write_steps(&self, steps: &[Step]) {
        let plan = Plan::for_command(self.settings);
        for step in steps {
            let name = match step
                .subject()
                .and_then(|subject| self.subject_name(subject))
            {
                None if *step == Step::Chdir => Some(ThinCStr::new(c"/")),
                name => name,
            };
            // An inherited stream gets /dev/null only if it is closed.
            let is_uncertain = *step == Step::OpenDevNull && !plan.needs_null();
            if !plan.includes(*step) || is_uncertain {
                continue;
            }
            let mut line = Line::new();
            line.say(step.words());
            if let Some(name) = name {
                line.push(b' ');
                line.add(name.to_bytes());
            }
            line.end();
        }
    }

    /// Writes a line with the step that failed, its subject, the cause, and what the daemon has said of itself.
    #[inline(never)]
    pub(crate) fn write_failure(&self, error: &Error, progress: &ProgressLine) {
        let mut line = Line::new();
        let name = self.failed_name(error).map(ThinCStr::to_c_str);
        describe(error, name, &mut |text| line.add(text));
        if error.kind() == ErrorKind::DaemonDied {
            let file = self.settings.string(Subject::Stderr);
            if let Some(file) = file.or(self.settings.string(Subject::Stdout)) {
                line.say(packed!("; its output is in "));
                line.add(file.to_bytes());
            } else if let ([_, _, None], LogTarget::Off) = (&self.settings.streams, self.log) {
                line.say(packed!("; --stderr FILE keeps its output"));
            }
        }
        let of = |errno| Error::new(ErrorKind::ExecFailed, Cause::Errno(errno));
        let is_format = *error == of(Errno::ENOEXEC);
        let has_reason = is_format || *error == of(Errno::ENOENT);
        // Of a file in another root directory, or without a path, nothing is known here.
        let is_here = self.subject_name(Subject::Chroot).is_none() && !error.has(Note::Other);
        if has_reason && is_here {
            let program = self.program.to_c_str();
            describe_file(program, self.environment, is_format, &mut |text| {
                line.add(text)
            });
        }
        if error.kind() == ErrorKind::TimedOut && !error.has(Note::Other) {
            line.say(match self.settings.readiness {
                _ if self.settings.forks => {
                    packed!("; it has not gone into the background, or has left several processes")
                }
                Readiness::Executed => packed!("; it was not executed"),
                Readiness::Descriptor(_) => packed!("; it wrote no line to its descriptor"),
                _ => packed!("; it sent no READY=1 to NOTIFY_SOCKET"),
            });
            if let Some(pid) = progress.ignored {
                line.say(packed!("; ignored a message of pid "));
                line.add_number(pid.map_or(0, |pid| pid.get().unsigned_abs()));
                line.say(packed!(", which is not known to be its descendant"));
            }
        }
        if let Some(errno) = progress.errno {
            line.say(packed!("; it reported: "));
            errno.describe(&mut |piece| line.add(piece));
        }
        if !progress.status().is_empty() {
            line.say(packed!("; it said: "));
            line.add(progress.status());
        }
        line.end();
    }

    /// The subject of the step that failed, as the command line names it.
    fn failed_name(&self, error: &Error) -> Option<ThinCStr<'_>> {
        let subject = match error.kind() {
            // With one file, it is clear which one it is.
            ErrorKind::AlreadyRunning => self
                .settings
                .string(Subject::Pidfile)
                .and(self.settings.string(Subject::LockFile))
                .and_then(|_| error.subject())?,
            ErrorKind::OpenFailed => match error.subject()? {
                Subject::Stdout if self.log == LogTarget::Kmsg => {
                    return Some(ThinCStr::new(c"/dev/kmsg"));
                }
                Subject::Mkdir => return self.settings.directory(error.number()),
                subject => subject,
            },
            // The group is part of `--user USER:GROUP`.
            ErrorKind::SetgidFailed if self.subject_name(Subject::Group).is_none() => {
                let user = self.subject_name(Subject::User);
                return user.filter(|user| split_once(user.to_bytes(), b':').1.is_some());
            }
            _ => Step::of(error)?.subject()?,
        };
        self.subject_name(subject)
    }

    /// The subject, as the command line names it.
    fn subject_name(&self, subject: Subject) -> Option<ThinCStr<'_>> {
        match subject {
            Subject::Command => Some(self.program),
            other => self.settings.string(other),
        }
    }
}
