//! Accounts from the text of `/etc/passwd` and `/etc/group` (passwd(5), group(5)). Pure.
//!
//! Lines may have any length, the last one needs no newline, and missing fields at the end are empty. Lines
//! that are not entries are skipped: those without a name or without a number that an id can have, and those
//! of NIS, which begin with a sign. Of entries with the same name or number, the first one applies.

use crate::protocol::{Cause, Errno, Error, ExitCode};
use crate::text::{next_field, parse_number, split_once};

/// Whom a daemon shall run as: what [`DaemonizeOptions::user`](crate::DaemonizeOptions::user) takes,
/// and what a session's environment says of the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    /// The user's name; a number that has no entry stands for itself.
    pub name: &'a [u8],
    /// The user's id.
    pub user: u32,
    /// The id of the group that was asked for, or of the one in the user's entry.
    pub group: u32,
    /// The ids of that group and of all groups that the user is a member of.
    pub groups: &'a [u32],
    /// The home directory; `/` if there is none in the entry, or no entry.
    pub home: &'a [u8],
    /// The shell; `/bin/sh` if there is none in the entry, or no entry.
    pub shell: &'a [u8],
}

/// Finds the account of a user, given as `USER` or `USER:GROUP`, by names or numbers. A `group` that
/// is given counts more than one that is written behind the user. The user's groups are put to
/// `room`.
///
/// A number is first looked for as a name, and then as an id. One without an entry will do, if a
/// group is given.
///
/// # Errors
///
/// `SetuidFailed` or `SetgidFailed` with [`Cause::NotListed`]; `GroupsFailed` with `E2BIG` when there
/// is not enough room.
pub fn find_account<'a>(
    asked: &'a [u8],
    group: Option<&[u8]>,
    passwd: &'a [u8],
    groups: &[u8],
    room: &'a mut [u32],
) -> Result<Account<'a>, Error> {
    let (name, behind) = split_once(asked, b':');
    let mut user = find(passwd, name).ok_or(not_listed(ExitCode::SetuidFailed))?;
    let own_group = id(next_field(&mut user.rest, b':'));
    next_field(&mut user.rest, b':');
    let home = next_field(&mut user.rest, b':');
    let shell = next_field(&mut user.rest, b':');
    let group = match group.or(behind) {
        Some(group) => find_group(group, groups)?,
        None => own_group.ok_or(not_listed(ExitCode::SetuidFailed))?,
    };
    Ok(Account {
        name: user.name,
        user: user.id,
        group,
        groups: collect_groups(user.name, group, groups, room)?,
        home: if home.is_empty() { b"/" } else { home },
        shell: if shell.is_empty() { b"/bin/sh" } else { shell },
    })
}

/// Finds the id of a group by its name. A number that is no name stands for itself.
///
/// # Errors
///
/// `SetgidFailed` with [`Cause::NotListed`].
pub fn find_group(name: &[u8], groups: &[u8]) -> Result<u32, Error> {
    let group = find(groups, name).ok_or(not_listed(ExitCode::SetgidFailed))?;
    Ok(group.id)
}

const fn not_listed(code: ExitCode) -> Error {
    Error::new(code, Cause::NotListed)
}

/// An entry of either file, `name:password:id:`, and what follows: `group:comment:home:shell`, or
/// the members of a group, `user,user`.
#[derive(Clone, Copy)]
struct Entry<'a> {
    name: &'a [u8],
    id: u32,
    rest: Option<&'a [u8]>,
}

/// The entry with this name, or else the one with this id, or else one that has only the id.
fn find<'a>(text: &'a [u8], asked: &'a [u8]) -> Option<Entry<'a>> {
    let number = id(asked);
    let mut numbered = None;
    for entry in Entries(Some(text)) {
        if entry.name == asked {
            return Some(entry);
        }
        if numbered.is_none() && number == Some(entry.id) {
            numbered = Some(entry);
        }
    }
    numbered.or(number.map(|id| Entry {
        name: asked,
        id,
        rest: None,
    }))
}

/// Collects the group, and then those whose list of members has the user in it. None comes twice.
fn collect_groups<'a>(
    user: &[u8],
    group: u32,
    groups: &[u8],
    room: &'a mut [u32],
) -> Result<&'a [u32], Error> {
    let mut count = 0;
    add_group(group, room, &mut count)?;
    for Entry { id, mut rest, .. } in Entries(Some(groups)) {
        let mut members = Some(next_field(&mut rest, b':'));
        while members.is_some() {
            if next_field(&mut members, b',') == user {
                add_group(id, room, &mut count)?;
            }
        }
    }
    Ok(room.get(..count).unwrap_or_default())
}

fn add_group(group: u32, room: &mut [u32], count: &mut usize) -> Result<(), Error> {
    if room.iter().take(*count).all(|other| *other != group) {
        let too_many = Error::new(ExitCode::GroupsFailed, Cause::Errno(Errno::E2BIG));
        *room.get_mut(*count).ok_or(too_many)? = group;
        *count = count.saturating_add(1);
    }
    Ok(())
}

/// The entries of a text, one after the other.
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

/// The id that these digits are. The largest number is none: it means 'unchanged' to the kernel.
fn id(digits: &[u8]) -> Option<u32> {
    let id = u32::try_from(parse_number(digits, 10)?).ok()?;
    (id != u32::MAX).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::{find_account, find_group};
    use crate::protocol::{Cause, Error, ExitCode};

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

    fn account(asked: &str, group: Option<&str>) -> Result<(u32, u32, Vec<u32>), Error> {
        let mut room = [0; 8];
        let group = group.map(str::as_bytes);
        find_account(asked.as_bytes(), group, PASSWD, GROUP, &mut room)
            .map(|account| (account.user, account.group, account.groups.to_vec()))
    }
    use std::vec::Vec;

    fn unlisted(code: ExitCode) -> Error {
        Error::new(code, Cause::NotListed)
    }

    #[test]
    fn by_name_or_number() {
        let web = (33, 33, Vec::from([33, 4, 5, 6]));
        assert_eq!(account("web", None), Ok(web.clone()));
        assert_eq!(account("33", None), Ok(web));
        assert_eq!(account("root", None), Ok((0, 0, Vec::from([0, 4, 5]))));
        assert_eq!(account("77", None), Ok((78, 79, Vec::from([79]))));
        assert_eq!(account("last", None), Ok((90, 91, Vec::from([91]))));
        // Without a group of its own, an entry needs one that is given.
        assert_eq!(account("half:5", None), Ok((9, 5, Vec::from([5]))));
        assert_eq!(account("lost:6", None), Ok((10, 6, Vec::from([6]))));
    }

    #[test]
    fn a_group_may_be_given_in_two_ways() {
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
    fn a_number_without_an_entry_needs_a_group() {
        let alone = Ok((1234, 99, Vec::from([99])));
        assert_eq!(account("1234:99", None), alone);
        assert_eq!(account("1234", Some("99")), alone);
        let mut room = [0; 1];
        let account = find_account(b"1234:99", None, b"", b"", &mut room).unwrap();
        assert_eq!(
            (account.name, account.home, account.shell),
            (&b"1234"[..], &b"/"[..], &b"/bin/sh"[..])
        );
        assert_eq!(
            self::account("1234", None),
            Err(unlisted(ExitCode::SetuidFailed))
        );
    }

    #[test]
    fn what_is_not_there_is_named() {
        let no_user = Err(unlisted(ExitCode::SetuidFailed));
        for asked in [
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
            assert_eq!(account(asked, None), no_user, "{asked}");
        }
        for asked in ["nobody:adm", "4294967295:adm", ":adm"] {
            assert_eq!(account(asked, None), no_user, "{asked}");
        }
        let no_group = Err(unlisted(ExitCode::SetgidFailed));
        for asked in ["web:", "web:nis", "web:4294967295", "web:+", "web:-1"] {
            assert_eq!(account(asked, None), no_group, "{asked}");
        }
        assert_eq!(find_group(b"adm", GROUP), Ok(4));
        assert_eq!(find_group(b"late", GROUP), Ok(6));
    }

    #[test]
    fn too_many_groups_are_an_error() {
        for room in 0..4 {
            let mut room = [0; 4][..room].to_vec();
            let error = find_account(b"web", None, PASSWD, GROUP, &mut room).unwrap_err();
            assert_eq!(error.code(), ExitCode::GroupsFailed);
        }
    }
}
