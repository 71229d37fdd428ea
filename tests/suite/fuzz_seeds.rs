//! Replays the seeds of the fuzz targets, and small changes of each, as ordinary tests.

use std::path::Path;
use std::{fs, panic};

use crate::support::{package_folder, skip};

#[path = "../properties/accounts.rs"]
mod accounts;
#[path = "../properties/descriptors.rs"]
mod descriptors;
#[path = "../properties/environment.rs"]
mod environment;
#[path = "../properties/options/mod.rs"]
mod options;
#[path = "../properties/pidfile.rs"]
mod pidfile;
#[path = "../properties/search.rs"]
mod search;
#[path = "../properties/status/mod.rs"]
mod status;
#[path = "../properties/watch.rs"]
mod watch;

fn run(check: fn(&[u8]), name: &Path, data: &[u8]) {
    let result = panic::catch_unwind(|| check(data));
    assert!(
        result.is_ok(),
        "{}: {}",
        name.display(),
        data.escape_ascii()
    );
}

/// Replays each seed, each beginning of it, and each seed with one byte replaced.
fn replay(target: &str, bytes: &[u8], check: fn(&[u8])) {
    let folder = package_folder().join("fuzz/seeds").join(target);
    if !folder.exists() {
        skip("the packaged crate has no seeds");
        return;
    }
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().path();
        let seed = fs::read(&name).unwrap();
        count += 1;
        for length in 0..=seed.len() {
            run(check, &name, &seed[..length]);
        }
        let mut changed = seed.clone();
        for place in 0..seed.len() {
            for byte in bytes {
                changed[place] = *byte;
                run(check, &name, &changed);
            }
            changed[place] = seed[place];
        }
    }
    assert_ne!(count, 0, "no seeds in {}", folder.display());
}

#[test]
fn accounts_hold_for_every_seed() {
    replay("accounts", b"\0\n:,+-1a", accounts::check);
}

#[test]
fn descriptors_hold_for_every_seed() {
    replay(
        "descriptors",
        b"\0\x02\x03\x04\x18\xfd\xff",
        descriptors::check,
    );
}

#[test]
fn environments_hold_for_every_seed() {
    replay("environment", b"\0=AP", environment::check);
}

#[test]
fn options_hold_for_every_seed() {
    replay("options", b"\0-7=Eo\xff", options::check);
}

#[test]
fn pidfiles_hold_for_every_seed() {
    replay("pidfile", b"\0\n )019Z\xff", pidfile::check);
}

#[test]
fn searches_hold_for_every_seed() {
    replay("search", b"\0\x01\x03\t\n /:a", search::check);
}

#[test]
fn statuses_hold_for_every_seed() {
    let bytes = [
        0, 1, 2, 3, 4, 5, 6, 8, 11, 126, 127, 128, 0x7e, 0x80, 0xfe, 0xff,
    ];
    replay("status", &bytes, status::check);
}

#[test]
fn watches_hold_for_every_seed() {
    replay(
        "watch",
        b"\0\x01\x02\x03\x04\x05\x08\n=1\x81\xff",
        watch::check,
    );
}
