//! The size of the supervisors: the files that they need, with those that control them and write their log.

use std::path::PathBuf;
use std::{fs, io};

use crate::programs::{Programs, libraries};

/// Name, programs, and the libraries that come with them. The C library is not counted.
type Set = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

#[rustfmt::skip]
const SETS: [Set; 8] = [
    ("rawdaemon", &["rawdaemon"], &[]),
    ("runit", &["runsv", "svlogd", "sv", "runsvdir"], &[]),
    ("s6", &["s6-supervise", "s6-log", "s6-svc", "s6-svscan"], &["libskarnet.so.2.13"]),
    ("daemontools", &["supervise", "multilog", "svc", "svscan"], &[]),
    ("daemon (libslack), writes no log of its own", &["daemon"], &[]),
    ("supervise-daemon (OpenRC), no log", &["supervise-daemon"], &["libeinfo.so.1", "librc.so.1"]),
    ("tini, no restart", &["tini"], &[]),
    ("dumb-init, no restart", &["dumb-init"], &[]),
];

pub fn print(programs: &Programs) -> io::Result<()> {
    println!("size in bytes of all parts, without the C library and other packages' libraries");
    for (name, parts, shared) in SETS {
        let files = parts.iter().map(|part| programs.find(part));
        let files = files.chain(shared.iter().map(|name| find_library(name)));
        let Some(files) = files.collect::<Option<Vec<PathBuf>>>() else {
            println!("skipped: {name}: not found");
            continue;
        };
        let mut sizes = Vec::new();
        for file in &files {
            sizes.push(fs::metadata(file)?.len());
        }
        let total: u64 = sizes.iter().sum();
        let names = parts.iter().chain(shared).zip(&sizes);
        let details: Vec<_> = names.map(|(name, size)| format!("{name} {size}")).collect();
        println!("{name:42} {total:9}   {}", details.join(", "));
    }
    println!();
    Ok(())
}

/// A library that was unpacked, or is installed.
fn find_library(name: &str) -> Option<PathBuf> {
    let installed = ["/lib", "/usr/lib"].into_iter().flat_map(|folder| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path().join(name))
    });
    libraries()
        .into_iter()
        .filter(|path| path.ends_with(name))
        .chain(installed)
        .find(|path| path.is_file())
}
