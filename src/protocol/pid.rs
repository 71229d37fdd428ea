//! Process ids.

use core::fmt;
use core::num::NonZeroI32;

/// A process id, always greater than zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(NonZeroI32);

impl Pid {
    /// The largest process id that the type can hold.
    pub(crate) const LARGEST: Self = Self(NonZeroI32::MAX);

    /// Makes a process id. `None` if the number is zero or negative: kill(2) takes those for process
    /// groups.
    #[must_use]
    pub const fn new(number: i32) -> Option<Self> {
        match NonZeroI32::new(number) {
            Some(number) if number.get() > 0 => Some(Self(number)),
            _ => None,
        }
    }

    /// The process id as a number.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0.get()
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::Pid;

    #[test]
    fn only_positive_numbers_are_pids() {
        assert_eq!(Pid::new(0), None);
        assert_eq!(Pid::new(-1), None);
        assert_eq!(Pid::new(i32::MIN), None);
        assert_eq!(Pid::new(i32::MAX).map(Pid::get), Some(i32::MAX));
    }
}
