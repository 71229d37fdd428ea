//! The plan: the options with every default resolved, for a program or for a command. Makes no system
//! calls.

use core::time::Duration;

use crate::options::{Credentials, Readiness, Settings, Stream};
use crate::protocol::{Goal, Nanoseconds, Step, nanoseconds};

/// The options of a start with every default resolved.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    pub(super) options: &'a Settings<'a>,
    /// The ids of the user and the groups.
    pub(super) credentials: Credentials<'a>,
    /// Whether the program runs an action before its privileges are dropped.
    pub(super) has_action: bool,
    /// Whether the daemon executes a command. A command always gets default dispositions and an empty
    /// signal mask, and no descriptor that was not asked for.
    pub(super) executes: bool,
    /// The condition for success.
    pub(super) goal: Goal,
    /// How long the daemon may take to reach the goal; [`Nanoseconds::MAX`] for no limit. For
    /// [`Goal::Alive`], also how long it must then live.
    pub(super) timeout: Nanoseconds,
    /// How the command reports that it is ready.
    pub(super) readiness: Readiness<'a>,
    pub(super) umask: u32,
    pub(super) memory: Memory,
    /// Whether the original may lead the session itself, without an intermediate.
    pub(super) may_lead_session: bool,
}

/// The memory in which the daemon runs until its exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// A copy of its parent's memory, as after fork(2).
    Copied,
    /// Its parent's memory (CLONE_VM).
    Shared,
    /// Its parent's memory; the parent is stopped until the exec (CLONE_VFORK).
    SharedStopping,
}

/// The default timeout of `daemonize`.
const CALLER_TIMEOUT: Duration = Duration::from_secs(1);

/// The default timeout of a command that reports readiness.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

impl<'a> Plan<'a> {
    /// The plan of a program that daemonizes itself.
    pub(super) fn for_caller(options: &'a Settings<'a>) -> Self {
        let timeout = options.timeout.unwrap_or(CALLER_TIMEOUT);
        let (goal, timeout) = resolve_goal(options.require_ready, timeout);
        Self {
            options,
            credentials: options.credentials,
            has_action: false,
            executes: false,
            goal,
            timeout,
            readiness: Readiness::Executed,
            umask: options.umask.unwrap_or(0),
            memory: Memory::Copied,
            may_lead_session: false,
        }
    }

    /// The plan of a command.
    #[must_use]
    pub fn for_command(options: &'a Settings<'a>) -> Self {
        let (must_be_ready, default) = match options.readiness {
            Readiness::Executed if !options.forks => (false, Duration::ZERO),
            _ => (true, READY_TIMEOUT),
        };
        let (goal, timeout) = resolve_goal(must_be_ready, options.timeout.unwrap_or(default));
        Self {
            options,
            credentials: options.credentials,
            has_action: false,
            executes: true,
            goal,
            timeout,
            readiness: options.readiness,
            umask: options.umask.unwrap_or(0o022),
            memory: command_memory(options, goal),
            may_lead_session: options.ends_after && matches!(goal, Goal::Begun),
        }
    }

    /// The same plan, with the ids of the names in the options.
    pub(super) const fn with_credentials(mut self, credentials: Credentials<'a>) -> Self {
        self.credentials = credentials;
        self
    }

    /// The goal, and the time limit if there is one.
    #[must_use]
    pub fn goal_and_time(&self) -> (Goal, Option<Duration>) {
        let is_limited = self.timeout != Nanoseconds::MAX;
        (
            self.goal,
            is_limited.then_some(Duration::from_nanos(self.timeout)),
        )
    }

    /// Whether the daemon resets all dispositions and the signal mask.
    pub(super) const fn resets_signals(&self) -> bool {
        self.executes || self.options.reset_signals
    }

    /// Whether the daemon closes inherited descriptors.
    pub(super) const fn closes_descriptors(&self) -> bool {
        self.executes || self.options.keep.is_some()
    }

    /// Whether the daemon takes this step.
    #[must_use]
    pub fn includes(&self, step: Step) -> bool {
        let options = self.options;
        match step {
            Step::MakeDirectories => options.directory(0).is_some(),
            Step::ResetSignals => self.resets_signals(),
            Step::CloseDescriptors => self.closes_descriptors(),
            // An inherited stream may be closed.
            Step::OpenDevNull => (0..3).any(|index| !self.opens(index)),
            Step::OpenStdin => self.opens(0),
            Step::OpenStdout => self.opens(1),
            Step::OpenStderr => self.opens(2),
            Step::SetUmask => !options.inherit_umask,
            Step::PlaceStreams | Step::Chdir => true,
            Step::LockLockFile | Step::LockPidfile | Step::WritePidfile | Step::Chroot => step
                .subject()
                .is_some_and(|subject| options.string(subject).is_some()),
            Step::SetOomScoreAdj => options.oom_score_adj.is_some(),
            Step::RunAction => self.has_action,
            Step::SetLimits => {
                options.nice.is_some()
                    || options.sched.is_some()
                    || options.ionice.is_some()
                    || options.cpus.is_some()
                    || options.no_new_privs
                    || options.limits.iter().any(Option::is_some)
            }
            Step::SetGroups | Step::SetGroup => options.sets_groups(),
            Step::SetUser => options.sets_user(),
            Step::SetCapabilities => options.sets_capabilities(),
            Step::EmptyOutputs => {
                (1..3).any(|index| matches!(options.stream(index), Stream::File(_)))
            }
            Step::Execute => self.executes,
        }
    }

    /// Whether the daemon certainly gets `/dev/null`.
    #[must_use]
    pub fn needs_null(&self) -> bool {
        (0..3).any(|index| matches!(self.options.stream(index), Stream::Null))
    }

    fn opens(&self, stream: usize) -> bool {
        !matches!(self.options.stream(stream), Stream::Null | Stream::Inherit)
    }
}

/// The goal and the timeout, where a timeout of zero means no limit.
const fn resolve_goal(must_be_ready: bool, timeout: Duration) -> (Goal, Nanoseconds) {
    match (must_be_ready, nanoseconds(timeout)) {
        (true, 0) => (Goal::Ready, Nanoseconds::MAX),
        (true, time) => (Goal::Ready, time),
        (false, 0) => (Goal::Begun, Nanoseconds::MAX),
        (false, time) => (Goal::Alive, time),
    }
}

/// The memory for a command.
///
/// A daemon that changes its user or its OOM score adjustment gets a copy: the kernel keeps the
/// "dumpable" flag (proc(5)), and since Linux 4.8 also the OOM score adjustment, with the memory, so the
/// caller's would change too.
///
/// The parent is stopped only if the start cannot be held up: with a timeout, a readiness notification,
/// or a path on a file system that may hang, it must stay able to act.
fn command_memory(options: &Settings<'_>, goal: Goal) -> Memory {
    if options.sets_groups() || options.oom_score_adj.is_some() {
        Memory::Copied
    } else if goal == Goal::Begun && !options.has_path() {
        Memory::SharedStopping
    } else {
        Memory::Shared
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::vec::Vec;

    use super::{Memory, Plan};
    use crate::options::{
        Capabilities, CpuSet, DaemonizeOptions, IoPriority, Limit, Readiness, Resource,
        SchedPolicy, Securebits, Stdio,
    };
    use crate::protocol::{Goal, Nanoseconds, Step};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn goals_and_timeouts_have_defaults() {
        let new = DaemonizeOptions::new();
        let zero = new.clone().timeout(Duration::ZERO);
        let caller = |options: DaemonizeOptions<'_>| {
            let plan = Plan::for_caller(&options.settings);
            (plan.goal, plan.timeout)
        };
        let command = |options: DaemonizeOptions<'_>| {
            let plan = Plan::for_command(&options.settings);
            (plan.goal, plan.timeout)
        };
        assert_eq!(caller(new.clone()), (Goal::Alive, 1_000_000_000));
        assert_eq!(caller(zero.clone()), (Goal::Begun, Nanoseconds::MAX));
        assert_eq!(
            caller(new.clone().require_ready(true)),
            (Goal::Ready, 1_000_000_000)
        );
        assert_eq!(
            caller(zero.clone().require_ready(true)),
            (Goal::Ready, Nanoseconds::MAX)
        );
        // `ready` applies to commands only.
        assert_eq!(
            caller(zero.clone().ready(Readiness::Notify)),
            (Goal::Begun, Nanoseconds::MAX)
        );
        assert_eq!(command(new.clone()), (Goal::Begun, Nanoseconds::MAX));
        assert_eq!(
            command(new.clone().timeout(SECOND)),
            (Goal::Alive, 1_000_000_000)
        );
        assert_eq!(
            command(new.clone().require_ready(true)),
            (Goal::Begun, Nanoseconds::MAX)
        );
        for readiness in [Readiness::Notify, Readiness::Descriptor(3)] {
            let ready = new.clone().ready(readiness);
            assert_eq!(command(ready.clone()), (Goal::Ready, 60_000_000_000));
            assert_eq!(
                command(ready.clone().timeout(SECOND)),
                (Goal::Ready, 1_000_000_000)
            );
            assert_eq!(
                command(ready.clone().timeout(Duration::ZERO)),
                (Goal::Ready, Nanoseconds::MAX)
            );
        }
    }

    #[test]
    fn a_command_shares_the_memory_unless_that_would_change_the_caller() {
        let memory = |options: DaemonizeOptions<'_>| Plan::for_command(&options.settings).memory;
        let new = DaemonizeOptions::new();
        assert_eq!(memory(new.clone()), Memory::SharedStopping);
        assert_eq!(memory(new.clone().umask(0)), Memory::SharedStopping);
        assert_eq!(memory(new.clone().chdir(c"/tmp")), Memory::Shared);
        assert_eq!(memory(new.clone().timeout(SECOND)), Memory::Shared);
        assert_eq!(memory(new.clone().ready(Readiness::Notify)), Memory::Shared);
        assert_eq!(memory(new.clone().user_ids(1, 1, &[])), Memory::Copied);
        assert_eq!(memory(new.clone().group_id(1)), Memory::Copied);
        assert_eq!(memory(new.clone().oom_score_adj(0)), Memory::Copied);
        assert_eq!(Plan::for_caller(&new.settings).memory, Memory::Copied);
    }

    #[test]
    fn a_program_and_a_command_have_different_default_umasks() {
        let new = DaemonizeOptions::new();
        assert_eq!(Plan::for_caller(&new.settings).umask, 0);
        assert_eq!(Plan::for_command(&new.settings).umask, 0o022);
        let set = new.clone().umask(0o077);
        assert_eq!(Plan::for_caller(&set.settings).umask, 0o077);
        assert_eq!(Plan::for_command(&set.settings).umask, 0o077);
    }

    #[test]
    fn the_options_select_the_steps() {
        let included = |plan: Plan<'_>| -> Vec<Step> {
            let steps = Step::ALL.iter().copied();
            steps.filter(|step| plan.includes(*step)).collect()
        };
        let new = DaemonizeOptions::new();
        let least = [
            Step::OpenDevNull,
            Step::PlaceStreams,
            Step::SetUmask,
            Step::Chdir,
        ];
        assert_eq!(included(Plan::for_caller(&new.settings)), least);
        let command = [
            Step::ResetSignals,
            Step::CloseDescriptors,
            Step::OpenDevNull,
            Step::PlaceStreams,
            Step::SetUmask,
            Step::Chdir,
            Step::Execute,
        ];
        assert_eq!(included(Plan::for_command(&new.settings)), command);
        let mut with_action = Plan::for_caller(&new.settings);
        with_action.has_action = true;
        assert!(with_action.includes(Step::RunAction));
        let unlimited = Limit {
            soft: Limit::UNLIMITED,
            hard: Limit::UNLIMITED,
        };
        // Each option alone selects its steps.
        let alone: &[(DaemonizeOptions<'_>, &[Step])] = &[
            (new.clone().mkdir(c"a"), &[Step::MakeDirectories]),
            (new.clone().reset_signals(true), &[Step::ResetSignals]),
            (new.clone().close_fds(&[]), &[Step::CloseDescriptors]),
            (new.clone().stdin(Stdio::file(c"a")), &[Step::OpenStdin]),
            (
                new.clone().stdout(Stdio::file(c"a")),
                &[Step::OpenStdout, Step::EmptyOutputs],
            ),
            (
                new.clone().stderr(Stdio::file(c"a")),
                &[Step::OpenStderr, Step::EmptyOutputs],
            ),
            (new.clone().lock_file(c"a"), &[Step::LockLockFile]),
            (
                new.clone().pidfile(c"a"),
                &[Step::LockPidfile, Step::WritePidfile],
            ),
            (new.clone().oom_score_adj(0), &[Step::SetOomScoreAdj]),
            (new.clone().sched(SchedPolicy::Batch), &[Step::SetLimits]),
            (new.clone().ionice(IoPriority::Idle), &[Step::SetLimits]),
            (new.clone().cpus(CpuSet::new()), &[Step::SetLimits]),
            (
                new.clone().capabilities(Capabilities::NONE),
                &[Step::SetCapabilities],
            ),
            (
                new.clone().securebits(Securebits::NONE),
                &[Step::SetCapabilities],
            ),
            (new.clone().chroot(c"a"), &[Step::Chroot]),
            (new.clone().nice(0), &[Step::SetLimits]),
            (new.clone().no_new_privs(true), &[Step::SetLimits]),
            (
                new.clone().limit(Resource::Core, unlimited),
                &[Step::SetLimits],
            ),
            (new.clone().group_id(1), &[Step::SetGroups, Step::SetGroup]),
            (
                new.clone().user_ids(1, 1, &[]),
                &[Step::SetGroups, Step::SetGroup, Step::SetUser],
            ),
        ];
        for (options, steps) in alone {
            let mut found = included(Plan::for_caller(&options.settings));
            found.retain(|step| !least.contains(step));
            assert_eq!(found, *steps, "{options:?}");
        }
        let (input, output) = (
            new.clone().stdin(Stdio::file(c"a")),
            new.clone().stdout(Stdio::file(c"a")),
        );
        for options in [
            input.clone().stdout(Stdio::file(c"b")),
            input.clone().stderr(Stdio::file(c"b")),
            output.clone().stderr(Stdio::file(c"b")),
        ] {
            let plan = Plan::for_command(&options.settings);
            assert!(plan.includes(Step::OpenDevNull), "{options:?}");
        }
        let all = new
            .mkdir(c"g")
            .stdin(Stdio::file(c"a"))
            .stdout(Stdio::file(c"b"))
            .stderr(Stdio::file(c"c"))
            .lock_file(c"d")
            .pidfile(c"e")
            .oom_score_adj(0)
            .chroot(c"f")
            .securebits(Securebits::NONE)
            .limit(Resource::Core, Limit { soft: 0, hard: 0 })
            .user_ids(1, 1, &[]);
        let mut expected = Step::ALL.to_vec();
        expected.retain(|step| !matches!(step, Step::OpenDevNull | Step::RunAction));
        assert_eq!(included(Plan::for_command(&all.settings)), expected);
        let appending = all
            .clone()
            .stdout(Stdio::append(c"b"))
            .stderr(Stdio::append(c"c"));
        assert!(!Plan::for_command(&appending.settings).includes(Step::EmptyOutputs));
    }
}
