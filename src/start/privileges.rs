//! The daemon's user and its capabilities.

use super::limits::limit_failed;
use super::plan::Plan;
use crate::options::{Capabilities, Securebits};
use crate::protocol::{Errno, Error, Note, Step, Subject};
use crate::sys;

const ROOT_USER: u32 = 0;

/// Becomes the user. No capability survives the change to a user that is not root, unless some are asked for: some could
/// be inherited or ambient, or be kept by the securebits (capabilities(7)).
pub(super) fn set_user(plan: &Plan<'_>) -> Result<(), Error> {
    let Some(user) = plan.credentials.user else {
        return Ok(());
    };
    let sets_capabilities = plan.options.sets_capabilities();
    if sets_capabilities {
        sys::set_keepcaps(true).map_err(|errno| {
            let error = limit_failed(Subject::Capabilities)(errno);
            error.with(Note::Other)
        })?;
    }
    let has_changed = sys::setresuid(user).map_err(|errno| Step::SetUser.error(errno))?;
    match has_changed && user != ROOT_USER && !sets_capabilities {
        true => sys::capset(0, 0).map_err(limit_failed(Subject::Capabilities)),
        false => Ok(()),
    }
}

/// Sets the capabilities and the securebits, after the change of the user.
pub(super) fn set_capabilities(plan: &Plan<'_>) -> Result<(), Error> {
    let result = try_set_capabilities(plan);
    if result.is_err() && plan.credentials.user.is_some_and(|user| user != ROOT_USER) {
        // In the foreground, the caller goes on as this user.
        let _ = sys::capset(0, 0);
    }
    result
}

fn try_set_capabilities(plan: &Plan<'_>) -> Result<(), Error> {
    let set = || {
        let kept = match (plan.options.capabilities, plan.credentials.user) {
            (None, None | Some(ROOT_USER)) => None,
            (capabilities, _) => Some(capabilities.unwrap_or(Capabilities::NONE).bits()),
        };
        if let Some(kept) = kept {
            let [[_, low, _], [_, high, _]] = sys::capget()?;
            // All of them are effective again, CAP_SETPCAP too. Only inheritable ones can be ambient.
            sys::capset(u64::from(high) << 32 | u64::from(low), kept)?;
        }
        if let (Some(kept), Some(_)) = (kept, plan.options.capabilities) {
            sys::limit_bounding_set(kept)?;
            match sys::raise_ambient(kept) {
                // Before Linux 4.3 there are no ambient capabilities. Root needs none, unless NOROOT is set.
                Err(Errno::EINVAL) if sys::effective_user() == ROOT_USER => {
                    let bits = match plan.options.securebits {
                        Some(bits) => bits.bits(),
                        None => sys::securebits()?,
                    };
                    if bits & Securebits::NOROOT.bits() != 0 {
                        return Err(Errno::EINVAL);
                    }
                }
                result => result?,
            }
        }
        Ok(kept)
    };
    let kept = set().map_err(limit_failed(Subject::Capabilities))?;
    match plan.options.securebits {
        Some(securebits) => sys::set_securebits(securebits.bits()),
        None => sys::set_keepcaps(false),
    }
    .map_err(limit_failed(Subject::Securebits))?;
    match kept {
        Some(kept) => sys::capset(kept, kept).map_err(limit_failed(Subject::Capabilities)),
        None => Ok(()),
    }
}
