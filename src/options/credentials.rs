//! The user and the groups of the daemon, as ids.

/// The ids that the daemon sets.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// The user; `None` to keep that of the caller.
    pub user: Option<u32>,
    /// The group; `None` to keep that of the caller.
    pub group: Option<u32>,
    /// The supplementary groups, which are set if the group is.
    pub groups: &'a [u32],
}

impl Credentials<'_> {
    /// The ids of the caller.
    pub(super) const INHERITED: Self = Self {
        user: None,
        group: None,
        groups: &[],
    };
}
