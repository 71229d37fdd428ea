//! Looks up the names of the user and the group.

use crate::accounts::{
    Account, GroupChoice, find_account, find_group, read_account_files, unreadable,
};
use crate::options::{Credentials, Settings};
use crate::protocol::{Error, ErrorKind, Subject};
use crate::sys::Mapping;

/// The size of the buffer for `/etc/passwd` and `/etc/group`, in bytes. The kernel allocates a page when it is
/// first written.
const ACCOUNT_FILES_SIZE: usize = 4 << 20;

/// The largest number of supplementary groups: the kernel's `NGROUPS_MAX`.
const MAX_GROUPS: usize = 65536;

/// The memory for a lookup of names.
#[derive(Debug, Default)]
pub struct LookUp(Option<Mapping<Buffers>>);

/// The contents of the files, and the ids of groups.
type Buffers = ([u8; ACCOUNT_FILES_SIZE], [u32; MAX_GROUPS]);

impl LookUp {
    /// Returns the ids for the user and the group of the options, and the user's account if it was looked up.
    ///
    /// # Errors
    ///
    /// Those of [`Account::look_up`].
    #[inline(never)]
    pub fn credentials<'l>(
        &'l mut self,
        options: &'l Settings<'_>,
    ) -> Result<(Credentials<'l>, Option<Account<'l>>), Error> {
        let ids = options.credentials;
        let user = options.string(Subject::User);
        let group = options.string(Subject::Group);
        if user.is_none() && group.is_none() {
            return Ok((ids, None));
        }
        // The first file that is needed.
        let kind = match user {
            Some(_) => ErrorKind::SetuidFailed,
            None => ErrorKind::SetgidFailed,
        };
        let buffers = Mapping::new(1).map_err(unreadable(kind))?;
        let [(files, group_ids)] = &mut **self.0.insert(buffers) else {
            return Ok((ids, None));
        };
        let (passwd, groups) = read_account_files(files)?;
        let choice = match (group, ids.group) {
            (Some(name), _) => GroupChoice::Name(name.to_bytes()),
            (None, Some(id)) => GroupChoice::Id(id),
            (None, None) => GroupChoice::Primary,
        };
        match (user, group) {
            (Some(user), _) => {
                let account = find_account(user.to_bytes(), choice, passwd, groups, group_ids)?;
                let ids = Credentials {
                    user: Some(account.user),
                    group: Some(account.group),
                    groups: account.groups,
                };
                Ok((ids, Some(account)))
            }
            (None, Some(group)) => {
                let group = Some(find_group(group.to_bytes(), groups)?);
                Ok((Credentials { group, ..ids }, None))
            }
            (None, None) => Ok((ids, None)),
        }
    }
}
