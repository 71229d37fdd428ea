//! What a launcher sees of a start that is not over yet.

use core::time::Duration;

/// What there is to be seen of a start that is not over yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'p> {
    /// The original has waited for so long: comes about once a second.
    Waiting(Duration),
    /// The daemon says how far it is: the text of `STATUS=` of sd_notify(3), and at most 200 bytes of
    /// it. It may be anything.
    Status(&'p [u8]),
}
