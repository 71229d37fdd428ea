//! The daemon's resource limits and scheduling.

use crate::options::{Limit, Resource, Settings};
use crate::protocol::{Errno, Error, ErrorKind, Subject, failed};
use crate::sys;

/// Sets resource limits, the nice value, the scheduling and no_new_privs.
pub(super) fn set_limits(options: &Settings<'_>) -> Result<(), Error> {
    for (resource, limit) in Resource::ALL.iter().zip(&options.limits) {
        if let Some(Limit { soft, hard }) = *limit {
            sys::setrlimit(*resource as u32, soft, hard)
                .map_err(limit_failed(resource.subject()))?;
        }
    }
    // After the limits, which may allow the next two.
    if let Some(nice) = options.nice {
        sys::setpriority(nice).map_err(limit_failed(Subject::Nice))?;
    }
    if let Some(policy) = options.sched {
        let (policy, priority) = policy.numbers();
        sys::sched_setscheduler(policy, priority).map_err(limit_failed(Subject::Sched))?;
    }
    if let Some(priority) = options.ionice {
        sys::ioprio_set(priority.number()).map_err(limit_failed(Subject::Ionice))?;
    }
    if let Some(cpus) = &options.cpus {
        sys::sched_setaffinity(cpus.words()).map_err(limit_failed(Subject::Cpus))?;
    }
    if options.no_new_privs {
        sys::set_no_new_privs().map_err(limit_failed(Subject::NoNewPrivs))?;
    }
    Ok(())
}

pub(super) fn limit_failed(subject: Subject) -> impl Fn(Errno) -> Error {
    move |errno| failed(ErrorKind::LimitsFailed)(errno).about(subject)
}
