//! The builder of the options: the user, the privileges and the limits.

use super::builder::DaemonizeOptions;
use super::c_str_arg::IntoCStr;
use super::capabilities::{Capabilities, Securebits};
use super::credentials::Credentials;
use super::limit::{Limit, Resource};
use super::scheduling::{CpuSet, IoPriority, SchedPolicy};
use crate::protocol::Subject;

impl<'a> DaemonizeOptions<'a> {
    /// Sets the daemon's nice value, from -20 to 19, whatever the caller's is (setpriority(2)).
    ///
    /// A value below the caller's needs CAP_SYS_NICE or RLIMIT_NICE. If it cannot be set, the start
    /// fails with `LimitsFailed`.
    pub const fn nice(mut self, nice: i32) -> Self {
        self.settings.nice = Some(nice);
        self
    }

    /// Sets one of the daemon's resource limits (setrlimit(2)). Can be called for several resources.
    ///
    /// If the limit cannot be set, the start fails with `LimitsFailed`: with `EPERM` if the hard limit
    /// is above the caller's and CAP_SYS_RESOURCE is missing. A soft limit above the hard limit is invalid.
    pub fn limit(mut self, resource: Resource, limit: Limit) -> Self {
        for (slot, other) in self.settings.limits.iter_mut().zip(Resource::ALL) {
            if *other == resource {
                *slot = Some(limit);
            }
        }
        self
    }

    /// Sets the daemon's OOM score adjustment: how likely the kernel is to kill it when memory runs out,
    /// from -1000 (never) to 1000 (proc_pid_oom_score_adj(5)).
    ///
    /// This needs `/proc`, and CAP_SYS_RESOURCE to lower the value. If it cannot be set, the start fails
    /// with `LimitsFailed`.
    pub const fn oom_score_adj(mut self, adjustment: i32) -> Self {
        self.settings.oom_score_adj = Some(adjustment);
        self
    }

    /// Sets the daemon's scheduling policy (sched_setscheduler(2)).
    ///
    /// If it cannot be set, the start fails with `LimitsFailed`: with `EPERM` for [`SchedPolicy::Fifo`] and
    /// [`SchedPolicy::RoundRobin`] without CAP_SYS_NICE and RLIMIT_RTPRIO. A priority outside 1 to 99 is invalid.
    pub const fn sched(mut self, policy: SchedPolicy) -> Self {
        self.settings.sched = Some(policy);
        self
    }

    /// Sets the daemon's class and level of I/O scheduling (ioprio_set(2)).
    ///
    /// If they cannot be set, the start fails with `LimitsFailed`: with `ENOSYS` on a kernel without block devices, and
    /// with `EPERM` if a right is missing. A level above 7 is invalid.
    pub const fn ionice(mut self, priority: IoPriority) -> Self {
        self.settings.ionice = Some(priority);
        self
    }

    /// Sets the CPUs on which the daemon may run (sched_setaffinity(2)). The kernel ignores those that the machine
    /// lacks, as long as one is left.
    ///
    /// If they cannot be set, the start fails with `LimitsFailed`: with `EINVAL` if the machine has none of them. An
    /// empty set is invalid.
    pub const fn cpus(mut self, cpus: CpuSet) -> Self {
        self.settings.cpus = Some(cpus);
        self
    }

    /// Sets the user of the daemon, its groups, and its supplementary groups (credentials(7)).
    ///
    /// `user` is `USER` or `USER:GROUP`, and each part is a name or a number, as for chown(1). They are looked
    /// up in `/etc/passwd` and `/etc/group` before anything else happens, as by
    /// [`Account::look_up`](crate::Account::look_up). A number without an entry needs a group. The environment,
    /// HOME for example, stays that of the caller. The groups are that of the user's entry, or the one that
    /// is given, and all of which the user is a member; no others.
    ///
    /// The ids are set after all files have been opened, and verified afterwards. What is so already is not set.
    /// Otherwise this needs CAP_SETUID and CAP_SETGID. A user other than root gets none of the caller's capabilities,
    /// also no inheritable or ambient ones, when the user changes, except those of
    /// [`capabilities`](Self::capabilities); if one is left, the start fails with `LimitsFailed`.
    /// If there is no such user, the start fails with `SetuidFailed` and
    /// [`Cause::NotListed`](crate::Cause::NotListed). If the ids cannot be set, it fails with `GroupsFailed`,
    /// `SetgidFailed` or `SetuidFailed`.
    pub fn user(mut self, user: impl IntoCStr<'a>) -> Self {
        // With the ids of a user came those of its groups.
        if self.settings.credentials.user.is_some() {
            self.settings.credentials = Credentials::INHERITED;
        }
        self.settings.set(Subject::User, Some(user.into_arg()));
        self
    }

    /// Sets the group of the daemon: a name in `/etc/group` or a number. With [`user`](Self::user), it
    /// replaces the user's group; without, the daemon has no supplementary groups.
    ///
    /// This needs CAP_SETGID. If there is no such group, the start fails with `SetgidFailed` and
    /// [`Cause::NotListed`](crate::Cause::NotListed). If the ids cannot be set, it fails with `GroupsFailed`
    /// or `SetgidFailed`.
    pub fn group(mut self, group: impl IntoCStr<'a>) -> Self {
        self.settings.credentials.groups = &[];
        self.settings.set(Subject::Group, Some(group.into_arg()));
        self
    }

    /// Sets the real, effective and saved user and group ids of the daemon, and its supplementary groups,
    /// which are these and no others. Fails as [`user`](Self::user) does.
    pub fn user_ids(mut self, user: u32, group: u32, groups: &'a [u32]) -> Self {
        self.settings.credentials = Credentials {
            user: Some(user),
            group: Some(group),
            groups,
        };
        self.settings.set(Subject::User, None);
        self.settings.set(Subject::Group, None);
        self
    }

    /// Sets the real, effective and saved group ids of the daemon, in the same way as [`group`](Self::group).
    /// This replaces the groups of an earlier call of [`user_ids`](Self::user_ids).
    pub fn group_id(mut self, group: u32) -> Self {
        self.settings.credentials.group = Some(group);
        self.settings.credentials.groups = &[];
        self.settings.set(Subject::Group, None);
        self
    }

    /// Whether the daemon, and everything that it executes, can never gain privileges through
    /// set-user-ID programs and the like (PR_SET_NO_NEW_PRIVS, prctl(2)). Off by default.
    ///
    /// Before Linux 3.5 the start fails with `LimitsFailed`.
    pub const fn no_new_privs(mut self, no_new_privs: bool) -> Self {
        self.settings.no_new_privs = no_new_privs;
        self
    }

    /// Sets the capabilities that the daemon, and everything that it executes, can have (capabilities(7)): its
    /// permitted, effective, inheritable and ambient capabilities are these, and the bounding set is reduced to them. So
    /// a user other than root keeps them when the command is executed, and root gains no others.
    ///
    /// They are set after the user has changed, and verified. If they cannot be set, the start fails with `LimitsFailed`:
    /// with `EPERM` if the caller lacks one of them, or if it lacks CAP_SETPCAP and the bounding set has others. Before
    /// Linux 4.3, which has no ambient capabilities, only root can keep any. A command whose file has capabilities of its
    /// own, or is set-user-ID, gets what its file gives it, within these.
    pub const fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.settings.capabilities = Some(capabilities);
        self
    }

    /// Sets the daemon's securebits: these and no others (capabilities(7)).
    ///
    /// This needs CAP_SETPCAP. With a [`user`](Self::user) other than root, no capability is left but those of
    /// [`capabilities`](Self::capabilities). If they cannot be set, the start fails with `LimitsFailed`.
    pub const fn securebits(mut self, securebits: Securebits) -> Self {
        self.settings.securebits = Some(securebits);
        self
    }
}
