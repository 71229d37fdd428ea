//! Properties of every lookup in every text of `/etc/passwd` and `/etc/group`.

use rawdaemon::internal::find_group;
use rawdaemon::{Account, Cause, Errno, Error, ErrorKind, Subject};

/// Checks one lookup. The data is four parts, separated by zero bytes: the user, the group (none if empty), and
/// the texts of `/etc/passwd` and `/etc/group`.
pub fn check(data: &[u8]) {
    let mut parts = data.splitn(4, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let (asked, group, passwd, groups) = (part(), part(), part(), part());
    check_group(group, groups);
    let group = Some(group).filter(|group| !group.is_empty());
    for room in [64, 1] {
        check_account(asked, group, passwd, groups, room);
    }
    // Each listed user is found by name and by id.
    for line in lines(passwd) {
        if let Some(user) = user(&line) {
            check_account(user.name, group, passwd, groups, 64);
            check_account(user.id.to_string().as_bytes(), None, passwd, groups, 64);
        }
    }
}

/// A user, read by a second parser.
struct User<'a> {
    name: &'a [u8],
    id: u32,
    group: Option<u32>,
    home: &'a [u8],
    shell: &'a [u8],
}

fn lines(text: &[u8]) -> Vec<Vec<&[u8]>> {
    let lines = text.split(|byte| *byte == b'\n');
    lines
        .map(|line| line.split(|byte| *byte == b':').collect())
        .collect()
}

fn id(text: &[u8]) -> Option<u32> {
    let is_plain = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok().filter(|_| is_plain)?;
    number.parse().ok().filter(|id| *id != u32::MAX)
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.starts_with(b"+") && !name.starts_with(b"-")
}

fn user<'a>(fields: &[&'a [u8]]) -> Option<User<'a>> {
    let field = |index| fields.get(index).copied().unwrap_or_default();
    let [name, number, group, home, shell] = [0, 2, 3, 5, 6].map(field);
    is_name(name).then_some(())?;
    Some(User {
        name,
        id: id(number)?,
        group: id(group),
        home,
        shell,
    })
}

/// The name, id and members of a group.
type Group<'a> = (&'a [u8], u32, Vec<&'a [u8]>);

fn group<'a>(fields: &[&'a [u8]]) -> Option<Group<'a>> {
    let field = |index| fields.get(index).copied().unwrap_or_default();
    let [name, number, members] = [0, 2, 3].map(field);
    is_name(name).then_some(())?;
    let members = members.split(|byte| *byte == b',').collect();
    Some((name, id(number)?, members))
}

fn expected_group(name: &[u8], groups: &[u8]) -> Option<u32> {
    let all = lines(groups);
    let listed = all.iter().filter_map(|line| group(line));
    let mut named = listed
        .filter(|(other, ..)| *other == name)
        .map(|(_, id, _)| id);
    named.next().or_else(|| id(name))
}

fn check_group(name: &[u8], groups: &[u8]) {
    let not_listed = Error::new(ErrorKind::SetgidFailed, Cause::NotListed).about(Subject::Group);
    let expected = expected_group(name, groups).ok_or(not_listed);
    assert_eq!(find_group(name, groups), expected);
}

fn check_account(asked: &[u8], group: Option<&[u8]>, passwd: &[u8], groups: &[u8], room: usize) {
    let mut room = vec![0; room];
    let capacity = room.len();
    let found = Account::parse(asked, group, passwd, groups, &mut room);

    let mut parts = asked.splitn(2, |byte| *byte == b':');
    let name = parts.next().unwrap_or_default();
    let group = group.or(parts.next());
    let all = lines(passwd);
    let users = || all.iter().filter_map(|line| user(line));
    let mut listed = users().filter(|user| user.name == name);
    let listed = listed
        .next()
        .or_else(|| users().find(|user| Some(user.id) == id(name)));

    let expected_id = listed.as_ref().map(|user| user.id).or_else(|| id(name));
    let expected_gid = match group {
        Some(group) => expected_group(group, groups),
        None => listed.as_ref().and_then(|user| user.group),
    };
    let account = match found {
        Ok(account) => account,
        Err(error) => {
            let too_many = Cause::Errno(Errno::E2BIG);
            match (error.kind(), error.cause()) {
                (ErrorKind::SetuidFailed, Cause::NotListed) => {
                    assert!(expected_id.is_none() || expected_gid.is_none() && group.is_none());
                }
                (ErrorKind::SetgidFailed, Cause::NotListed) => assert!(expected_gid.is_none()),
                (ErrorKind::GroupsFailed, cause) if cause == too_many => {}
                _ => panic!("{error:?}"),
            }
            return;
        }
    };
    assert_eq!(
        (Some(account.user), Some(account.group)),
        (expected_id, expected_gid)
    );
    assert_eq!(account.name, listed.as_ref().map_or(name, |user| user.name));
    let or = |field: Option<&[u8]>, default: &'static [u8]| {
        let field = field.filter(|field| !field.is_empty());
        field.unwrap_or(default).to_vec()
    };
    let (home, shell) = listed.map(|user| (user.home, user.shell)).unzip();
    assert_eq!(account.home, or(home, b"/"));
    let shell = shell.filter(|shell| {
        let name = shell.rsplit(|byte| *byte == b'/').next().unwrap();
        !["nologin", "false", "true", "null", ""]
            .iter()
            .any(|other| name == other.as_bytes())
    });
    assert_eq!(account.shell, or(shell, b"/bin/sh"));

    let mut expected = vec![account.group];
    for line in lines(groups) {
        if let Some((_, id, members)) = self::group(&line) {
            if members.contains(&account.name) && !expected.contains(&id) {
                expected.push(id);
            }
        }
    }
    assert!(expected.len() <= capacity);
    assert_eq!(account.groups, expected);
}
