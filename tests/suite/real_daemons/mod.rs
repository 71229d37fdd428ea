//! Eighteen daemons that people run, each through the life of a service: started, asked for, started once
//! more, hung up, restarted, killed, started again and stopped. `tests/README.md` has them as a table.

mod ask;
mod life;
mod processes;
mod respawned;
mod service;
mod table;

use std::fs;

use crate::support::package_folder;
use table::Row;

/// A test for each daemon, and the list of all.
macro_rules! daemons {
    ($($(#[$attribute:meta])* $name:ident: $row:ident,)*) => {
        $(
            $(#[$attribute])*
            #[test]
            fn $name() {
                life::live(&table::$row);
            }
        )*

        const ALL: &[&Row] = &[$(&table::$row),*];
    };
}

daemons! {
    redis_server: REDIS,
    postgres: POSTGRES,
    haproxy: HAPROXY,
    sshd: SSHD,
    nginx: NGINX,
    memcached: MEMCACHED,
    mosquitto: MOSQUITTO,
    lighttpd: LIGHTTPD,
    dropbear: DROPBEAR,
    cron: CRON,
    rsyslogd: RSYSLOGD,
    dbus_daemon: DBUS,
    dnsmasq: DNSMASQ,
    avahi_daemon: AVAHI,
    chronyd: CHRONYD,
    python3: PYTHON,
    node: NODE,
    java: JAVA,
}

#[test]
fn the_readme_has_the_table() {
    let path = package_folder().join("tests/README.md");
    let readme = fs::read_to_string(path).unwrap();
    let lines = readme.lines().filter(|line| line.starts_with("| `"));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), ALL.len(), "{lines:#?}");
    for (line, row) in lines.into_iter().zip(ALL) {
        let expected = row.documented();
        assert!(line.starts_with(&expected), "{line}\n{expected}");
    }
}
