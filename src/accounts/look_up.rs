//! Looking users and groups up in `/etc/passwd` and `/etc/group`.

use core::ffi::CStr;

use super::parse::{Account, find_account, find_group};
use crate::protocol::{Errno, Error, ExitCode, failed};
use crate::sys::{self, Open, ThinCStr};

/// Finds the account of a user, given as `USER` or `USER:GROUP`, by names or numbers, in
/// `/etc/passwd` and `/etc/group`: for [`DaemonizeOptions::user`].
///
/// Both files are read to `buffer`, and the groups of the user are put to `groups`. A `group` that is
/// given counts more than one that is written behind the user. A number is first looked for as a
/// name, and then as an id; one without an entry will do, if a group is given. A file that is
/// missing has no entries.
///
/// This knows nothing of LDAP and the like, as no program without a C library does (nsswitch.conf(5)).
///
/// ```
/// let (mut buffer, mut groups) = ([0; 65536], [0; 64]);
/// let account = rawdaemon::look_up(c"root", None, &mut buffer, &mut groups)?;
/// let options = rawdaemon::DaemonizeOptions::new()
///     .user(account.user, account.group, account.groups);
/// # assert_eq!((account.user, account.group, account.home), (0, 0, &b"/root"[..]));
/// # let _ = options;
/// # Ok::<(), rawdaemon::Error>(())
/// ```
///
/// # Errors
///
/// `SetuidFailed` or `SetgidFailed` with [`Cause::NotListed`] when there is no such user or group,
/// and with the errno when its file cannot be read, which is `EFBIG` when `buffer` is too small;
/// `GroupsFailed` with `E2BIG` when `groups` is.
///
/// [`DaemonizeOptions::user`]: crate::DaemonizeOptions::user
/// [`Cause::NotListed`]: crate::Cause::NotListed
pub fn look_up<'b>(
    user: &'b CStr,
    group: Option<&CStr>,
    buffer: &'b mut [u8],
    groups: &'b mut [u32],
) -> Result<Account<'b>, Error> {
    let (passwd, rest) = read(c"/etc/passwd", buffer).map_err(failed(ExitCode::SetuidFailed))?;
    let (group_file, _) = read(c"/etc/group", rest).map_err(failed(ExitCode::SetgidFailed))?;
    let group = group.map(CStr::to_bytes);
    find_account(user.to_bytes(), group, passwd, group_file, groups)
}

/// Finds the id of a group, given by name or number, in `/etc/group`, which is read to `buffer`: for
/// [`DaemonizeOptions::group`](crate::DaemonizeOptions::group).
///
/// # Errors
///
/// `SetgidFailed`, as [`look_up`].
pub fn look_up_group(group: &CStr, buffer: &mut [u8]) -> Result<u32, Error> {
    let (group_file, _) = read(c"/etc/group", buffer).map_err(failed(ExitCode::SetgidFailed))?;
    find_group(group.to_bytes(), group_file)
}

/// What is in a file, and the rest of the buffer.
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
