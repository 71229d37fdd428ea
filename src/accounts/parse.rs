//! Parses `/etc/passwd` and `/etc/group` (passwd(5), group(5)). Pure.
//!
//! Lines may have any length, the last one needs no newline, and missing fields at the end are empty.
//! Lines that are not entries are skipped: those without a name or a valid id, and those of NIS, which
//! begin with `+` or `-`. If several entries have the same name or id, the first one applies.

use crate::protocol::{Cause, Errno, Error, ErrorKind, Subject};
use crate::text::{Lines, lines, next_field, parse_number, split_once};

/// A user's account: the ids for [`DaemonizeOptions::user_ids`](crate::DaemonizeOptions::user_ids), and the
/// values for the environment variables USER, LOGNAME, HOME and SHELL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account<'a> {
    /// The user's name; the number itself if it has no entry.
    pub name: &'a [u8],
    /// The user's id.
    pub user: u32,
    /// The id of the group that was given, or of the primary group in the user's entry.
    pub group: u32,
    /// The ids of that group and of all groups that the user is a member of.
    pub groups: &'a [u32],
    /// The home directory; `/` if the entry has none or there is no entry.
    pub home: &'a [u8],
    /// The shell; `/bin/sh` if the entry has none, or one that refuses logins such as `nologin`, or there is no entry.
    pub shell: &'a [u8],
}

impl<'a> Account<'a> {
    /// Finds a user in the contents of `/etc/passwd` and `/etc/group`. [`look_up`](Self::look_up) reads these
    /// files.
    ///
    /// `user` is `USER` or `USER:GROUP`, and each part is a name or a number. `group` takes precedence over
    /// the group in `user`. A number is first looked up as a name, and then as an id. A number without an
    /// entry is accepted if a group is given too. The ids of the user's groups are stored in `ids`.
    ///
    /// ```
    /// use rawdaemon::Account;
    ///
    /// let passwd = b"web:x:33:33::/var/www:/usr/sbin/nologin\n";
    /// let groups = b"www:x:33:\nlogs:x:5:web\n";
    /// let mut ids = [0; 8];
    /// let account = Account::parse(b"web", None, passwd, groups, &mut ids)?;
    /// assert_eq!((account.user, account.group, account.groups), (33, 33, &[33, 5][..]));
    /// # Ok::<(), rawdaemon::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `SetuidFailed` or `SetgidFailed` with [`Cause::NotListed`] if there is no such user or group. A
    ///   user that has no group, and is given none, is `SetuidFailed` too.
    /// - `GroupsFailed` with `E2BIG` if `ids` is too small.
    pub fn parse(
        user: &'a [u8],
        group: Option<&[u8]>,
        passwd: &'a [u8],
        groups: &[u8],
        ids: &'a mut [u32],
    ) -> Result<Self, Error> {
        let group = group.map_or(GroupChoice::Primary, GroupChoice::Name);
        find_account(user, group, passwd, groups, ids)
    }
}

/// The group of an account.
#[derive(Clone, Copy, Debug)]
pub(crate) enum GroupChoice<'g> {
    /// The one that is given with the user, or that of the user's entry.
    Primary,
    /// The group with this name or number.
    Name(&'g [u8]),
    /// The group with this id.
    Id(u32),
}

/// [`Account::parse`].
pub(crate) fn find_account<'a>(
    user: &'a [u8],
    group: GroupChoice<'_>,
    passwd: &'a [u8],
    groups: &[u8],
    ids: &'a mut [u32],
) -> Result<Account<'a>, Error> {
    let (name, group_of_user) = split_once(user, b':');
    let mut user = find(passwd, name).ok_or_else(|| not_listed(ErrorKind::SetuidFailed))?;
    let primary = id(next_field(&mut user.rest, b':'));
    next_field(&mut user.rest, b':');
    let home = next_field(&mut user.rest, b':');
    let shell = next_field(&mut user.rest, b':');
    let group = match (group, group_of_user) {
        (GroupChoice::Id(id), _) => id,
        (GroupChoice::Name(group), _) | (GroupChoice::Primary, Some(group)) => {
            find_group(group, groups)?
        }
        (GroupChoice::Primary, None) => {
            primary.ok_or_else(|| not_listed(ErrorKind::SetuidFailed))?
        }
    };
    Ok(Account {
        name: user.name,
        user: user.id,
        group,
        groups: collect_groups(user.name, group, groups, ids)?,
        home: if home.is_empty() { b"/" } else { home },
        shell: login_shell(shell),
    })
}

/// The shell of an entry; `/bin/sh` if it has none, or one that only refuses logins. A daemon that runs commands with
/// `$SHELL` could run none.
fn login_shell(shell: &[u8]) -> &[u8] {
    let name = shell.rsplit(|byte| *byte == b'/').next();
    match NO_SHELLS.position(name.unwrap_or_default()) {
        Some(_) => b"/bin/sh",
        None => shell,
    }
}

/// The names of the programs that refuse logins.
static NO_SHELLS: Lines = lines![""; "nologin"; "false"; "true"; "null";];

/// Finds the id of a group in the contents of `/etc/group`.
///
/// `name` is a name or a number. A number is first looked up as a name; without an entry it is the id
/// itself.
///
/// # Errors
///
/// `SetgidFailed` with [`Cause::NotListed`] if there is no such group.
pub fn find_group(name: &[u8], groups: &[u8]) -> Result<u32, Error> {
    let group = find(groups, name).ok_or_else(|| not_listed(ErrorKind::SetgidFailed))?;
    Ok(group.id)
}

fn not_listed(kind: ErrorKind) -> Error {
    let subject = match kind {
        ErrorKind::SetuidFailed => Subject::User,
        _ => Subject::Group,
    };
    Error::new(kind, Cause::NotListed).about(subject)
}

/// An entry of either file: `name:password:id:`, and then `group:comment:home:shell` of a user, or
/// `member,member` of a group.
#[derive(Clone, Copy)]
struct Entry<'a> {
    name: &'a [u8],
    id: u32,
    rest: Option<&'a [u8]>,
}

/// Finds the entry with this name, or else with this id. An id that is not listed makes an entry of its
/// own.
fn find<'a>(text: &'a [u8], name: &'a [u8]) -> Option<Entry<'a>> {
    let number = id(name);
    let mut numbered = None;
    for entry in Entries(Some(text)) {
        if entry.name == name {
            return Some(entry);
        }
        if numbered.is_none() && number == Some(entry.id) {
            numbered = Some(entry);
        }
    }
    numbered.or(number.map(|id| Entry {
        name,
        id,
        rest: None,
    }))
}

/// Collects the ids of the given group and of all groups that the user is a member of, without duplicates.
fn collect_groups<'a>(
    user: &[u8],
    group: u32,
    groups: &[u8],
    ids: &'a mut [u32],
) -> Result<&'a [u32], Error> {
    let mut count = 0;
    add_group(group, ids, &mut count)?;
    for Entry { id, mut rest, .. } in Entries(Some(groups)) {
        let mut members = Some(next_field(&mut rest, b':'));
        while members.is_some() {
            if next_field(&mut members, b',') == user {
                add_group(id, ids, &mut count)?;
            }
        }
    }
    Ok(ids.get(..count).unwrap_or_default())
}

fn add_group(group: u32, ids: &mut [u32], count: &mut usize) -> Result<(), Error> {
    if ids.iter().take(*count).all(|other| *other != group) {
        let too_many = Error::new(ErrorKind::GroupsFailed, Cause::Errno(Errno::E2BIG));
        *ids.get_mut(*count).ok_or(too_many)? = group;
        *count = count.saturating_add(1);
    }
    Ok(())
}

/// An iterator over the entries of a file.
struct Entries<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            self.0?;
            let mut line = Some(next_field(&mut self.0, b'\n'));
            let name = next_field(&mut line, b':');
            next_field(&mut line, b':');
            let id = id(next_field(&mut line, b':'));
            match (name, id) {
                ([] | [b'+' | b'-', ..], _) | (_, None) => {}
                (_, Some(id)) => {
                    return Some(Entry {
                        name,
                        id,
                        rest: line,
                    });
                }
            }
        }
    }
}

/// Parses an id. The largest number is not an id: setresuid(2) takes it for 'unchanged'.
fn id(digits: &[u8]) -> Option<u32> {
    let id = u32::try_from(parse_number(digits, 10)?).ok()?;
    (id != u32::MAX).then_some(id)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::{Account, GroupChoice, find_account, find_group};
    use crate::protocol::{Error, ErrorKind};

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/bash\n\
        +nis:x:7:7:::\n\
        -web:x:8:8:::\n\
        \n\
        half:x:9\n\
        big:x:4294967295:1:::\n\
        lost:x:10:much:::\n\
        huge:x:99999999999999999999:1:::\n\
        web:x:33:33:,,,:/var/www:/usr/sbin/nologin\n\
        web:x:34:34:::\n\
        twin:x:33:35:::\n\
        77:x:78:79:a number as a name:/home/77:\n\
        last:x:90:91::/home/last:/bin/sh";
    const GROUP: &[u8] =
        b"root:x:0:\nadm:x:4:root,web\nnis:x:oops:web\nwww:x:33:\ntape:x:26:webmaster,aweb\n\
        logs:x:5:web,root,\n+:::\nlogs2:x:5:web\nlate:*:6:other,web";

    fn account(user: &str, group: Option<&str>) -> Result<(u32, u32, Vec<u32>), Error> {
        let mut ids = [0; 8];
        let group = group.map(str::as_bytes);
        Account::parse(user.as_bytes(), group, PASSWD, GROUP, &mut ids)
            .map(|account| (account.user, account.group, account.groups.to_vec()))
    }
    fn unlisted(kind: ErrorKind) -> Error {
        super::not_listed(kind)
    }

    #[test]
    fn users_are_found_by_name_or_number() {
        let web = (33, 33, Vec::from([33, 4, 5, 6]));
        assert_eq!(account("web", None), Ok(web.clone()));
        assert_eq!(account("33", None), Ok(web));
        assert_eq!(account("root", None), Ok((0, 0, Vec::from([0, 4, 5]))));
        assert_eq!(account("77", None), Ok((78, 79, Vec::from([79]))));
        assert_eq!(account("last", None), Ok((90, 91, Vec::from([91]))));
        // An entry without a primary group needs a group that is given.
        assert_eq!(account("half:5", None), Ok((9, 5, Vec::from([5]))));
        assert_eq!(account("lost:6", None), Ok((10, 6, Vec::from([6]))));
    }

    #[test]
    fn a_group_can_be_given_in_two_ways() {
        let web = |group| Ok((33, group, Vec::from([group, 4, 5, 6])));
        assert_eq!(account("web:tape", None), web(26));
        assert_eq!(account("web:1234", None), web(1234));
        assert_eq!(account("web:tape", Some("1000")), web(1000));
        assert_eq!(account("web", Some("www")), web(33));
        assert_eq!(
            account("web", Some("adm")),
            Ok((33, 4, Vec::from([4, 5, 6])))
        );
    }

    #[test]
    fn a_group_can_be_given_as_an_id() {
        let mut ids = [0; 8];
        let choice = GroupChoice::Id(7);
        let account = find_account(b"web:tape", choice, PASSWD, GROUP, &mut ids).unwrap();
        assert_eq!((account.group, account.groups), (7, &[7, 4, 5, 6][..]));
    }

    #[test]
    fn a_number_without_an_entry_needs_a_group() {
        let alone = Ok((1234, 99, Vec::from([99])));
        assert_eq!(account("1234:99", None), alone);
        assert_eq!(account("1234", Some("99")), alone);
        let mut ids = [0; 1];
        let account = Account::parse(b"1234:99", None, b"", b"", &mut ids).unwrap();
        assert_eq!(
            (account.name, account.home, account.shell),
            (&b"1234"[..], &b"/"[..], &b"/bin/sh"[..])
        );
        assert_eq!(
            self::account("1234", None),
            Err(unlisted(ErrorKind::SetuidFailed))
        );
    }

    #[test]
    fn a_missing_user_or_group_is_reported() {
        let no_user = Err(unlisted(ErrorKind::SetuidFailed));
        for user in [
            "",
            "nobody",
            "half",
            "big",
            "huge",
            "nis",
            "+nis",
            "-web",
            "4294967295",
        ] {
            assert_eq!(account(user, None), no_user, "{user}");
        }
        for user in ["nobody:adm", "4294967295:adm", ":adm"] {
            assert_eq!(account(user, None), no_user, "{user}");
        }
        let no_group = Err(unlisted(ErrorKind::SetgidFailed));
        for user in ["web:", "web:nis", "web:4294967295", "web:+", "web:-1"] {
            assert_eq!(account(user, None), no_group, "{user}");
        }
        assert_eq!(find_group(b"adm", GROUP), Ok(4));
        assert_eq!(find_group(b"late", GROUP), Ok(6));
    }

    #[test]
    fn too_many_groups_are_an_error() {
        for length in 0..4 {
            let mut ids = [0; 4][..length].to_vec();
            let error = Account::parse(b"web", None, PASSWD, GROUP, &mut ids).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::GroupsFailed);
        }
    }
}
