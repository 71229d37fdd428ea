//! Looking users and groups up in `/etc/passwd` and `/etc/group`.

use core::ffi::CStr;

use super::parse::Account;
use crate::protocol::{Errno, Error, ErrorKind, Note, failed};
use crate::sys::{self, Open, ThinCStr};

impl<'b> Account<'b> {
    /// Looks up a user in `/etc/passwd` and `/etc/group`.
    ///
    /// [`DaemonizeOptions::user`] does this by itself. Use this function to know the account, for the
    /// environment of a command, say, and pass it to [`DaemonizeOptions::user_ids`].
    ///
    /// `user` is `USER` or `USER:GROUP`, and each part is a name or a number. `group` takes precedence over
    /// the group in `user`. A number is first looked up as a name, and then as an id. A number without an
    /// entry is accepted if a group is given too.
    ///
    /// Both files are read into `buffer`, which must be larger than the two together. The ids of the user's
    /// groups are stored in `groups`. A missing file has no entries.
    ///
    /// LDAP and other databases (nsswitch.conf(5)) are not used: they need a C library.
    ///
    /// ```
    /// use rawdaemon::Account;
    ///
    /// let (mut buffer, mut groups) = ([0; 65536], [0; 64]);
    /// let account = Account::look_up(c"root", None, &mut buffer, &mut groups)?;
    /// let options = rawdaemon::DaemonizeOptions::new()
    ///     .user_ids(account.user, account.group, account.groups);
    /// # assert_eq!((account.user, account.group, account.home), (0, 0, &b"/root"[..]));
    /// # let _ = options;
    /// # Ok::<(), rawdaemon::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `SetuidFailed` or `SetgidFailed` with [`Cause::NotListed`] if there is no such user or group. A
    ///   user that has no group, and is given none, is `SetuidFailed` too.
    /// - `SetuidFailed` or `SetgidFailed` with an errno if `/etc/passwd` or `/etc/group` cannot be read:
    ///   `EFBIG` if `buffer` is too small.
    /// - `GroupsFailed` with `E2BIG` if `groups` is too small.
    ///
    /// [`DaemonizeOptions::user`]: crate::DaemonizeOptions::user
    /// [`DaemonizeOptions::user_ids`]: crate::DaemonizeOptions::user_ids
    /// [`Cause::NotListed`]: crate::Cause::NotListed
    pub fn look_up(
        user: &'b CStr,
        group: Option<&CStr>,
        buffer: &'b mut [u8],
        groups: &'b mut [u32],
    ) -> Result<Self, Error> {
        let (passwd, group_file) = read_account_files(buffer)?;
        let group = group.map(CStr::to_bytes);
        Self::parse(user.to_bytes(), group, passwd, group_file, groups)
    }
}

/// Reads `/etc/passwd` and `/etc/group` into the buffer.
pub(crate) fn read_account_files(buffer: &mut [u8]) -> Result<(&[u8], &[u8]), Error> {
    let (passwd, rest) =
        read(c"/etc/passwd", buffer).map_err(unreadable(ErrorKind::SetuidFailed))?;
    let (groups, _) = read(c"/etc/group", rest).map_err(unreadable(ErrorKind::SetgidFailed))?;
    Ok((passwd, groups))
}

/// For `map_err`: the error of a file with accounts that cannot be read. The kind says which file it is.
pub(crate) fn unreadable(kind: ErrorKind) -> impl Fn(Errno) -> Error {
    move |errno| failed(kind)(errno).with(Note::Other)
}

/// Reads a file into the buffer. Returns its contents and the rest of the buffer.
fn read<'b>(path: &CStr, buffer: &'b mut [u8]) -> Result<(&'b [u8], &'b mut [u8]), Errno> {
    let mut length = 0_usize;
    match sys::open(ThinCStr::new(path), Open::Read) {
        Ok(file) => loop {
            let rest = buffer.get_mut(length..).unwrap_or_default();
            if rest.is_empty() {
                return Err(Errno::EFBIG);
            }
            match sys::read(file.raw(), rest)? {
                0 => break,
                count => length = length.saturating_add(count as usize),
            }
        },
        Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno),
    }
    let (text, rest) = buffer.split_at_mut_checked(length).unwrap_or_default();
    Ok((text, rest))
}
