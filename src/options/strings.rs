//! The paths and names in the options, by their subjects.

use super::c_str_arg::CStrArg;
use crate::protocol::Subject;
use crate::sys::ThinCStr;

/// The number of paths and names, without those of the standard streams.
const COUNT: usize = 6;

/// The paths and names, in the order of their [`Subject`]s, from [`Subject::Pidfile`] on.
#[derive(Clone, Debug)]
pub(super) struct Strings<'a>([Option<CStrArg<'a>>; COUNT]);

impl<'a> Strings<'a> {
    pub(super) const NONE: Self = Self([const { None }; COUNT]);

    pub(super) fn set(&mut self, subject: Subject, string: Option<CStrArg<'a>>) {
        let slot = index(subject).and_then(|index| self.0.get_mut(index));
        if let Some(slot) = slot {
            *slot = string;
        }
    }

    pub(super) fn get(&self, subject: Subject) -> Option<ThinCStr<'_>> {
        self.0.get(index(subject)?)?.as_ref().map(CStrArg::get)
    }

    /// Whether there is a path.
    pub(super) fn has_path(&self) -> bool {
        let [paths @ .., _, _] = &self.0;
        paths.iter().any(Option::is_some)
    }
}

fn index(subject: Subject) -> Option<usize> {
    (subject as usize).checked_sub(Subject::Pidfile as usize)
}
